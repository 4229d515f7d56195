"""What a run compares its records with: digests, severities and scores; and packing of what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from vulnfeeds.records.record import Score
from vulnfeeds.store.interface import SCORED
from vulnfeeds.store.part import Part

WITHDRAWN_MARK: Final = b"w"
"""Follows the digest of a withdrawn record, so that it never equals a reported one."""


class Comparing(Part):
    """The part of the store that a run asks before it publishes."""

    def digests(self, feed: str, group: str, take: Callable[[str, bytes], object]) -> int:
        """Call `take` with key and digest of each current record; return the group's generation."""
        with self._database.read() as session:
            head = session.row(
                "SELECT id, generation FROM feed_groups WHERE feed = :feed AND name = :name",
                {"feed": feed, "name": group},
            )
            if head is None:
                return 0
            rows = session.stream(
                "SELECT key, digest, withdrawn FROM current_records WHERE group_id = :id", {"id": head[0]}
            )
            for key, digest, gone in rows:
                take(key, digest + WITHDRAWN_MARK if gone else digest)
        return int(head[1])

    def keys_taking_severity(self, feed: str, group: str) -> set[str]:
        """Return keys of current records whose vendor gives no severity."""
        with self._database.read() as session:
            rows = session.rows(
                "SELECT c.key FROM current_records c JOIN feed_groups g ON g.id = c.group_id"
                " WHERE g.feed = :feed AND g.name = :name AND c.takes_severity = 1",
                {"feed": feed, "name": group},
            )
        return {key for (key,) in rows}

    def scores(self, cves: Sequence[str]) -> dict[str, Score]:
        """Return what NVD says of those CVEs that have a score."""
        if not cves:
            return {}
        with self._database.read() as session:
            rows = session.rows(
                "SELECT cve, newest, cvss2_score, cvss2_vector FROM scores"
                " WHERE newest IS NOT NULL AND cve IN (:cves[])",
                {"cves": list(cves)},
            )
        return {cve: Score(*score) for cve, *score in rows}

    def scores_changed(self, after: int) -> tuple[int, list[str]]:
        """Return the last number of the scored group, and CVEs whose score changed after `after`."""
        feed, group = SCORED
        with self._database.read() as session:
            head = session.row(
                "SELECT sequence FROM feed_groups WHERE feed = :feed AND name = :name", {"feed": feed, "name": group}
            )
            rows = session.rows("SELECT cve FROM scores WHERE changed > :after ORDER BY changed", {"after": after})
        return (head[0] if head else 0), [cve for (cve,) in rows]

    def pack(self, driver: str, bodies: Sequence[bytes]) -> list[bytes]:
        """Compress bodies with the driver's dictionary."""
        return self._bodies.pack(driver, bodies)

    def unpack(self, packed: bytes) -> bytes:
        """Return the body of what `pack` made."""
        return self._bodies.unpack(packed)

    def checkpoint(self, driver: str) -> bytes | None:
        """Return what the driver's last publish kept."""
        with self._database.read() as session:
            row = session.row("SELECT checkpoint FROM checkpoints WHERE driver = :driver", {"driver": driver})
        return None if row is None else row[0]
