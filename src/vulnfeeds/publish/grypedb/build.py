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
from vulnfeeds.publish.grypedb import distributions, exploited, github, lifecycles, microsoft, nvd
from vulnfeeds.publish.grypedb.blobs import ExploitedBlob
from vulnfeeds.publish.grypedb.lifecycles import Lifecycles
from vulnfeeds.publish.grypedb.report import Report
from vulnfeeds.publish.grypedb.rows import Vulnerability
from vulnfeeds.publish.grypedb.schema3 import Writer3
from vulnfeeds.publish.grypedb.systems import Home, home_of
from vulnfeeds.publish.grypedb.writer import Writer
from vulnfeeds.records import epss
from vulnfeeds.records.eol import Cycle
from vulnfeeds.store.interface import GroupRow, Manifest, Store

Made = Vulnerability | ExploitedBlob | epss.Score | epss.Model | Cycle
Make = Callable[[bytes], Made]
"""Canonical body -> what becomes of it; RecordError when clients could not read that."""

_TOLD_EVERY: Final = 5000
_LEFT_OUT: Final = {
    "nvd": "the same CVEs come by feed nvdv2",
    "packages": "packages are not vulnerable by themselves",
}
_EPSS: Final = "epss"
_SCORES: Final = "epss:scores"
_MODEL: Final = "epss:model"
_score: Final = msgspec.json.Decoder(epss.Score).decode
_model: Final = msgspec.json.Decoder(epss.Model).decode


class _Part(msgspec.Struct, frozen=True):
    """A group that takes part, at the state that all of the build sees."""

    origin: str
    group: GroupRow
    manifest: Manifest
    make: Make
    home: Home | None
    """Where records of a distribution go."""


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
    report.inputs = _digest(parts)
    homes = [(part.group.name, part.home) for part in parts if part.home is not None]
    with _Output(
        Writer(path, built), None if old is None else Writer3(old, built), report, Lifecycles(homes)
    ) as output:
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
        output.finish()
    return report


def inputs(store: Store, *, channels: bool = True) -> str:
    """Return a digest of all records that a build would take: equal digests, equal rows."""
    return _digest(_parts(store, Report(), channels=channels))


class _Output:
    """The files that are being written, and what goes into them."""

    def __init__(self, writer: Writer, old: Writer3 | None, report: Report, lifecycles: Lifecycles) -> None:
        self.writer = writer
        self._old = old
        self._report = report
        self._lifecycles = lifecycles

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        for writer in (self.writer, self._old):
            if writer is not None:
                (writer.close if kind is None else writer.abandon)()

    def take(self, part: _Part, key: str, body: bytes) -> None:
        """Write what becomes of a record, or note that clients could not read it."""
        try:
            self._place(part, part.make(body), key)
        except (RecordError, msgspec.ValidationError) as error:
            self._report.leave_record(part.group.feed, part.group.name, key, str(error))
        else:
            self._report.took(part.origin)

    def finish(self) -> None:
        """Write what stands on rows of others: they must all be there."""
        for system, support in self._lifecycles.ends():
            self.writer.support(system, eol=support.eol, eoas=support.eoas)

    def _place(self, part: _Part, made: Made, key: str) -> None:
        if isinstance(made, Vulnerability):
            self._write(part, made, key)
        elif isinstance(made, epss.Score):
            self.writer.likelihood(made.cve, made.epss, made.percentile)
        elif isinstance(made, ExploitedBlob):
            self.writer.exploited(made)
        elif isinstance(made, Cycle):
            self._lifecycles.take(made)
        else:
            self.writer.scored_on(made.score_date)

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
    groups = store.groups()
    is_dated = any((group.feed, group.name) == (_EPSS, _MODEL) for group in groups)
    for group in groups:
        try:
            if "+" in group.name and not channels:
                raise RecordError("the setting grypedb.channels leaves out channels")
            if (group.feed, group.name) == (_EPSS, _SCORES) and not is_dated:
                raise RecordError(f"scores need the day that group {_MODEL} says")
            origin, make, home = _place(group)
        except RecordError as error:
            report.leave_group(group.feed, group.name, str(error))
            continue
        manifest = store.manifest(group.feed, group.name, group.generation)
        if manifest is not None:
            parts.append(_Part(origin, group, manifest, make, home))
    return parts


def _place(group: GroupRow) -> tuple[str, Make, Home | None]:
    """Return the origin of a group, what makes rows of its records, and where they go if that is one place."""
    if group.feed == "vulnerabilities":
        home = home_of(group.name)
        return home.distribution.origin, lambda body: distributions.rows(body, home), home
    if group.feed == "github":
        ecosystem = github.ECOSYSTEMS.get(group.name.rpartition(":")[2])
        if ecosystem is None:
            raise RecordError("clients know no such ecosystem")
        return github.ORIGIN, lambda body: github.rows(body, ecosystem), None
    if group.feed == _EPSS:
        return _EPSS, _model if group.name == _MODEL else _score, None
    if group.name == microsoft.PRODUCTS:
        raise RecordError("products are not vulnerable by themselves")
    if group.feed not in _ORIGINS:
        raise RecordError(_LEFT_OUT.get(group.feed, f"a database has no place for feed {group.feed}"))
    origin, make = _ORIGINS[group.feed]
    return origin, make, None


_ORIGINS: Final[dict[str, tuple[str, Make]]] = {
    "nvdv2": (nvd.ORIGIN, nvd.rows),
    "kev": (exploited.ORIGIN, exploited.blob),
    "microsoft": (microsoft.ORIGIN, microsoft.rows),
    "eol": (lifecycles.ORIGIN, lifecycles.cycle),
}
"""By feed, where all groups of one are alike."""


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
