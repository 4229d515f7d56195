"""Query parameters: their names in any case, each with one value, and the values that several routes share. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from vulnfeeds.errors import BadRequestError

LONGEST_QUERY: Final = 8000
"""Bytes; no request of ours needs more than some hundred."""
MOST: Final = 1000
"""Largest `limit`, and the size of a page without one."""

_YES: Final = frozenset({"true", "t", "1"})
_NO: Final = frozenset({"false", "f", "0", ""})
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_SHOWN: Final = 40


def parameters(query: bytes, known: tuple[str, ...]) -> dict[str, str]:
    """Return those of the `known` parameters that a query string has; empty ones and unknown names are left out.

    Names may be in any case and a parameter may be repeated with the same value. Raises BadRequestError that names a
    parameter with two values, or for a query that is too long.
    """
    if not query:
        return {}
    if len(query) > LONGEST_QUERY:
        raise BadRequestError(f"the query has {len(query)} bytes; the most is {LONGEST_QUERY}")
    found: dict[str, str] = {}
    for raw_name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        name = raw_name.lower()
        if name not in known or value == "":
            continue
        if found.setdefault(name, value) != value:
            raise BadRequestError(f"{name}: given twice, as {found[name][:_SHOWN]!r} and {value[:_SHOWN]!r}")
    return found


def flag(given: Mapping[str, str], name: str) -> bool:
    """Return a yes-or-no parameter, no when it is absent; raises BadRequestError that names it."""
    word = given.get(name, "").lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise BadRequestError(f"{name}: {word[:_SHOWN]!r} is neither true nor false")


def limit(given: Mapping[str, str]) -> int | None:
    """Return `limit`, None when it is absent; raises BadRequestError unless it is in 1..1000."""
    value = number(given, "limit")
    if value is not None and not 1 <= value <= MOST:
        raise BadRequestError(f"limit: {value} is not in 1..{MOST}")
    return value


def number(given: Mapping[str, str], name: str) -> int | None:
    """Return a parameter that is a whole number, None when it is absent; raises BadRequestError that names it."""
    text = given.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name}: {text[:_SHOWN]!r} is not a whole number")
    return int(text)
