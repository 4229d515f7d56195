"""How a group is cut into pages: which pages a change touches, and what takes their place. Pure.

Pages are cut by key ranges with slack: a page of 800 records takes 200 more before it is split, so a publish renews
the pages that hold what changed and no others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import xxhash

RENDERER: Final = b"1"
"""Raised when equal records render to other bytes, so that pages get other names."""


class Sizes(msgspec.Struct, frozen=True):
    """How many records a page holds; `most` is at least `target`."""

    most: int = 1000
    """Clients take no more than this default."""
    target: int = 800
    """Records in a fresh page."""


SIZES: Final = Sizes()


class Slot(msgspec.Struct, frozen=True):
    """A record's place in a page."""

    key: str
    digest: bytes
    withdrawn: bool


class Piece(msgspec.Struct, frozen=True):
    """A page to be: its range begins at first_key."""

    first_key: str
    name: str
    records: int
    withdrawn: int


def touched(first_keys: Sequence[str], keys: Iterable[str]) -> list[int]:
    """Return the places of the pages that hold any of the keys; first_keys are sorted and begin with ""."""
    places = set()
    for key in keys:
        places.add(bisect_right(first_keys, key) - 1)
        if len(places) == len(first_keys):
            break
    return sorted(places)


def cut(first_key: str, slots: Iterable[Slot], *, open_end: bool, sizes: Sizes = SIZES) -> Iterator[Piece]:
    """Cut one page's range, given its records by key, into pages of at most `sizes.most` records.

    The first piece keeps the range's first_key. `open_end` says that the range is the group's last one: there records
    are mostly appended, so what is full stays full and the rest begins a new page; elsewhere the rest is halved.
    An empty range gives one empty page.
    """
    held: list[Slot] = []
    first = first_key
    for slot in slots:
        held.append(slot)
        # Enough beyond the piece remains that what is left at the end never is a crumb.
        if len(held) > sizes.target + sizes.most:
            yield _piece(first, held[: sizes.target])
            held = held[sizes.target :]
            first = held[0].key
    if len(held) > sizes.most:
        middle = sizes.target if open_end else (len(held) + 1) // 2
        yield _piece(first, held[:middle])
        held = held[middle:]
        first = held[0].key
    yield _piece(first, held)


def _piece(first_key: str, slots: Sequence[Slot]) -> Piece:
    state = xxhash.xxh3_128(RENDERER)
    for slot in slots:
        # A digest has a fixed length and a key holds no NUL, so no two lists give the same bytes.
        state.update(slot.key.encode() + b"\0" + slot.digest)
    return Piece(first_key, state.hexdigest(), len(slots), sum(slot.withdrawn for slot in slots))
