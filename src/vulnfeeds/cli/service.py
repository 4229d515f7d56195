"""The commands that serve: `vulnfeeds up` and `vulnfeeds serve`."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from vulnfeeds.api.app import create_app
from vulnfeeds.cli import logs
from vulnfeeds.cli.building import folder_of
from vulnfeeds.cli.compose import of_sample, open_writer, prepare_home, read_settings
from vulnfeeds.cli.listening import Server, address_of, bind
from vulnfeeds.cli.options import Listening
from vulnfeeds.cli.running import Cycles
from vulnfeeds.cli.syncing import stop_on_signals, watcher_for
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.config import Registry, Settings, hide_password
from vulnfeeds.errors import StoreError, VulnfeedsError
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store.opening import SQLStore
from vulnfeeds.sync.schedule import seconds_until_due

_log = logging.getLogger("vulnfeeds.service")
_LISTENING = Listening()
_RETRY_SECONDS: Final = 60.0
"""Wait before the next try when the store could not be reached for a cycle."""
_PRUNE_SECONDS: Final = 3600.0
"""How often a process that runs no cycles looks after its page folder."""
_MB: Final = 1 << 20


class ServiceError(VulnfeedsError):
    """The service ended although nobody told it to."""


def up(
    *,
    sample: Annotated[
        bool, Parameter(help="Use the sample upstream that ships with this: no network, its own data.", negative="")
    ] = False,
    listening: Listening = _LISTENING,
) -> None:
    """Serve, and sync what is due, again and again."""
    settings, registry = read_settings(listening)
    if sample:
        settings = of_sample(settings, listening.flags())
    _run(settings, registry, syncing=not settings.api_only)


def serve(*, listening: Listening = _LISTENING) -> None:
    """Serve what the store holds, and sync nothing."""
    settings, registry = read_settings(listening)
    _run(settings, registry, syncing=False)


def _run(settings: Settings, registry: Registry, *, syncing: bool) -> None:
    """Bind, open the store, serve, sync beside it; return when a signal came and all has ended orderly."""
    terminal = Terminal()
    logs.set_up(settings.log_level, handler=terminal.log_handler())
    prepare_home(settings)
    stop = stop_on_signals()
    with bind(settings.host, settings.port) as listening, open_writer(settings) as store:
        _serve(settings, registry, terminal, stop, listening, store, syncing=syncing)


def _serve(
    settings: Settings,
    registry: Registry,
    terminal: Terminal,
    stop: threading.Event,
    listening: socket.socket,
    store: SQLStore,
    *,
    syncing: bool,
) -> None:
    failed = threading.Event()
    pages = PageFolder(settings.home / "pages", store, max_bytes=settings.pages_max_mb * _MB or None)
    app = create_app(
        store,
        pages,
        clock=lambda: datetime.now(UTC),
        since_margin=timedelta(seconds=settings.since_margin_seconds),
        ready=lambda: not stop.is_set(),
        memory=settings.answers_memory_mb * _MB,
        databases=folder_of(settings),
        external_url=settings.external_url,
    )
    server = Server(app, listening, stop, failed, patience_seconds=settings.client_patience_seconds)
    work = _Syncing(settings, registry, terminal, store, pages, stop) if syncing else _Upkeep(store, pages, stop)
    background = threading.Thread(target=_guarded, args=(work.go, stop, failed), name="background")
    server.start()
    _log.info(
        "serving",
        extra={"address": address_of(listening), "host": settings.host, "store": hide_password(settings.store_url)},
    )
    background.start()
    stop.wait()
    _log.info("ending")
    server.stop()
    background.join()
    if failed.is_set():
        raise ServiceError("the service ended because of the error above")


def _guarded(go: Callable[[], None], stop: threading.Event, failed: threading.Event) -> None:
    """Run `go`; when it ends before it was told to, the service must not go on as if nothing was."""
    try:
        go()
    finally:
        if not stop.is_set():
            failed.set()
            stop.set()


class _Syncing:
    """Cycles, one after another, each followed by upkeep, until stopped."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        terminal: Terminal,
        store: SQLStore,
        pages: PageFolder,
        stop: threading.Event,
    ) -> None:
        self._every = settings.driver_sync
        self._store = store
        self._pages = pages
        self._stop = stop
        self._watcher = watcher_for(terminal)
        self._cycles = Cycles(settings, registry, store, self._watcher, stop)

    def go(self) -> None:
        """Sync what is due now, then everything each time `driver_sync` seconds have passed."""
        try:
            wait = self._begin()
            while not self._stop.wait(wait):
                wait = self._cycle(None)
        finally:
            self._watcher.close()

    def _begin(self) -> float:
        """Do what an earlier process left undone or is due since; return how long to wait for the next cycle."""
        try:
            aborted = self._store.abort_orphans()
            if aborted:
                _log.warning("tasks aborted", extra={"tasks": ",".join(map(str, aborted))})
            due = self._cycles.due(time.time())
            if not due:
                self._cycles.index()
                return self._cycles.seconds_until_due(time.time())
        except StoreError as error:
            return _retry_after(error)
        return self._cycle(due)

    def _cycle(self, only: Collection[str] | None) -> float:
        """Run a cycle and the upkeep after it; return how long to wait for the next one."""
        began = time.time()
        try:
            self._cycles.run(only)
            if not self._stop.is_set():
                self._cycles.index()
                self._cycles.prune(datetime.now(UTC))
                self._pages.prune(self._store.live_pages())
        except StoreError as error:
            return _retry_after(error)
        return seconds_until_due(time.time(), began, self._every)


def _retry_after(error: StoreError) -> float:
    _log.error("cycle not possible", extra={"error": str(error), "again_in_seconds": _RETRY_SECONDS})
    return _RETRY_SECONDS


class _Upkeep:
    """What a process that only serves has to do beside it: keep its page folder small."""

    def __init__(self, store: SQLStore, pages: PageFolder, stop: threading.Event) -> None:
        self._store = store
        self._pages = pages
        self._stop = stop

    def go(self) -> None:
        """Remove pages that no kept generation uses, now and then."""
        while not self._stop.wait(_PRUNE_SECONDS):
            try:
                self._pages.prune(self._store.live_pages())
            except StoreError as error:
                _log.warning("pages not pruned", extra={"error": str(error)})
