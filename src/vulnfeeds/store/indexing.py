"""The index of handles: written after a publish, from the log of versions, as far as each group's position in it.

A step takes the next numbers of a group. It reads the new versions and those that they ended from one snapshot, makes
the handles of both, and writes the difference and the new position in one short transaction. Killed at any instant,
it leaves the last whole step; done by two processes at once, one of them writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from vulnfeeds.records.handles import RULES, Handle, handles
from vulnfeeds.store.database import Session
from vulnfeeds.store.interface import Lag
from vulnfeeds.store.part import Part

_STEP: Final = 2000
"""Most versions of a step."""
_STEP_BYTES: Final = 8 << 20
"""Packed bodies after which a step ends."""
_COLUMNS: Final = ("group_id", "kind", "word", "key")
_PARAMETERS: Final = ("id", "kind", "word", "key")
_POSITION: Final = "CASE WHEN i.rules = :rules THEN i.position ELSE 0 END"
_LAGGING: Final = (
    f"SELECT g.feed, g.name, coalesce({_POSITION}, 0), g.sequence FROM feed_groups g"  # noqa: S608 - constants
    " LEFT JOIN indexed_groups i ON i.group_id = g.id"
    f" WHERE coalesce({_POSITION}, 0) < g.sequence ORDER BY g.feed, g.name"
)
_HEAD: Final = (
    "SELECT g.id, g.sequence, g.floor, i.position, i.rules FROM feed_groups g"
    " LEFT JOIN indexed_groups i ON i.group_id = g.id WHERE g.feed = :feed AND g.name = :name"
)
_NEW: Final = (
    "SELECT sequence, key, withdrawn, body FROM record_versions"
    " WHERE group_id = :id AND sequence > :after ORDER BY sequence LIMIT :limit"
)
_ENDED: Final = (
    "SELECT key, withdrawn, body FROM record_versions"
    " WHERE group_id = :id AND ended > :after AND ended <= :upto AND sequence <= :after"
)
_REMOVE: Final = "DELETE FROM record_handles WHERE group_id = :id AND kind = :kind AND word = :word AND key = :key"
_FORGET: Final = "DELETE FROM record_handles WHERE group_id = :id"
_BEGIN: Final = (
    "INSERT INTO indexed_groups (group_id, position, rules) VALUES (:id, 0, :rules) ON CONFLICT (group_id) DO NOTHING"
)
_BEGIN_ANEW: Final = (
    "INSERT INTO indexed_groups (group_id, position, rules) VALUES (:id, 0, :rules)"
    " ON CONFLICT (group_id) DO UPDATE SET position = 0, rules = excluded.rules"
)
_MOVE_ON: Final = (
    "UPDATE indexed_groups SET position = :upto WHERE group_id = :id AND position = :after AND rules = :rules"
)


class _Step(msgspec.Struct):
    """What a step read."""

    upto: int
    """The number up to which it goes."""
    new: dict[str, tuple[bool, bytes]]
    """Key to the last new version."""
    old: list[tuple[str, bool, bytes]]
    """The versions that were valid before the step and are not after it."""


class Indexing(Part):
    """The part of the store that keeps the index."""

    def lagging(self) -> list[Lag]:
        """Return the groups of which the index does not hold everything yet, by (feed, name)."""
        with self._database.read() as session:
            return [Lag(*row) for row in session.rows(_LAGGING, {"rules": RULES})]

    def index(self, feed: str, group: str) -> bool:
        """Do one step of a group; say whether another one is to be done."""
        with self._database.read() as session:
            head = session.row(_HEAD, {"feed": feed, "name": group})
            if head is None:
                return False
            number, sequence, floor, position, rules = head
            if position is None:
                position, rules = 0, RULES
            # What ended below the floor may be gone, and with it the knowledge of what to remove.
            is_usable = rules == RULES and (position == 0 or position >= floor)
            if is_usable and position >= sequence:
                return False
            step = self._read(session, number, position, sequence) if is_usable else None
        if step is None:
            with self._database.write() as session:
                session.run(_BEGIN_ANEW, {"id": number, "rules": RULES})
                session.run(_FORGET, {"id": number})
            return True
        self._write(number, position, step, *self._difference(feed, group, step))
        return bool(step.upto < sequence)

    def _read(self, session: Session, number: int, after: int, sequence: int) -> _Step:
        step = _Step(sequence, {}, [])
        size = 0
        rows = session.stream(_NEW, {"id": number, "after": after, "limit": _STEP})
        for count, (upto, key, withdrawn, body) in enumerate(rows, 1):
            step.new[key] = (bool(withdrawn), body)
            size += len(body)
            if count == _STEP or size > _STEP_BYTES:
                step.upto = upto
                break
        if after:
            ended = session.rows(_ENDED, {"id": number, "after": after, "upto": step.upto})
            step.old = [(key, bool(withdrawn), body) for key, withdrawn, body in ended]
        return step

    def _difference(
        self, feed: str, group: str, step: _Step
    ) -> tuple[set[tuple[Handle, str]], set[tuple[Handle, str]]]:
        def made(versions: Iterable[tuple[str, bool, bytes]]) -> set[tuple[Handle, str]]:
            return {
                (handle, key)
                for key, withdrawn, body in versions
                for handle in handles(feed, group, key, self._bodies.unpack(body), withdrawn=withdrawn)
            }

        before = made(step.old)
        after = made((key, *version) for key, version in step.new.items())
        return after - before, before - after

    def _write(
        self, number: int, after: int, step: _Step, added: set[tuple[Handle, str]], removed: set[tuple[Handle, str]]
    ) -> None:
        with self._database.write() as session:
            if not after:
                session.run(_BEGIN, {"id": number, "rules": RULES})
            moved = session.run(_MOVE_ON, {"id": number, "after": after, "upto": step.upto, "rules": RULES})
            if not moved:
                # Another process did this step meanwhile.
                return
            session.many(_REMOVE, [dict(zip(_PARAMETERS, row, strict=True)) for row in _rows(number, removed)])
            session.load("record_handles", _COLUMNS, _rows(number, added))


def _rows(number: int, made: set[tuple[Handle, str]]) -> list[tuple[int, int, str, str]]:
    """Return rows in the order of their table, which SQLite writes much faster."""
    return [(number, int(kind), word, key) for (kind, word), key in sorted(made)]
