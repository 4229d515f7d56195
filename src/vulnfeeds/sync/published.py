"""What a driver may see of the store: records that other drivers have published."""

from __future__ import annotations

from collections.abc import Iterator

from vulnfeeds.store.interface import Store


class PublishedRecords:
    """The drivers' `Published`, over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sequence(self, feed: str, group: str) -> int:
        """Return the last position of a group; 0 when it does not exist."""
        head = self._store.group(feed, group)
        return head.sequence if head else 0

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield (key, body, withdrawn) of records whose newest version is in (after, upto], by position."""
        return self._store.changes(feed, group, after, upto)

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        """Return the current bodies of those of `keys` that exist and are not withdrawn."""
        return self._store.bodies(feed, group, keys)
