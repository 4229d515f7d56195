"""A walk through the API: every page's advisories and the place that the walk has come to are kept together.

A walk goes from the oldest update to the newest. The first one is whole; later ones begin where the last one ended,
less a margin. A walk that is cut off, by a failure or the death of its process, goes on behind its last page; when
the API does not know the cursor any more, at the update that it had come to.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from vulnfeeds.drivers.github.advisory import Advisory
from vulnfeeds.drivers.github.api import ADDRESS, AdvisoryAPI, CursorError, Page
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.errors import ParseError

FORM: Final = "github 1"
"""Raised when the kept form of an advisory changes: everything is asked for again."""
MOST_PAGES: Final = 100_000
"""Of one walk; true ones have a few hundred."""
_WALK: Final = "walk"


class Walk(msgspec.Struct):
    """How far the walks have come."""

    number: int = 0
    """Counts walks; documents carry the number of the last one that met them."""
    under_way: bool = False
    whole: bool = False
    """This walk meets every advisory, so what it does not meet is gone."""
    since: str | None = None
    """This walk is of what was updated from then on."""
    after: str | None = None
    """Cursor of its next page."""
    met: int = 0
    newest: str = ""
    """The latest update that was met: up to then everything is kept, when no walk is under way."""
    whole_at: float = 0.0
    """When the last whole walk ended, in seconds since the epoch; 0 before the first."""
    pages: int = 0


class Walker:
    """Walks, and keeps what it meets."""

    def __init__(self, context: Context, kept: KeptDocuments, api: AdvisoryAPI) -> None:
        self._context = context
        self._kept = kept
        self._api = api
        self._state = state_of(kept)

    def walk(self, *, whole: bool, overlap: timedelta) -> None:
        """Go on with the walk that is under way, or begin and end another one.

        Raises what `AdvisoryAPI.page` raises, but CursorError. What was met before stays kept.
        """
        state = self._state
        if not state.under_way or (whole and not state.whole):
            state = self._begin(whole or not state.whole_at, overlap)
        while True:
            page = self._page(state, overlap)
            for advisory in page.advisories:
                self._kept.put(advisory.id, str(state.number), self._context.now(), msgspec.json.encode(advisory))
                state.newest = max(state.newest, _checked(advisory))
            state.met += len(page.advisories)
            state.pages += 1
            state.after = page.after
            self._context.report("fetch", state.met, page.total)
            if page.after is None:
                break
            if state.pages > MOST_PAGES:
                raise ParseError(ADDRESS, f"a walk of more than {MOST_PAGES} pages is not plausible")
            self._save(state)
        self._end(state, page.total)

    def _begin(self, whole: bool, overlap: timedelta) -> Walk:
        last = self._state
        since = None if whole else _earlier(last.newest, overlap)
        newest = "" if whole else last.newest
        self._state = Walk(last.number + 1, True, whole, since, newest=newest, whole_at=last.whole_at)
        self._save(self._state)
        return self._state

    def _page(self, state: Walk, overlap: timedelta) -> Page:
        try:
            return self._api.page(state.after, state.since)
        except CursorError as error:
            self._context.note(f"a cursor holds no longer, the walk goes on at the last update: {error.reason}")
            # Without an update there was no page, and so no cursor.
            state.since, state.after = _earlier(state.newest, overlap), None
            return self._api.page(None, state.since)

    def _end(self, state: Walk, total: int) -> None:
        if state.whole:
            gone = self._kept.drop_others(str(state.number))
            left = self._kept.amount()
            if left < total and state.since is None:
                self._context.note(f"upstream counts {total} advisories; {left} came")
            if gone:
                self._context.note(f"{gone} advisories are gone without having been withdrawn")
            state.whole_at = self._context.now()
        state.under_way, state.since, state.after = False, None, None
        self._save(state)

    def _save(self, state: Walk) -> None:
        self._kept.set_mark(_WALK, msgspec.json.encode(state).decode())
        self._kept.commit()


def state_of(kept: KeptDocuments) -> Walk:
    """Return how far the walks have come; a state that cannot be read is the beginning."""
    try:
        return msgspec.json.decode(kept.get_mark(_WALK), type=Walk)
    except msgspec.MsgspecError:
        return Walk()


def _checked(advisory: Advisory) -> str:
    """Return the time of an advisory's update in the form that the walks compare. Raises ParseError for no time."""
    try:
        moment = datetime.fromisoformat(advisory.updated)
    except ValueError as error:
        raise ParseError(f"{ADDRESS} {advisory.id}", f"updatedAt: {error}") from error
    return _text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _earlier(moment: str, overlap: timedelta) -> str:
    return _text(datetime.fromisoformat(moment) - overlap)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
