"""Readers besides the strict client: walks that take their time, and a client of deltas in small pages.

Both remember from which generations what they were told may come, and are judged when they have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import httpx2
import msgspec
import zstandard

from benchmarks.campaign.upstream import FEED, State, state_of
from vulnfeeds.api.tokens import WalkToken, decode

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""What the HTTP library leaves to us, where it knows no zstd."""
ENCODINGS: Final = ("gzip", "zstd", "identity")
UNAVAILABLE: Final = frozenset({500, 502, 503, 504})


class LawBrokenError(Exception):
    """Something that must never happen happened; the text says what."""


class UnreachableError(Exception):
    """The service gave no answer, or said that it cannot now."""


class _Page(msgspec.Struct):
    data: list[dict[str, object]]
    next_token: str


def ask(address: str, group: str, query: dict[str, str], encoding: str) -> _Page:
    """Return a page; raise UnreachableError, or LawBrokenError for an answer that no client should ever get."""
    url = f"{address}/{FEED}/{group}"
    try:
        answer = httpx2.get(url, params=query, headers={"Accept-Encoding": encoding}, timeout=30)
    except httpx2.TransportError as error:
        raise UnreachableError(str(error)) from error
    if answer.status_code in UNAVAILABLE:
        raise UnreachableError(f"status {answer.status_code}")
    if answer.status_code != 200:
        raise LawBrokenError(f"{url} {query}: status {answer.status_code}: {answer.text[:200]}")
    try:
        zstd = answer.headers.get("content-encoding") == "zstd" and answer.content.startswith(_ZSTD)
        content = zstandard.ZstdDecompressor().decompressobj().decompress(answer.content) if zstd else answer.content
        return msgspec.json.decode(content, type=_Page)
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise LawBrokenError(f"{url} {query}: {error}: {answer.text[:200]}") from error


class Walk:
    """A walk over all of a group, a page at a time, whenever somebody calls `go_on`."""

    def __init__(self, group: str, generation: int, *, encoding: str, limit: int | None) -> None:
        self.group = group
        self.first = generation
        """The newest generation known when it began."""
        self.ended = False
        self.undisturbed = True
        """False when generations were forgotten on the way."""
        self.generations: set[int] = set()
        """Those that its tokens named."""
        self.got: State = {}
        self._encoding = encoding
        self._limit = limit
        self._token = ""

    def go_on(self, address: str) -> None:
        """Take one more page."""
        query = {"next_token": self._token} if self._token else {}
        query |= {"limit": str(self._limit)} if self._limit else {}
        page = ask(address, self.group, query, self._encoding)
        for record in page.data:
            key, version = state_of(record)
            if key in self.got:
                raise LawBrokenError(f"walk of {self.group}: {key} came twice")
            self.got[key] = version
        self._token = page.next_token
        self.ended = not page.next_token
        if page.next_token:
            token = decode(FEED, self.group, page.next_token)
            if not isinstance(token, WalkToken):
                raise LawBrokenError(f"walk of {self.group}: a token of another kind: {token}")
            self.generations.add(token.generation)

    def judge(self, states: dict[int, State]) -> None:
        """Raise LawBrokenError unless what came is what the generations (by number) allow."""
        seen = [state for generation, state in sorted(states.items()) if generation >= self.first]
        if self.undisturbed and len(self.generations) == 1:
            (generation,) = self.generations
            if self.got != states[generation]:
                raise LawBrokenError(f"walk of {self.group}: {told(self.got, states[generation])}")
            return
        if self.undisturbed and len(self.generations) > 1:
            raise LawBrokenError(f"walk of {self.group}: went through generations {sorted(self.generations)}")
        if self.undisturbed and self.got not in seen:
            raise LawBrokenError(f"walk of {self.group} on one page: {told(self.got, seen[-1])}")
        _comes_from(f"walk of {self.group}", self.got, seen)


class DeltaClient:
    """A client that keeps a group in sync by `since`, in pages of `limit` records, a page at a time."""

    def __init__(self, group: str, limit: int, clock: Callable[[], datetime]) -> None:
        self.group = group
        self.state: State = {}
        self.since = ""
        self.first = 0
        """The newest generation when the sync under way began."""
        self.under_way = False
        self.undisturbed = True
        self._limit = limit
        self._clock = clock
        self._token = ""
        self._began = ""
        self._whole = True
        self._got: State = {}

    def begin(self, generation: int) -> None:
        """Begin a sync."""
        self.first, self.under_way, self.undisturbed = generation, True, True
        self._began = self._clock().replace(tzinfo=None).isoformat()
        self._whole = not self.since
        self._token, self._got = "", {}

    def go_on(self, address: str) -> bool:
        """Take one more page; return whether it was the last one, after which the client has what it got."""
        query = {"since": self.since} if self.since else {}
        query |= {"next_token": self._token} if self._token else {}
        page = ask(address, self.group, {**query, "limit": str(self._limit)}, "gzip")
        for record in page.data:
            key, version = state_of(record)
            if self.undisturbed and key in self._got:
                raise LawBrokenError(f"delta of {self.group}: {key} came twice")
            self._got[key] = version
        self._token = page.next_token
        if self._token:
            return False
        self.state.update(self._got)
        self.since, self.under_way = self._began, False
        return True

    def abandon(self) -> None:
        """Give a sync up; the next one begins from where the last whole one began."""
        self.under_way = False

    def judge(self, states: dict[int, State]) -> None:
        """Raise LawBrokenError unless the client now equals a generation since the sync began.

        A first sync is a walk, which may outlive its generation: then the next sync makes the client equal.
        """
        since = [state for generation, state in sorted(states.items()) if generation >= self.first]
        if self._whole and not self.undisturbed:
            _comes_from(f"first sync of {self.group}", self.state, since)
        elif self.state not in since:
            raise LawBrokenError(f"delta client of {self.group}: {told(self.state, since[0])}")


def _comes_from(what: str, got: State, states: list[State]) -> None:
    """Raise LawBrokenError unless all records come from the states, and none of the first is missing."""
    if missing := states[0].keys() - got.keys():
        raise LawBrokenError(f"{what}: {len(missing)} records missed, {sorted(missing)[:3]}")
    for key, version in got.items():
        if all(state.get(key, "") != version for state in states):
            raise LawBrokenError(f"{what}: {key} was never {version}")


def told(got: State, wanted: State) -> str:
    """Return in words how two states differ."""
    missing = sorted(wanted.keys() - got.keys())
    extra = sorted(got.keys() - wanted.keys())
    other = sorted(key for key in got.keys() & wanted.keys() if got[key] != wanted[key])
    return (
        f"{len(missing)} missing {missing[:3]}, {len(extra)} too many {extra[:3]}, {len(other)} other"
        f" {[(key, got[key], wanted[key]) for key in other[:3]]}"
    )
