"""The current generations of groups, asked for by many requests at once with one question to the store.

A request is only ever answered by a question that was put after it came, so nobody gets a state older than his
request; requests that come while a question is under way share the next one.
"""

from __future__ import annotations

import asyncio

from vulnfeeds.api.walks import is_name
from vulnfeeds.errors import StoreError
from vulnfeeds.store.interface import Store

Name = tuple[str, str]
"""Feed and group."""


class Heads:
    """Current generations; belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Name, asyncio.Future[int | None]] = {}
        self._asker: asyncio.Task[None] | None = None

    async def generation(self, feed: str, group: str) -> int | None:
        """Return a group's current generation, None when there is no such group or the store did not say."""
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
            found: dict[Name, int | None] = {}
            try:
                found = await loop.run_in_executor(None, self._read, list(asked))
            finally:
                for name, answer in asked.items():
                    if not answer.done():
                        answer.set_result(found.get(name))

    def _read(self, names: list[Name]) -> dict[Name, int | None]:
        """Ask the store; what it does not say stays open, and the request's own way finds out why."""
        found: dict[Name, int | None] = {}
        for feed, group in names:
            try:
                head = self._store.group(feed, group) if is_name(feed) and is_name(group) else None
            except StoreError:
                continue
            found[feed, group] = None if head is None else head.generation
        return found
