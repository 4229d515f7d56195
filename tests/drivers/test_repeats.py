"""A key that is given twice is found wherever it is, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vulnfeeds.drivers.formats import repeats

Place = tuple[str | int, ...]
NAMES = st.text(st.sampled_from('ab"\\:é'), max_size=4)
VALUES = st.recursive(
    st.one_of(NAMES, st.integers(-(1 << 53), 1 << 53), st.floats(allow_nan=False, allow_infinity=False), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def keys(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every key of every object."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*place, name)
            yield from keys(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from keys(inner, (*place, number))


def with_repeat(value: Any, wanted: Place, first: str = "null") -> str:
    """Return a value as JSON, in which the key at a place is there twice; what it has first is `first`."""
    name, rest = wanted[0], wanted[1:]
    if isinstance(value, list):
        inner = [with_repeat(each, rest, first) if at == name else json.dumps(each) for at, each in enumerate(value)]
        return f"[{', '.join(inner)}]"
    pairs = []
    for each, held in value.items():
        if each == name and not rest:
            pairs.append(f"{json.dumps(each)}: {first}")
        text = with_repeat(held, rest, first) if each == name and rest else json.dumps(held)
        pairs.append(f"{json.dumps(each)}: {text}")
    return f"{{{', '.join(pairs)}}}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, data=st.data())
def test_every_repetition_is_found(value: Any, data: st.DataObject, tmp_path: Path) -> None:
    """Law: of a document's own keys none is given twice; whichever is repeated is named, in memory and in a file."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    assert repeats.given_twice(path.read_bytes()) is None
    assert repeats.given_twice_in(path) is None
    if places := list(keys(value)):
        place = data.draw(st.sampled_from(places))
        path.write_text(with_repeat(value, place))
        assert repeats.given_twice(path.read_bytes()) == place[-1]
        assert repeats.given_twice_in(path) == ".".join(name for name in place if name and isinstance(name, str))


@pytest.mark.parametrize("cut", range(8))
def test_a_text_across_two_pieces_is_counted_once(tmp_path: Path, cut: int) -> None:
    """However the text lies over the end of what is read at once, it is one occurrence."""
    path = tmp_path / "a.json"
    path.write_bytes(b'"status"' + b" " * ((1 << 20) - 8 - cut) + b'"status"' + b" " * (1 << 20) + b'"status"')
    assert repeats.occurrences(path, b'"status"') == 3
