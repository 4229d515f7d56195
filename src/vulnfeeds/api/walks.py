"""What the next page of a walk is: pages of one generation, slices of it, or changes between two numbers.

A walk of a whole group stays on the generation on which it began; its token names it, and the lists of pages are kept
in memory, so that going on needs no database. Changes end at the number at which the walk began. Everything here but
`Walks.kept` may wait for the store and belongs in a thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from datetime import datetime
from typing import Final

import msgspec

from vulnfeeds.api.tokens import DeltaToken, WalkToken, encode
from vulnfeeds.errors import NotFoundError
from vulnfeeds.publish.pages import OPENING, closing
from vulnfeeds.store.interface import GroupRow, Manifest, Store

_KEPT_MANIFESTS: Final = 256
_LONGEST_NAME: Final = 300
"""Characters; no feed, group or key of any upstream comes near."""


class Place(msgspec.Struct, frozen=True):
    """Where a walk of a whole group stands."""

    manifest: Manifest
    key: str
    """The first key that was not sent."""

    @property
    def index(self) -> int:
        """Return the index of the page that holds the key."""
        return max(0, bisect_right(self.manifest.pages, self.key, key=lambda page: page.first_key) - 1)

    @property
    def is_page_start(self) -> bool:
        """Say whether the next page is a whole one, which is kept ready."""
        pages = self.manifest.pages
        return bool(pages) and pages[self.index].first_key == self.key

    def following(self) -> str | None:
        """Return the first key of the next page, None on the last."""
        at = self.index + 1
        return self.manifest.pages[at].first_key if at < len(self.manifest.pages) else None

    def token_for(self, key: str | None) -> str:
        """Return the token that goes on at a key of this generation; "" for None, the end."""
        if key is None:
            return ""
        return encode(self.manifest.feed, self.manifest.group, WalkToken(self.manifest.generation, key))


class Walks:
    """The steps of walks over one store; safe for threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._manifests: OrderedDict[tuple[str, str, int], Manifest] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, feed: str, group: str, token: WalkToken) -> Place | None:
        """Return where a token stands if that is known without asking the store, else None."""
        manifest = self._kept_manifest(feed, group, token.generation)
        return Place(manifest, token.key) if manifest else None

    def find(self, feed: str, group: str, token: WalkToken) -> Place:
        """Return where a token stands: on its generation, or on the current one when that is forgotten."""
        manifest = self._manifest(feed, group, token.generation)
        return Place(manifest, token.key) if manifest else self.current(feed, group, token.key)

    def current(self, feed: str, group: str, key: str = "") -> Place:
        """Return a place in the current generation; raises NotFoundError for a group that never was."""
        head = self.head(feed, group)
        manifest = self._manifest(feed, group, head.generation)
        if manifest is None:
            # A publish came between the two questions and the generation was forgotten at once.
            manifest = self._store.manifest(feed, group)
        if manifest is None:
            raise NotFoundError(f"group {group!r} of feed {feed!r} has nothing published")
        return Place(manifest, key)

    def head(self, feed: str, group: str) -> GroupRow:
        """Return a group's head; raises NotFoundError when the group never was."""
        if is_name(feed) and is_name(group):
            head = self._store.group(feed, group)
            if head is not None:
                return head
        require_feed(self._store, feed)
        raise NotFoundError(f"feed {feed!r} has no group {group[:_LONGEST_NAME]!r}")

    def slice(self, place: Place, limit: int | None) -> bytes:
        """Return the JSON from a place on: `limit` records, or the rest of its page when None."""
        manifest = place.manifest
        before = place.following() if limit is None else None
        most = None if limit is None else limit + 1
        rows = self._store.slice(
            manifest.feed,
            manifest.group,
            as_of=manifest.sequence,
            first_key=place.key,
            before_key=before,
            limit=most,
        )
        # Asked after reading: what was forgotten meanwhile would be missing from the rows.
        if manifest.sequence < self.head(manifest.feed, manifest.group).floor:
            current = self.current(manifest.feed, manifest.group, place.key)
            if current.manifest.generation != manifest.generation:
                return self.slice(current, limit)
        if limit is not None and len(rows) > limit:
            before = rows[limit][0]
        elif limit is not None:
            before = None
        return _page([body for _, body in rows[:limit]], place.token_for(before))

    def delta_since(self, feed: str, group: str, at: datetime) -> DeltaToken:
        """Return the walk over what was published at `at` or later, up to now."""
        head = self.head(feed, group)
        return DeltaToken(self._store.position_at(feed, group, at), head.sequence)

    def delta(self, feed: str, group: str, token: DeltaToken, most: int) -> tuple[DeltaToken, bytes]:
        """Return the JSON of the next changes, `most` at the most, in the order in which they were published.

        Beside it stand the numbers that it lies between: others than the token's when those do not hold.
        """
        head = self.head(feed, group)
        # A number that was never given comes from another store, perhaps one that a backup replaced.
        upto = min(token.upto, head.sequence)
        if upto < head.floor:
            upto = head.sequence
        rows = self._store.delta(feed, group, after=token.after, upto=upto, limit=most + 1)
        if upto < self.head(feed, group).floor:
            return self.delta(feed, group, token, most)
        more = DeltaToken(rows[most - 1][0], upto) if len(rows) > most else None
        page = _page([body for _, body in rows[:most]], encode(feed, group, more) if more else "")
        return DeltaToken(token.after, upto), page

    def _manifest(self, feed: str, group: str, generation: int) -> Manifest | None:
        kept = self._kept_manifest(feed, group, generation)
        if kept is not None or not (is_name(feed) and is_name(group)):
            return kept
        found = self._store.manifest(feed, group, generation)
        if found is not None:
            with self._lock:
                self._manifests[feed, group, generation] = found
                if len(self._manifests) > _KEPT_MANIFESTS:
                    self._manifests.popitem(last=False)
        return found

    def _kept_manifest(self, feed: str, group: str, generation: int) -> Manifest | None:
        with self._lock:
            found = self._manifests.get((feed, group, generation))
            if found is not None:
                self._manifests.move_to_end((feed, group, generation))
            return found


def is_name(text: str) -> bool:
    """Say whether a store could hold a feed, group or record of that name."""
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable()


def require_feed(store: Store, feed: str) -> None:
    """Raise NotFoundError when a feed never was."""
    if not is_name(feed) or all(row.name != feed for row in store.feeds()):
        raise NotFoundError(f"feed {feed[:_LONGEST_NAME]!r} does not exist")


def _page(bodies: list[bytes], token: str) -> bytes:
    return b"".join((OPENING, b",".join(bodies), closing(token)))
