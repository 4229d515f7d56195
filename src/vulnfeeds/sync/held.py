"""What the store holds of a group while a run compares with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from vulnfeeds.sync.guard import GroupCounts

_DIGEST: Final = 16
"""Bytes of the digest of a record that is not withdrawn; a withdrawn one's is longer."""


class Held(Protocol):
    """The part of the store that a comparison reads."""

    def digests(self, feed: str, group: str) -> tuple[int, dict[str, bytes]]:
        """Return generation and digest by key; a withdrawn record's digest is longer than 16 bytes."""
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
        self.generation, self.known = held.digests(feed, group)
        self.seen: set[str] = set()
        """Keys that were reported, refused ones too: none of them is withdrawn."""
        live = sum(len(mark) == _DIGEST for mark in self.known.values())
        self.counts = GroupCounts(feed, group, live=live, first=self.generation == 0)

    def change(self, key: str, digest: bytes) -> str | None:
        """Return what publishing this digest would be: "created" (also a return), "updated", or None."""
        known = self.known.get(key)
        if known == digest:
            return None
        return "updated" if known is not None and len(known) == _DIGEST else "created"

    def twin(self, key: str) -> str | None:
        """Return the published key that differs from a new one only in the case of its letters, None without one.

        The forms that identifiers have are tried: all capitals, none, and capitals before the first hyphen.
        """
        head, hyphen, rest = key.partition("-")
        for other in (key.upper(), key.lower(), f"{head.upper()}{hyphen}{rest.lower()}"):
            mark = self.known.get(other) if other != key else None
            if mark is not None and len(mark) == _DIGEST:
                return other
        return None

    def unseen(self) -> list[str]:
        """Return keys of records that are not withdrawn and that the run did not report, sorted."""
        return sorted(key for key, mark in self.known.items() if len(mark) == _DIGEST and key not in self.seen)
