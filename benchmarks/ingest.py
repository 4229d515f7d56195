"""What an ingest costs: first run, unchanged upstream, 1 % changed; each driver, beside the least that it could cost.

python -m benchmarks.ingest [--upstream replay|generated] [--scale S] [--store sqlite|postgresql|both] [--json FILE]
                            [DRIVER...]

`replay` takes the real documents of day 1 and 2 from ../shared; `generated` makes them (benchmarks.generate). Every
run is the command `vulnfeeds sync DRIVER` in a process of its own, every figure is of the whole process tree (a
PostgreSQL server is no part of it). The bound is benchmarks.bound on the same documents, right after the first run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import distributions
from benchmarks.generate import generate, parts_of
from benchmarks.generator.plan import Plan
from benchmarks.measure import Cost, Replay, measure, postgres, replay, service_environment
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter

DRIVERS: Final = (
    "nvdv2",
    "nvddb",
    "alpine",
    "debian",
    "kev",
    "ubuntu",
    "sles",
    "ol",
    "mariner",
    "rhel",
    "amzn",
    "centos",
    "github",
    "osv",
    *distributions.PARSERS,
)
"""In the order of their dependencies: each finds what it needs in the store."""
CYCLES: Final = ("first", "unchanged", "changed")


@dataclass(frozen=True)
class Row:
    """One driver's run, or the bound of it."""

    upstream: str
    store: str
    driver: str
    cycle: str
    """first, unchanged, changed, or bound."""
    wall_s: float
    cpu_s: float
    peak_mb: float
    load: float
    """Load average of the machine over the last minute, at the end."""
    records: int = 0
    changed: int = 0
    fetch_s: float = 0.0
    parse_s: float = 0.0
    publish_s: float = 0.0
    """Starting the run's process and publishing."""
    store_mb: float = 0.0
    """What the store grew by."""
    workspace_mb: float = 0.0


class Ingest:
    """Measures drivers over one upstream and one store."""

    def __init__(self, upstream: str, kind: str, home: Path, mirror: str, store_url: str) -> None:
        self._labels = (upstream, kind)
        self._home = home
        self._store_url = store_url
        self._environment = service_environment(
            home,
            mirror,
            STORE=store_url,
            LOG_LEVEL="warning",
            # Some are off unless they are named; of osv's sources one is generated.
            DRIVERS=",".join(DRIVERS),
            DRIVER__OSV__PRESETS="bitnami",
        )
        self.rows: list[Row] = []

    def cycle(self, name: str, drivers: list[str]) -> None:
        """Run all drivers once; the bound beside each first run."""
        for driver in drivers:
            before = self._size()
            cost = self._measure([sys.executable, "-m", "vulnfeeds", "sync", driver])
            self._keep(driver, name, cost, before)
            if name == "first":
                workspace = self._home / "workspace" / driver
                command = [sys.executable, "-m", "benchmarks.bound", driver, str(workspace), self._store_url]
                self._add(driver, "bound", self._measure(command))

    def start(self) -> None:
        """Measure what starting the command costs when there is nothing to do."""
        self._add("(start)", "start", self._measure([sys.executable, "-m", "vulnfeeds", "tasks", "--json"]))

    def _measure(self, command: list[str]) -> Cost:
        return measure(command, self._environment, self._home / "log")

    def _keep(self, driver: str, cycle: str, cost: Cost, before: int) -> None:
        store = open_store(self._store_url)
        try:
            wanted = TaskFilter(driver_id=driver, task_type="DriverExecutionTask")
            task = store.tasks(wanted, limit=1)[0]
        finally:
            store.close()
        result = task.result or {}
        phases: dict[str, float] = result["seconds"]
        took = (task.ended_at - task.started_at).total_seconds() if task.ended_at else 0.0
        facts = {
            "records": result["records"],
            "changed": sum(sum(counts.values()) for counts in result["changes"].values()),
            # The rest of the run: starting its process, too.
            "fetch_s": phases.get("fetch", 0.0),
            "parse_s": phases.get("parse", 0.0),
            "publish_s": max(0.0, took - sum(phases.values())) if "parse" in phases else 0.0,
            "store_mb": (self._size() - before) / 1e6,
            "workspace_mb": _folder_size(self._home / "workspace" / driver) / 1e6,
        }
        self._add(driver, cycle, cost, **facts)

    def _add(self, driver: str, cycle: str, cost: Cost, **facts: Any) -> None:
        load = os.getloadavg()[0]
        row = Row(*self._labels, driver, cycle, cost.seconds, cost.cpu_seconds, cost.peak_mb, load, **facts)
        print(f"{cycle} {driver}: {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s", file=sys.stderr)
        self.rows.append(row)

    def _size(self) -> int:
        if self._store_url.startswith("sqlite") and not (self._home / "vulnfeeds.sqlite").exists():
            return 0
        store = open_store(self._store_url)
        try:
            return store.size()
        finally:
            store.close()


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


@contextlib.contextmanager
def upstream(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the mirror's address, and what brings it to day 2; generated documents are those of `options.drivers`."""
    if options.upstream == "replay":
        with replay(folder / "replay") as address:
            yield address, lambda: Replay(address).day(2)
        return
    first, second = (_documents(options, folder, day) for day in (1, 2))
    mirror = folder / "upstream"
    shutil.copytree(first, mirror, copy_function=os.link)
    yield str(mirror), lambda: _renew(second, mirror)


def _documents(options: argparse.Namespace, folder: Path, day: int) -> Path:
    """Return the folder of a day's documents, made if it is not there; day 2 shares what is equal with day 1."""
    above: Path = options.documents or folder / "documents"
    root, mark = above / f"day-{day}", above / f"day-{day}.made"
    plan = Plan(options.scale, day, options.change, options.seed)
    parts = parts_of(options.drivers)
    made = f"{plan!r} {parts}"
    if mark.is_file() and mark.read_text() == made:
        return root
    if day > 1:
        shutil.copytree(above / f"day-{day - 1}", root, copy_function=os.link, dirs_exist_ok=True)
    generate(plan, root, parts)
    mark.write_text(made)
    return root


def _renew(documents: Path, mirror: Path) -> None:
    """Replace the files that differ, and remove those that are gone."""
    for path in [found for found in mirror.rglob("*") if found.is_file()]:
        if not (documents / path.relative_to(mirror)).exists():
            path.unlink()
    for path in documents.rglob("*"):
        target = mirror / path.relative_to(documents)
        if path.is_file() and not (target.exists() and target.samefile(path)):
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def run(options: argparse.Namespace, kind: str, folder: Path, store_url: str) -> list[Row]:
    """Measure all cycles of all drivers over one store."""
    home = folder / "home"
    home.mkdir()
    url = store_url or f"sqlite:///{home / 'vulnfeeds.sqlite'}"
    with upstream(options, folder) as (mirror, next_day):
        ingest = Ingest(options.upstream, kind, home, mirror, url)
        ingest.cycle("first", options.drivers)
        ingest.start()
        ingest.cycle("unchanged", options.drivers)
        next_day()
        ingest.cycle("changed", options.drivers)
    return ingest.rows


def markdown(rows: list[Row]) -> str:
    """Return the rows as tables, one for each upstream and store."""
    lines: list[str] = []
    for upstream, store in dict.fromkeys((row.upstream, row.store) for row in rows):
        chosen = [row for row in rows if (row.upstream, row.store) == (upstream, store)]
        lines += ["", f"Upstream {upstream}, store {store}:", ""]
        lines.append(
            "| driver | cycle | records | changed | wall s | CPU s | peak MB | fetch, parse, publish s | store MB "
            "| workspace MB | CPU beside | load |"
        )
        lines.append("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|")
        for row in chosen:
            phases = f"{row.fetch_s:.1f}, {row.parse_s:.1f}, {row.publish_s:.1f}"
            lines.append(
                f"| {row.driver} | {row.cycle} | {row.records:,} | {row.changed:,} | {row.wall_s:.1f} "
                f"| {row.cpu_s:.1f} | {row.peak_mb:.0f} | {phases} | {row.store_mb:.1f} "
                f"| {row.workspace_mb:.1f} | {_beside(row, chosen)} | {row.load:.1f} |"
            )
    return "\n".join(lines)


def _beside(row: Row, rows: list[Row]) -> str:
    """Say how a run compares: the first one with its bound, later ones with the first."""
    others = {other.cycle: other for other in rows if other.driver == row.driver}
    if row.cycle == "first" and "bound" in others:
        return f"{row.cpu_s / others['bound'].cpu_s:.1f} x bound"
    if row.cycle in ("unchanged", "changed") and "first" in others:
        return f"{100 * row.cpu_s / others['first'].cpu_s:.0f} % of first"
    return ""


def main() -> None:
    """Measure, print tables, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drivers", nargs="*", default=list(DRIVERS), metavar="DRIVER")
    parser.add_argument("--upstream", choices=("replay", "generated"), default="replay")
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="sqlite")
    parser.add_argument("--scale", type=float, default=1.0, help="of the generated documents")
    parser.add_argument(
        "--change", type=float, default=0.01, help="part that day 2 of the generated documents changes"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where the work is done; the system's folder for such when not given"
    )
    parser.add_argument(
        "--documents", type=Path, help="folder to keep generated documents in, on the same disk as --folder"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here too")
    options = parser.parse_args()
    if unknown := set(options.drivers) - set(DRIVERS):
        parser.error(f"no driver {', '.join(sorted(unknown))}; there are {', '.join(DRIVERS)}")
    rows: list[Row] = []
    for kind in ("sqlite", "postgresql") if options.store == "both" else (options.store,):
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="vulnfeeds-ingest-", dir=options.folder))
            url = stack.enter_context(postgres(Path(made) / "postgresql")) if kind == "postgresql" else ""
            rows += run(options, kind, Path(made), url)
    print(markdown(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
