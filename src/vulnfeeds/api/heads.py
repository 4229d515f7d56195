"""The heads of groups as they are now: at once while nothing was published, else by one question for all who wait.

A request is only ever answered by a question that was put after it came, so nobody gets a state older than his
request. Where the store tells its revision at once that is the question, and heads read at the same revision are the
answer. Elsewhere requests that come while a question is under way share the next one.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from vulnfeeds.api.walks import is_name
from vulnfeeds.errors import StoreError
from vulnfeeds.store.interface import Store

Name = tuple[str, str]
"""Feed and group."""


class Head(msgspec.Struct, frozen=True):
    """What only a publish changes of a group."""

    generation: int
    sequence: int
    published_at: datetime


class Heads:
    """Current heads; belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revision: int | None = None
        self._known: dict[Name, Head] = {}
        """Read when the store was at that revision."""
        self._waiting: dict[Name, asyncio.Future[Head | None]] = {}
        self._asker: asyncio.Task[None] | None = None

    def at_once(self, feed: str, group: str) -> Head | None:
        """Return a group's head if it is known to be that of now, else None; waits for nothing."""
        if self._revision is None or self._store.peek_revision() != self._revision:
            return None
        return self._known.get((feed, group))

    async def head(self, feed: str, group: str) -> Head | None:
        """Return a group's head, None when there is no such group or the store did not say."""
        known = self.at_once(feed, group)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        answer = self._waiting.get((feed, group))
        if answer is None:
            answer = self._waiting[feed, group] = loop.create_future()
        if self._asker is None or self._asker.done():
            self._asker = loop.create_task(self._ask())
        # One waiter that goes away must not take the answer from the others.
        return await asyncio.shield(answer)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            found: dict[Name, Head] = {}
            try:
                revision, found = await loop.run_in_executor(None, self._read, list(asked))
                self._keep(revision, found)
            finally:
                for name, answer in asked.items():
                    if not answer.done():
                        answer.set_result(found.get(name))

    def _keep(self, revision: int | None, found: dict[Name, Head]) -> None:
        if revision is None:
            return
        if revision != self._revision:
            self._revision, self._known = revision, {}
        self._known.update(found)

    def _read(self, names: list[Name]) -> tuple[int | None, dict[Name, Head]]:
        """Ask the store; what it does not say stays open, and the request's own way finds out why.

        The revision comes first: a publish between the two makes heads newer than it, which nobody is then given.
        """
        revision = self._store.peek_revision()
        found: dict[Name, Head] = {}
        for feed, group in names:
            try:
                row = self._store.group(feed, group) if is_name(feed) and is_name(group) else None
            except StoreError:
                continue
            if row is not None:
                found[feed, group] = Head(row.generation, row.sequence, row.published_at)
        return revision, found
