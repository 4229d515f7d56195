"""Curated corrections of the NVD: github.com/anchore/nvd-data-overrides (CC0), one file a CVE in a branch archive.

    data/2024/CVE-2024-0072.json:
    {"_annotation": {"cna": "nvidia", "cve_id": "CVE-2024-0072", "description": "...", "published": "2024-04-05T...",
                     "references": ["https://..."]},
     "cve": {"configurations": [... as in the NVD's form 2.0 ...], "references": [{"source": "...", "url": "..."}]}}

An override replaces a record's configurations and adds references; a CVE that the NVD does not have becomes a record
of status Reserved. The table of overrides lies in the index of products, so that both change in one transaction. It
also keeps the records as they were without their override, to which they return when it goes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import zstandard
from xxhash import xxh3_64_digest

from vulnfeeds.drivers.nvd import items, legacy
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.records import nvd

ADDRESS: Final = "https://github.com/anchore/nvd-data-overrides/archive/refs/heads/main.tar.gz"
REDIRECTED: Final = "https://codeload.github.com/anchore/nvd-data-overrides/"
RESERVED: Final = "Reserved"

_LIMITS: Final = ArchiveLimits(max_members=1_000_000, max_member_bytes=4 << 20)
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS override (
    cve TEXT PRIMARY KEY, digest BLOB, body BLOB, run INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS original (cve TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS listed (cve TEXT PRIMARY KEY) WITHOUT ROWID;
DELETE FROM listed;
"""


class Annotation(msgspec.Struct):
    """What an override says of its CVE; the keys matter for CVEs that the NVD lacks."""

    cve_id: str
    cna: str = ""
    description: str = ""
    published: str = ""
    modified: str = ""
    references: list[str] = []


class OverriddenCVE(msgspec.Struct):
    """The replaced parts; None leaves the record's own configurations."""

    configurations: list[items.Configuration] | None = None
    references: list[items.Reference] = []


class Override(msgspec.Struct, rename={"annotation": "_annotation"}):
    """One file of the archive."""

    annotation: Annotation
    cve: OverriddenCVE


_overrides: Final = msgspec.json.Decoder(Override)
_records: Final = msgspec.json.Decoder(nvd.NVDRecord)


class OverrideTable:
    """The overrides in the index of products; it writes within the transaction of its owner."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for statement in _TABLES.split(";\n"):
            database.execute(statement)

    def take(self, archive: Path, run: int) -> None:
        """Bring the table up to date; what came, changed or went gets the number of the run.

        Raises ParseError for a file of another shape, DownloadError for a broken archive.
        """
        for name, data in _files(archive):
            self._database.execute("INSERT OR IGNORE INTO listed VALUES (?)", (name,))
            self._database.execute(
                "INSERT INTO override VALUES (?1, ?2, ?3, ?4) ON CONFLICT (cve) DO UPDATE "
                "SET digest = ?2, body = ?3, run = ?4 WHERE digest IS NOT ?2",
                (name, xxh3_64_digest(data), zstandard.compress(data), run),
            )
        self._database.execute(
            "UPDATE override SET digest = NULL, body = NULL, run = ? "
            "WHERE body IS NOT NULL AND cve NOT IN (SELECT cve FROM listed)",
            (run,),
        )

    def get(self, name: str) -> Override | None:
        """Return the override of a CVE, or None."""
        row = self._database.execute("SELECT body FROM override WHERE cve = ?", (name,)).fetchone()
        return _overrides.decode(zstandard.decompress(row[0])) if row and row[0] is not None else None

    def moved(self, published: int) -> list[str]:
        """Return the CVEs whose override came, changed or went after run `published`, sorted."""
        rows = self._database.execute("SELECT cve FROM override WHERE run > ? ORDER BY cve", (published,))
        return [name for (name,) in rows]

    def original(self, name: str) -> nvd.NVDRecord | None:
        """Return a record as it was without its override; None when none was kept."""
        row = self._database.execute("SELECT body FROM original WHERE cve = ?", (name,)).fetchone()
        return _records.decode(zstandard.decompress(row[0])) if row else None

    def keep(self, record: nvd.NVDRecord) -> None:
        """Keep a record as it is without its override."""
        body = zstandard.compress(msgspec.json.encode(record))
        self._database.execute("REPLACE INTO original VALUES (?, ?)", (record.cve.meta.id, body))

    def forget(self, name: str) -> None:
        """Drop the kept record of a CVE that has no override, because it is outdated now."""
        self._database.execute("DELETE FROM original WHERE cve = ?", (name,))


def apply(record: nvd.NVDRecord, override: Override | None) -> nvd.NVDRecord:
    """Return the record with the override's configurations and its references added; names stay as they are."""
    if override is None:
        return record
    given = override.cve
    kept = [items.Reference(ref.url, ref.source, list(ref.tags)) for ref in record.external_references]
    changed = msgspec.structs.replace(record, external_references=legacy.references([*kept, *given.references]))
    if given.configurations is None:
        return changed
    return msgspec.structs.replace(changed, configurations=legacy.configurations(given.configurations))


def reserved(name: str, override: Override | None) -> nvd.NVDRecord:
    """Return a record of a CVE that the NVD does not have; without an override it says nothing but that."""
    said = override.annotation if override is not None else Annotation(name)
    cve = items.CVE(
        id=name,
        published=said.published,
        last_modified=said.modified or said.published,
        descriptions=[items.Text("en", said.description)],
        references=[items.Reference(url, said.cna) for url in said.references],
        source_identifier=said.cna,
        vuln_status=RESERVED,
    )
    return legacy.record(cve)


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    for path, stream in members(archive, wanted=_is_override, limits=_LIMITS, url=ADDRESS):
        data = stream.read()
        try:
            override = _overrides.decode(data)
            items.refuse_repeats(data)
        except items.UNREADABLE as error:
            raise ParseError(path, str(error)) from error
        if override.annotation.cve_id != PurePosixPath(path).stem:
            raise ParseError(path, f"is about {override.annotation.cve_id}")
        yield override.annotation.cve_id, data


def _is_override(path: str) -> bool:
    name = PurePosixPath(path)
    return "data" in name.parts and name.suffix == ".json" and name.stem.startswith("CVE-")
