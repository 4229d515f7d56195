"""Ends requests that outlive their time although bytes still trickle in.

The HTTP library's timeouts are for each read of the socket, so headers, or the marks between the chunks of a body,
that come one byte at a time never trip them, and our own code sees nothing until they are complete. So when a
request's time is over, the sockets to its host are shut down, which wakes the reader with an end of stream.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_OPENED = ("connect_tcp.complete", "start_tls.complete")
_GRACE = 0.05
"""Seconds after the deadline: then the deadline itself is over, by the same clock that the errors go by."""

Trace = Callable[[str, dict[str, Any]], None]


class Watchdog:
    """Knows the open sockets of each host and ends them for requests whose time is over. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: dict[str, weakref.WeakSet[socket.socket]] = {}

    @contextmanager
    def over(self, host: str, seconds: float) -> Iterator[Trace]:
        """Watch a request to `host` for so long; give what the HTTP library must be handed as "trace".

        The library does not say which kept-open connection a request uses, so all to that host end: the others'
        requests fail as interrupted ones do, and are tried again.
        """
        timer = threading.Timer(max(0.0, seconds) + _GRACE, self._end, (host,))
        timer.daemon = True
        timer.start()
        try:
            yield lambda event, info: self._note(host, event, info)
        finally:
            timer.cancel()

    def _note(self, host: str, event: str, info: dict[str, Any]) -> None:
        if event.endswith(_OPENED):
            opened = info["return_value"].get_extra_info("socket")
            if isinstance(opened, socket.socket):
                with self._lock:
                    self._sockets.setdefault(host, weakref.WeakSet()).add(opened)

    def _end(self, host: str) -> None:
        with self._lock:
            known = list(self._sockets.get(host, ()))
        for each in known:
            # Past a TLS socket's own method, which would take its state away under the reader. One that is closed
            # already has nothing to end.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
