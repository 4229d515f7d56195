"""The feed routes: feeds, groups, pages of a group, one record.

A page that is kept ready is answered in the event loop: no thread, no database. All else goes to a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import xxhash
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vulnfeeds import catalog
from vulnfeeds.api import tokens
from vulnfeeds.api.answers import Coded, answer, code, give, negotiate, send, unchanged, wish_of
from vulnfeeds.api.heads import Heads
from vulnfeeds.api.parameters import MOST, flag, limit, parameters
from vulnfeeds.api.ready import Delta, Page, ReadyAnswers
from vulnfeeds.api.sharing import Shared
from vulnfeeds.api.since import effective, parse_since
from vulnfeeds.api.times import show
from vulnfeeds.api.tokens import DeltaToken, TimeToken, WalkToken
from vulnfeeds.api.walks import Place, Walks, is_name, require_feed
from vulnfeeds.errors import NotFoundError
from vulnfeeds.publish.lifecycles import Lifecycles
from vulnfeeds.publish.pages import PageFolder, PageGoneError, closing
from vulnfeeds.publish.splice import Encoding, splice
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import RecordVersion, Store

_TIER = 0


class FeedRoutes:
    """The handlers of the feed routes."""

    def __init__(
        self,
        store: Store,
        pages: PageFolder,
        ready: ReadyAnswers,
        heads: Heads,
        *,
        clock: Callable[[], datetime],
        since_margin: timedelta,
    ) -> None:
        self._store = store
        self._pages = pages
        self._ready = ready
        self._heads = heads
        self._places: Shared[tuple[str, str, WalkToken], Place] = Shared()
        self._makings: Shared[Page | Delta, Coded] = Shared()
        self._walks = Walks(store)
        self._lifecycles = Lifecycles(store)
        self._clock = clock
        self._margin = since_margin

    async def feeds(self, request: Request) -> Response:
        """Answer all feeds. A token is not looked at: the listing is always whole."""
        rows = await run_in_threadpool(self._store.feeds)
        listed = [_listed(row.name, catalog.describe_feed(row.name)) for row in rows]
        return answer(request, canonical.encode({"feeds": listed, "next_token": ""}))

    async def groups(self, request: Request) -> Response:
        """Answer the groups of a feed, all of them."""
        feed = request.path_params["feed"]
        listed = await run_in_threadpool(self._listed_groups, feed)
        return answer(request, canonical.encode({"groups": listed, "next_token": ""}))

    async def page(self, request: Request) -> Response:
        """Answer a page of a group: of its whole, or of its changes when `since` is given."""
        encoding = negotiate(request)
        feed, group = request.path_params["feed"], request.path_params["group"]
        given = parameters(request.scope["query_string"], ("since", "next_token", "limit"))
        most = limit(given)
        since = parse_since(given["since"]) if "since" in given else None
        token = tokens.decode(feed, group, given["next_token"]) if "next_token" in given else None
        # A client repeats its `since` beside the token, which says more.
        start = since if token is None else token
        if start is None or isinstance(start, WalkToken):
            return await self._whole(request, encoding, feed, group, start, None if most == MOST else most)
        return await self._changes(request, feed, group, start, most or MOST)

    async def record(self, request: Request) -> Response:
        """Answer one record by its key, with its past versions when asked for."""
        given = parameters(request.scope["query_string"], ("history",))
        names = request.path_params
        body = await run_in_threadpool(
            self._record, names["feed"], names["group"], names["key"], history=flag(given, "history")
        )
        return answer(request, body)

    async def _whole(
        self, request: Request, encoding: Encoding, feed: str, group: str, token: WalkToken | None, most: int | None
    ) -> Response:
        place = await self._place(feed, group, token)
        if most is not None or not place.is_page_start:
            return answer(request, await run_in_threadpool(self._walks.slice, place, most))
        generation = place.manifest.generation
        try:
            response = await self._ready_page(request, encoding, place)
            # A walk that outlived its generation goes on in the current one, another one each time.
            if token is None or token.generation == generation:
                asked = None if token is None else generation
                self._ready.remember(request.scope, Page(feed, group, asked, place.key, encoding))
            return response
        except PageGoneError:
            place = await run_in_threadpool(self._walks.current, feed, group, place.key)
            if place.is_page_start:
                return await self._ready_page(request, encoding, place)
            return answer(request, await run_in_threadpool(self._walks.slice, place, None))

    async def _place(self, feed: str, group: str, token: WalkToken | None) -> Place:
        if token is None:
            head = await self._heads.head(feed, group)
            if head is None:
                return await run_in_threadpool(self._walks.current, feed, group)
            token = WalkToken(head.generation, "")
        if (kept := self._walks.kept(feed, group, token)) is not None:
            return kept
        finding = partial(run_in_threadpool, self._walks.find, feed, group, token)
        return await self._places.get((feed, group, token), finding)

    async def _ready_page(self, request: Request, encoding: Encoding, place: Place) -> Response:
        manifest = place.manifest
        tail = closing(place.token_for(place.following()))
        name = manifest.pages[place.index].name
        etag = f'"{name}-{xxhash.xxh3_64_hexdigest(tail)}-{encoding}"'
        if (known := unchanged(request, etag)) is not None:
            return known
        page = Page(manifest.feed, manifest.group, manifest.generation, place.key, encoding)

        async def make() -> Coded:
            beginning = self._pages.ready(name, encoding)
            if beginning is None:
                beginning = await run_in_threadpool(self._pages.prefix, manifest, place.index, encoding)
            coded = Coded(encoding, etag, splice(beginning, tail))
            self._ready.keep(page, coded)
            return coded

        return send(request, await self._get(page, make))

    async def _get(self, wanted: Page | Delta, make: Callable[[], Awaitable[Coded]]) -> Coded:
        """Return an answer from memory, from a making that is under way, or made now."""
        kept = self._ready.answer(wanted)
        return await self._makings.get(wanted, make) if kept is None else kept.coded

    async def _changes(
        self, request: Request, feed: str, group: str, start: DeltaToken | TimeToken | datetime, most: int
    ) -> Response:
        numbers = start if isinstance(start, DeltaToken) else await self._numbers(feed, group, start)
        wanted = Delta(feed, group, numbers.after, numbers.upto, most, wish_of(request))
        coded = await self._get(wanted, partial(self._make_delta, wanted))
        if numbers is start:
            self._ready.remember(request.scope, wanted)
        return give(request, coded)

    async def _numbers(self, feed: str, group: str, start: TimeToken | datetime) -> DeltaToken:
        """Return what a time means now."""
        at = effective(start.at if isinstance(start, TimeToken) else start, self._clock(), self._margin)
        head = await self._heads.head(feed, group)
        if head is None:
            return await run_in_threadpool(self._walks.delta_since, feed, group, at)
        if head.published_at < at:
            return DeltaToken(head.sequence, head.sequence)
        return DeltaToken(await run_in_threadpool(self._store.position_at, feed, group, at), head.sequence)

    async def _make_delta(self, wanted: Delta) -> Coded:
        numbers, coded = await run_in_threadpool(self._read_delta, wanted)
        # Other numbers than asked for are those of now and may be others the next time.
        if (numbers.after, numbers.upto) == (wanted.after, wanted.upto):
            self._ready.keep(wanted, coded)
        return coded

    def _read_delta(self, wanted: Delta) -> tuple[DeltaToken, Coded]:
        token = DeltaToken(wanted.after, wanted.upto)
        numbers, page = self._walks.delta(wanted.feed, wanted.group, token, wanted.limit)
        return numbers, code(page, wanted.wish)

    def _listed_groups(self, feed: str) -> list[dict[str, Any]]:
        rows = self._store.groups(feed) if is_name(feed) else []
        if not rows:
            require_feed(self._store, feed)
        supported = self._lifecycles.of(rows)
        return [
            {
                **_listed(row.name, catalog.describe_group(feed, row.name)),
                **msgspec.to_builtins(supported.get((feed, row.name), {})),
            }
            for row in rows
        ]

    def _record(self, feed: str, group: str, key: str, *, history: bool) -> bytes:
        self._walks.head(feed, group)
        version = self._store.record(feed, group, key) if is_name(key) else None
        if version is None:
            raise NotFoundError(f"group {group!r} of feed {feed!r} has no record {key[:300]!r}")
        body = {"feed": feed, "group": group, "key": key, **_version(version)}
        if history:
            body["versions"] = [_version(each) for each in self._store.history(feed, group, key)]
        return canonical.encode(body)


def _listed(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "description": description, "access_tier": _TIER}


def _version(version: RecordVersion) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "sequence": version.sequence,
        "published_at": show(version.published_at),
        "withdrawn": version.withdrawn,
        "record": msgspec.Raw(version.body),
    }
    if version.ended is not None:
        facts["ended"] = version.ended
    return facts
