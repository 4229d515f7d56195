"""The stream of changes of a registry's replica: which packages changed since a position.

    GET REPLICA/                         -> {"update_seq": 4711, ...}
    GET REPLICA/_changes?since=4700&limit=10000
                                         -> {"results": [{"seq": 4701, "id": "left-pad", ...}], "last_seq": 4711}

A replica that is set up anew counts from zero again, as npm's did in 2021. Then nobody can say what changed between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError

LIMIT: Final = 10_000
"""The most changes that the replica gives at once."""
MOST_PAGES: Final = 5_000
T = TypeVar("T")


class RestartedError(Exception):
    """The stream's positions are not those of the stream that we followed."""


class _Head(msgspec.Struct):
    update_seq: int


class _Change(msgspec.Struct):
    seq: int
    id: str


class _Page(msgspec.Struct):
    results: list[_Change]
    last_seq: int


def position(context: Context, replica: str) -> int:
    """Return the stream's last position. Raises ParseError and UpstreamError."""
    return _decoded(context.fetcher.get_json(f"{replica}/"), _Head, f"{replica}/").update_seq


def follow(context: Context, replica: str, since: int, take: Callable[[str], None]) -> int:
    """Give the names of packages that changed behind `since` to `take`; return the position that was come to.

    One page is in memory at a time. Raises RestartedError, ParseError and UpstreamError.
    """
    if position(context, replica) < since:
        raise RestartedError
    for number in range(MOST_PAGES):
        url = f"{replica}/_changes?since={since}&limit={LIMIT}"
        page = _decoded(context.fetcher.get_json(url), _Page, url)
        at = since
        for change in page.results:
            if change.seq <= at:
                raise RestartedError
            at = change.seq
            take(change.id)
        context.report("fetch", number * LIMIT + len(page.results))
        if page.last_seq < at:
            raise RestartedError
        since = page.last_seq
        if not page.results:
            return since
    raise ParseError(replica, f"more than {MOST_PAGES} pages of changes are not plausible")


def _decoded(data: bytes, kind: type[T], url: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(url, str(error)) from error
