"""Politeness: how many requests a host gets at once, how often, and not before when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Turnstile:
    """Lets requests to one host pass: at most `width` at a time, `pace` seconds apart, none while it is held."""

    def __init__(
        self, width: int, pace: float, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._slots = threading.BoundedSemaphore(width)
        self._pace = pace
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = float("-inf")

    def hold(self, seconds: float) -> None:
        """Let nobody pass for so long, because the host asked for it."""
        with self._lock:
            self._next = max(self._next, self._monotonic() + seconds)

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Wait for a free slot and the host's turn, and keep the slot until the request is over."""
        with self._slots:
            self._await_turn()
            yield

    def _await_turn(self) -> None:
        while True:
            with self._lock:
                now = self._monotonic()
                wait = self._next - now
                if wait <= 0:
                    self._next = now + self._pace
                    return
            self._sleep(wait)


class Turnstiles:
    """One turnstile for each host; made when a host is first asked. Safe to share between threads."""

    def __init__(
        self,
        width: int,
        pace: Mapping[str, float],
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._width = width
        self._pace = {host.lower(): seconds for host, seconds in pace.items()}
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._made: dict[tuple[str, bool], Turnstile] = {}

    def of(self, host: str, *, mirrored: bool) -> Turnstile:
        """Return the turnstile of a host; a mirror of it has one of its own, without pace."""
        with self._lock:
            key = (host, mirrored)
            if key not in self._made:
                pace = 0.0 if mirrored else self._pace.get(host, 0.0)
                self._made[key] = Turnstile(self._width, pace, self._monotonic, self._sleep)
            return self._made[key]
