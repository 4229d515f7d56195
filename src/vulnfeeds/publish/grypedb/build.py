"""Builds a database from the store: one snapshot of all groups, origin by origin, in the order of keys.

The NVD comes first, because its scores stand in where another source gives none. The groups of one origin are read
side by side, so that the records of one CVE in five releases share what they have in common.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import msgspec
import xxhash

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import distributions, exploited, github, nvd
from vulnfeeds.publish.grypedb.report import Report
from vulnfeeds.publish.grypedb.rows import Vulnerability
from vulnfeeds.publish.grypedb.schema3 import Writer3
from vulnfeeds.publish.grypedb.systems import home_of
from vulnfeeds.publish.grypedb.writer import Writer
from vulnfeeds.store.interface import GroupRow, Manifest, Store

Make = Callable[[bytes], Vulnerability]
"""Canonical body -> what becomes of it; RecordError when clients could not read that."""

_TOLD_EVERY: Final = 5000
_LEFT_OUT: Final = {
    "nvd": "the same CVEs come by feed nvdv2",
    "packages": "packages are not vulnerable by themselves",
}


class _Part(msgspec.Struct, frozen=True):
    """A group that takes part, at the state that all of the build sees."""

    origin: str
    group: GroupRow
    manifest: Manifest
    make: Make | None
    """None for feeds that decorate vulnerabilities."""


def build(
    store: Store,
    path: Path,
    *,
    built: datetime,
    processor: str,
    progress: Callable[[str, int, int], None],
    channels: bool = True,
    old: Path | None = None,
) -> Report:
    """Write a database of all groups into a new file; return what went in and what was left out, and why.

    `progress` is told (origin, records done, records in all); `channels` false leaves out what old clients cannot
    open (`rhel:8.4+eus`, `ubuntu:22.04+esm`); `old` is a second new file, for the same in schema 3. Raises
    StoreError; the files are of no use then.
    """
    report = Report()
    parts = _parts(store, report, channels=channels)
    with _Output(Writer(path, built), None if old is None else Writer3(old, built), report) as output:
        total, done = sum(part.group.records for part in parts), 0
        for origin, members in _by_origin(parts):
            output.writer.origin(
                origin,
                processor=processor,
                captured=max(part.group.published_at for part in members),
                digest=_digest(members),
            )
            for part, key, body in _records(store, members):
                output.take(part, key, body)
                done += 1
                if done % _TOLD_EVERY == 0:
                    progress(origin, done, total)
    return report


def inputs(store: Store, *, channels: bool = True) -> str:
    """Return a digest of all records that a build would take: equal digests, equal rows."""
    return _digest(_parts(store, Report(), channels=channels))


class _Output:
    """The files that are being written, and what goes into them."""

    def __init__(self, writer: Writer, old: Writer3 | None, report: Report) -> None:
        self.writer = writer
        self._old = old
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        for writer in (self.writer, self._old):
            if writer is not None:
                (writer.close if kind is None else writer.abandon)()

    def take(self, part: _Part, key: str, body: bytes) -> None:
        """Write what becomes of a record, or note that clients could not read it."""
        feed, group = part.group.feed, part.group.name
        try:
            if part.make is None:
                self.writer.exploited(exploited.blob(body))
            else:
                self._write(part, part.make(body), key)
        except (RecordError, msgspec.ValidationError) as error:
            self._report.leave_record(feed, group, key, str(error))
        else:
            self._report.took(part.origin)

    def _write(self, part: _Part, vulnerability: Vulnerability, key: str) -> None:
        feed, group = part.group.feed, part.group.name
        if part.origin == nvd.ORIGIN and vulnerability.blob.severities:
            self.writer.score(vulnerability.name, vulnerability.blob.severities[0])
        severities = self.writer.vulnerability(vulnerability)
        if self._old is not None:
            self._old.vulnerability(feed, group, vulnerability, severities)
        for reason in vulnerability.left_out:
            self._report.leave_record(feed, group, key, reason)


def _parts(store: Store, report: Report, *, channels: bool) -> list[_Part]:
    parts = []
    for group in store.groups():
        try:
            if "+" in group.name and not channels:
                raise RecordError("the setting grypedb.channels leaves out channels")
            origin, make = _place(group)
        except RecordError as error:
            report.leave_group(group.feed, group.name, str(error))
            continue
        manifest = store.manifest(group.feed, group.name, group.generation)
        if manifest is not None:
            parts.append(_Part(origin, group, manifest, make))
    return parts


def _place(group: GroupRow) -> tuple[str, Make | None]:
    """Return the origin of a group and what makes rows of its records."""
    if group.feed == "nvdv2":
        return nvd.ORIGIN, nvd.rows
    if group.feed == "kev":
        return exploited.ORIGIN, None
    if group.feed == "github":
        ecosystem = github.ECOSYSTEMS.get(group.name.rpartition(":")[2])
        if ecosystem is None:
            raise RecordError("clients know no such ecosystem")
        return github.ORIGIN, lambda body: github.rows(body, ecosystem)
    if group.feed == "vulnerabilities":
        home = home_of(group.name)
        return home.distribution.origin, lambda body: distributions.rows(body, home)
    raise RecordError(_LEFT_OUT.get(group.feed, f"a database has no place for feed {group.feed}"))


def _by_origin(parts: Sequence[_Part]) -> Iterator[tuple[str, list[_Part]]]:
    origins = sorted({part.origin for part in parts}, key=lambda name: (name != nvd.ORIGIN, name))
    for origin in origins:
        yield origin, [part for part in parts if part.origin == origin]


def _digest(parts: Iterable[_Part]) -> str:
    """Return a digest of all records of the groups: their pages are named after their content."""
    digest = xxhash.xxh64()
    for part in parts:
        digest.update(f"{part.group.feed}/{part.group.name}\n".encode())
        for page in part.manifest.pages:
            digest.update(f"{page.name}\n".encode())
    return f"xxh64:{digest.hexdigest()}"


def _records(store: Store, parts: Sequence[_Part]) -> Iterator[tuple[_Part, str, bytes]]:
    """Yield the records of all parts by key, those of one key together."""
    readers = [_read(store, part, place) for place, part in enumerate(parts)]
    for key, place, body in heapq.merge(*readers, key=lambda record: record[:2]):
        yield parts[place], key, body


def _read(store: Store, part: _Part, place: int) -> Iterator[tuple[str, int, bytes]]:
    firsts = [page.first_key for page in part.manifest.pages]
    for first, before in zip(firsts, [*firsts[1:], None], strict=True):
        records = store.slice(
            part.group.feed,
            part.group.name,
            as_of=part.manifest.sequence,
            first_key=first,
            before_key=before,
            withdrawn=False,
        )
        for key, body in records:
            yield key, place, body
