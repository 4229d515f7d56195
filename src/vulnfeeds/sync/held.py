"""What the store holds of a group while a run compares with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vulnfeeds.sync.guard import GroupCounts
from vulnfeeds.sync.marks import DIGEST, Marks


class Held(Protocol):
    """The part of the store that a comparison reads."""

    def digests(self, feed: str, group: str, take: Callable[[str, bytes], object]) -> int:
        """Call `take` with key and digest of each current record; return the generation.

        A withdrawn record's digest is longer than 16 bytes.
        """
        ...

    def bodies(self, feed: str, group: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return current bodies that are not withdrawn."""
        ...

    def keys_taking_severity(self, feed: str, group: str) -> set[str]:
        """Return keys of records whose vendor gives no severity."""
        ...

    def pack(self, driver: str, bodies: Sequence[bytes]) -> list[bytes]:
        """Compress canonical bodies."""
        ...


class GroupState:
    """A group as the store holds it, and what the run did to it so far."""

    def __init__(self, feed: str, group: str, held: Held) -> None:
        self._held = held
        self.marks = Marks()
        """Keys that were reported count as seen, refused ones too: none of them is withdrawn."""
        self.generation = held.digests(feed, group, self.marks.hold)
        self.counts = GroupCounts(feed, group, live=self.marks.live, first=self.generation == 0)

    def change(self, key: str, digest: bytes) -> str | None:
        """Return what publishing this digest would be: "created" (also a return), "updated", or None."""
        known = self.marks.digest(key)
        if known == digest:
            return None
        return "created" if known is None else "updated"

    def twin(self, key: str) -> str | None:
        """Return the published key that differs from a new one only in the case of its letters, None without one.

        The forms that identifiers have are tried: all capitals, none, and capitals before the first hyphen.
        """
        if not self.marks.live:
            return None
        head, hyphen, rest = key.partition("-")
        for other in (key.upper(), key.lower(), f"{head.upper()}{hyphen}{rest.lower()}"):
            if other != key and self.marks.digest(other) is not None:
                return other
        return None

    def unseen(self, wanted: Callable[[str], bool] = lambda key: True) -> list[str]:
        """Return keys of records that are not withdrawn and that the run did not report, sorted."""
        found: list[str] = []
        if self.marks.live == self.marks.live_seen:
            return found

        def take(key: str, digest: bytes) -> None:
            if len(digest) == DIGEST and wanted(key) and not self.marks.was_seen(key):
                found.append(key)

        # The keys themselves are not kept: they are read once more.
        self._held.digests(self.counts.feed, self.counts.group, take)
        return sorted(found)
