"""Compares a new database with the one before it: nothing that a scan found yesterday may vanish unnoticed today.

Rows are counted by origin and by ecosystem, and a sample of what clients look up must still find something.
"""

# ruff: noqa: S608 - table names are constants of this module, values are parameters.

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

SAMPLED: Final = 500
"""Packages of the database before that are looked up in the new one."""
MOST_LOST: Final = 0.05
"""Part of them that may be found no more: advisories are withdrawn every day, distributions are not."""
_FEW: Final = 50
"""Counts up to here may change as they like."""

_HANDLES: Final = ("affected_package_handles", "unaffected_package_handles")


class Counts(msgspec.Struct, frozen=True):
    """How many rows a database has."""

    vulnerabilities: dict[str, int]
    """By origin."""
    packages: dict[str, int]
    """Handles by ecosystem, of affected and not affected packages."""
    products: int
    """Handles of products that CPEs name."""
    exploited: int
    scores: int


def count(path: Path) -> Counts:
    """Return the counts of a database file. Raises sqlite3.Error when it is none."""
    with closing(_open(path)) as connection:
        by_origin = connection.execute(
            "SELECT provider_id, count(*) FROM vulnerability_handles GROUP BY 1 ORDER BY 1"
        )
        vulnerabilities: dict[str, int] = dict(by_origin.fetchall())
        both = " UNION ALL ".join(f"SELECT package_id FROM {table}" for table in _HANDLES)
        by_ecosystem = connection.execute(
            f"SELECT p.ecosystem, count(*) FROM ({both}) h JOIN packages p ON p.id = h.package_id"
            " GROUP BY 1 ORDER BY 1"
        )
        packages: dict[str, int] = dict(by_ecosystem.fetchall())
        products, exploited, scores = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("affected_cpe_handles", "known_exploited_vulnerability_handles", "epss_handles")
        )
    return Counts(vulnerabilities, packages, products, exploited, scores)


def losses(before: Counts, now: Counts, most_shrink: float) -> list[str]:
    """Return a line for each count that shrank by more than the part `most_shrink`; counts up to 50 are let pass."""
    pairs = [
        *_pairs("vulnerabilities of", before.vulnerabilities, now.vulnerabilities),
        *_pairs("packages of type", before.packages, now.packages),
        ("products", before.products, now.products),
        ("known exploited vulnerabilities", before.exploited, now.exploited),
        ("EPSS scores", before.scores, now.scores),
    ]
    return [
        f"{what}: {old} in the database before, {new} now"
        for what, old, new in pairs
        if old > _FEW and new < old * (1 - most_shrink)
    ]


def _pairs(what: str, before: dict[str, int], now: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    for name, old in before.items():
        yield f"{what} {name}", old, now.get(name, 0)


def lost_lookups(before: Path, now: Path) -> list[str]:
    """Return the sampled packages that the database before had and the new one has not, as `deb openssl`.

    The sample is spread evenly over the packages by id and is the same for the same file.
    """
    with closing(_open(before)) as old, closing(_open(now)) as new:
        (last,) = old.execute("SELECT coalesce(max(id), 0) FROM packages").fetchone()
        step = max(1, last // SAMPLED)
        sample = old.execute("SELECT ecosystem, name FROM packages WHERE id % ? = 0 ORDER BY id", (step,)).fetchall()
        new.execute("CREATE TEMP TABLE wanted (ecosystem TEXT, name TEXT)")
        new.executemany("INSERT INTO wanted VALUES (?,?)", sample)
        missing = new.execute(
            "SELECT w.ecosystem, w.name FROM wanted w LEFT JOIN packages p"
            " ON p.ecosystem = w.ecosystem COLLATE NOCASE AND p.name = w.name COLLATE NOCASE WHERE p.id IS NULL"
        ).fetchall()
    allowed = len(sample) * MOST_LOST
    return [f"{ecosystem} {name}" for ecosystem, name in missing] if len(missing) > allowed else []


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection
