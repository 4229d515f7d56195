"""Checks a finished database before anybody may download it: clients do not skip what is wrong, they fail on it.

Each check names the row at fault. The unique keys are those that a client makes when it unpacks the database; two
rows that break one make it unusable for all.
"""

# ruff: noqa: S608 - table and column names are constants of this package, values are parameters.

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.publish.grypedb import blobs, constraints, dates
from vulnfeeds.publish.grypedb.blobs import PackageBlob, Severity, VulnerabilityBlob
from vulnfeeds.publish.grypedb.systems import DISTRIBUTIONS
from vulnfeeds.publish.grypedb.tables import MODEL, UNIQUE_INDEXES

MOST_FAULTS: Final = 20
"""Faults after which a check stops looking: more would not help anyone."""

_HANDLES: Final = (
    "vulnerability_handles",
    "affected_package_handles",
    "unaffected_package_handles",
    "affected_cpe_handles",
    "unaffected_cpe_handles",
    "known_exploited_vulnerability_handles",
)
_SYSTEMS: Final = frozenset({*(row.system for row in DISTRIBUTIONS.values()), "azurelinux", "windows"})
_WORDS: Final = frozenset({"critical", "high", "medium", "low", "negligible", "unknown"})


def check(path: Path, *, built: datetime | None = None) -> list[str]:
    """Return what is wrong with a database file, at most MOST_FAULTS lines; empty when clients can use it.

    `built` is the time that the listing will state: a client that finds another one in the file downloads at every
    check, or misses updates.
    """
    faults: list[str] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for fault in _faults(connection, built):
                faults.append(fault)
                if len(faults) >= MOST_FAULTS:
                    break
    except sqlite3.Error as error:
        faults.append(f"{path.name} is no usable SQLite file: {error}")
    return faults


def _faults(connection: sqlite3.Connection, built: datetime | None) -> Iterator[str]:
    for (answer,) in connection.execute("PRAGMA integrity_check"):
        if answer != "ok":
            yield f"integrity: {answer}"
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {row} refers to a row of {parent} that is not there"
    yield from _metadata(connection, built)
    yield from _unique(connection)
    for (name,) in connection.execute("SELECT DISTINCT name FROM operating_systems ORDER BY name"):
        if name not in _SYSTEMS:
            yield f"operating_systems: clients know no distribution {name!r}"
    if connection.execute("SELECT 1 FROM epss_handles LIMIT 1").fetchone():
        (days,) = connection.execute("SELECT count(*) FROM epss_metadata").fetchone()
        if days != 1:
            yield f"epss_metadata has {days} rows; scores have one date"
    for table in _HANDLES:
        yield from _blobs(connection, table)


def _metadata(connection: sqlite3.Connection, built: datetime | None) -> Iterator[str]:
    rows = connection.execute("SELECT build_timestamp, model FROM db_metadata").fetchall()
    if len(rows) != 1:
        yield f"db_metadata has {len(rows)} rows, not one"
        return
    moment, model = rows[0]
    if model != MODEL:
        yield f"db_metadata: model {model}, not {MODEL}"
    if built is not None and moment != dates.column(built):
        yield f"db_metadata: built {moment}, but the listing would say {dates.column(built)}"


def _unique(connection: sqlite3.Connection) -> Iterator[str]:
    for index, target in UNIQUE_INDEXES.items():
        table, _, columns = target.partition("(")
        statement = f"SELECT min(id), max(id) FROM {table} GROUP BY {columns[:-1]} HAVING count(*) > 1"
        for first, last in connection.execute(statement):
            yield f"{table.strip('`')} rows {first} and {last} are the same to {index}"


def _blobs(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(blobs.kind(table))
    (lost,) = connection.execute(
        f"SELECT count(*) FROM {table} t LEFT JOIN blobs b ON b.id = t.blob_id WHERE b.id IS NULL"
    ).fetchone()
    if lost:
        yield f"{table}: {lost} rows have no text"
    for number, text in connection.execute(
        f"SELECT id, value FROM blobs WHERE id IN (SELECT blob_id FROM {table}) ORDER BY id"
    ):
        try:
            blob = decoder.decode(text)
        except msgspec.DecodeError as error:
            yield f"{table}: text {number}: {error}"
        else:
            for fault in _content(blob):
                yield f"{table}: text {number}: {fault}"


def _content(blob: blobs.Blob) -> Iterator[str]:
    if isinstance(blob, VulnerabilityBlob):
        yield from (fault for severity in blob.severities for fault in _severity(severity))
    elif isinstance(blob, PackageBlob):
        for range_ in blob.ranges:
            version = range_.version
            if not constraints.passes(version.constraint, version.type):
                yield f"constraint {version.constraint!r} cannot be read as {version.type or 'versions'}"
            detail = range_.fix.detail if range_.fix else None
            if detail and detail.available and not _is_day(detail.available.date):
                yield f"fix date {detail.available.date!r} is no YYYY-MM-DD"


def _severity(severity: Severity) -> Iterator[str]:
    if isinstance(severity.value, str):
        if severity.value.lower() not in _WORDS:
            yield f"severity {severity.value!r} is none that clients know"
    elif not severity.value.vector:
        yield "a severity with an empty vector"


def _is_day(day: str) -> bool:
    try:
        return date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False
