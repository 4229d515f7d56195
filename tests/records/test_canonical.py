"""Canonical bytes: equal content, equal bytes; ASCII; nothing lost."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import RecordError
from vulnfeeds.records import canonical
from vulnfeeds.records.vulnerability import FixedIn, OSRecord, Vulnerability

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(VALUES, st.randoms())
def test_equal_content_gives_equal_bytes(value: Any, order: random.Random) -> None:
    """The order in which keys were put into a body does not show."""
    assert canonical.encode(value) == canonical.encode(shuffled(value, order))


@given(VALUES)
def test_nothing_is_lost_and_all_is_ascii(value: Any) -> None:
    """A plain JSON parser reads back what was encoded, whatever charset it guesses."""
    encoded = canonical.encode(value)
    assert encoded.isascii()
    assert json.loads(encoded) == value
    assert msgspec.json.decode(encoded) == value


@given(VALUES)
def test_encoding_what_was_read_gives_the_same_bytes(value: Any) -> None:
    """Canonical bytes are a fixed point: a body read from the store and written again keeps its digest."""
    encoded = canonical.encode(value)
    assert canonical.encode(msgspec.json.decode(encoded)) == encoded


@given(VALUES, VALUES)
def test_digests_tell_bodies_apart(one: Any, other: Any) -> None:
    """Digests are equal exactly when the bytes are, and 16 bytes long."""
    first, second = canonical.encode(one), canonical.encode(other)
    assert (canonical.digest(first) == canonical.digest(second)) == (first == second)
    assert len(canonical.digest(first)) == 16


def test_astral_characters_become_surrogate_pairs() -> None:
    """JSON escapes are UTF-16 units."""
    assert canonical.encode({"name": "a\U0001f600é\uffff"}) == rb'{"name":"a\ud83d\ude00\u00e9\uffff"}'


def test_typed_and_untyped_bodies_agree() -> None:
    """A struct and the dict that it stands for are the same body, defaults of fixes left out."""
    fix = FixedIn("busybox", "alpine:3.18", "1.36.1-r1", "apk")
    typed = OSRecord(Vulnerability("CVE-2023-1", "alpine:3.18", "High", "http://l", (fix,)))
    assert canonical.encode(typed) == (
        b'{"Vulnerability":{"Description":"","FixedIn":[{"Name":"busybox","NamespaceName":"alpine:3.18",'
        b'"Version":"1.36.1-r1","VersionFormat":"apk"}],"Link":"http://l","Metadata":{},"Name":"CVE-2023-1",'
        b'"NamespaceName":"alpine:3.18","Severity":"High"}}'
    )


def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    "body",
    [{"text": "\ud800"}, {"\udc00": 1}, {1: "number as key"}, {"value": object()}, endless()],
    ids=["surrogate", "surrogate key", "number as key", "no JSON type", "endless"],
)
def test_what_has_no_json_form_is_refused(body: Any) -> None:
    """A body that JSON cannot hold raises RecordError, never another error."""
    with pytest.raises(RecordError, match="no JSON form"):
        canonical.encode(body)
