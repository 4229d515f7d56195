"""What a cycle of all drivers costs, and how much of the machine it uses: `vulnfeeds sync`, every driver at once.

python -m benchmarks.cycle [--upstream replay|generated] [--scale S] [--documents DIR] [--workers N] [--folder DIR]

`replay` runs the drivers that are on by default over the real documents of day 1, the same again, and day 2;
`generated` those that have generated documents (benchmarks.generate). A cycle that uses two cores takes two seconds
of CPU in each second of wall time. The servers of the documents are no part of it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks import ingest
from benchmarks.measure import Cost, Replay, measure, replay, service_environment
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter, TaskRow

CYCLES: Final = ("first", "unchanged", "changed")
UNRECORDED: Final = frozenset({"fedora"})
"""Drivers whose documents the replay has in another form only."""


@dataclass(frozen=True)
class Cycle:
    """One cycle, as the command's cost and the tasks of its runs tell it."""

    name: str
    cost: Cost
    runs: list[TaskRow]

    @property
    def cores(self) -> float:
        """How many processors it kept busy in the mean."""
        return self.cost.cpu_seconds / self.cost.seconds

    @property
    def alone(self) -> float:
        """Seconds in which one run only was under way."""
        edges = sorted(
            [(run.started_at, 1) for run in self.runs] + [(run.ended_at, -1) for run in self.runs if run.ended_at]
        )
        total, under_way = 0.0, 0
        for (moment, step), (following, _) in pairwise(edges):
            under_way += step
            total += (following - moment).total_seconds() if under_way == 1 else 0.0
        return total

    @property
    def last(self) -> str:
        """The driver that ended last."""
        return max((run for run in self.runs if run.ended_at), key=lambda run: str(run.ended_at)).driver_id or ""


def recorded() -> list[str]:
    """Return the drivers that are on by default and have recorded documents."""
    return [name for name, driver in load_drivers().items() if driver.default_on and name not in UNRECORDED]


def run(name: str, environment: dict[str, str], home: Path) -> Cycle:
    """Run one cycle of all drivers that are on."""
    cost = measure([sys.executable, "-m", "vulnfeeds", "sync"], environment, home / "log")
    store = open_store(environment["VULNFEEDS_STORE"])
    try:
        cycle = store.tasks(TaskFilter(task_type="FeedSyncTask"), limit=1)[0]
        runs = store.children(cycle.task_id)
    finally:
        store.close()
    made = Cycle(name, cost, runs)
    print(f"{name}: {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s", file=sys.stderr)
    for row in sorted(runs, key=lambda row: row.started_at):
        began = (row.started_at - cycle.started_at).total_seconds()
        took = (row.ended_at - row.started_at).total_seconds() if row.ended_at else 0.0
        print(f"  {row.driver_id}: {row.status}, from {began:.1f} s, {took:.1f} s", file=sys.stderr)
    return made


@contextlib.contextmanager
def _upstream(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    if options.upstream == "replay":
        with replay(folder / "replay") as address:
            yield address, lambda: Replay(address).day(2)
        return
    options.drivers = list(ingest.DRIVERS)
    with ingest.upstream(options, folder) as found:
        yield found


def markdown(cycles: list[Cycle]) -> str:
    """Return the cycles as a table."""
    lines = [
        "| cycle | runs | completed | wall s | CPU s | CPU s in a second | one run only, s | last | peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|---|--:|",
    ]
    for cycle in cycles:
        completed = sum(row.status == "completed" for row in cycle.runs)
        cost = cycle.cost
        lines.append(
            f"| {cycle.name} | {len(cycle.runs)} | {completed} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} "
            f"| {cycle.cores:.2f} | {cycle.alone:.1f} | {cycle.last} | {cost.peak_mb:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure three cycles and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", choices=("replay", "generated"), default="replay")
    parser.add_argument("--scale", type=float, default=1.0, help="of the generated documents")
    parser.add_argument("--change", type=float, default=0.01, help="part that day 2 of generated documents changes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, help="runs at the same time; the service's default when not given")
    parser.add_argument("--folder", type=Path, help="where the work is done")
    parser.add_argument("--documents", type=Path, help="folder to keep generated documents in, on the same disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-cycle-", dir=options.folder) as made:
        home = Path(made) / "home"
        home.mkdir()
        with _upstream(options, Path(made)) as (mirror, next_day):
            settings: dict[str, object] = {"STORE": f"sqlite:///{home / 'vulnfeeds.sqlite'}", "LOG_LEVEL": "error"}
            if options.workers:
                settings["WORKERS"] = options.workers
            generated = options.upstream == "generated"
            settings["DRIVERS"] = ",".join(ingest.DRIVERS if generated else recorded())
            environment = service_environment(home, mirror, **settings)
            cycles = []
            for name in CYCLES:
                if name == "changed":
                    next_day()
                cycles.append(run(name, environment, home))
    print(f"\n{options.upstream}, {os.cpu_count()} cores:\n\n{markdown(cycles)}")


if __name__ == "__main__":
    main()
