"""One making for all who want the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Wanted = TypeVar("Wanted", bound=Hashable)
Made = TypeVar("Made")


class Shared(Generic[Wanted, Made]):
    """Makings under way; what is made is the same for all who want it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[Wanted, asyncio.Future[Made]] = {}

    async def get(self, wanted: Wanted, make: Callable[[], Awaitable[Made]]) -> Made:
        """Return what is wanted, by a making that is under way or else by `make`; raises what the making raises."""
        making = self._under_way.get(wanted)
        if making is None:
            making = self._under_way[wanted] = asyncio.ensure_future(make())
            making.add_done_callback(lambda done: self._end(wanted, done))
        # One client that goes away must not take it from the others.
        return await asyncio.shield(making)

    def _end(self, wanted: Wanted, making: asyncio.Future[Made]) -> None:
        del self._under_way[wanted]
        # Looked at, so that an error that nobody waits for any more is not reported as lost.
        if not making.cancelled():
            making.exception()
