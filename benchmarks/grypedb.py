"""What the build of the Grype database needs, beside inserting the same rows and nothing else.

python -m benchmarks.grypedb [--home DIR] [--only 6|both] [--json FILE]

The build is the command `vulnfeeds grypedb build` in a process of its own: read the store, make the rows, check them,
pack them; once with schema 6 alone and once with schema 3 beside it. The floor is a process that inserts the rows of
the database that was just built into an empty one, without checks, without a pack. Without --home the store is one of
the real documents of day 1 from ../shared; the command then syncs it first, which is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Cost, measure, replay, service_environment
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.packing import unpack
from vulnfeeds.publish.grypedb.tables import TABLES

DRIVERS: Final = "nvdv2,debian,ubuntu,alpine,rhel,ol,amzn,alma,mariner,github,kev,epss,eol"
CASES: Final = {"6": "false", "both": "true"}
"""Whether schema 3 is built beside schema 6, as the setting `grypedb.old` says it."""
FLOOR: Final = "floor"
CHUNK: Final = 5000


@dataclass(frozen=True)
class Row:
    """A build, and what it made."""

    case: str
    cost: Cost
    floor: Cost
    rows: int
    """Of all tables of schema 6."""
    file_mb: float
    archive_mb: float


def main() -> None:
    """Measure and print a table."""
    if sys.argv[1:2] == [FLOOR]:
        insert(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="data folder of a service whose store is built from")
    parser.add_argument("--only", choices=CASES, help="schemas to build; 6 alone and both, when not given")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-grypedb-") as folder, contextlib.ExitStack() as stack:
        home = options.home or stack.enter_context(synced(Path(folder)))
        rows = [built(case, home, Path(folder)) for case in CASES if options.only in (None, case)]
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    Console().print(table_of(rows))


@contextmanager
def synced(folder: Path) -> Iterator[Path]:
    """Give a data folder with the real documents of day 1."""
    home = folder / "home"
    with replay(folder) as mirror:
        environment = service_environment(home, mirror, drivers=DRIVERS)
        subprocess.run(
            [sys.executable, "-m", "vulnfeeds", "sync"], env=environment, check=True, capture_output=True, text=True
        )
    yield home


def built(case: str, home: Path, folder: Path) -> Row:
    """Build once, then insert the same rows."""
    environment = {**service_environment(home, "", drivers=DRIVERS), "VULNFEEDS_GRYPEDB__OLD": CASES[case]}
    to, log = folder / f"to-{case}", folder / "log"
    build = [sys.executable, "-m", "vulnfeeds", "grypedb", "build", "--to", str(to)]
    cost = measure(build, environment, log)
    archives = ArchiveFolder(to)
    newest = archives.newest()
    assert newest is not None
    database, copy = folder / "vulnerability.db", folder / "copy.db"
    unpack(archives.path(newest), database)
    floor = measure([sys.executable, "-m", __spec__.name, FLOOR, str(database), str(copy)], environment, log)
    with closing(sqlite3.connect(database)) as connection:
        count = sum(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names(connection))
    row = Row(case, cost, floor, count, database.stat().st_size / 1e6, newest.bytes / 1e6)
    database.unlink()
    copy.unlink()
    return row


def names(connection: sqlite3.Connection) -> list[str]:
    """Return the tables of a database."""
    kept = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [name for (name,) in connection.execute(kept)]


def insert(source: Path, target: Path) -> None:
    """Insert the rows of a database into a new one of the same tables."""
    with closing(sqlite3.connect(source)) as given, closing(sqlite3.connect(target, isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode=OFF")
        made.execute("PRAGMA synchronous=OFF")
        made.execute("BEGIN")
        for statement in TABLES:
            made.execute(statement)
        for name in names(given):
            rows = given.execute(f"SELECT * FROM {name}")
            statement = f"INSERT INTO {name} VALUES ({','.join('?' * len(rows.description))})"
            while chunk := rows.fetchmany(CHUNK):
                made.executemany(statement, chunk)
        made.execute("COMMIT")


def table_of(rows: list[Row]) -> Table:
    """Return the rows as people read them."""
    table = Table(title="Build of the Grype database")
    for column in ("schemas", "rows", "wall s", "CPU s", "MB", "file MB", "archive MB", "floor CPU s", "ratio"):
        table.add_column(column, justify="left" if column == "schemas" else "right")
    for row in rows:
        table.add_row(
            row.case,
            f"{row.rows:,}",
            f"{row.cost.seconds:.1f}",
            f"{row.cost.cpu_seconds:.1f}",
            f"{row.cost.peak_mb:.0f}",
            f"{row.file_mb:.1f}",
            f"{row.archive_mb:.1f}",
            f"{row.floor.cpu_seconds:.1f}",
            f"{row.cost.cpu_seconds / row.floor.cpu_seconds:.1f}",
        )
    return table


if __name__ == "__main__":
    main()
