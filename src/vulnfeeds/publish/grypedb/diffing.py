"""What changed from one database to another: vulnerabilities, packages and ranges, whatever numbers their rows have.

Both databases are read in the same order side by side; memory holds one package of one vulnerability of each.
"""

# ruff: noqa: S608 - table names are constants of this module, values are parameters.

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

import msgspec

from vulnfeeds.publish.grypedb.blobs import PackageBlob, Vector, VulnerabilityBlob

Key = tuple[str, ...]
Texts = tuple[str, ...]

_SYSTEM: Final = (
    "coalesce(o.name || ':' || trim(o.major_version || '.' || o.minor_version, '.') || o.label_version"
    " || CASE o.channel WHEN '' THEN '' ELSE '+' || o.channel END, '')"
)
_PACKAGES: Final = " UNION ALL ".join(
    "SELECT v.provider_id, v.name, p.ecosystem || ' ' || p.name,"
    f" {_SYSTEM}, '{word}', b.value FROM {word}_package_handles h"
    " JOIN vulnerability_handles v ON v.id = h.vulnerability_id JOIN packages p ON p.id = h.package_id"
    " LEFT JOIN operating_systems o ON o.id = h.operating_system_id JOIN blobs b ON b.id = h.blob_id"
    for word in ("affected", "unaffected")
)
_PRODUCTS: Final = (
    "SELECT v.provider_id, v.name, 'cpe ' || c.part || ':' || c.vendor || ':' || c.product,"
    " c.edition || c.language || c.software_edition || c.target_hardware || c.target_software || c.other, 'affected',"
    " b.value FROM affected_cpe_handles h JOIN vulnerability_handles v ON v.id = h.vulnerability_id"
    " JOIN cpes c ON c.id = h.cpe_id JOIN blobs b ON b.id = h.blob_id"
)
_ROWS: Final = f"{_PACKAGES} UNION ALL {_PRODUCTS} ORDER BY 1, 2, 3, 4, 5, 6"
_VULNERABILITIES: Final = (
    "SELECT v.provider_id, v.name, v.status || ' ' || b.value FROM vulnerability_handles v"
    " JOIN blobs b ON b.id = v.blob_id ORDER BY 1, 2, 3"
)
_package: Final = msgspec.json.Decoder(PackageBlob)
_vulnerability: Final = msgspec.json.Decoder(VulnerabilityBlob)


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference; `before` and `after` say it in words a person reads, "" where there is nothing."""

    what: Literal["vulnerability", "package"]
    change: Literal["added", "removed", "changed"]
    origin: str
    vulnerability: str
    package: str = ""
    """Type and name (`deb openssl`, `cpe a:openssl:openssl`); "" for the vulnerability itself."""
    system: str = ""
    before: str = ""
    after: str = ""


def diff(before: Path, after: Path) -> Iterator[Change]:
    """Yield the differences between two database files, by origin and vulnerability.

    Raises sqlite3.Error when one of them is none.
    """
    with closing(_open(before)) as old, closing(_open(after)) as new:
        for (origin, name), was, now in _side_by_side(old, new, _VULNERABILITIES, 2):
            yield Change("vulnerability", _kind(was, now), origin, name, before=_say(was), after=_say(now))
        for (origin, name, package, system, word), was, now in _side_by_side(old, new, _ROWS, 5):
            before_, after_ = _ranges(word, was), _ranges(word, now)
            yield Change("package", _kind(was, now), origin, name, package, system, before_, after_)


def _side_by_side(
    old: sqlite3.Connection, new: sqlite3.Connection, statement: str, width: int
) -> Iterator[tuple[Key, Texts, Texts]]:
    """Yield (key, texts before, texts after) wherever they differ; no text where there is no such row."""
    left, right = _grouped(old, statement, width), _grouped(new, statement, width)
    was, now = next(left, None), next(right, None)
    while was is not None or now is not None:
        if now is None or (was is not None and was[0] < now[0]):
            assert was is not None  # noqa: S101 - for the type checker: the loop's condition says so
            yield was[0], was[1], ()
            was = next(left, None)
        elif was is None or now[0] < was[0]:
            yield now[0], (), now[1]
            now = next(right, None)
        else:
            if was[1] != now[1]:
                yield now[0], was[1], now[1]
            was, now = next(left, None), next(right, None)


def _grouped(connection: sqlite3.Connection, statement: str, width: int) -> Iterator[tuple[Key, Texts]]:
    for key, rows in groupby(connection.execute(statement), key=lambda row: row[:width]):
        yield key, tuple(row[width] for row in rows)


def _kind(was: Texts, now: Texts) -> Literal["added", "removed", "changed"]:
    return "changed" if was and now else "added" if now else "removed"


def _say(texts: Texts) -> str:
    """Return a vulnerability's status and first severity, of each form that it has."""
    said = []
    for text in texts:
        status, _, blob = text.partition(" ")
        severities = _vulnerability.decode(blob).severities
        value = severities[0].value if severities else "unknown"
        said.append(f"{status or '-'} {value.vector if isinstance(value, Vector) else value}")
    return "; ".join(said)


def _ranges(word: str, texts: Texts) -> str:
    """Return ranges and fixes as `< 1.2 (fixed)`, `not affected`."""
    said = []
    for text in texts:
        for each in _package.decode(text).ranges:
            state = each.fix.state if each.fix else ""
            said.append(" ".join([each.version.constraint or "all", *([f"({state})"] if state else [])]))
    listed = "; ".join(said) or ("all" if texts else "")
    return f"not affected: {listed}" if word == "unaffected" and texts else listed


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
