"""What each driver's first run costs on real documents, beside bare reading, unpacking and parsing of the same ones.

python -m benchmarks.ingest [--store URL] [DRIVER...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import yaml
from isal import igzip
from rich.console import Console
from rich.table import Table

from benchmarks.measure import measure, replay, service_environment
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter

DRIVERS = ("nvdv2", "nvddb", "alpine", "debian", "kev")
"""In the order of their dependencies: each finds what it needs in the store."""
COLUMNS = ("driver", "records", "wall s", "CPU s", "records/CPU s", "peak MB", "store MB", "bare CPU s", "CPU x bare")
LEAST_BARE = 0.001


def parse_bare(folder: Path) -> float:
    """Read, unpack and parse every document below a folder as plain values; return the CPU seconds that took."""
    began = time.process_time()
    for path in sorted(folder.rglob("*")):
        form = Path(path.name.removesuffix(".gz")).suffix
        if form not in (".json", ".yaml") or path.name.endswith(".validators.json"):
            continue
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = igzip.decompress(raw)
        if form == ".json":
            msgspec.json.decode(raw)
        else:
            yaml.load(raw, Loader=yaml.CSafeLoader)
    return time.process_time() - began


def run_driver(driver: str, home: Path, environment: dict[str, str], store_url: str) -> list[str]:
    """Run one driver for the first time; return its row of the table."""
    before = size(store_url)
    cost = measure([sys.executable, "-m", "vulnfeeds", "sync", driver], environment, home / "log")
    grown = size(store_url) - before
    records = created(store_url, driver)
    command = [sys.executable, "-m", "benchmarks.ingest", "--bare", str(home / "workspace" / driver)]
    bare = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # nvddb asks no upstream: it reads what nvdv2 published.
    compared = ["-", "-"] if bare < LEAST_BARE else [f"{bare:.2f}", f"{cost.cpu_seconds / bare:.1f}"]
    return [
        driver,
        f"{records:,}",
        f"{cost.seconds:.1f}",
        f"{cost.cpu_seconds:.1f}",
        f"{records / cost.cpu_seconds:,.0f}",
        f"{cost.peak_mb:.0f}",
        f"{grown / 1e6:.1f}",
        *compared,
    ]


def created(store_url: str, driver: str) -> int:
    """Return how many records the last run of a driver created."""
    store = open_store(store_url)
    try:
        task = store.tasks(TaskFilter(driver_id=driver, task_type="DriverExecutionTask"), limit=1)[0]
    finally:
        store.close()
    changes: dict[str, dict[str, int]] = (task.result or {}).get("changes", {})
    return sum(counts["created"] for counts in changes.values())


def size(store_url: str) -> int:
    """Return the bytes that the store takes."""
    store = open_store(store_url)
    try:
        return store.size()
    finally:
        store.close()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drivers", nargs="*", default=DRIVERS, metavar="DRIVER")
    parser.add_argument("--store", metavar="URL", help="an empty store; a SQLite file of its own when not given")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(parse_bare(options.bare))
        return
    table = Table(title="First runs, in the order of dependencies")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "driver" else "right")
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-ingest-") as folder, replay(Path(folder) / "replay") as mirror:
        home = Path(folder) / "home"
        home.mkdir()
        store_url = options.store or f"sqlite:///{home / 'vulnfeeds.sqlite'}"
        environment = service_environment(home, mirror, STORE=store_url)
        for driver in options.drivers:
            table.add_row(*run_driver(driver, home, environment, store_url))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
