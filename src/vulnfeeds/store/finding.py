"""Finding records in all groups at once: by key, and by the handles of the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from vulnfeeds.store.database import Row, Session
from vulnfeeds.store.interface import FoundRecord, Place
from vulnfeeds.store.part import Part

# SQLite takes the tables of a CROSS JOIN in the order in which they are written: groups by name, then the index.
_BY_KEY: Final = "current_records f WHERE f.group_id = g.id AND f.key IN (:words[])"
_BY_HANDLE: Final = "record_handles f WHERE f.group_id = g.id AND f.kind = :kind AND f.word {words}"
# The inner question takes its rows in the order of its indexes, so that the limit ends it early; bodies are looked at
# only for what it leaves.
_FIND: Final = (
    "SELECT x.feed, x.name, x.key, v.sequence, v.withdrawn, v.body FROM"
    " (SELECT{distinct} g.feed AS feed, g.name AS name, g.id AS id, f.key AS key FROM feed_groups g"
    " CROSS JOIN {found}{where} ORDER BY g.feed, g.name, f.key LIMIT :limit) x"
    " JOIN current_records c ON c.group_id = x.id AND c.key = x.key"
    " JOIN record_versions v ON v.group_id = c.group_id AND v.sequence = c.sequence ORDER BY x.feed, x.name, x.key"
)
_WITHIN: Final = "g.feed = :feed AND g.name = :name AND f.key > :key"
_BEYOND: Final = "(g.feed > :feed OR (g.feed = :feed AND g.name > :name))"


class Finding(Part):
    """The part of the store that looks across groups."""

    def keyed(
        self, keys: Sequence[str], *, limit: int, after: Place | None = None, feeds: Sequence[str] | None = None
    ) -> list[FoundRecord]:
        """Return the current records with one of these keys in any group, by (feed, group, key)."""
        params = {"words": list(keys)} | _narrowing(feeds, None)
        return self._find(_BY_KEY, "", params, limit, after) if keys else []

    def handled(
        self,
        kind: int,
        words: Sequence[str],
        *,
        limit: int,
        after: Place | None = None,
        feeds: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> list[FoundRecord]:
        """Return the current records found under one of these words, by (feed, group, key)."""
        if not words:
            return []
        params: dict[str, Any] = {"kind": int(kind)} | _narrowing(feeds, groups)
        if len(words) == 1:
            return self._find(_BY_HANDLE.format(words="= :word"), "", params | {"word": words[0]}, limit, after)
        found = _BY_HANDLE.format(words="IN (:words[])")
        return self._find(found, " DISTINCT", params | {"words": list(words)}, limit, after)

    def _find(
        self, found: str, distinct: str, params: dict[str, Any], limit: int, after: Place | None
    ) -> list[FoundRecord]:
        narrowed = [f"g.{name[:-1]} IN (:{name}[])" for name in ("feeds", "names") if name in params]

        def ask(session: Session, conditions: list[str], most: int) -> list[Row]:
            where = "".join(f" AND {condition}" for condition in (*narrowed, *conditions))
            statement = _FIND.format(found=found, distinct=distinct, where=where)
            return session.rows(statement, params | {"limit": most})

        with self._database.read() as session:
            if after is None:
                rows = ask(session, [], limit)
            else:
                # Two questions, so that a walk deep in one group begins where it is and not at the group's first key.
                params = params | {"feed": after.feed, "name": after.group}
                params["key"] = after.key
                rows = ask(session, [_WITHIN], limit)
                del params["key"]
                if len(rows) < limit:
                    rows += ask(session, [_BEYOND], limit - len(rows))
        return [
            FoundRecord(feed, group, key, sequence, bool(withdrawn), self._bodies.unpack(body))
            for feed, group, key, sequence, withdrawn, body in rows
        ]


def _narrowing(feeds: Sequence[str] | None, groups: Sequence[str] | None) -> dict[str, Any]:
    given = {"feeds": feeds, "names": groups}
    return {name: list(values) for name, values in given.items() if values is not None}
