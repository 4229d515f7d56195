"""The run that builds the Grype database: after the drivers of a cycle, in a process of its own like theirs."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from vulnfeeds import __version__
from vulnfeeds.cli import logs
from vulnfeeds.cli.compose import open_writer
from vulnfeeds.cli.progress import Watcher
from vulnfeeds.config import Settings
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.making import Build, Maker
from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import SQLStore
from vulnfeeds.sync.outcome import COMPLETED, RunResult
from vulnfeeds.sync.reporting import Progress, Tell
from vulnfeeds.sync.worker import RunOutcome, supervise

NAME: Final = "grypedb"
"""The build's driver_id and feed_id, as the original service named it."""


def folder_of(settings: Settings) -> ArchiveFolder:
    """Return the folder that the service builds into and serves."""
    return ArchiveFolder(settings.home / NAME)


def maker_of(settings: Settings, store: Store, folder: ArchiveFolder) -> Maker:
    """Return what makes archives by the settings."""
    return Maker(
        store,
        folder,
        processor=f"vulnfeeds@{__version__}",
        most_shrink=settings.grypedb.max_shrink,
        channels=settings.grypedb.channels,
        old=settings.grypedb.old,
    )


class DatabaseRun:
    """The last run of a cycle."""

    name = NAME
    feed = NAME

    def __init__(
        self, settings: Settings, store: SQLStore, watcher: Watcher, stop: threading.Event, log_level: str
    ) -> None:
        # The settings of drivers would bring their modules along.
        self._settings = msgspec.structs.replace(settings, driver={})
        self._store = store
        self._watcher = watcher
        self._stop = stop
        self._log_level = log_level

    def is_due(self) -> bool:
        """Tell whether records changed since the newest archive, or it is a day old."""
        return maker_of(self._settings, self._store, folder_of(self._settings)).is_due(datetime.now(UTC))

    def start(self, task_id: int) -> RunOutcome:
        """Build under an open task and end that."""
        self._watcher.began(NAME)
        outcome = supervise(
            enter_build,
            BuildOrder(self._settings, task_id, self._store.owner, self._log_level),
            store=self._store,
            task_id=task_id,
            deadline_seconds=self._settings.grypedb.deadline_seconds,
            memory_mb=self._settings.grypedb.memory_mb,
            on_progress=partial(self._watcher.progressed, NAME),
            stop=self._stop,
        )
        self._watcher.ended(NAME, outcome)
        return outcome


class BuildOrder(msgspec.Struct, frozen=True):
    """What the process of a build is told."""

    settings: Settings
    task_id: int
    owner: str
    log_level: str


def enter_build(order: BuildOrder, tell: Tell) -> RunResult:
    """Build one archive, in a process of its own."""
    logs.set_up(order.log_level)
    folder = folder_of(order.settings)
    with open_writer(order.settings, migrate=False, owner=order.owner) as store:

        def told(said: dict[str, Any]) -> None:
            store.progress(order.task_id, said)
            tell(said)

        made = maker_of(order.settings, store, folder).make(datetime.now(UTC), Progress(told, time.time).report)
        result = summary(made)
        store.close_task(order.task_id, COMPLETED, result)
    return RunResult(COMPLETED, result)


def summary(made: Build) -> dict[str, Any]:
    """Return what a task keeps of a build."""
    return {
        "archive": made.archive.name,
        "built": made.archive.built,
        "bytes": made.archive.bytes,
        "checksum": made.archive.checksum,
        "records": sum(made.records.values()),
        "left_out": made.left_records,
        "vulnerabilities": made.counts.vulnerabilities,
        "packages": made.counts.packages,
    }
