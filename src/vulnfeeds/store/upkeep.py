"""Upkeep: forgetting what is older than anyone asks for, and saying what is still used."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vulnfeeds.store import migrate, moments
from vulnfeeds.store.database import Session
from vulnfeeds.store.part import Part

# A generation is current until the next one: the newest one published before a moment was read at that moment.
_KEPT: Final = "SELECT coalesce(max(generation), 0) FROM publishes WHERE group_id = :id AND published_at < :before"
_SEQUENCE: Final = "SELECT sequence FROM publishes WHERE group_id = :id AND generation = :kept"
_FLOOR: Final = "SELECT coalesce(max(sequence), 0) FROM publishes WHERE group_id = :id AND published_at < :before"
# Publishes without a version left add nothing to any delta; one without which a kept generation has no number stays.
_EMPTY: Final = (
    "DELETE FROM publishes WHERE group_id = :id AND generation < :kept AND NOT EXISTS"
    " (SELECT 1 FROM record_versions v WHERE v.group_id = publishes.group_id"
    " AND v.sequence >= publishes.first_sequence AND v.sequence <= publishes.sequence)"
)


class Upkeep(Part):
    """The part of the store that looks after itself."""

    def close(self) -> None:
        """Release connections; the store must not be used afterwards."""
        self._database.close()

    def schema_version(self) -> str:
        """Return the name of the newest applied migration."""
        with self._database.read() as session:
            return str(session.rows(migrate.APPLIED)[-1][0])

    def size(self) -> int:
        """Return the bytes that the store takes on disk."""
        return self._database.size()

    def prune(self, *, generations_before: datetime, versions_before: datetime, tasks_before: datetime) -> None:
        """Forget generations and versions that ceased to be current before the given times, and tasks closed then."""
        with self._database.read() as session:
            groups = [number for (number,) in session.rows("SELECT id FROM feed_groups ORDER BY id")]
        for group in groups:
            # One transaction for each, so that a publish waits for one group at most.
            with self._database.write() as session:
                _prune_group(
                    session, group, moments.to_micros(generations_before), moments.to_micros(versions_before)
                )
        with self._database.write() as session:
            session.run(
                "DELETE FROM tasks WHERE status <> 'running' AND coalesce(ended_at, beat_at) < :before",
                {"before": moments.to_micros(tasks_before)},
            )

    def live_pages(self) -> set[str]:
        """Return the names of all pages that some kept generation uses."""
        with self._database.read() as session:
            return {name for (name,) in session.rows("SELECT DISTINCT name FROM pages")}


def _prune_group(session: Session, group: int, generations_before: int, versions_before: int) -> None:
    # Lock the head, so that no publish ends versions between the questions and the deletions.
    session.run("UPDATE feed_groups SET generation = generation WHERE id = :id", {"id": group})
    head = session.row("SELECT kept_generation, floor FROM feed_groups WHERE id = :id", {"id": group})
    if head is None:
        return
    kept = max(head[0], _number(session, _KEPT, {"id": group, "before": generations_before}))
    first = _number(session, _SEQUENCE, {"id": group, "kept": kept})
    # No kept generation may lose a version, however short the time that versions are kept.
    floor = max(head[1], min(first, _number(session, _FLOOR, {"id": group, "before": versions_before})))
    if (kept, floor) == head:
        return
    session.run("DELETE FROM pages WHERE group_id = :id AND ended <= :kept", {"id": group, "kept": kept})
    session.run("DELETE FROM record_versions WHERE group_id = :id AND ended <= :floor", {"id": group, "floor": floor})
    session.run(_EMPTY, {"id": group, "kept": kept})
    session.run(
        "UPDATE feed_groups SET kept_generation = :kept, floor = :floor WHERE id = :id",
        {"id": group, "kept": kept, "floor": floor},
    )


def _number(session: Session, statement: str, params: dict[str, int]) -> int:
    row = session.row(statement, params)
    return int(row[0]) if row else 0
