"""How groups are cut into pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.store import paging
from vulnfeeds.store.paging import Sizes, Slot

sizes = st.builds(lambda target, slack: Sizes(target + slack, target), st.integers(1, 9), st.integers(0, 9))
key_sets = st.sets(st.text("abc\U0001f600é", max_size=6), max_size=120)


def slots(keys: list[str]) -> list[Slot]:
    return [Slot(key, key.encode()[:16].ljust(16), key.startswith("a")) for key in keys]


@given(key_sets, sizes, st.booleans())
def test_pieces_cover_the_range_once(keys: set[str], sizes: Sizes, open_end: bool) -> None:
    """Every record falls into one piece, no piece holds more than the most, none but a lone one is empty."""
    ordered = sorted(keys)
    pieces = list(paging.cut("", slots(ordered), open_end=open_end, sizes=sizes))
    assert pieces[0].first_key == ""
    assert [piece.first_key for piece in pieces] == sorted({piece.first_key for piece in pieces})
    ends = [piece.first_key for piece in pieces[1:]]
    for place, piece in enumerate(pieces):
        end = ends[place] if place < len(ends) else None
        inside = [key for key in ordered if key >= piece.first_key and (end is None or key < end)]
        assert (piece.records, piece.withdrawn) == (len(inside), sum(key.startswith("a") for key in inside))
        assert piece.records <= sizes.most
        assert piece.records > 0 or len(pieces) == 1


@given(key_sets, sizes, st.booleans())
def test_a_range_that_fits_is_one_piece(keys: set[str], sizes: Sizes, open_end: bool) -> None:
    """What fits into a page is not split, so that a page keeps its range while there is room in it."""
    ordered = sorted(keys)[: sizes.most]
    assert len(list(paging.cut("", slots(ordered), open_end=open_end, sizes=sizes))) == 1


@given(st.sets(st.text(max_size=4), min_size=1), st.lists(st.text(max_size=4), max_size=30))
def test_touched_pages_are_those_that_hold_the_keys(starts: set[str], keys: list[str]) -> None:
    """Each key touches the last page that begins at or before it."""
    first_keys = sorted(starts | {""})
    expected = {max(place for place, first in enumerate(first_keys) if first <= key) for key in keys}
    assert paging.touched(first_keys, keys) == sorted(expected)


def test_the_name_is_that_of_the_content() -> None:
    """Key, digest and order make the name; where the range begins and who is withdrawn do not."""
    one = next(iter(paging.cut("", slots(["a", "b"]), open_end=True)))
    assert next(iter(paging.cut("a", slots(["a", "b"]), open_end=False))).name == one.name
    assert next(iter(paging.cut("", slots(["a", "c"]), open_end=True))).name != one.name
    assert next(iter(paging.cut("", slots(["a"]), open_end=True))).name != one.name
    assert len(one.name) == 32


def test_appended_records_leave_full_pages() -> None:
    """At a group's end a page that overflows keeps its target, and the rest begins the next page."""
    ordered = [f"{number:05}" for number in range(1001)]
    assert [piece.records for piece in paging.cut("", slots(ordered), open_end=True)] == [800, 201]
    assert [piece.records for piece in paging.cut("", slots(ordered), open_end=False)] == [501, 500]
