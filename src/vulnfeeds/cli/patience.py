"""How long and how much the server bears with one client, so that no client costs the others anything.

uvicorn itself closes a connection that is silent after an answer. It waits for ever for a request that never becomes
whole, and for ever for a reader that takes nothing of its answer; both are ended here, together with what is beyond
the number of connections and the memory that all readers may hold.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Collection
from typing import Any, Final

import uvicorn

MOST_UNSENT: Final = 128 << 20
"""Bytes of answers that all clients together may leave waiting; above it those that wait longest are ended."""
_LEAST_RATE: Final = 1024
"""Bytes a second that a reader must take, over the time that a client is given."""
_MOST_CONNECTIONS: Final = 8192
_LOOK_TICKS: Final = 2
"""The server ticks ten times a second."""


class _Seen:
    """A connection as it was at the last look."""

    __slots__ = ("answered", "cycle", "taking_since", "unsent", "waiting_since")

    def __init__(self, now: float) -> None:
        self.cycle: Any = None
        self.answered = 0
        self.waiting_since = now
        """Since when there is neither a whole request nor an answer under way."""
        self.unsent = 0
        self.taking_since = now
        """Since when the reader is measured."""


class Patience:
    """Ends connections that wait, or keep an answer waiting, for too long. `seconds` is what a client is given."""

    def __init__(self, seconds: float, most_connections: int, most_unsent: int = MOST_UNSENT) -> None:
        self._seconds = seconds
        self._most_connections = most_connections
        self._most_unsent = most_unsent
        self._seen: dict[Any, _Seen] = {}

    def look(self, connections: Collection[Any], now: float) -> None:
        """Judge all open connections; `now` is monotonic."""
        before, self._seen = self._seen, {}
        for connection in list(connections):
            seen = self._seen[connection] = before.get(connection) or _Seen(now)
            unsent = connection.transport.get_write_buffer_size()
            cycle = connection.cycle
            # A connection that answers at once has no cycle then, but counts.
            answered = getattr(connection, "answered", 0)
            is_new = cycle is not seen.cycle or answered != seen.answered
            seen.cycle, seen.answered = cycle, answered
            if is_new or unsent or not (cycle is None or cycle.response_complete):
                seen.waiting_since = now
            if self._is_stalled(seen, unsent, now, is_new=is_new) or now - seen.waiting_since > self._seconds:
                self._end(connection)
        self._end_beyond(self._most_connections, [1] * len(self._seen))
        self._end_beyond(self._most_unsent, [seen.unsent for seen in self._seen.values()])

    def _is_stalled(self, seen: _Seen, unsent: int, now: float, *, is_new: bool) -> bool:
        taken = seen.unsent - unsent
        if unsent == 0 or is_new or taken < 0:
            seen.unsent, seen.taking_since = unsent, now
            return False
        elapsed = now - seen.taking_since
        if elapsed <= self._seconds:
            return False
        seen.unsent, seen.taking_since = unsent, now
        return taken < _LEAST_RATE * elapsed

    def _end_beyond(self, most: int, weights: list[int]) -> None:
        """End the connections that wait longest until the others' weights are no more than `most`."""
        total = sum(weights)
        if total <= most:
            return
        weighted = zip(weights, self._seen.items(), strict=True)
        for weight, (connection, _) in sorted(weighted, key=lambda pair: _age(pair[1][1])):
            if total <= most:
                return
            if weight:
                total -= weight
                self._end(connection)

    def _end(self, connection: Any) -> None:
        self._seen.pop(connection, None)
        # Not close(): that waits until what is unsent has been taken.
        connection.transport.abort()


class PatientServer(uvicorn.Server):
    """A server that looks at its connections five times a second."""

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._patience = Patience(seconds, min(_MOST_CONNECTIONS, open_files() * 3 // 4))

    async def on_tick(self, counter: int) -> bool:
        """Look, now and then, and do what the server does at each tick."""
        if counter % _LOOK_TICKS == 0:
            self._patience.look(self.server_state.connections, time.monotonic())
        return await super().on_tick(counter)


def open_files() -> int:
    """Raise this process's limit of open files to what the system allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def _age(seen: _Seen) -> float:
    return min(seen.waiting_since, seen.taking_since)
