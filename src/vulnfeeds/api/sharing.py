"""One making for all who want the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Wanted = TypeVar("Wanted", bound=Hashable)
Made = TypeVar("Made")


class Shared(Generic[Wanted, Made]):
    """Makes things that are the same for all who want them; belongs to one event loop."""

    def __init__(self, make: Callable[[Wanted], Awaitable[Made]]) -> None:
        self._make = make
        self._under_way: dict[Wanted, asyncio.Task[Made]] = {}

    async def get(self, wanted: Wanted) -> Made:
        """Return what is wanted, made now or by a making that is under way; raises what the making raises."""
        task = self._under_way.get(wanted)
        if task is None:
            task = self._under_way[wanted] = asyncio.ensure_future(self._go(wanted))
            task.add_done_callback(lambda done: self._end(wanted, done))
        # One client that goes away must not take it from the others.
        return await asyncio.shield(task)

    async def _go(self, wanted: Wanted) -> Made:
        return await self._make(wanted)

    def _end(self, wanted: Wanted, task: asyncio.Task[Made]) -> None:
        del self._under_way[wanted]
        # Looked at, so that an error that nobody waits for any more is not reported as lost.
        if not task.cancelled():
            task.exception()
