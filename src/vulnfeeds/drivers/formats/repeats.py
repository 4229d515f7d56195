"""Keys that a JSON object gives twice.

JSON readers keep what the last one says and lose the rest without a word. Looking at every key costs as much as
reading the document, so readers of large documents look only where sizes or counts say that something was lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import ijson

_CHUNK: Final = 1 << 20


def given_twice(text: bytes) -> str | None:
    """Return the first key that an object of a JSON text gives twice, None when there is none.

    Raises ValueError for what is not JSON, RecursionError for what nests without end.
    """
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in pairs:
            if name in made:
                found.append(name)
            made[name] = value
        return made

    # Numbers stay text: making one of 100,000 digits takes a while, or is refused.
    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    return found[0] if found else None


def given_twice_in(path: Path) -> str | None:
    """Return the place, such as `zlib.CVE-2024-1.releases`, of the first key that is given twice in a document.

    Reads it as a stream. Raises ijson.JSONError for what is not JSON.
    """
    # Keys of each open object, and the names that lead to where the reader is; lists have neither.
    keys: list[set[str]] = []
    names: list[str] = []
    with path.open("rb") as file:
        for event, value in ijson.basic_parse(file, use_float=True):
            if event == "map_key":
                names[-1] = value
                if value in keys[-1]:
                    return ".".join(filter(None, names))
                keys[-1].add(value)
            elif event in ("start_map", "start_array"):
                keys.append(set())
                names.append("")
            elif event in ("end_map", "end_array"):
                keys.pop()
                names.pop()
    return None


def occurrences(path: Path, text: bytes) -> int:
    """Return how often a file holds a text of two bytes or more."""
    count, last = 0, b""
    edge = len(text) - 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            count += chunk.count(text) + (last[-edge:] + chunk[:edge]).count(text)
            last = chunk
    return count
