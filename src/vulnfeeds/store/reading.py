"""Reading: listings, generations and their pages, states as of a number, single records and their history."""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from vulnfeeds.store import moments
from vulnfeeds.store.database import Row
from vulnfeeds.store.interface import FeedRow, GroupRow, Manifest, PageRow, RecordVersion
from vulnfeeds.store.part import Part

_REVISION: Final = "SELECT revision FROM store_state"
_GROUP: Final = "(SELECT id FROM feed_groups WHERE feed = :feed AND name = :name)"
_HEAD: Final = (
    "SELECT feed, name, driver, generation, sequence, floor, published_at, records, withdrawn, frozen_at"
    " FROM feed_groups"
)
_GENERATION: Final = (
    "SELECT p.group_id, p.generation, p.sequence FROM publishes p JOIN feed_groups g ON g.id = p.group_id"
    " WHERE g.feed = :feed AND g.name = :name AND p.generation = {which} AND p.generation >= g.kept_generation"
)
_PAGES: Final = (
    "SELECT first_key, name, records, sequence FROM pages WHERE group_id = :group_id AND began <= :generation"
    " AND (ended IS NULL OR ended > :generation) ORDER BY first_key"
)
_SLICE: Final = (
    f"SELECT key, body FROM record_versions WHERE group_id = {_GROUP} AND key >= :first_key{{end}}"
    " AND sequence <= :as_of AND (ended IS NULL OR ended > :as_of){only} ORDER BY key{limit}"
)
_DELTA: Final = (
    f"SELECT sequence, body FROM record_versions WHERE group_id = {_GROUP}"
    " AND sequence > :after AND sequence <= :upto AND (ended IS NULL OR ended > :upto) ORDER BY sequence LIMIT :limit"
)
_CHANGES: Final = (
    f"SELECT key, body, withdrawn FROM record_versions WHERE group_id = {_GROUP}"
    " AND sequence > :after AND sequence <= :upto AND ended IS NULL ORDER BY sequence"
)
_POSITION: Final = (
    f"SELECT sequence FROM publishes WHERE group_id = {_GROUP} AND published_at < :at"
    " ORDER BY published_at DESC LIMIT 1"
)
# A publish gives its numbers in one run, so a version's publish is the first one that ends at its number or later.
_HISTORY: Final = (
    "SELECT v.key, v.sequence, v.ended, v.withdrawn, (SELECT p.published_at FROM publishes p"
    " WHERE p.group_id = v.group_id AND p.sequence >= v.sequence ORDER BY p.sequence LIMIT 1), v.body"
    f" FROM record_versions v WHERE v.group_id = {_GROUP} AND v.key = :key{{only}} ORDER BY v.sequence DESC"
)
_BODIES: Final = (
    "SELECT v.key, v.body FROM current_records c"
    " JOIN record_versions v ON v.group_id = c.group_id AND v.sequence = c.sequence"
    f" WHERE c.group_id = {_GROUP} AND c.withdrawn = 0 AND c.key IN (:keys[])"
)


class Reading(Part):
    """The reading half of the store; every answer comes from one snapshot."""

    def revision(self) -> int:
        """Return a number that changes with every publish."""
        with self._database.read() as session:
            row = session.row(_REVISION)
        return int(row[0]) if row else 0

    def peek_revision(self) -> int | None:
        """Return the revision if that takes no waiting."""
        row = self._database.peek(_REVISION)
        return int(row[0]) if row else None

    def feeds(self) -> list[FeedRow]:
        """Return all feeds by name."""
        with self._database.read() as session:
            return [FeedRow(name) for (name,) in session.rows("SELECT DISTINCT feed FROM feed_groups ORDER BY feed")]

    def groups(self, feed: str | None = None) -> list[GroupRow]:
        """Return the groups of a feed, or all, by (feed, name)."""
        where = "" if feed is None else " WHERE feed = :feed"
        with self._database.read() as session:
            rows = session.rows(f"{_HEAD}{where} ORDER BY feed, name", {} if feed is None else {"feed": feed})
        return [_group(row) for row in rows]

    def group(self, feed: str, group: str) -> GroupRow | None:
        """Return one group's head, or None."""
        with self._database.read() as session:
            row = session.row(f"{_HEAD} WHERE feed = :feed AND name = :name", {"feed": feed, "name": group})
        return None if row is None else _group(row)

    def manifest(self, feed: str, group: str, generation: int | None = None) -> Manifest | None:
        """Return the pages of a generation, or None when it is gone or never was."""
        statement = _GENERATION.format(which="g.generation" if generation is None else ":generation")
        params = {"feed": feed, "name": group} | ({} if generation is None else {"generation": generation})
        with self._database.read() as session:
            head = session.row(statement, params)
            if head is None:
                return None
            pages = session.rows(_PAGES, {"group_id": head[0], "generation": head[1]})
        return Manifest(feed, group, head[1], head[2], tuple(PageRow(*page) for page in pages))

    def slice(
        self,
        feed: str,
        group: str,
        *,
        as_of: int,
        first_key: str,
        before_key: str | None,
        limit: int | None = None,
        withdrawn: bool = True,
    ) -> list[tuple[str, bytes]]:
        """Return (key, body) of a key range as of a number."""
        statement = _SLICE.format(
            end="" if before_key is None else " AND key < :before_key",
            only="" if withdrawn else " AND withdrawn = 0",
            limit="" if limit is None else " LIMIT :limit",
        )
        params = {"feed": feed, "name": group, "as_of": as_of, "first_key": first_key}
        params |= {} if before_key is None else {"before_key": before_key}
        params |= {} if limit is None else {"limit": limit}
        with self._database.read() as session:
            rows = session.rows(statement, params)
        return [(key, self._bodies.unpack(body)) for key, body in rows]

    def delta(self, feed: str, group: str, *, after: int, upto: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (sequence, body) of what was given in (after, upto] and is valid as of upto."""
        params = {"feed": feed, "name": group, "after": after, "upto": upto, "limit": limit}
        with self._database.read() as session:
            rows = session.rows(_DELTA, params)
        return [(sequence, self._bodies.unpack(body)) for sequence, body in rows]

    def position_at(self, feed: str, group: str, at: datetime) -> int:
        """Return the last number published before a moment."""
        params = {"feed": feed, "name": group, "at": moments.to_micros(at)}
        with self._database.read() as session:
            row = session.row(_POSITION, params)
        return int(row[0]) if row else 0

    def record(self, feed: str, group: str, key: str) -> RecordVersion | None:
        """Return the current version of one record, or None."""
        versions = self._versions(feed, group, key, " AND v.ended IS NULL")
        return versions[0] if versions else None

    def history(self, feed: str, group: str, key: str) -> list[RecordVersion]:
        """Return all kept versions of a record, newest first."""
        return self._versions(feed, group, key, "")

    def bodies(self, feed: str, group: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return current bodies of those keys that exist and are not withdrawn."""
        if not keys:
            return {}
        with self._database.read() as session:
            rows = session.rows(_BODIES, {"feed": feed, "name": group, "keys": list(keys)})
        return {key: self._bodies.unpack(body) for key, body in rows}

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield (key, body, withdrawn) of current records numbered in (after, upto], from one snapshot."""
        params = {"feed": feed, "name": group, "after": after, "upto": upto}
        with self._database.read() as session:
            for key, body, withdrawn in session.stream(_CHANGES, params):
                yield key, self._bodies.unpack(body), bool(withdrawn)

    def _versions(self, feed: str, group: str, key: str, only: str) -> list[RecordVersion]:
        with self._database.read() as session:
            rows = session.rows(_HISTORY.format(only=only), {"feed": feed, "name": group, "key": key})
        return [
            RecordVersion(name, sequence, ended, bool(withdrawn), moments.from_micros(at), self._bodies.unpack(body))
            for name, sequence, ended, withdrawn, at, body in rows
        ]


def _group(row: Row) -> GroupRow:
    feed, name, driver, generation, sequence, floor, published_at, records, withdrawn, frozen_at = row
    return GroupRow(
        feed,
        name,
        driver,
        generation,
        sequence,
        floor,
        moments.from_micros(published_at),
        records,
        withdrawn,
        moments.maybe_from_micros(frozen_at),
    )
