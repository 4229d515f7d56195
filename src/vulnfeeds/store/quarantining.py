"""Quarantine: records and whole runs that were refused, kept until the operator accepts or drops them."""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import zstandard

from vulnfeeds.store import moments
from vulnfeeds.store.database import Row
from vulnfeeds.store.interface import QuarantineRow
from vulnfeeds.store.part import Part

_COLUMNS: Final = "id, kind, driver, task_id, reason, created_at, feed, group_name, key"
# One row per refused record however often its upstream repeats it, and one per driver's refused run.
_REPLACED: Final = {
    "record": "DELETE FROM quarantine WHERE kind = :kind AND driver = :driver AND feed = :feed"
    " AND group_name = :group_name AND key = :key",
    "run": "DELETE FROM quarantine WHERE kind = :kind AND driver = :driver",
}


class Quarantining(Part):
    """The part of the store that keeps what was refused."""

    def quarantine(self, rows: Iterable[QuarantineRow]) -> list[int]:
        """Keep refused records or runs and return the ids they got."""
        with self._database.write() as session:
            ids = []
            for row in rows:
                values = _values(row)
                if row.kind in _REPLACED:
                    session.run(_REPLACED[row.kind], values)
                ids.append(
                    session.insert(
                        "INSERT INTO quarantine (kind, driver, task_id, reason, created_at, feed, group_name, key,"
                        " body) VALUES (:kind, :driver, :task_id, :reason, :created_at, :feed, :group_name, :key,"
                        " :body)",
                        values,
                    )
                )
            return ids

    def quarantined(self, *, driver: str | None = None, id: int | None = None) -> list[QuarantineRow]:  # noqa: A002
        """Return what is in quarantine, newest first; bodies only when asked for by id."""
        terms = {"driver = :driver": driver, "id = :id": id}
        where = " AND ".join(term for term, value in terms.items() if value is not None)
        params = {name: value for name, value in (("driver", driver), ("id", id)) if value is not None}
        body = "NULL" if id is None else "body"
        statement = f"SELECT {_COLUMNS}, {body} FROM quarantine{' WHERE ' + where if where else ''} ORDER BY id DESC"
        with self._database.read() as session:
            rows = session.rows(statement, params)
        return [_row(row) for row in rows]

    def drop_quarantined(self, ids: Sequence[int]) -> int:
        """Remove rows from quarantine; return how many there were."""
        if not ids:
            return 0
        with self._database.write() as session:
            return session.run("DELETE FROM quarantine WHERE id IN (:ids[])", {"ids": list(ids)})


def _values(row: QuarantineRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "driver": row.driver,
        "task_id": row.task_id,
        "reason": _storable(row.reason),
        "created_at": moments.to_micros(row.created_at),
        "feed": _storable(row.feed),
        "group_name": _storable(row.group),
        "key": _storable(row.key),
        "body": None if row.body is None else zstandard.ZstdCompressor().compress(row.body),
    }


def _row(row: Row) -> QuarantineRow:
    number, kind, driver, task_id, reason, created_at, feed, group, key, kept = row
    body = None if kept is None else zstandard.ZstdDecompressor().decompress(kept)
    return QuarantineRow(
        number, kind, driver, task_id, reason, moments.from_micros(created_at), feed, group, key, body
    )


def _storable(text: str | None) -> str | None:
    """Return text without what no database takes: what is refused is often refused for exactly that."""
    return None if text is None else text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
