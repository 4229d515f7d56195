"""Small checks that the record rules are made of: each returns the value it has found good, or raises RecordError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vulnfeeds.testing.client.errors import RecordError

SEVERITIES: Final = ("Unknown", "Negligible", "Low", "Medium", "High", "Critical")
"""The values of the client database's severity type, exact case."""
_ABSENT: Final = object()


def text(holder: Mapping[str, Any], key: str, place: str) -> str:
    """Return a string that must be there and not be empty."""
    value = holder.get(key, _ABSENT)
    if value is _ABSENT:
        raise RecordError(f"{place}.{key}", "is missing")
    if not isinstance(value, str) or not value:
        raise RecordError(f"{place}.{key}", f"must be a string with something in it, not {value!r}"[:200])
    return value


def text_or_null(holder: Mapping[str, Any], key: str, place: str, *, required: bool = False) -> str | None:
    """Return a string or None."""
    value = holder.get(key, _ABSENT)
    if value is _ABSENT:
        if required:
            raise RecordError(f"{place}.{key}", "is missing")
        return None
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{place}.{key}", f"must be a string or null, not {value!r}"[:200])
    return value


def number(holder: Mapping[str, Any], key: str, place: str) -> float:
    """Return a number that must be there."""
    value = holder.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordError(f"{place}.{key}", f"must be a number, not {value!r}"[:200])
    return float(value)


def mapping(holder: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> dict[str, Any] | None:
    """Return an object; None when it is absent and may be. Null is never good: it fails the real client."""
    value = holder.get(key, _ABSENT)
    if value is _ABSENT and not required:
        return None
    if not isinstance(value, dict):
        raise RecordError(
            f"{place}.{key}", "is missing" if value is _ABSENT else f"must be an object, not {value!r}"[:200]
        )
    return value


def array(holder: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> list[Any]:
    """Return a list; empty when it is absent and may be. Null is never good: it fails the real client."""
    value = holder.get(key, _ABSENT)
    if value is _ABSENT and not required:
        return []
    if not isinstance(value, list):
        raise RecordError(
            f"{place}.{key}", "is missing" if value is _ABSENT else f"must be a list, not {value!r}"[:200]
        )
    return value


def texts(holder: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> list[str]:
    """Return a list of strings."""
    values = array(holder, key, place, required=required)
    for value in values:
        if not isinstance(value, str):
            raise RecordError(f"{place}.{key}", f"holds {value!r}, not a string"[:200])
    return values


def objects(holder: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> list[dict[str, Any]]:
    """Return a list of objects."""
    values = array(holder, key, place, required=required)
    for value in values:
        if not isinstance(value, dict):
            raise RecordError(f"{place}.{key}", f"holds {value!r}, not an object"[:200])
    return values


def severity(holder: Mapping[str, Any], key: str, place: str, *, null_is_unknown: bool) -> str:
    """Return a severity of the scale, exact case; absent is Unknown, null only where the real mapper says so."""
    value = holder.get(key, "Unknown")
    if value is None and null_is_unknown:
        return "Unknown"
    if value not in SEVERITIES:
        raise RecordError(f"{place}.{key}", f"{value!r} is not one of {', '.join(SEVERITIES)}"[:200])
    return str(value)


def storable(value: Any, place: str) -> None:
    """Refuse text that the client's database refuses: U+0000 and halves of surrogate pairs, anywhere inside."""
    if isinstance(value, str):
        if "\x00" in value:
            raise RecordError(place, "holds U+0000")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise RecordError(place, "holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, inner in value.items():
            storable(key, place)
            storable(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            storable(inner, place)
