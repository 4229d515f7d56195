"""The digests of one group's records and which of them a run has reported, in 50 bytes a record.

A dictionary of keys and digests takes 135 bytes a record, 46 MB for the NVD. Here a key is only its 64-bit hash,
which Python keys by a secret of the process, so that no upstream can make two keys meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

DIGEST: Final = 16
"""Bytes of the digest of a record that is not withdrawn; a withdrawn one's is longer."""

_HASH: Final = 8
_ENTRY: Final = _HASH + DIGEST + 1
_STATE: Final = _ENTRY - 1
_LIVE: Final = 1
_SEEN: Final = 2
_FULL: Final = 12
"""Entries in a bucket, on average, above which there are more buckets."""
_MORE: Final = 4

_Entry = tuple[bytearray, int]
"""A bucket, and where in it an entry begins."""


class Marks:
    """What the store holds of each key, and whether it was seen."""

    def __init__(self) -> None:
        # Entries of hash, digest and state, one behind the other.
        self._buckets: dict[int, bytearray] = {}
        self._mask = 0x3F
        self._entries = 0
        self.live = 0
        """Records that are not withdrawn."""
        self.live_seen = 0
        """Those of them that were seen."""
        self.seen = 0
        """Keys that were seen, new ones too."""

    def hold(self, key: str, digest: bytes) -> None:
        """Take in a key of the store, each once."""
        live = len(digest) == DIGEST
        self.live += live
        self._add(_hash(key), digest[:DIGEST], _LIVE if live else 0)

    def see(self, key: str) -> bool:
        """Note that a run reported a key; return whether it had done so before."""
        entry = self._find(key)
        if entry is None:
            self.seen += 1
            self._add(_hash(key), bytes(DIGEST), _SEEN)
            return False
        bucket, at = entry
        state = bucket[at + _STATE]
        if state & _SEEN:
            return True
        bucket[at + _STATE] = state | _SEEN
        self.seen += 1
        self.live_seen += state & _LIVE
        return False

    def was_seen(self, key: str) -> bool:
        """Return whether a run reported a key."""
        entry = self._find(key)
        return entry is not None and bool(entry[0][entry[1] + _STATE] & _SEEN)

    def digest(self, key: str) -> bytes | None:
        """Return the digest of a record that is not withdrawn, None for any other key."""
        # A first run asks of every key several times.
        entry = self._find(key) if self.live else None
        if entry is None or not entry[0][entry[1] + _STATE] & _LIVE:
            return None
        bucket, at = entry
        return bytes(bucket[at + _HASH : at + _STATE])

    def _find(self, key: str) -> _Entry | None:
        number = hash(key)
        bucket = self._buckets.get(number & self._mask)
        if bucket is None:
            return None
        wanted = number.to_bytes(_HASH, "little", signed=True)
        at = bucket.find(wanted)
        while at % _ENTRY and at >= 0:
            # The same bytes across two fields.
            at = bucket.find(wanted, at + 1)
        return None if at < 0 else (bucket, at)

    def _add(self, hashed: bytes, digest: bytes, state: int) -> None:
        if self._entries > _FULL * (self._mask + 1):
            self._spread()
        self._entries += 1
        self._put(hashed + digest + state.to_bytes())

    def _put(self, entry: bytes) -> None:
        number = int.from_bytes(entry[:_HASH], "little", signed=True) & self._mask
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = bytearray(entry)
        else:
            bucket += entry

    def _spread(self) -> None:
        """Distribute the entries over more buckets."""
        old, self._buckets = self._buckets, {}
        self._mask = (self._mask + 1) * _MORE - 1
        while old:
            for entry in _cut(old.popitem()[1]):
                self._put(entry)


def _hash(key: str) -> bytes:
    return hash(key).to_bytes(_HASH, "little", signed=True)


def _cut(bucket: bytearray) -> Iterator[bytes]:
    for at in range(0, len(bucket), _ENTRY):
        yield bytes(bucket[at : at + _ENTRY])
