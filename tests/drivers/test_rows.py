"""Lists of JSON objects, read one by one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from vulnfeeds.drivers.formats import rows
from vulnfeeds.errors import ParseError


class Row(msgspec.Struct):
    """An object of the list."""

    a: int


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "list.json: not JSON after 0 objects"),
        ("[]", "list.json: no list of objects, or an empty one"),
        ('{"a": 1}', "list.json: no list of objects"),
        ('[{"a": 1}, {"a": "x"}]', r"list.json \$\[1\]: Expected `int`, got `str` - at `\$.a`"),
        ('[{"a": 1}, {}]', r"list.json \$\[1\]: Object missing required field `a`"),
        ('[{"a": 1}, []]', r"list.json \$\[1\]: Expected `object`, got `array`"),
        ('[{"a": 1}, {"a"', "list.json: not JSON after 1 objects"),
        ("[" * 100_000, "list.json: lists and objects nest more than 32 deep"),
        ('[{"a": 1}]\xff'.encode("latin-1"), "list.json: not JSON after 1 objects"),
    ],
)
def test_other_shapes_are_refused_with_their_place(tmp_path: Path, text: str | bytes, says: str) -> None:
    """The error names the object."""
    path = tmp_path / "list.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParseError, match=says):
        list(rows.read(path, Row))


def test_a_list_is_never_whole_in_memory(tmp_path: Path) -> None:
    """The first object comes although the end of the list is broken; other keys pass."""
    path = tmp_path / "list.json"
    path.write_text("[" + ", ".join('{"a": 1, "b": {"c": [2]}}' for _ in range(20_000)))
    walk = rows.read(path, Row)
    assert next(walk) == Row(1)
    with pytest.raises(ParseError, match="after 20000 objects"):
        list(walk)
