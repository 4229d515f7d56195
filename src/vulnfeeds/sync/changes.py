"""What changed: a driver's records compared with what the store holds, and only the difference staged.

Digests are compared, never bodies; a group's digests are read when its first record comes. Records are handled in
batches, so memory holds the digests of the driver's groups and one batch, however much upstream publishes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from vulnfeeds.drivers.interface import Driver
from vulnfeeds.errors import RecordError
from vulnfeeds.records import canonical, wire
from vulnfeeds.records.contract import check
from vulnfeeds.records.record import Record, Score
from vulnfeeds.records.withdrawal import withdraw
from vulnfeeds.store.interface import StagedRecord
from vulnfeeds.sync import severities
from vulnfeeds.sync.groups import Group
from vulnfeeds.sync.held import GroupState, Held
from vulnfeeds.sync.severities import Scores
from vulnfeeds.sync.stage import Stage

BATCH: Final = 500
PACKED: Final = 2000
"""Changed bodies that are compressed together; the store trains its dictionary from the first such call."""
_PACKED_BYTES: Final = 16 << 20
REFUSED_KEPT: Final = 1000
"""Most refused records of one run that are kept; the rest are only counted."""
KEY_BYTES: Final = 1024
"""Longest key, as UTF-8; an index of PostgreSQL takes no more than 2.7 KB a row."""
BODY_BYTES: Final = 8 << 20
"""Largest canonical body. A page is up to 1000 records, and both sides hold it in memory."""
_KEPT_BYTES: Final = 100_000
"""What is kept of a refused body that is too large."""
_LONGEST: Final = 2000
_REPR: Final = 10_000

T = TypeVar("T")


class Refused(msgspec.Struct, frozen=True):
    """A record that is not published, and why; `body` as far as it could be written."""

    feed: str
    group: str
    key: str
    reason: str
    body: bytes


class _Changed(msgspec.Struct, frozen=True):
    """A difference before its body is packed."""

    feed: str
    group: str
    key: str
    body: bytes
    digest: bytes
    change: str
    takes_severity: bool = False
    score: Score | None = None


class Comparison:
    """One run's comparison with the store; what differs goes to the stage."""

    def __init__(
        self, driver: Driver, *, held: Held, stage: Stage, scores: Scores, rescored: Collection[str] = frozenset()
    ) -> None:
        self._driver = driver
        self._held = held
        self._stage = stage
        self._scores = scores
        self._rescored = rescored
        self._waiting: list[_Changed] = []
        self._waiting_bytes = 0
        self.groups: dict[Group, GroupState] = {}
        self.reported = 0
        """Records that were taken, changed or not."""
        self.refused: list[Refused] = []
        self.refused_count = 0

    def take(self, records: Iterable[Record]) -> Iterator[int]:
        """Compare a driver's records; yield after each batch how many were reported so far."""
        for batch in _batches(records, BATCH):
            scores = self._scores.of(record.key for record in batch) if self._driver.takes_severities else {}
            for record in batch:
                self._record(record, scores.get(record.key))
            self._flush()
            yield self.reported + self.refused_count

    def withdraw_unreported(self, covered: Iterable[Group], at: str) -> None:
        """Stage the withdrawn form of every record of wholly covered groups that was not reported."""
        for feed, group in sorted(covered):
            state = self._group(feed, group)
            for keys in _batches(state.unseen(), BATCH):
                for key, body in self._held.bodies(feed, group, keys).items():
                    self._withdraw(state, key, body, at)
                self._flush()

    def refill(self, groups: Iterable[Group], cves: Collection[str] | None) -> None:
        """Stage anew what NVD's scores of `cves` (of all CVEs when None) change in the groups' unreported records."""
        for feed, group in sorted(groups):
            state = self._group(feed, group)
            wanted = state.unseen() if cves is None else state.unseen(cves.__contains__)
            takes = self._held.keys_taking_severity(feed, group) if wanted else set()
            for keys in _batches(wanted, BATCH):
                scores = self._scores.of(keys)
                for key, body in self._held.bodies(feed, group, keys).items():
                    self._refill(state, key, body, scores.get(key), takes_severity=key in takes)
                self._flush()

    def finish(self) -> None:
        """Stage what still waits to be packed."""
        self._flush(all_of_it=True)

    def reported_groups(self) -> set[Group]:
        """Return the groups that the driver reported any record of."""
        return {group for group, state in self.groups.items() if state.marks.seen}

    def expected(self) -> dict[Group, int]:
        """Return the generation that each group with a difference was compared with."""
        return {group: state.generation for group, state in self.groups.items() if state.counts.touched}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what the differences are, per group, as a task's result words it."""
        touched = (state.counts for state in self.groups.values() if state.counts.touched)
        return {
            counts.group: {
                "created": counts.created,
                "updated": counts.updated + counts.rescored,
                "deleted": counts.deleted,
            }
            for counts in touched
        }

    def _group(self, feed: str, group: str) -> GroupState:
        identity = (feed, group)
        if identity not in self.groups:
            self.groups[identity] = GroupState(feed, group, self._held)
        return self.groups[identity]

    def _record(self, record: Record, score: Score | None) -> None:
        if reason := _no_identity(record, self._driver.feeds):
            self._refuse(record, reason, _shown(record.body))
            return
        state = self._group(record.feed, record.group)
        if state.marks.see(record.key):
            self._refuse(record, "the run reports this key twice", _shown(record.body))
            return
        made = record.body
        if self._driver.takes_severities:
            made = severities.fill(made, score, self._scores.source, takes_severity=record.takes_severity)
        try:
            body = canonical.encode(made)
        except RecordError as error:
            self._refuse(record, str(error), _shown(made))
            return
        digest = canonical.digest(body)
        change = state.change(record.key, digest)
        if change == "created" and (twin := state.twin(record.key)):
            # Upstream changed the letters' case: the record that clients have stays as it is.
            state.marks.see(twin)
            self._refuse(record, f"its key differs only in case from {twin}, which is published", body)
            return
        if change is not None:
            try:
                if len(body) > BODY_BYTES:
                    raise RecordError(f"its body has {len(body)} bytes; the most is {BODY_BYTES}")
                check(record.feed, record.group, body)
            except RecordError as error:
                self._refuse(record, str(error), body)
                return
            self._count(state, record.key, change)
            self._wait(
                _Changed(
                    record.feed,
                    record.group,
                    record.key,
                    body,
                    digest,
                    change,
                    takes_severity=record.takes_severity,
                    score=record.score,
                )
            )
        self.reported += 1

    def _count(self, state: GroupState, key: str, change: str) -> None:
        if change == "created":
            state.counts.created += 1
        elif key in self._rescored:
            state.counts.rescored += 1
        else:
            state.counts.updated += 1

    def _withdraw(self, state: GroupState, key: str, body: bytes, at: str) -> None:
        feed, group = state.counts.feed, state.counts.group
        try:
            gone = withdraw(feed, body, at=at)
            check(feed, group, gone)
        except RecordError as error:
            self._refuse(Record(feed, group, key, None), f"cannot be withdrawn: {error}", body)
            return
        state.counts.deleted += 1
        self._wait(_Changed(feed, group, key, gone, canonical.digest(gone), "deleted"))

    def _refill(self, state: GroupState, key: str, body: bytes, score: Score | None, *, takes_severity: bool) -> None:
        feed, group = state.counts.feed, state.counts.group
        old: dict[str, Any] = msgspec.json.decode(body)
        if wire.WRAPPER not in old:
            return
        new = canonical.encode(severities.refill(old, score, self._scores.source, takes_severity=takes_severity))
        digest = canonical.digest(new)
        if state.change(key, digest) is None:
            return
        check(feed, group, new)
        state.counts.rescored += 1
        self._wait(_Changed(feed, group, key, new, digest, "updated", takes_severity=takes_severity))

    def _wait(self, changed: _Changed) -> None:
        self._waiting.append(changed)
        self._waiting_bytes += len(changed.body)

    def _refuse(self, record: Record, reason: str, body: bytes) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSED_KEPT:
            # A key may be refused for its length.
            key, group = record.key[:KEY_BYTES], record.group[:KEY_BYTES]
            kept = body if len(body) <= BODY_BYTES else body[:_KEPT_BYTES]
            self.refused.append(Refused(record.feed, group, key, reason[:_LONGEST], kept))

    def _flush(self, *, all_of_it: bool = False) -> None:
        enough = len(self._waiting) >= PACKED or self._waiting_bytes >= _PACKED_BYTES
        if not self._waiting or not (all_of_it or enough):
            return
        packed = self._held.pack(self._driver.name, [changed.body for changed in self._waiting])
        for changed, body in zip(self._waiting, packed, strict=True):
            self._stage.add(
                StagedRecord(
                    changed.feed,
                    changed.group,
                    changed.key,
                    changed.digest,
                    body,
                    changed.change,
                    changed.takes_severity,
                    changed.score,
                )
            )
        self._waiting.clear()
        self._waiting_bytes = 0


def _no_identity(record: Record, feeds: tuple[str, ...]) -> str | None:
    """Return why a record's identity cannot be stored, or None."""
    if record.feed not in feeds:
        return f"its feed {record.feed!r} is not one that the driver declares"
    for name, value in (("group", record.group), ("key", record.key)):
        if value.isascii() and 0 < len(value) <= KEY_BYTES and "\x00" not in value:
            continue
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            return f"its {name} {value!r} is not valid text"
        if not 0 < size <= KEY_BYTES or "\x00" in value:
            return f"its {name} is empty, longer than {KEY_BYTES} bytes, or holds U+0000"
    return None


def _shown(body: object) -> bytes:
    """Return a body that may have no JSON form, so that an operator can see it; cut at 10,000 characters."""
    try:
        return canonical.encode(body)
    except RecordError:
        return repr(body)[:_REPR].encode("utf-8", "backslashreplace")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
