"""A folder of CSAF documents as Red Hat publishes it: an archive of all, and lists of what changed and went since.

    archive_latest.txt   csaf_advisories_2026-11-24.tar.zst
    changes.csv          "2026/rhsa-2026_0001.json","2026-11-25T06:00:00+00:00"
    deletions.csv        the same form

The archive is read once, member by member, and each document is reduced to what a driver reads of it. Afterwards only
documents that the list names with a newer time are asked for, until a newer archive comes out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from vulnfeeds.drivers.formats import csaf
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import KeptDocuments, Reduce, Wanted, bring
from vulnfeeds.errors import DanglingError, ParseError, UpstreamError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.fetch.interface import Limits

LATEST: Final = "archive_latest.txt"
CHANGES: Final = "changes.csv"
DELETIONS: Final = "deletions.csv"

_ARCHIVE = re.compile(r"csaf_[a-z]+_(\d{4}-\d{2}-\d{2})\.tar\.zst")
_DOCUMENT = re.compile(r"\d{4}/[a-z]+-\d{4}[-_]\d{1,12}\.json")
_SMALL: Final = Limits(max_bytes=4096)
_LIST: Final = Limits(max_bytes=256 << 20)
_PACKED: Final = Limits(max_bytes=8 << 30, max_seconds=7200.0)
_MEMBERS: Final = ArchiveLimits(max_members=2_000_000, max_member_bytes=csaf.MAX_BYTES, max_total_bytes=256 << 30)
_REPORTED: Final = 500
_ARCHIVED: Final = "archive"
"""The mark under which the name of the archive that was read is kept."""


class Row(NamedTuple):
    """A line of one of the lists: a document and the time at which it changed or went."""

    path: str
    time: datetime


class CSAFArchive:
    """One run's way through a folder of CSAF documents.

    `base` is its URL with a slash at the end; `kind` begins the names of the documents that are read ("rhsa").
    """

    def __init__(self, context: Context, base: str, kind: str, folder: Path) -> None:
        self._context = context
        self._base = base
        self._kind = kind
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def sync(self, kept: KeptDocuments, reduce: Reduce, *, at_once: int) -> None:
        """Bring what is kept up to date.

        Raises ParseError for documents and lists of another shape, UpstreamError when nothing was kept before;
        otherwise what was kept is used as it is, with a note.
        """
        try:
            self._sync(kept, reduce, at_once)
        except UpstreamError as error:
            kept.rollback()
            if not kept.get_mark(_ARCHIVED):
                raise
            self._context.note(f"documents of {self._base} are used as they were: {error}")

    def _sync(self, kept: KeptDocuments, reduce: Reduce, at_once: int) -> None:
        name, made_at = self._latest()
        changes, deletions = self._rows(CHANGES), self._rows(DELETIONS)
        if kept.get_mark(_ARCHIVED) != name:
            self._read_archive(kept, reduce, name, made_at, {row.path for row in _read(changes)})
        gone = {row.path: row.time for row in _read(deletions)}
        wanted = [
            Wanted(row.path, f"{self._base}{row.path}", row.time.isoformat())
            for row in self._named(changes)
            if row.time >= made_at
            and not (row.path in gone and gone[row.path] >= row.time)
            and self._is_new(kept, row)
        ]
        bring(self._context, kept, wanted, reduce, at_once=at_once)
        for path, time in gone.items():
            found = kept.find(path)
            if found is not None and datetime.fromisoformat(found.mark) <= time:
                kept.drop(path)
        kept.commit()

    def _latest(self) -> tuple[str, datetime]:
        """Return the name of the newest archive and the beginning of the day that it is of."""
        target = self._folder / LATEST
        self._context.fetcher.download(f"{self._base}{LATEST}", target, limits=_SMALL, expect=("text",))
        name = target.read_text("utf-8", errors="replace").strip()
        if not (match := _ARCHIVE.fullmatch(name)):
            raise ParseError(LATEST, f"{name[:80]!r} is no name of an archive")
        return name, _time(f"{match[1]}T00:00:00+00:00", LATEST)

    def _rows(self, name: str) -> Path:
        target = self._folder / name
        self._context.fetcher.download(f"{self._base}{name}", target, limits=_LIST, expect=("text",))
        return target

    def _named(self, path: Path) -> Iterator[Row]:
        """Yield the lines about documents of our kind; raises ParseError when there is no line at all."""
        empty = True
        for row in _read(path):
            empty = False
            if row.path.partition("/")[2].startswith(self._kind):
                yield row
        if empty:
            raise ParseError(path.name, "the list is empty")

    def _is_new(self, kept: KeptDocuments, row: Row) -> bool:
        found = kept.find(row.path)
        return found is None or datetime.fromisoformat(found.mark) < row.time

    def _read_archive(
        self, kept: KeptDocuments, reduce: Reduce, name: str, made_at: datetime, listed: set[str]
    ) -> None:
        """Put the archive's documents in the place of those that were kept, in one transaction.

        What was kept stays where it is newer than the archive, or missing in it although the list names it: until
        that is asked for again, and in case it cannot be had; and where the archive's document leads nowhere: until a
        newer archive, or the list, has another.
        """
        url = f"{self._base}{name}"
        target = self._folder / name
        self._context.fetcher.download(url, target, limits=_PACKED, expect=("zstd",))
        missing = set(kept.names())
        count = 0
        dangling: list[DanglingError] = []
        try:
            for path, stream in members(target, wanted=self._is_wanted, limits=_MEMBERS, url=url):
                if count % _REPORTED == 0:
                    self._context.report("fetch", count)
                count += 1
                try:
                    body = reduce(path, stream.read())
                except DanglingError as error:
                    dangling.append(error)
                    missing.discard(path)
                    continue
                if (found := kept.find(path)) is None or datetime.fromisoformat(found.mark) <= made_at:
                    kept.put(path, made_at.isoformat(), self._context.now(), body)
                missing.discard(path)
        except (UpstreamError, ParseError):
            # With the bad file in place the next request would be answered "not modified".
            target.unlink()
            kept.rollback()
            raise
        if not count:
            kept.rollback()
            raise ParseError(name, f"no {self._kind} document in the archive")
        if dangling:
            self._context.note(
                f"{len(dangling)} documents of {name} are left as they were before, if they were: {dangling[0]}"
            )
        for path in missing - listed:
            kept.drop(path)
        kept.set_mark(_ARCHIVED, name)
        kept.commit()
        for leftover in self._folder.glob("*.tar.zst*"):
            leftover.unlink()

    def _is_wanted(self, name: str) -> bool:
        return _DOCUMENT.fullmatch(name) is not None and name.partition("/")[2].startswith(self._kind)


def _read(path: Path) -> Iterator[Row]:
    """Yield the lines of a list. Raises ParseError, naming the line, for what is no path below a year, or no time."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            for number, line in enumerate(csv.reader(file, strict=True), 1):
                if not line:
                    continue
                place = f"{path.name} line {number}"
                if len(line) != 2:
                    raise ParseError(place, f"{len(line)} columns where there must be two")
                if not _DOCUMENT.fullmatch(line[0]):
                    raise ParseError(place, f"{line[0][:80]!r} is no path of a document")
                yield Row(line[0], _time(line[1], place))
        except csv.Error as error:
            raise ParseError(path.name, f"not CSV: {error}") from error


def _time(text: str, place: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError as error:
        raise ParseError(place, f"{text[:40]!r} is no time") from error
