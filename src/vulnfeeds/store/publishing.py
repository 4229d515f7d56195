"""Publishing: all that a run changes, in one transaction or not at all.

The order within the transaction: the task and the groups' generations are checked; versions are added in batches as
they are staged; then, per group and set by set, old versions end, the current records move on, and the touched pages
are cut anew; last come the publish rows with the time, the checkpoint and the task. The close of the task is the
final check: a run whose task was failed meanwhile loses everything.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from vulnfeeds.errors import ConflictError, StoreError
from vulnfeeds.store import paging, scoring, tasks
from vulnfeeds.store.database import DuplicateRowError, Session
from vulnfeeds.store.interface import SCORED, Publication, StagedRecord
from vulnfeeds.store.part import Part

_BATCH: Final = 1000
_CHANGES: Final = ("created", "updated", "deleted")
_VERSION: Final = ("group_id", "sequence", "withdrawn", "takes_severity", "key", "digest", "body")
_PAGE: Final = ("group_id", "began", "first_key", "name", "records", "withdrawn", "sequence")

_SUPERSEDE: Final = (
    "UPDATE record_versions SET ended = (SELECT n.sequence FROM record_versions n WHERE n.group_id = :id"
    " AND n.key = record_versions.key AND n.sequence > :start) WHERE group_id = :id AND sequence IN"
    " (SELECT c.sequence FROM record_versions n JOIN current_records c ON c.group_id = n.group_id AND c.key = n.key"
    " WHERE n.group_id = :id AND n.sequence > :start)"
)
# The last condition makes a key that was staged twice show in the number of rows.
_MOVE_ON: Final = (
    "INSERT INTO current_records (group_id, key, digest, sequence, withdrawn, takes_severity)"
    " SELECT group_id, key, digest, sequence, withdrawn, takes_severity FROM record_versions"
    " WHERE group_id = :id AND sequence > :start"
    " ON CONFLICT (group_id, key) DO UPDATE SET digest = excluded.digest, sequence = excluded.sequence,"
    " withdrawn = excluded.withdrawn, takes_severity = excluded.takes_severity"
    " WHERE current_records.sequence <= :start"
)
_HEAD: Final = (
    "UPDATE feed_groups SET driver = :driver, generation = :generation, sequence = :sequence, published_at = :at,"
    " records = (SELECT sum(records) FROM pages WHERE group_id = :id AND ended IS NULL),"
    " withdrawn = (SELECT sum(withdrawn) FROM pages WHERE group_id = :id AND ended IS NULL) WHERE id = :id"
)


class _Head(msgspec.Struct):
    """A group within the transaction; `sequence` moves on as records are staged."""

    id: int
    generation: int
    start: int
    sequence: int
    published_at: int
    counts: dict[str, int]


class Publishing(Part):
    """The writing half of the store."""

    def publish(self, publication: Publication) -> dict[str, dict[str, int]]:
        """Publish all of it and close the task, or change nothing."""
        with self._database.write() as session:
            try:
                return self._publish(session, publication)
            except DuplicateRowError as error:
                raise StoreError(f"a record was staged twice: {error}") from error

    def _publish(self, session: Session, publication: Publication) -> dict[str, dict[str, int]]:
        tasks.must_run(session, publication.task_id, self.owner)
        heads = _heads(session, publication)
        for batch in _batched(publication.staged):
            _stage(session, publication, heads, batch)
        changed = {name: head for name, head in sorted(heads.items()) if head.sequence > head.start}
        for head in changed.values():
            _settle(session, head, self._sizes)
        now = self._now()
        for head in changed.values():
            _number(session, head, publication.driver, max(now, head.published_at + 1))
        marked = _mark(session, publication, now)
        if publication.checkpoint is not None:
            _keep(session, publication.driver, publication.checkpoint, now)
        counts = _counts(changed)
        result = {**publication.result, "changes": counts}
        if not tasks.end(session, publication.task_id, "completed", result, now=now, owner=self.owner):
            raise ConflictError(f"task {publication.task_id} was ended while it published")
        if changed or marked:
            session.run("UPDATE store_state SET revision = revision + 1")
        return counts


def _heads(session: Session, publication: Publication) -> dict[tuple[str, str], _Head]:
    """Lock the groups that exist and compare their generations; always in the same order, so that none deadlock."""
    heads = {}
    for (feed, name), expected in sorted(publication.expected.items()):
        # The update that changes nothing is a lock that both databases know.
        params = {"feed": feed, "name": name}
        session.run("UPDATE feed_groups SET generation = generation WHERE feed = :feed AND name = :name", params)
        row = session.row(
            "SELECT id, generation, sequence, published_at FROM feed_groups WHERE feed = :feed AND name = :name",
            params,
        )
        generation = row[1] if row else 0
        if generation != expected:
            raise ConflictError(
                f"{feed}/{name} is at generation {generation}, but the run compared with {expected}: "
                "another run published meanwhile"
            )
        if row:
            heads[feed, name] = _Head(row[0], generation, row[2], row[2], row[3], dict.fromkeys(_CHANGES, 0))
    return heads


def _stage(
    session: Session, publication: Publication, heads: dict[tuple[str, str], _Head], batch: list[StagedRecord]
) -> None:
    rows = []
    scored = []
    for record in batch:
        name = (record.feed, record.group)
        head = heads.get(name)
        if head is None:
            head = heads[name] = _new_group(session, publication, name)
        if record.change not in head.counts:
            raise StoreError(f"{record.feed}/{record.group} {record.key}: {record.change!r} is no kind of change")
        if "\0" in record.key:
            raise StoreError(f"{record.feed}/{record.group} {record.key!r}: a key cannot hold U+0000")
        head.sequence += 1
        head.counts[record.change] += 1
        rows.append(
            (
                head.id,
                head.sequence,
                int(record.change == "deleted"),
                int(record.takes_severity),
                record.key,
                record.digest,
                record.packed,
            )
        )
        if name == SCORED:
            scored.append((record.key, record.score, head.sequence))
    session.load("record_versions", _VERSION, rows)
    if scored:
        scoring.write(session, scored)


def _new_group(session: Session, publication: Publication, name: tuple[str, str]) -> _Head:
    if name not in publication.expected:
        raise StoreError(f"{'/'.join(name)} has staged records, but the run did not compare it")
    try:
        number = session.insert(
            "INSERT INTO feed_groups (feed, name, driver, generation, sequence, floor, kept_generation, published_at,"
            " records, withdrawn) VALUES (:feed, :name, :driver, 0, 0, 0, 1, 0, 0, 0)",
            {"feed": name[0], "name": name[1], "driver": publication.driver},
        )
    except DuplicateRowError as error:
        raise ConflictError(f"{'/'.join(name)} was created by another run meanwhile") from error
    return _Head(number, 0, 0, 0, 0, dict.fromkeys(_CHANGES, 0))


def _settle(session: Session, head: _Head, sizes: paging.Sizes) -> None:
    """End the old versions, move the current records on, and cut the touched pages anew."""
    if head.start:
        session.run(_SUPERSEDE, {"id": head.id, "start": head.start})
    moved = session.run(_MOVE_ON, {"id": head.id, "start": head.start})
    if moved != head.sequence - head.start:
        raise StoreError(f"{head.sequence - head.start - moved} records were staged twice")
    generation = head.generation + 1
    live = session.rows(
        "SELECT first_key FROM pages WHERE group_id = :id AND ended IS NULL ORDER BY first_key", {"id": head.id}
    )
    first_keys = [first_key for (first_key,) in live] or [""]
    ended = []
    fresh = []
    for place in paging.touched(first_keys, _changed_keys(session, head)):
        first_key = first_keys[place]
        before = first_keys[place + 1] if place + 1 < len(first_keys) else None
        slots = _slots(session, head.id, first_key, before)
        # A page whose content came out the same gets a row of its own all the same: the versions that the old row's
        # number shows have ended, and may be pruned while the page lives on.
        pieces = list(paging.cut(first_key, slots, open_end=before is None, sizes=sizes))
        if live:
            ended.append({"id": head.id, "generation": generation, "first_key": first_key})
        fresh += [(head.id, generation, p.first_key, p.name, p.records, p.withdrawn, head.sequence) for p in pieces]
    session.many(
        "UPDATE pages SET ended = :generation WHERE group_id = :id AND first_key = :first_key AND ended IS NULL",
        ended,
    )
    session.load("pages", _PAGE, fresh)


def _changed_keys(session: Session, head: _Head) -> Iterator[str]:
    rows = session.stream(
        "SELECT key FROM record_versions WHERE group_id = :id AND sequence > :start",
        {"id": head.id, "start": head.start},
    )
    return (key for (key,) in rows)


def _slots(session: Session, group_id: int, first_key: str, before: str | None) -> Iterator[paging.Slot]:
    end = "" if before is None else " AND key < :before"
    params = {"id": group_id, "first_key": first_key} | ({} if before is None else {"before": before})
    rows = session.stream(
        "SELECT key, digest, withdrawn FROM current_records"
        f" WHERE group_id = :id AND key >= :first_key{end} ORDER BY key",
        params,
    )
    return (paging.Slot(key, digest, bool(withdrawn)) for key, digest, withdrawn in rows)


def _number(session: Session, head: _Head, driver: str, at: int) -> None:
    generation = head.generation + 1
    session.run(
        "INSERT INTO publishes (group_id, generation, first_sequence, sequence, published_at)"
        " VALUES (:id, :generation, :first, :sequence, :at)",
        {"id": head.id, "generation": generation, "first": head.start + 1, "sequence": head.sequence, "at": at},
    )
    session.run(
        _HEAD, {"id": head.id, "driver": driver, "generation": generation, "sequence": head.sequence, "at": at}
    )


def _mark(session: Session, publication: Publication, now: int) -> int:
    """Mark groups frozen or alive; return how many were not so before."""
    freeze = "UPDATE feed_groups SET frozen_at = :now WHERE feed = :feed AND name = :name AND frozen_at IS NULL"
    thaw = "UPDATE feed_groups SET frozen_at = NULL WHERE feed = :feed AND name = :name AND frozen_at IS NOT NULL"
    marked = 0
    for feed, name in sorted(publication.frozen):
        marked += session.run(freeze, {"feed": feed, "name": name, "now": now})
    for feed, name in sorted(publication.alive):
        marked += session.run(thaw, {"feed": feed, "name": name})
    return marked


def _keep(session: Session, driver: str, checkpoint: bytes, now: int) -> None:
    session.run(
        "INSERT INTO checkpoints (driver, checkpoint, kept_at) VALUES (:driver, :checkpoint, :now)"
        " ON CONFLICT (driver) DO UPDATE SET checkpoint = excluded.checkpoint, kept_at = excluded.kept_at",
        {"driver": driver, "checkpoint": checkpoint, "now": now},
    )


def _counts(changed: dict[tuple[str, str], _Head]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (_, group), head in changed.items():
        # Two feeds may name a group alike.
        so_far = counts.setdefault(group, dict.fromkeys(_CHANGES, 0))
        for change, number in head.counts.items():
            so_far[change] += number
    return counts


def _batched(staged: Iterable[StagedRecord]) -> Iterator[list[StagedRecord]]:
    records = iter(staged)
    while batch := list(islice(records, _BATCH)):
        yield batch
