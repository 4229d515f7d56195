"""python -m benchmarks.faults.twice [DRIVER ...] [--write]

Every driver of a distribution on the replay: day 1, day 2, day 2 again. Prints how many records of each group each
run created, updated and deleted. Ends with 1 when day 2 again changes anything. `--write` puts the rows into
docs/faults.md; those of drivers that were not run stay as they are.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults import table
from benchmarks.measure import Replay, replay
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.registry import OURS, load_driver
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute

NOT_THERE = ("fedora",)
"""Drivers whose upstream the replay does not have."""
DRIVERS = [name for name in OURS if name not in ("nvdv2", "nvddb", "kev", *NOT_THERE)]
CHANGES = ("created", "updated", "deleted")

Counts = dict[str, tuple[int, int, int]]
"""Created, updated, deleted by group; groups that a run does not touch are not in it."""


def run(driver: Driver, home: Path, address: str) -> RunResult:
    """Run a driver once as the service does, but in this process."""
    store = open_store(f"sqlite:///{home / 'store.sqlite'}")
    try:
        task = store.open_task("DriverExecutionTask", driver=driver.name, feed=driver.feeds[0])
        settings = FetchSettings(attempts=2, per_host=4)
        with HTTPFetcher(settings, UpstreamMap(default=address), driver.upstreams) as fetcher:
            return execute(driver, store=store, fetcher=fetcher, home=home, task_id=task, clock=time.time)
    finally:
        store.close()


def counts(result: RunResult) -> Counts:
    """Return what a run changed; RuntimeError when it failed."""
    if result.status != "completed":
        raise RuntimeError(f"the run failed: {result.result}")
    found = {
        group: (changed["created"], changed["updated"], changed["deleted"])
        for group, changed in result.result["changes"].items()
    }
    return {group: changed for group, changed in found.items() if any(changed)}


def rows(name: str, runs: list[Counts]) -> list[str]:
    """Return table rows of a driver: one for each group that changed on day 2, one for all others together."""
    first, second, again = runs
    changed = sorted(second.keys() | again.keys())
    same = sorted(first.keys() - set(changed))
    found = []
    for group in changed:
        figures = " | ".join(str(number) for number in (first.get(group, (0,))[0], *second.get(group, (0, 0, 0))))
        found.append(f"| {name} | {group} | {figures} | {sum(again.get(group, (0,)))} |")
    if same:
        label = same[0] if len(same) == 1 else f"{len(same)} groups: {same[0]} to {same[-1]}"
        found.append(f"| {name} | {label} | {sum(first[group][0] for group in same)} | 0 | 0 | 0 | 0 |")
    return found


def write(of_driver: dict[str, list[str]]) -> None:
    """Put rows into the document, in the order of the drivers."""
    known: dict[str, list[str]] = {}
    for line in table.block("days").splitlines():
        if match := re.match(r"\| (\w+) \| \w+:|\| (\w+) \| \d+ groups", line):
            known.setdefault(match[1] or match[2], []).append(line)
    known |= of_driver
    head = ["| driver | group | records on day 1 | created | updated | deleted | day 2 again |", "|---" * 7 + "|"]
    table.replace("days", "\n".join([*head, *(line for name in DRIVERS for line in known.get(name, []))]))


def main() -> int:
    """Run the days and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drivers", nargs="*", metavar="DRIVER", help=f"of {', '.join(DRIVERS)}; all by default")
    parser.add_argument("--write", action="store_true", help="bring docs/faults.md up to date")
    parser.add_argument("--cache", type=Path, help="folder in which the replay keeps what it unpacked")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    found: dict[str, list[str]] = {}
    changed = False
    with (
        tempfile.TemporaryDirectory(prefix="vulnfeeds-twice-") as folder,
        replay(options.cache or Path(folder) / "replay") as address,
    ):
        for name in options.drivers or DRIVERS:
            home = Path(folder) / name
            home.mkdir()
            runs = []
            for day in (1, 2, 2):
                Replay(address).day(day)
                runs.append(counts(run(load_driver(name)(), home, address)))
            found[name] = rows(name, runs)
            print("\n".join(found[name]), flush=True)
            changed = changed or bool(runs[2])
    if options.write:
        write(found)
    return int(changed)


if __name__ == "__main__":
    sys.exit(main())
