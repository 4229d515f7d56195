"""A cycle: all enabled drivers once, independent ones at the same time, each failure its own.

The cycle is a FeedSyncTask, each run a DriverExecutionTask under it. It ends "completed" even if drivers fail, as in
the original service; only a stop of the service ends it as failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from threading import Event
from typing import Any, Final, Protocol

import msgspec

from vulnfeeds.drivers.interface import Driver
from vulnfeeds.errors import DriverBusyError, StoreError, VulnfeedsError
from vulnfeeds.store.interface import Store
from vulnfeeds.sync.outcome import COMPLETED, FAILED, describe
from vulnfeeds.sync.quarantine import TASK_TYPE
from vulnfeeds.sync.worker import ABORTED, BEAT_SECONDS, RunOutcome

CYCLE_TYPE: Final = "FeedSyncTask"
_LOOK_SECONDS: Final = 0.25

StartRun = Callable[[Driver, int, bool], RunOutcome]
"""(driver, id of its open task, forced) -> how its run ended; blocks, supervises the process, ends the task."""


class FinalRun(Protocol):
    """What a cycle does once its drivers have ended; shown as a task like a driver's run."""

    name: str
    """The task's driver_id."""
    feed: str
    """The task's feed_id."""

    def is_due(self) -> bool:
        """Tell whether there is anything to do; raises VulnfeedsError."""
        ...

    def start(self, task_id: int) -> RunOutcome:
        """Do it under an open task, and end that; blocks as StartRun does."""
        ...


class CycleResult(msgspec.Struct, frozen=True):
    """How a cycle ended."""

    task_id: int
    status: str
    completed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: dict[str, str]
    """Why each driver that did not run did not."""
    outcomes: dict[str, RunOutcome]

    @property
    def result(self) -> dict[str, Any]:
        """Return what the cycle's task keeps."""
        kept: dict[str, Any] = {
            "completed_drivers": list(self.completed),
            "failed_drivers": list(self.failed),
            "skipped_drivers": sorted(self.skipped),
            "skipped_reasons": self.skipped,
        }
        return kept if self.status == COMPLETED else {"error": ABORTED, **kept}


def run_cycle(
    store: Store,
    drivers: Sequence[Driver],
    start_run: StartRun,
    *,
    workers: int = 2,
    only: Collection[str] | None = None,
    forced: bool = False,
    patience_seconds: float = 600.0,
    disabled: Collection[str] = (),
    stop: Event | None = None,
    final: FinalRun | None = None,
) -> CycleResult:
    """Run the enabled drivers (those in `only` when given), then `final` if it is due; return when all have ended.

    Of drivers that are ready the first one in `drivers` starts first.
    A driver waits for those of this cycle that it depends on, whatever their outcome, but no longer than
    `patience_seconds` after they began. When `stop` is set no further driver starts; `start_run` is expected to
    end what runs. Raises StoreError when the cycle's own task cannot be opened or closed.
    """
    store.abort_orphans()
    task_id = store.open_task(CYCLE_TYPE)
    chosen = [driver for driver in drivers if only is None or driver.name in only]
    cycle = _Cycle(store, task_id, start_run, forced=forced, patience=patience_seconds, stop=stop or Event())
    cycle.skipped.update((name, "disabled") for name in disabled)
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="run") as pool:
        cycle.run(chosen, pool, workers)
        if final is not None and not cycle.is_stopped():
            cycle.finish(final, pool)
    ended = cycle.ended()
    store.close_task(task_id, ended.status, ended.result)
    return ended


class _Running(msgspec.Struct, frozen=True):
    """A run under way."""

    driver: str
    task_id: int
    began: float
    """On the monotonic clock."""


class _Cycle:
    """The state of a cycle under way."""

    def __init__(
        self, store: Store, task_id: int, start_run: StartRun, *, forced: bool, patience: float, stop: Event
    ) -> None:
        self._store = store
        self._task_id = task_id
        self._start_run = start_run
        self._forced = forced
        self._patience = patience
        self._stop = stop
        self._running: dict[Future[RunOutcome], _Running] = {}
        self._beat_at = 0.0
        self.outcomes: dict[str, RunOutcome] = {}
        self.skipped: dict[str, str] = {}

    def run(self, drivers: Sequence[Driver], pool: ThreadPoolExecutor, workers: int) -> None:
        """Start drivers as they become ready and collect how they end."""
        waiting = list(drivers)
        while waiting or self._running:
            if self._stop.is_set():
                self.skipped.update((driver.name, ABORTED) for driver in waiting)
                waiting.clear()
            while waiting and len(self._running) < workers:
                since = time.monotonic() - self._patience
                ready = next_ready(waiting, {run.driver for run in self._running.values() if run.began > since})
                if ready is None:
                    break
                waiting.remove(ready)
                self._start(ready, pool)
            self._collect()
            self._beat()

    def is_stopped(self) -> bool:
        """Tell whether nothing more may start."""
        return self._stop.is_set()

    def finish(self, final: FinalRun, pool: ThreadPoolExecutor) -> None:
        """Do the last run of the cycle when it is due."""
        try:
            if not final.is_due():
                return
        except VulnfeedsError as error:
            self.outcomes[final.name] = RunOutcome(FAILED, describe(error), 0.0, 0.0)
            return
        self._open(final.name, final.feed, pool, final.start)
        while self._running:
            self._collect()
            self._beat()

    def ended(self) -> CycleResult:
        """Return how the cycle ended."""
        named = sorted(self.outcomes.items())
        errors = [outcome.result.get("error") for outcome in self.outcomes.values()]
        return CycleResult(
            task_id=self._task_id,
            status=FAILED if ABORTED in [*errors, *self.skipped.values()] else COMPLETED,
            completed=tuple(name for name, outcome in named if outcome.status == COMPLETED),
            failed=tuple(name for name, outcome in named if outcome.status != COMPLETED),
            skipped=dict(sorted(self.skipped.items())),
            outcomes=self.outcomes,
        )

    def _start(self, driver: Driver, pool: ThreadPoolExecutor) -> None:
        self._open(driver.name, driver.feeds[0], pool, lambda task_id: self._start_run(driver, task_id, self._forced))

    def _open(self, name: str, feed: str, pool: ThreadPoolExecutor, start: Callable[[int], RunOutcome]) -> None:
        try:
            task_id = self._store.open_task(TASK_TYPE, driver=name, feed=feed, parent=self._task_id)
        except DriverBusyError as error:
            self.skipped[name] = str(error)
            return
        except StoreError as error:
            self.outcomes[name] = RunOutcome(FAILED, describe(error), 0.0, 0.0)
            return
        self._running[pool.submit(start, task_id)] = _Running(name, task_id, time.monotonic())

    def _collect(self) -> None:
        if not self._running:
            return
        done, _ = wait(self._running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            run = self._running.pop(future)
            error = future.exception()
            if error is None:
                self.outcomes[run.driver] = future.result()
                continue
            result = describe(error)
            self.outcomes[run.driver] = RunOutcome(FAILED, result, 0.0, 0.0)
            # The run's own thread failed, so nobody else ends its task.
            with suppress(StoreError):
                self._store.close_task(run.task_id, FAILED, result)

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= BEAT_SECONDS:
            self._beat_at = now
            with suppress(StoreError):
                self._store.beat([self._task_id, *(run.task_id for run in self._running.values())])


def next_ready(waiting: Sequence[Driver], awaited: Collection[str]) -> Driver | None:
    """Return the first waiting driver that need not wait for another one; None when all must.

    A driver waits for those that it depends on while they wait themselves, or run and are still `awaited`. When only
    drivers are left that wait for each other, the first one goes.
    """
    unfinished = {driver.name for driver in waiting} | set(awaited)
    for driver in waiting:
        if not (unfinished - {driver.name}).intersection(driver.depends_on):
            return driver
    return None if awaited else waiting[0]
