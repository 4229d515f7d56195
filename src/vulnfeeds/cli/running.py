"""Cycles with the real parts: which drivers are due, and each run in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from vulnfeeds.cli.building import DatabaseRun
from vulnfeeds.cli.compose import build_driver, prepare_home
from vulnfeeds.cli.entering import RunOrder, enter_run
from vulnfeeds.cli.progress import Watcher
from vulnfeeds.config import Registry, Settings
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.store.interface import TaskFilter
from vulnfeeds.store.opening import SQLStore
from vulnfeeds.sync.cycle import CycleResult, run_cycle
from vulnfeeds.sync.indexing import catch_up
from vulnfeeds.sync.outcome import COMPLETED
from vulnfeeds.sync.schedule import longest_first, seconds_until_due
from vulnfeeds.sync.worker import RunOutcome, supervise

_REMEMBERED: Final = 12
"""Runs of a driver of which the longest tells how long one may take: most have no news and end at once."""


class Cycles:
    """Runs cycles over a store, each run in a process of its own; a set `stop` ends what is under way."""

    def __init__(
        self, settings: Settings, registry: Registry, store: SQLStore, watcher: Watcher, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._store = store
        self._watcher = watcher
        self._stop = stop
        self._drivers = [build_driver(settings, registry, name) for name in settings.drivers]
        self._disabled = [name for name in registry if name not in settings.drivers]
        # On a live terminal the lines of a run's process would break what is drawn; its task says how it went.
        self._child_level = "error" if type(watcher) is not Watcher else settings.log_level
        prepare_home(settings)
        self._final = None
        if settings.grypedb.enabled:
            self._final = DatabaseRun(settings, store, watcher, stop, self._child_level)

    def run(self, only: Collection[str] | None = None, *, forced: bool = False, publish: bool = True) -> CycleResult:
        """Run the drivers that are on, or those of `only`, and return when all have ended.

        `publish` false leaves out what is made of the records afterwards (the Grype database).
        """
        chosen = [driver.name for driver in self._drivers if only is None or driver.name in only]
        self._watcher.cycle_began(chosen)
        ended = run_cycle(
            self._store,
            longest_first(self._drivers, {driver.name: self._seconds(driver.name) for driver in self._drivers}),
            self._start,
            workers=self._settings.workers,
            only=only,
            forced=forced,
            patience_seconds=self._settings.dependency_patience_seconds,
            disabled=self._disabled,
            stop=self._stop,
            final=self._final if publish else None,
        )
        self._watcher.cycle_ended(ended)
        return ended

    def due(self, now: float) -> list[str]:
        """Return the drivers that are on and have not completed a run within the last `driver_sync` seconds."""
        return [driver.name for driver in self._drivers if not self._wait(driver.name, now)]

    def seconds_until_due(self, now: float) -> float:
        """Return how long until the first driver is due; 0.0 when one is."""
        return min((self._wait(driver.name, now) for driver in self._drivers), default=self._settings.driver_sync)

    def prune(self, now: datetime) -> None:
        """Forget what is past its retention."""
        kept = self._settings.retention
        self._store.prune(
            generations_before=now - timedelta(hours=kept.generations_hours),
            versions_before=now - timedelta(days=kept.versions_days),
            tasks_before=now - timedelta(days=kept.tasks_days),
        )

    def index(self) -> None:
        """Take into the index what no run of this version did: a store from before it, drivers that are off now."""
        catch_up(self._store, stopped=self._stop.is_set)

    def _wait(self, driver: str, now: float) -> float:
        last = self._store.tasks(TaskFilter(driver_id=driver, status=COMPLETED), limit=1)
        started = last[0].started_at.replace(tzinfo=UTC).timestamp() if last else None
        return seconds_until_due(now, started, self._settings.driver_sync)

    def _seconds(self, driver: str) -> float:
        runs = self._store.tasks(TaskFilter(driver_id=driver, status=COMPLETED), limit=_REMEMBERED)
        took = [(run.ended_at - run.started_at).total_seconds() for run in runs if run.ended_at is not None]
        return max(took, default=0.0)

    def _start(self, driver: Driver, task_id: int, forced: bool) -> RunOutcome:
        self._watcher.began(driver.name)
        settings = msgspec.structs.replace(self._settings, driver={driver.name: driver.settings})
        outcome = supervise(
            enter_run,
            RunOrder(settings, driver.name, task_id, forced, self._store.owner, self._child_level),
            store=self._store,
            task_id=task_id,
            deadline_seconds=driver.settings.deadline_seconds,
            memory_mb=driver.settings.memory_mb,
            on_progress=partial(self._watcher.progressed, driver.name),
            stop=self._stop,
        )
        self._watcher.ended(driver.name, outcome)
        return outcome
