"""What a peer needs for the same documents: vunnel 0.44 beside `vulnfeeds sync`, driver by driver.

python -m benchmarks.peer --vunnel PROGRAM [--upstream replay|generated] [--scale S] [--rounds N] [--folder DIR]
                          [--fix-dates on|off] [--json FILE] [DRIVER...]

vunnel is not among the dependencies. It wants an environment of its own:

    python3 -m venv DIR && DIR/bin/pip install 'vunnel==0.44.*'        # then --vunnel DIR/bin/vunnel

Every run is a command in a process of its own that begins with nothing, one at a time, peer and ours in turns; both
are measured in the same way, and both ask the same local server over HTTP: the real documents of day 1 from
../shared, or generated ones (benchmarks.generate). vunnel knows no mirrors: benchmarks.detour sends it there.

It keeps what it makes in a SQLite file, as ours does, with a transaction for each record. On a disk its wall time is
waiting for that; compare CPU, or give a --folder in memory. What it would do besides is off, in its favour: NVD
overrides, and the dates on which it first saw a fix (--fix-dates on brings them back, without the database of earlier
dates that it would download). It has a key for the NVD's API, so it never waits there.

GitHub's API is among the real documents only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import detour
from benchmarks.generate import generate, parts_of
from benchmarks.generator.plan import Plan
from benchmarks.measure import Cost, measure, replay, service_environment
from benchmarks.serving import serving
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter

PROVIDERS: Final = {
    "nvdv2": "nvd",
    **{name: name for name in ("alpine", "debian", "kev", "wolfi", "chainguard", "minimos", "echo", "rocky")},
    "rhel": "rhel",
    "ol": "oracle",
    "mariner": "mariner",
    "amzn": "amazon",
    "github": "github",
}
"""vunnel's name for what a driver does. AlmaLinux' and Ubuntu's repositories it clones with git, which no server of
documents answers; 0.44 does not read SecureOS, Photon, Arch and Fedora."""
TOKEN: Final = "any"
TOLERANCE: Final = 0.01
"""Part of the records that only one of both may make. vunnel does not read the community repository of Alpine 3.2,
which is among the generated documents; of the real ones both make the same number."""
HOW_TO: Final = """\
needs vunnel 0.44 in an environment of its own, named by --vunnel:

    python3 -m venv DIR && DIR/bin/pip install 'vunnel==0.44.*'        # then --vunnel DIR/bin/vunnel"""


@dataclass(frozen=True)
class Case:
    """One way to run a driver."""

    driver: str
    source: str = ""
    """Where its documents come from, when there is a choice."""
    alike: bool = True
    """It reads what the peer reads, so the median counts it."""
    setting: str = ""


CASES: Final = (
    Case("nvdv2", "API", setting="api"),
    Case("nvdv2", "feed files, then API: the default", alike=False, setting="auto"),
    Case("alpine"),
    Case("debian"),
    Case("kev"),
    Case("rhel"),
    Case("ol"),
    Case("mariner"),
    Case("amzn"),
    Case("github", "API", setting="api"),
    Case("github", "archive: the default without a token", alike=False, setting="archive"),
    Case("wolfi"),
    Case("chainguard"),
    Case("minimos"),
    Case("echo"),
    Case("rocky"),
)


@dataclass(frozen=True)
class Run:
    """What one command took, and how many records it made."""

    records: int
    cost: Cost


@dataclass(frozen=True)
class Row:
    """A driver's run beside the peer's; of several rounds the median of each figure."""

    case: Case
    peer: Run
    ours: Run
    bound: Cost
    """Of benchmarks.bound on the documents that ours read."""
    load: float
    """Load average of the machine over the last minute, at the end."""

    @property
    def comparable(self) -> bool:
        """Both made records, and as good as equally many."""
        difference = abs(self.peer.records - self.ours.records)
        return self.peer.records > 0 and difference <= TOLERANCE * self.ours.records

    @property
    def cpu(self) -> float:
        """How many times our CPU time the peer needs."""
        return self.peer.cost.cpu_seconds / self.ours.cost.cpu_seconds

    @property
    def memory(self) -> float:
        """How many times our memory the peer needs."""
        return self.peer.cost.peak_mb / self.ours.cost.peak_mb

    @property
    def wall(self) -> float:
        """How many times our wall time the peer needs."""
        return self.peer.cost.seconds / self.ours.cost.seconds


class Beside:
    """Runs the peer's and our command over one upstream."""

    def __init__(self, folder: Path, mirror: str, program: Path, *, fix_dates: bool) -> None:
        self._folder = folder
        self._mirror = mirror
        self._program = program
        site = folder / "site"
        site.mkdir()
        shutil.copyfile(detour.__file__, site / "sitecustomize.py")
        unwanted = ("VULNFEEDS_", "DETOUR_", "PYTHON", "GITHUB_TOKEN")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(unwanted)},
            "PYTHONPATH": str(site),
            "DETOUR_MIRROR": mirror,
            "DETOUR_FIX_DATES": "on" if fix_dates else "off",
            "NVD_API_KEY": "any",
            "NO_PROXY": "127.0.0.1",
        }

    def peer(self, driver: str) -> Run:
        """Run vunnel in a new workspace."""
        with self._place() as place:
            # Its settings file is YAML, of which JSON is a part.
            options = {"nvd": {"overrides_enabled": False}, "github": {"token": TOKEN}}
            settings = {"root": str(place / "data"), "providers": options}
            (place / "settings.yaml").write_text(json.dumps(settings))
            provider = PROVIDERS[driver]
            command = [str(self._program), "-c", str(place / "settings.yaml"), "run", provider]
            cost = measure(command, self._environment, place / "log")
            return _told(f"vunnel {provider}", _peer_records(place / "data" / provider), cost)

    def ours(self, case: Case) -> tuple[Run, Cost]:
        """Run our driver in a new home, then the bound on what it fetched."""
        with self._place() as place:
            store = f"sqlite:///{place / 'vulnfeeds.sqlite'}"
            settings = {f"DRIVER__{case.driver.upper()}__SOURCE": case.setting} if case.setting else {}
            settings |= {"STORE": store, "LOG_LEVEL": "warning", "GITHUB_TOKEN": TOKEN}
            environment = service_environment(place, self._mirror, **settings)
            cost = measure([sys.executable, "-m", "vulnfeeds", "sync", case.driver], environment, place / "log")
            run = _told(_label(case), _our_records(store, case.driver), cost)
            bound = [
                sys.executable,
                "-m",
                "benchmarks.bound",
                case.driver,
                str(place / "workspace" / case.driver),
                store,
            ]
            return run, measure(bound, environment, place / "log")

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            yield Path(name)


def _peer_records(workspace: Path) -> int:
    """Count vunnel's results; 0 when it made none."""
    path = workspace / "results" / "results.db"
    if not path.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(path)) as results:
        return int(results.execute("SELECT COUNT(*) FROM results").fetchone()[0])


def _our_records(url: str, driver: str) -> int:
    """Return how many records the run's task tells."""
    store = open_store(url)
    try:
        wanted = TaskFilter(driver_id=driver, task_type="DriverExecutionTask")
        return int((store.tasks(wanted, limit=1)[0].result or {})["records"])
    finally:
        store.close()


def _told(name: str, records: int, cost: Cost) -> Run:
    print(f"{name}: {records:,} records, {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s", file=sys.stderr)
    return Run(records, cost)


def _label(case: Case) -> str:
    return f"{case.driver} ({case.source})" if case.source else case.driver


def compare(beside: Beside, drivers: Sequence[str], rounds: int) -> list[Row]:
    """Measure in turns: who begins changes from round to round."""
    cases = [case for case in CASES if case.driver in drivers]
    peers: dict[str, list[Run]] = {driver: [] for driver in drivers}
    ours: dict[Case, list[tuple[Run, Cost]]] = {case: [] for case in cases}
    for number in range(rounds):
        for driver in dict.fromkeys(case.driver for case in cases):
            if number % 2 == 0:
                peers[driver].append(beside.peer(driver))
            for case in cases:
                if case.driver == driver:
                    ours[case].append(beside.ours(case))
            if number % 2:
                peers[driver].append(beside.peer(driver))
    return [
        Row(
            case,
            middle(peers[case.driver]),
            middle([run for run, _ in ours[case]]),
            middle_cost([bound for _, bound in ours[case]]),
            os.getloadavg()[0],
        )
        for case in cases
    ]


@contextlib.contextmanager
def _upstream(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Give the address that both ask."""
    if options.upstream == "replay":
        with replay(folder / "replay") as address:
            yield address
        return
    documents = options.documents or folder / "documents"
    if not options.documents:
        generate(Plan(options.scale), documents, parts_of(options.drivers))
    with serving(documents, folder, options.drivers) as address:
        yield address


def middle(runs: Sequence[Run]) -> Run:
    """Return the median of each figure of equal runs; the records of the last."""
    return Run(runs[-1].records, middle_cost([run.cost for run in runs]))


def middle_cost(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu_seconds for cost in costs),
        median(cost.peak_mb for cost in costs),
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table, and the medians below it."""
    lines = [
        "| driver | records | vunnel: wall s | CPU s | peak MB | ours: wall s | CPU s | peak MB | CPU x | wall x "
        "| memory x | vunnel's CPU x bound | ours x bound |",
        f"|---|{'--:|' * 12}",
    ]
    for row in rows:
        peer, ours, bound = row.peer.cost, row.ours.cost, row.bound.cpu_seconds
        records, factors = f"{row.ours.records:,}", f"{row.cpu:.1f} | {row.wall:.1f} | {row.memory:.1f}"
        if row.peer.records != row.ours.records:
            records += f", vunnel {row.peer.records:,}"
        if not row.comparable:
            records, factors = f"{records}: not compared", "- | - | -"
        lines.append(
            f"| {_label(row.case)} | {records} | {_figures(peer)} | {_figures(ours)} | {factors} "
            f"| {peer.cpu_seconds / bound:.1f} | {ours.cpu_seconds / bound:.1f} |"
        )
    counted = [row for row in rows if row.case.alike and row.comparable]
    if counted:
        names = ", ".join(row.case.driver for row in counted)
        cpu, wall, memory = (
            f"{median(getattr(row, name) for row in counted):.1f}" for name in ("cpu", "wall", "memory")
        )
        lines += [
            "",
            f"Median over {names}: vunnel needs {cpu} times the CPU, {wall} the wall time, {memory} the memory.",
        ]
    return "\n".join(lines)


def _figures(cost: Cost) -> str:
    return f"{cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_mb:.0f}"


def version(program: Path | None) -> str:
    """Return what the peer calls itself; ends the program with the reason when there is none."""
    if program is None:
        sys.exit(HOW_TO)
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{program} does not run ({error}): {HOW_TO}")
    if " 0.44." not in f"{told}.":
        print(f"{told}: the comparison was made for 0.44", file=sys.stderr)
    return told


def main() -> None:
    """Measure, print a table, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drivers", nargs="*", default=list(PROVIDERS), metavar="DRIVER")
    parser.add_argument("--vunnel", type=Path, metavar="PROGRAM")
    parser.add_argument(
        "--fix-dates", choices=("on", "off"), default="off", help="vunnel's first-seen dates of fixes"
    )
    parser.add_argument("--upstream", choices=("replay", "generated"), default="replay")
    parser.add_argument("--scale", type=float, default=1.0, help="of the generated documents")
    parser.add_argument("--documents", type=Path, help="generated documents: DIR of benchmarks.generate")
    parser.add_argument("--rounds", type=int, default=1, help="how often; the table has the medians")
    parser.add_argument(
        "--folder", type=Path, help="where the work is done; the system's folder for such when not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here too")
    options = parser.parse_args()
    if unknown := set(options.drivers) - set(PROVIDERS):
        parser.error(f"no driver {', '.join(sorted(unknown))}; there are {', '.join(PROVIDERS)}")
    name = version(options.vunnel)
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-peer-", dir=options.folder) as made:
        folder = Path(made)
        with _upstream(options, folder) as address:
            beside = Beside(folder, address, options.vunnel.absolute(), fix_dates=options.fix_dates == "on")
            rows = compare(beside, options.drivers, options.rounds)
    facts = {"peer": name, "upstream": options.upstream, "fix_dates": options.fix_dates, "rounds": options.rounds}
    print(f"\n{', '.join(f'{key} {value}' for key, value in facts.items())}:\n\n{markdown(rows)}")
    if options.json:
        options.json.write_text(json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
