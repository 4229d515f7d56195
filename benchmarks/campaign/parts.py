"""What the campaign's processes are made of: the composition of a sync, as the service's own, with stepped clocks."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.campaign import upstream
from benchmarks.campaign.clocks import WRITER, SteppedClock
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.store.opening import SQLStore, open_store
from vulnfeeds.store.paging import Sizes
from vulnfeeds.sync.cycle import CycleResult, run_cycle
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.reporting import Tell
from vulnfeeds.sync.run import execute
from vulnfeeds.sync.worker import RunOutcome, supervise

SIZES: Final = Sizes(most=50, target=40)
"""Small pages, so that a walk of some hundred records has many."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a syncing process, and each process of a run, is told."""

    url: str
    home: str
    upstream: str
    clocks: str
    file_limit: int = 0
    """Bytes beyond which no file may grow, 0 for none: a full disk for those who may not mount one."""
    limited: str = "run"
    """Who is held to it: "run", or "all" for the parent too."""
    driver: str = ""
    task_id: int = 0
    owner: str = ""

    def clock(self) -> SteppedClock:
        """Return the writer's clock."""
        return SteppedClock(Path(self.clocks), WRITER)

    def open(self, owner: str | None = None) -> SQLStore:
        """Open the store."""
        return open_store(self.url, clock=self.clock(), owner=owner, page_sizes=SIZES)


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond `size` bytes, if it is not 0; writes then fail as on a full disk."""
    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def enter(order: Order, tell: Tell) -> RunResult:
    """Do one run in a process of its own."""
    limit_files(order.file_limit)
    tell({"phase": "begun", "pid": os.getpid()})
    store = order.open(order.owner)
    try:
        with upstream.fetcher_of(Path(order.upstream)) as fetcher:
            return execute(
                upstream.DRIVERS[order.driver](),
                store=store,
                fetcher=fetcher,
                home=Path(order.home),
                task_id=order.task_id,
                clock=order.clock().seconds,
                progress=tell,
            )
    finally:
        store.close()


def cycle(order: Order) -> CycleResult:
    """Run a cycle of all drivers under supervision, and say on standard output how far it is."""
    if order.limited == "all":
        limit_files(order.file_limit)
    store = order.open()

    def start(driver: Driver, task_id: int, forced: bool) -> RunOutcome:
        told = msgspec.structs.replace(order, driver=driver.name, task_id=task_id, owner=store.owner)
        return supervise(
            enter,
            told,
            store=store,
            task_id=task_id,
            deadline_seconds=120,
            memory_mb=1024,
            on_progress=lambda said: print(json.dumps({"driver": driver.name, **said}), flush=True),
        )

    try:
        return run_cycle(store, [driver() for driver in upstream.DRIVERS.values()], start, workers=2)
    finally:
        store.close()
