"""What each driver's first run costs on real documents, beside bare reading, unpacking and parsing of the same ones.

python -m benchmarks.ingest [--store URL] [DRIVER...]
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import msgspec
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Cost, measure, replay, service_environment
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter

DRIVERS = ("nvdv2", "nvddb", "alpine", "debian", "kev")
"""In the order of their dependencies: each finds what it needs in the store."""


def parse_bare(folder: Path) -> int:
    """Read, unpack and parse every document below a folder as plain values; return how many there were."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.endswith((".validators.json", ".partial", ".sqlite")):
            continue
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw, path = gzip.decompress(raw), path.with_suffix("")
        if path.suffix == ".json":
            msgspec.json.decode(raw)
        elif path.suffix in (".yaml", ".yml"):
            yaml.load(raw, Loader=yaml.CSafeLoader)
        count += 1
    return count


def run_driver(driver: str, home: Path, environment: dict[str, str], store_url: str) -> tuple[Cost, Cost, int, int]:
    """Run one driver for the first time; return its cost, the bare cost, records, and bytes that the store grew."""
    before = size(store_url)
    cost = measure([sys.executable, "-m", "vulnfeeds", "sync", driver], environment, home / "log")
    bare_command = [sys.executable, "-m", "benchmarks.ingest", "--bare", str(home / "workspace" / driver)]
    bare = measure(bare_command, environment, home / "log")
    store = open_store(store_url)
    try:
        task = store.tasks(TaskFilter(driver_id=driver, task_type="DriverExecutionTask"), limit=1)[0]
        changes = (task.result or {}).get("changes", {})
    finally:
        store.close()
    records = sum(counts["created"] for counts in changes.values())
    return cost, bare, records, size(store_url) - before


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
        parse_bare(options.bare)
        return
    table = Table(title="First runs, in the order of dependencies")
    for name in (
        "driver",
        "records",
        "wall s",
        "CPU s",
        "peak MB",
        "store MB",
        "bare wall s",
        "bare CPU s",
        "CPU x bare",
    ):
        table.add_column(name, justify="left" if name == "driver" else "right")
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-ingest-") as folder, replay(Path(folder) / "replay") as mirror:
        home = Path(folder) / "home"
        home.mkdir()
        store_url = options.store or f"sqlite:///{home / 'vulnfeeds.sqlite'}"
        environment = service_environment(home, mirror, STORE=store_url)
        for driver in options.drivers:
            cost, bare, records, grown = run_driver(driver, home, environment, store_url)
            table.add_row(
                driver,
                f"{records:,}",
                f"{cost.seconds:.1f}",
                f"{cost.cpu_seconds:.1f}",
                f"{cost.peak_mb:.0f}",
                f"{grown / 1e6:.1f}",
                f"{bare.seconds:.2f}",
                f"{bare.cpu_seconds:.2f}",
                f"{cost.cpu_seconds / bare.cpu_seconds:.1f}",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
