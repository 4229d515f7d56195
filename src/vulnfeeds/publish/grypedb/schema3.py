"""A database of schema 3, for engines that carry grype 0.27: three tables, nearly the feeds themselves.

Namespaces are group names (`debian:12`, `github:npm`), the NVD's is `nvd`. The index's name matters: the reader of
that time finds it by name, and reads neither write-ahead logs nor anything newer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.publish.grypedb.blobs import Fix, PackageBlob, Range, Severity, Vector
from vulnfeeds.publish.grypedb.nvd import ORIGIN as NVD
from vulnfeeds.publish.grypedb.packing import checksum_of
from vulnfeeds.publish.grypedb.rows import Package, Product, Vulnerability
from vulnfeeds.publish.grypedb.scoring import scores

VERSION: Final = 3

_CHUNK: Final = 5000
_TABLES: Final = (
    "CREATE TABLE `id` (`build_timestamp` text,`schema_version` integer)",
    "CREATE TABLE `vulnerability` (`pk` integer PRIMARY KEY AUTOINCREMENT,`id` text,`package_name` text,"
    "`namespace` text,`version_constraint` text,`version_format` text,`cpes` text,`related_vulnerabilities` text,"
    "`fixed_in_versions` text,`fix_state` text,`advisories` text)",
    "CREATE TABLE `vulnerability_metadata` (`id` text,`namespace` text,`data_source` text,`record_source` text,"
    "`severity` text,`urls` text,`description` text,`cvss` text,PRIMARY KEY (`id`,`namespace`))",
)
_INDEX: Final = "CREATE INDEX `get_vulnerability_index` ON `vulnerability`(`package_name`,`namespace`)"
_VULNERABILITY: Final = "INSERT INTO vulnerability VALUES (NULL,?,?,?,?,?,?,?,?,?,?)"
_METADATA: Final = "INSERT OR IGNORE INTO vulnerability_metadata VALUES (?,?,?,?,?,?,?,?)"
_STATES: Final = {"fixed": "fixed", "not-fixed": "not-fixed", "wont-fix": "wont-fix"}


class Writer3:
    """A database of schema 3 under way."""

    def __init__(self, path: Path, built: datetime) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN")
        for statement in _TABLES:
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO id VALUES (?,?)", (_instant(built), VERSION))
        self._rows: list[tuple[Any, ...]] = []
        self._metadata: list[tuple[Any, ...]] = []

    def vulnerability(
        self, feed: str, group: str, vulnerability: Vulnerability, severities: tuple[Severity, ...]
    ) -> None:
        """Add all rows of a record of a group; `severities` are its own or what the NVD says."""
        if vulnerability.status == "rejected":
            return
        namespace = NVD if vulnerability.origin == NVD else group
        related = [{"ID": alias, "Namespace": NVD} for alias in vulnerability.blob.aliases]
        before = len(self._rows)
        for package in _best(vulnerability.packages):
            self._add(vulnerability.name, namespace, package.name, package.blob, related, None)
        for named in vulnerability.products:
            cpes = [_formatted(named.product)]
            self._add(vulnerability.name, namespace, named.product.product, named.blob, related, cpes)
        if len(self._rows) > before:
            self._describe(feed, group, namespace, vulnerability, severities)
        if len(self._rows) >= _CHUNK:
            self._flush()

    def close(self) -> None:
        """Write what is left, add the index, and close the file."""
        self._flush()
        self._connection.execute("COMMIT")
        self._connection.execute(_INDEX)
        self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()

    def abandon(self) -> None:
        """Close the file as it is; it is of no use then."""
        self._connection.close()

    def _add(
        self,
        name: str,
        namespace: str,
        package: str,
        blob: PackageBlob,
        related: list[dict[str, str]],
        cpes: list[str] | None,
    ) -> None:
        for constraint, version_format, fix in _alternatives(blob.ranges, joined=cpes is not None):
            references = fix.detail.references if fix and fix.detail else ()
            row = (
                name,
                package,
                namespace,
                constraint,
                version_format if cpes is None else "unknown",
                _json(cpes),
                _json(related or None),
                _json([fix.version] if fix and fix.version else None),
                _STATES.get(fix.state, "unknown") if fix and cpes is None else "unknown",
                _json([{"ID": reference.id, "Link": reference.url} for reference in references] or None),
            )
            self._rows.append(row)

    def _describe(
        self,
        feed: str,
        group: str,
        namespace: str,
        vulnerability: Vulnerability,
        severities: tuple[Severity, ...],
    ) -> None:
        urls = [reference.url for reference in vulnerability.blob.refs]
        row = (
            vulnerability.name,
            namespace,
            urls[0] if urls else "",
            f"{feed}:{group}",
            _word(severities),
            _json(urls or None),
            vulnerability.blob.description,
            _json([scored for severity in severities if (scored := _scored(severity))]),
        )
        self._metadata.append(row)

    def _flush(self) -> None:
        self._connection.executemany(_VULNERABILITY, self._rows)
        self._connection.executemany(_METADATA, self._metadata)
        self._rows.clear()
        self._metadata.clear()


def description(database: Path, built: datetime) -> dict[str, bytes]:
    """Return the file beside the database in an archive: engines refuse it with any other key than these."""
    facts = {"built": _instant(built), "version": VERSION, "checksum": f"sha256:{checksum_of(database)}"}
    return {"metadata.json": msgspec.json.encode(facts)}


def _best(packages: Iterable[Package]) -> Iterable[Package]:
    """Return one package of each name of a system: clients of that time know neither modules nor minor releases.

    Those of languages are all there, each a range of its own.
    """
    best: dict[str, Package] = {}
    for package in packages:
        if not package.systems:
            yield package
            continue
        if package.unaffected or not _is_common(package):
            continue
        if package.name not in best or _module(package) > _module(best[package.name]):
            best[package.name] = package
    yield from best.values()


def _is_common(package: Package) -> bool:
    return len(package.systems) == 1 or any(not system.minor for system in package.systems)


def _module(package: Package) -> str:
    module = package.blob.qualifiers.rpm_modularity if package.blob.qualifiers else ""
    return module if isinstance(module, str) else ""


def _alternatives(ranges: tuple[Range, ...], *, joined: bool) -> Iterable[tuple[str, str, Fix | None]]:
    if not joined:
        return [(each.version.constraint, each.version.type, each.fix) for each in ranges]
    constraints = [each.version.constraint for each in ranges]
    return [("" if "" in constraints else " || ".join(constraints), "unknown", None)]


def _word(severities: tuple[Severity, ...]) -> str:
    if not severities:
        return "Unknown"
    value = severities[0].value
    if isinstance(value, str):
        return value.capitalize()
    scored = scores(value.vector, value.version)
    return scored.band if scored else "Unknown"


def _scored(severity: Severity) -> dict[str, Any] | None:
    if not isinstance(severity.value, Vector) or severity.value.version.startswith("4"):
        return None
    found = scores(severity.value.vector, severity.value.version)
    if found is None:
        return None
    metrics = {"BaseScore": found.base, "ExploitabilityScore": found.exploitability, "ImpactScore": found.impact}
    return {
        "VendorMetadata": None,
        "Metrics": metrics,
        "Vector": severity.value.vector,
        "Version": severity.value.version,
    }


def _formatted(product: Product) -> str:
    escaped = [_escape(value) for value in product]
    part, vendor, name, edition, language, software, hardware, target, other = escaped
    return f"cpe:2.3:{part}:{vendor}:{name}:*:*:{edition}:{language}:{software}:{target}:{hardware}:{other}"


def _escape(value: str) -> str:
    if value in ("", "-"):
        return value or "*"
    return "".join(letter if letter.isalnum() or letter in "_-." else f"\\{letter}" for letter in value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
