"""The command that runs drivers once: `vulnfeeds sync`."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any

from cyclopts import Parameter

from vulnfeeds.cli import logs
from vulnfeeds.cli.compose import build_driver, open_writer, read_settings
from vulnfeeds.cli.options import Output
from vulnfeeds.cli.progress import LiveWatcher, Watcher, summary
from vulnfeeds.cli.running import Cycles
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.config import Settings
from vulnfeeds.errors import SettingsError, SyncFailedError
from vulnfeeds.sync.cycle import CycleResult

_OUTPUT = Output()


def sync(
    *drivers: str,
    force: Annotated[bool, Parameter(help="Whole runs, as if upstream had changed.", negative="")] = False,
    output: Output = _OUTPUT,
) -> None:
    """Run drivers now and leave; all that are on when none is named.

    Parameters
    ----------
    drivers
        Names of drivers that are on, as `vulnfeeds drivers` shows them.
    """
    settings, registry = read_settings(output)
    for name in drivers:
        build_driver(settings, registry, name)
        if name not in settings.drivers:
            raise SettingsError(f"driver {name!r} is off; the setting `drivers` (VULNFEEDS_DRIVERS) turns it on")
    terminal = Terminal(as_json=output.json)
    stop = stop_on_signals()
    logs.set_up(settings.log_level, handler=terminal.log_handler())
    watcher = watcher_for(terminal)
    with open_writer(settings) as store:
        try:
            cycles = Cycles(settings, registry, store, watcher, stop)
            ended = cycles.run(drivers or None, forced=force, publish=not drivers)
        finally:
            watcher.close()
        if not stop.is_set():
            cycles.index()
            cycles.prune(datetime.now(UTC))
    _show(terminal, ended)
    if stop.is_set():
        raise KeyboardInterrupt
    if ended.failed or set(ended.skipped) & set(drivers or settings.drivers):
        raise SyncFailedError(_failures(settings, ended))


def watcher_for(terminal: Terminal) -> Watcher:
    """Return what shows runs under way: live lines on a terminal, log lines when it is none."""
    return LiveWatcher(terminal.errors) if terminal.is_live else Watcher()


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set; a second signal ends the process at once, as if uncaught."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_DFL)
        # Not from here: the interrupted code may hold the event's own lock.
        threading.Thread(target=stop.set, name="signal").start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop


def _show(terminal: Terminal, ended: CycleResult) -> None:
    rows: list[dict[str, Any]] = [
        {
            "driver": name,
            "status": outcome.status,
            **(summary(outcome) if outcome.status == "completed" else {"seconds": outcome.seconds}),
            "error": outcome.result.get("error"),
        }
        for name, outcome in sorted(ended.outcomes.items())
    ]
    rows += [
        {"driver": name, "status": "skipped", "error": why}
        for name, why in ended.skipped.items()
        if why != "disabled"
    ]
    if terminal.as_json:
        terminal.value({"task_id": ended.task_id, "status": ended.status, "drivers": rows})
        return
    columns = ("driver", "status", "created", "updated", "deleted", "records", "seconds", "peak_mb", "error")
    terminal.rows({name: name.upper().replace("_", " ") for name in columns}, rows, nothing="no driver is on")


def _failures(settings: Settings, ended: CycleResult) -> str:
    failed = [f"{name}: {ended.outcomes[name].result.get('error', 'failed')}" for name in ended.failed]
    skipped = [f"{name}: {why}" for name, why in ended.skipped.items() if name in settings.drivers]
    return "; ".join([*failed, *skipped])
