"""Writes rows into a new database file: gives ids, keeps each text, package, product and system once.

Ids and the order of rows follow from the order of the calls alone, so the same calls give the same bytes. Memory
holds an id for each package and product, and for the texts that were written last: not the records.
"""

# ruff: noqa: S608 - table names are constants of this module, values are parameters.

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import xxhash

from vulnfeeds.publish.grypedb import blobs, dates, overrides
from vulnfeeds.publish.grypedb.blobs import Blob, ExploitedBlob, Severity, VulnerabilityBlob
from vulnfeeds.publish.grypedb.rows import Package, Product, Vulnerability
from vulnfeeds.publish.grypedb.systems import System
from vulnfeeds.publish.grypedb.tables import ADDITION, MODEL, REVISION, TABLES

_CHUNK: Final = 5000
# Texts without a CVE in them ("every version, not fixed") come back all the time, others within one record.
_REMEMBERED: Final = 100_000
_COLUMNS: Final = {
    "blobs": 2,
    "vulnerability_handles": 8,
    "vulnerability_aliases": 2,
    "operating_systems": 10,
    "packages": 3,
    "cpes": 10,
    "affected_package_handles": 5,
    "unaffected_package_handles": 5,
    "affected_cpe_handles": 4,
    "cwe_handles": 5,
    "known_exploited_vulnerability_handles": 3,
    "epss_handles": 4,
}
_INSERT: Final = {
    table: f"INSERT INTO {table} VALUES ({','.join('?' * count)})" for table, count in _COLUMNS.items()
} | {"vulnerability_aliases": "INSERT OR IGNORE INTO vulnerability_aliases VALUES (?,?)"}
_severities: Final = msgspec.json.Decoder(Severity)


class Writer:
    """A database under way; `close` finishes the file."""

    def __init__(self, path: Path, built: datetime) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536", "temp_store=FILE"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN")
        for statement in TABLES:
            self._connection.execute(statement)
        self._connection.execute("CREATE TEMP TABLE scores (cve TEXT PRIMARY KEY, severity BLOB) WITHOUT ROWID")
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        self._last: dict[str, int] = dict.fromkeys(_COLUMNS, 0)
        self._texts: dict[bytes, int] = {}
        self._packages: dict[bytes, int] = {}
        self._products: dict[bytes, int] = {}
        self._systems: dict[System, int] = {}
        self._name = ""
        self._same_name: dict[tuple[str, str, int], int] = {}
        self._always(built)

    def origin(self, name: str, *, processor: str, captured: datetime, digest: str) -> None:
        """Add an origin; every vulnerability must name one."""
        row = (name, "1", processor, dates.column(captured), digest)
        self._connection.execute("INSERT INTO providers VALUES (?,?,?,?,?)", row)

    def score(self, cve: str, severity: Severity) -> None:
        """Keep what the NVD says of a CVE, for records whose own source says nothing."""
        self._connection.execute("INSERT OR IGNORE INTO scores VALUES (?,?)", (cve, msgspec.json.encode(severity)))

    def vulnerability(self, vulnerability: Vulnerability) -> tuple[Severity, ...]:
        """Add all rows of a record; return its severities, or the NVD's where it has none of its own.

        Records of one name that follow each other share what they have in common.
        """
        blob = self._scored(vulnerability)
        number = self._blob(blob)
        if vulnerability.name != self._name:
            self._name = vulnerability.name
            self._same_name.clear()
        key = (vulnerability.origin, vulnerability.status, number)
        handle = self._same_name.get(key)
        if handle is None:
            handle = self._same_name[key] = self._handle(vulnerability, number)
        for package in vulnerability.packages:
            self._package_handles(handle, package)
        for named in vulnerability.products:
            row = (handle, self._product(named.product), self._blob(named.blob))
            self._add("affected_cpe_handles", row)
        for weakness in vulnerability.weaknesses:
            self._add("cwe_handles", (vulnerability.name, *weakness))
        return blob.severities

    def exploited(self, blob: ExploitedBlob) -> None:
        """Add a vulnerability that is known to be exploited."""
        self._add("known_exploited_vulnerability_handles", (blob.cve, self._blob(blob)))

    def likelihood(self, cve: str, epss: float, percentile: float) -> None:
        """Add the EPSS score of a CVE."""
        self._add("epss_handles", (cve, epss, percentile))

    def scored_on(self, day: str) -> None:
        """Say of which day (YYYY-MM-DD) the EPSS scores are: all are of one."""
        self._connection.execute("INSERT INTO epss_metadata VALUES (?)", (dates.text(day),))

    def support(self, system: System, *, eol: str | None, eoas: str | None) -> None:
        """Set the ends of support and of active support (YYYY-MM-DD) of a system, if any package is of it."""
        number = self._systems.get(system)
        if number is None:
            return
        self._flush("operating_systems")
        self._connection.execute(
            "UPDATE operating_systems SET eol_date = ?, eoas_date = ? WHERE id = ?",
            (dates.text(eol or ""), dates.text(eoas or ""), number),
        )

    def close(self) -> None:
        """Write what is left and close the file."""
        for table in _COLUMNS:
            self._flush(table)
        self._connection.execute("COMMIT")
        self._connection.execute("DROP TABLE scores")
        self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    def abandon(self) -> None:
        """Close the file as it is; it is of no use then."""
        self._connection.close()

    def _always(self, built: datetime) -> None:
        metadata = (dates.column(built), MODEL, REVISION, ADDITION)
        execute = self._connection.executemany
        execute("INSERT INTO db_metadata VALUES (?,?,?,?)", [metadata])
        execute(f"INSERT INTO operating_system_specifier_overrides VALUES ({','.join('?' * 12)})", overrides.SYSTEMS)
        execute("INSERT INTO package_specifier_overrides VALUES (?,?)", overrides.PACKAGES)
        execute("INSERT INTO architecture_aliases VALUES (?,?)", overrides.ARCHITECTURES)

    def _scored(self, vulnerability: Vulnerability) -> VulnerabilityBlob:
        """Return the record's text, with the NVD's severity where it has none of its own."""
        blob = vulnerability.blob
        if blob.severities:
            return blob
        for name in (vulnerability.name, *blob.aliases):
            if name.startswith("CVE-"):
                row = self._connection.execute("SELECT severity FROM scores WHERE cve = ?", (name,)).fetchone()
                if row is not None:
                    return msgspec.structs.replace(blob, severities=(_severities.decode(row[0]),))
        return blob

    def _handle(self, vulnerability: Vulnerability, blob: int) -> int:
        published = dates.text(vulnerability.published)
        row = (
            vulnerability.name,
            vulnerability.status,
            published,
            dates.text(vulnerability.modified) or published,
            dates.text(vulnerability.withdrawn),
            vulnerability.origin,
            blob,
        )
        for alias in vulnerability.blob.aliases:
            if alias != vulnerability.name:
                self._rows["vulnerability_aliases"].append((vulnerability.name, alias))
        return self._add("vulnerability_handles", row)

    def _package_handles(self, handle: int, package: Package) -> None:
        number, blob = self._package(package.ecosystem, package.name), self._blob(package.blob)
        table = "unaffected_package_handles" if package.unaffected else "affected_package_handles"
        for system in package.systems:
            self._add(table, (handle, self._system(system), number, blob))
        if not package.systems:
            self._add(table, (handle, None, number, blob))

    def _system(self, system: System) -> int:
        if system not in self._systems:
            name, release, major, minor, label, codename, channel = system
            row = (name, release, major, minor, label, codename, channel, None, None)
            self._systems[system] = self._add("operating_systems", row)
        return self._systems[system]

    def _package(self, ecosystem: str, name: str) -> int:
        return self._once(self._packages, "packages", (ecosystem, name))

    def _product(self, product: Product) -> int:
        return self._once(self._products, "cpes", product)

    def _once(self, known: dict[bytes, int], table: str, row: tuple[str, ...]) -> int:
        # Clients look for packages and products without regard to (ASCII) case, and make them unique that way.
        key = xxhash.xxh3_128_digest("\0".join(row).encode().lower())
        number = known.get(key)
        if number is None:
            number = known[key] = self._add(table, row)
        return number

    def _blob(self, blob: Blob) -> int:
        text = blobs.encode(blob)
        key = xxhash.xxh3_128_digest(text)
        number = self._texts.get(key)
        if number is None:
            if len(self._texts) >= _REMEMBERED:
                self._texts.clear()
            number = self._texts[key] = self._add("blobs", (text.decode(),))
        return number

    def _add(self, table: str, row: tuple[Any, ...]) -> int:
        number = self._last[table] = self._last[table] + 1
        rows = self._rows[table]
        rows.append((number, *row))
        if len(rows) >= _CHUNK:
            self._flush(table)
        return number

    def _flush(self, table: str) -> None:
        self._connection.executemany(_INSERT[table], self._rows[table])
        self._rows[table].clear()
