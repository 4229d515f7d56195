"""From documents to records: bring the index of products up to date, then make every record that it touches."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.nvd import items, legacy, overrides
from vulnfeeds.drivers.nvd.expansion import Expansion
from vulnfeeds.drivers.nvd.overrides import OverrideTable
from vulnfeeds.drivers.nvd.plan import FEED, GROUP, Plan
from vulnfeeds.drivers.nvd.products import Match, ProductIndex, Seen
from vulnfeeds.errors import ParseError
from vulnfeeds.records import nvd
from vulnfeeds.records.record import Record

INDEX: Final = "products.sqlite"

_PASSED, _TAKEN, _ODD = 0, 1, 2
_BATCH = 500
_bodies = msgspec.json.Decoder(nvd.NVDRecord)


def open_index(workspace: Path) -> ProductIndex | None:
    """Return the workspace's index of products, or None when there is none that can be used."""
    path = workspace / INDEX
    if not path.is_file():
        return None
    try:
        return ProductIndex(path)
    except ParseError:
        return None


def has_news(paths: Iterable[Path], index: ProductIndex, published: int) -> bool:
    """Tell whether the documents hold an item that no published run has taken."""
    return any(_is_news(item, index, published) for path in paths for item in items.read_items(path))


class Making:
    """Makes the records of one run."""

    def __init__(self, context: Context, plan: Plan, limit: int) -> None:
        self._context = context
        self._plan = plan
        self._limit = limit
        self._paths = [context.workspace / name for name in plan.documents]
        self._marks: list[bytearray] = []
        self._overrides: OverrideTable | None = None
        self._moved: list[str] = []
        self._made: set[str] = set()
        self._done = 0

    def records(self) -> Iterator[Record]:
        """Yield the records of the plan's documents, then those with a range over a version that came or went.

        Raises ParseError when a document is not as it should be; an item that is odd by itself is yielded as it
        is, so that it ends in quarantine with its text.
        """
        path = self._context.workspace / INDEX
        try:
            index = self._take_in(path)
            try:
                expansion = Expansion(index.versions, self._limit)
                self._overrides = OverrideTable(index.connection) if self._plan.overrides else None
                yield from self._from_documents(expansion)
                yield from self._from_overrides(expansion)
                if self._plan.published is not None:
                    yield from self._from_published(expansion, index.affected(self._plan.published))
            finally:
                index.close()
        except sqlite3.Error as error:
            path.unlink(missing_ok=True)
            raise ParseError(path.name, f"{error}; it was removed, the next run reads everything") from error

    # --- the index ------------------------------------------------------------------------------------------------

    def _take_in(self, path: Path) -> ProductIndex:
        whole = self._plan.published is None
        place = path.with_name(f"{path.name}.new") if whole else path
        index = (
            ProductIndex.create(place, identity=self._plan.index, run=self._plan.run)
            if whole
            else ProductIndex(place)
        )
        try:
            index.begin(self._plan.run, self._plan.published or 0)
            if self._plan.overrides:
                self._overrides = OverrideTable(index.connection)
                if self._plan.archive is not None:
                    self._overrides.take(self._context.workspace / self._plan.archive, self._plan.run)
            for number, document in enumerate(self._paths):
                self._marks.append(bytearray())
                for position, item in enumerate(items.read_items(document)):
                    self._marks[number].append(self._take(index, item, number, position))
            if self._overrides is not None:
                self._take_moved(index, self._overrides)
            index.commit()
        except BaseException:
            index.close()
            raise
        if not whole:
            return index
        index.close()
        if not any(map(any, self._marks)):
            raise ParseError(", ".join(self._plan.documents), "no CVE in any document")
        with place.open("rb") as file:
            os.fsync(file.fileno())
        place.replace(path)
        return ProductIndex(path)

    def _take(self, index: ProductIndex, item: bytes, document: int, position: int) -> int:
        try:
            cve = items.outline_of(item)
        except items.UNREADABLE as error:
            if items.name_of(item) is None:
                raise ParseError(f"{self._paths[document].name} item {position}", str(error)) from error
            return _ODD
        seen = index.seen(cve.id)
        if seen is not None:
            if seen.modified > cve.last_modified or _is_published(seen, cve.digest, self._plan.published):
                return _PASSED
            if seen.run == self._plan.run and (0, 0) <= (seen.document, seen.position) < (document, position):
                self._marks[seen.document][seen.position] = _PASSED
        matches: Iterable[Match] = items.matches(cve.configurations)
        if self._overrides is not None:
            matches = self._overridden(self._overrides, item, cve.id) or matches
        now = Seen(cve.last_modified, cve.digest, self._plan.run, document, position)
        index.put(cve.id, now, matches, known=seen is not None)
        return _TAKEN

    def _overridden(self, table: OverrideTable, item: bytes, name: str) -> Iterable[Match] | None:
        """Return the matches of a record whose configurations are overridden, None for all others."""
        override = table.get(name)
        if override is None:
            table.forget(name)
            return None
        try:
            record = legacy.record(items.items.decode(item).cve)
        except items.UNREADABLE:
            # It goes to quarantine when its turn comes.
            return None
        table.keep(record)
        return _matches(overrides.apply(record, override))

    def _take_moved(self, index: ProductIndex, table: OverrideTable) -> None:
        """Index the records whose override came, changed or went although they themselves did not change."""
        published = self._plan.published
        for name in table.moved(published or 0):
            seen = index.seen(name)
            if seen is not None and seen.run == self._plan.run and seen.document >= 0:
                continue
            if published is not None and table.original(name) is None:
                for body in self._context.published.bodies(FEED, GROUP, [name]).values():
                    table.keep(msgspec.structs.replace(_bodies.decode(body), vulnerable_cpes=()))
            self._moved.append(name)
            modified, digest = (seen.modified, seen.digest) if seen is not None else ("", b"")
            index.put(name, Seen(modified, digest, self._plan.run, -1, -1), _matches(self._base(table, name)))

    def _base(self, table: OverrideTable, name: str) -> nvd.NVDRecord:
        override = table.get(name)
        original = table.original(name)
        return overrides.apply(original if original is not None else overrides.reserved(name, override), override)

    # --- records --------------------------------------------------------------------------------------------------

    def _from_documents(self, expansion: Expansion) -> Iterator[Record]:
        total = sum(len(marks) - marks.count(_PASSED) for marks in self._marks)
        for marks, path in zip(self._marks, self._paths, strict=True):
            if not any(marks):
                continue
            for mark, item in zip(marks, items.read_items(path), strict=True):
                if mark != _PASSED:
                    self._progress(total)
                    yield from self._record(item, mark, expansion)

    def _record(self, item: bytes, mark: int, expansion: Expansion) -> Iterator[Record]:
        try:
            if mark == _ODD:
                items.refuse_repeats(item)
            cve = items.items.decode(item).cve
        except items.UNREADABLE as error:
            yield from self._odd(item, error)
            return
        self._made.add(cve.id)
        override = self._overrides.get(cve.id) if self._overrides is not None else None
        yield _as_record(expansion.complete(overrides.apply(legacy.record(cve), override)))

    def _odd(self, item: bytes, error: Exception) -> Iterator[Record]:
        name = items.name_of(item)
        if name is not None and name not in self._made:
            self._made.add(name)
            self._context.note(f"{name} is not of the NVD's form 2.0: {error}")
            yield Record(feed=FEED, group=GROUP, key=name, body=_any_body(item))

    def _from_overrides(self, expansion: Expansion) -> Iterator[Record]:
        if self._overrides is not None:
            for name in self._moved:
                self._made.add(name)
                yield _as_record(expansion.complete(self._base(self._overrides, name)))

    def _from_published(self, expansion: Expansion, names: set[str]) -> Iterator[Record]:
        waiting = iter(sorted(names - self._made))
        total = self._done + len(names - self._made)
        while batch := list(islice(waiting, _BATCH)):
            bodies = self._context.published.bodies(FEED, GROUP, batch)
            for name in batch:
                self._progress(total)
                if name in bodies:
                    old = _bodies.decode(bodies[name])
                    new = expansion.complete(old)
                    if new != old:
                        yield _as_record(new)

    def _progress(self, total: int) -> None:
        if self._done % _BATCH == 0:
            self._context.report("parse", self._done, total)
        self._done += 1


def _any_body(item: bytes) -> Any:
    """Return an item as it is; its beginning as text when it cannot be read whole."""
    try:
        items.refuse_repeats(item)
        return msgspec.json.decode(item)
    except items.UNREADABLE:
        return {"unreadable": item[:10_000].decode("utf-8", "replace")}


def _matches(record: nvd.NVDRecord) -> Iterator[Match]:
    return ((match.cpe, match, vulnerable) for match, vulnerable in nvd.leaves(record.configurations.nodes))


def _as_record(record: nvd.NVDRecord) -> Record:
    return Record(feed=FEED, group=GROUP, key=record.cve.meta.id, body=record, score=nvd.score(record))


def _is_published(seen: Seen, digest: bytes, published: int | None) -> bool:
    return published is not None and seen.digest == digest and seen.run <= published


def _is_news(item: bytes, index: ProductIndex, published: int) -> bool:
    try:
        cve, digest = items.heads.decode(item).cve, items.digest(item)
    except items.UNREADABLE:
        return True
    seen = index.seen(cve.id)
    if seen is None or seen.run > published:
        return True
    return cve.last_modified >= seen.modified and seen.digest != digest
