"""The weekly dump of the registry's database: which one is the newest, and the gems in it.

    public_postgresql.tar
      .../PostgreSQL.sql.gz            COPY public.rubygems (id, name, ...), public.versions (rubygem_id, ...)

A gem has a row for each version on each platform. The rows come in no order that helps, so they go through a table on
disk; nothing but the names of one gem is in memory at a time.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin

from vulnfeeds.drivers.formats import copying
from vulnfeeds.drivers.formats.elements import children, text_of
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.fetch.decompress import unpack_bounded
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.packages import GemPackage

LIMITS: Final = Limits(max_bytes=8 << 30, max_seconds=3 * 3600.0)
"""Ten times the dump of recent years."""
_UNPACKED: Final = 64 << 30
_ARCHIVE: Final = ArchiveLimits(max_members=10_000, max_member_bytes=8 << 30, max_total_bytes=16 << 30)
_TABLES: Final = {
    "rubygems": ("id", "name"),
    "versions": ("rubygem_id", "number", "platform", "latest", "indexed", "authors", "licenses", "created_at"),
}
_GENERAL: Final = "ruby"
"""The platform of versions that run everywhere."""
_LISTING: Final = "listing.xml"
_LIST_LIMITS: Final = Limits(max_bytes=32 << 20)
_MOST_LISTS: Final = 100
_ITEM: Final = re.compile(r"-\s+(.*)")
_COMMIT_EVERY: Final = 10_000


def newest(context: Context, listing: str) -> str:
    """Return the address of the newest dump that the listing of a bucket names.

        <ListBucketResult><IsTruncated>false</IsTruncated><Contents>
        <Key>production/public_postgresql/2024.08.26.21.20.35/public_postgresql.tar</Key>...

    Dumps are named by their time, so the last one in the order of their names is the newest. Raises ParseError when
    the answer is no such listing or names no dump.
    """
    keys: list[str] = []
    url = listing
    for _ in range(_MOST_LISTS):
        context.fetcher.download(url, context.workspace / _LISTING, limits=_LIST_LIMITS, expect=("xml",))
        is_cut, last = False, ""
        with (context.workspace / _LISTING).open("rb") as stream:
            for child in children(stream, _LISTING, "ListBucketResult"):
                if child.tag == "IsTruncated":
                    is_cut = (child.text or "").strip() == "true"
                elif child.tag == "Contents":
                    last = text_of(child, "Key")
                    if last.endswith(".tar"):
                        keys.append(last)
        if not is_cut or not last:
            break
        # The next keys behind the last one.
        url = f"{listing}{'&' if '?' in listing else '?'}marker={quote(last, safe='')}"
    if not keys:
        raise ParseError(listing, "the listing names no dump (.tar)")
    return urljoin(listing, "/" + quote(max(keys)))


def gems(path: Path, table: Path, wanted: Container[str] | None) -> Iterator[GemPackage]:
    """Yield the gems of a dump that have a version, in the order of their numbers; `wanted` None for all of them.

    `table` is a file to work with. Raises ParseError for a dump with other columns, cut short or without its tables,
    DownloadError and LimitError as archives do.
    """
    table.unlink(missing_ok=True)
    with closing(sqlite3.connect(table, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE gem (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        database.execute(
            "CREATE TABLE version (owner INTEGER, number TEXT, platform TEXT, latest TEXT, authors TEXT,"
            " licenses TEXT, created TEXT)"
        )
        _fill(database, path)
        yield from _gems(database, wanted)
    table.unlink(missing_ok=True)


def licenses_of(text: str | None) -> tuple[str, ...]:
    r"""Return the licences in a cell, a list in YAML: `---\n- MIT\n- "Apache-2.0"\n`, or `--- []`."""
    return _licenses(text or "")


def _fill(database: sqlite3.Connection, path: Path) -> None:
    found = False
    for name, stream in members(path, wanted=lambda name: name.endswith((".sql.gz", ".sql")), limits=_ARCHIVE):
        if found:
            raise ParseError(name, "the dump holds a second one")
        found = True
        place = f"{path.name} {name.rpartition('/')[2]}"
        database.execute("BEGIN")
        with unpack_bounded(stream, max_bytes=_UNPACKED, url=place) as plain:
            versions: list[tuple[int | str | None, ...]] = []
            for table, row in copying.rows(plain, place, _TABLES):
                if table == "rubygems":
                    database.execute(
                        "INSERT OR IGNORE INTO gem VALUES (?, ?)", (_number(row[0], place), row[1] or "")
                    )
                    continue
                owner, number, platform, latest, indexed, authors, licenses, created = row
                # What is not indexed was taken back (yanked).
                if indexed == "t" and number:
                    versions.append((_number(owner, place), number, platform, latest, authors, licenses, created))
                if len(versions) >= _COMMIT_EVERY:
                    _insert(database, versions)
            _insert(database, versions)
        database.execute("COMMIT")
    if not found:
        raise ParseError(path.name, "the archive holds no dump (.sql.gz)")


def _insert(database: sqlite3.Connection, versions: list[tuple[int | str | None, ...]]) -> None:
    database.executemany("INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)", versions)
    versions.clear()


def _gems(database: sqlite3.Connection, wanted: Container[str] | None) -> Iterator[GemPackage]:
    query = (
        "SELECT owner, name, number, platform, latest, authors, licenses FROM version JOIN gem ON gem.id = owner"
        " ORDER BY owner, created"
    )
    for (number, name), rows in groupby(database.execute(query), key=itemgetter(0, 1)):
        if not name or (wanted is not None and name not in wanted):
            continue
        versions: set[str] = set()
        authors: set[str] = set()
        licenses: set[str] = set()
        latest, general = "", False
        for _, _, version, platform, is_latest, made_by, licensed in rows:
            versions.add(version)
            authors.add((made_by or "").strip())
            licenses.update(licenses_of(licensed))
            is_general = platform == _GENERAL
            # There is a latest version for each platform; that of all of them counts, else the last one made.
            if is_latest == "t" and (is_general or not general):
                latest, general = version, is_general
        yield GemPackage(
            name=name,
            versions=tuple(sorted(versions)),
            latest=latest or None,
            authors=tuple(sorted(authors - {""})),
            licenses=tuple(sorted(licenses)),
            id=str(number),
        )


def _number(cell: str | None, place: str) -> int:
    if cell is None or not cell.isdecimal() or len(cell) > 18:
        raise ParseError(place, f"{str(cell)[:80]!r} is no number of a gem")
    return int(cell)


@lru_cache(maxsize=65536)
def _licenses(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines()]
    if not lines or not lines[0].startswith("---"):
        return (text.strip(),) if text.strip() else ()
    found = [match[1].strip("\"' ") for line in lines if not line.startswith("---") and (match := _ITEM.match(line))]
    return tuple(item for item in found if item and item != "~")
