"""What an answer must look like: listings and data pages, read as the real client reads them but less trusting.

The real client reads `data.item` and `next_token` by stream and believes what it finds: a top-level array, `{}` or a
second `next_token` is 0 records and success, hence lost data. Here each of them is a PageError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, NoReturn

import ijson
import msgspec

from vulnfeeds.testing.client.errors import LoopError, PageError

MOST_RECORDS: Final = 1000
"""Records on one page of the original service."""
CONTENT_TYPE: Final = "application/json"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=-]*")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Named(msgspec.Struct, frozen=True):
    """A feed or a group in a listing."""

    name: str
    description: str | None
    access_tier: int | None


class Page(msgspec.Struct, frozen=True):
    """A data page on disk that has been found to be of the right form."""

    path: Path
    records: int
    next_token: str
    """"" on the last page."""

    def items(self) -> Generator[dict[str, Any], None, None]:
        """Yield the records by stream, as the real client does."""
        with self.path.open("rb") as stream:
            yield from ijson.items(stream, "data.item", use_float=True)


class Tokens:
    """The tokens of one walk: each must be new, and there must be an end."""

    def __init__(self, place: str, most_pages: int) -> None:
        self._place = place
        self._most_pages = most_pages
        self._seen: set[str] = set()

    def take(self, token: str) -> str:
        """Return the token; raise LoopError when the real client would turn in a circle, or walk without end."""
        if token and token in self._seen:
            raise LoopError(f"{self._place}: token {token!r} came a second time")
        self._seen.add(token)
        if len(self._seen) > self._most_pages:
            raise LoopError(f"{self._place}: more than {self._most_pages} pages")
        return token


def read_listing(place: str, raw: bytes, content_type: str | None, key: str) -> tuple[list[Named], str]:
    """Return the feeds or groups (`key`) of a listing and its token; raises PageError or LoopError."""
    if content_type is None:
        raise PageError(f"{place}: no Content-Type")
    body = _load(place, raw)
    if not isinstance(body, dict):
        raise PageError(f"{place}: not an object but {_kind(body)}")
    if key not in body:
        # With feeds the real client asks again at once and for ever; with groups it loses them quietly.
        raise LoopError(f"{place}: no key {key!r}")
    rows = body[key]
    if not isinstance(rows, list):
        raise PageError(f"{place}: {key} is {_kind(rows)}, not a list")
    return [_named(place, row) for row in rows], _token(place, body.get("next_token"))


def read_page(place: str, path: Path, content_type: str | None) -> Page:
    """Return a data page after looking at its form; raises PageError."""
    if content_type != CONTENT_TYPE:
        raise PageError(f"{place}: Content-Type must be exactly {CONTENT_TYPE!r}, not {content_type!r}")
    body = _load(place, path.read_bytes())
    if not isinstance(body, dict):
        raise PageError(f"{place}: not an object but {_kind(body)}: the real client would take it for no records")
    data = body.get("data")
    if not isinstance(data, list):
        raise PageError(f"{place}: data is {_kind(data)}, not a list: the real client would take it for no records")
    if len(data) > MOST_RECORDS:
        raise PageError(f"{place}: {len(data)} records on one page, at most {MOST_RECORDS} are allowed")
    for number, item in enumerate(data):
        if not isinstance(item, dict):
            raise PageError(f"{place}: data[{number}] is {_kind(item)}, not an object")
    return Page(path, len(data), _token(place, body.get("next_token")))


def _load(place: str, raw: bytes) -> Any:
    """Parse JSON that leaves nothing open: ASCII, no mark, no NaN, no key twice in one object."""
    if raw.startswith(_BYTE_ORDER_MARK):
        raise PageError(f"{place}: begins with a byte order mark")
    if not raw.isascii():
        raise PageError(f"{place}: not ASCII: clients up to 0.6 guess the charset")

    def refuse_constant(name: str) -> NoReturn:
        raise PageError(f"{place}: {name} is not JSON")

    def refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise PageError(f"{place}: key {', '.join(twice)} more than once in one object")
        return found

    try:
        return json.loads(raw, parse_constant=refuse_constant, object_pairs_hook=refuse_twins)
    except (ValueError, RecursionError) as error:
        raise PageError(f"{place}: not JSON: {error}") from error


def _token(place: str, token: Any) -> str:
    if token is None:
        return ""
    if not isinstance(token, str):
        raise PageError(f"{place}: next_token is {_kind(token)}, not a string")
    if not _TOKEN.fullmatch(token):
        raise PageError(f"{place}: next_token {token!r} does not survive in a URL as it is")
    return token


def _named(place: str, row: Any) -> Named:
    if not isinstance(row, dict):
        raise PageError(f"{place}: {_kind(row)} in the list, not an object")
    try:
        named = msgspec.convert(row, Named, strict=True)
    except msgspec.ValidationError as error:
        raise PageError(f"{place}: {error}") from error
    if not named.name or "/" in named.name:
        raise PageError(f"{place}: {named.name!r} is no name")
    return named


def _kind(value: Any) -> str:
    return {dict: "an object", list: "an array", str: "a string", type(None): "nothing"}.get(type(value), "a scalar")
