"""How deep a streamed JSON document nests is known exactly, however it is cut into pieces."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.drivers.formats.depth import ShallowJSON
from vulnfeeds.errors import ParseError

TEXTS = st.text(st.sampled_from('ab"\\[]{}\n'), max_size=8)
VALUES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def depth(value: Any) -> int:
    """Return the nesting of lists and dictionaries."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(value=VALUES, step=st.integers(1, 7))
def test_a_document_is_refused_exactly_above_its_depth(value: Any, step: int) -> None:
    """Law: with the document's own depth it is read whole; with one less it is refused."""
    data = json.dumps(value).encode()
    reader = ShallowJSON(io.BytesIO(data), "place", depth(value))
    assert b"".join(iter(lambda: reader.read(step), b"")) == data
    if depth(value):
        strict = ShallowJSON(io.BytesIO(data), "place", depth(value) - 1)
        with pytest.raises(ParseError, match="place: lists and objects nest more than"):
            list(iter(lambda: strict.read(step), b""))
