"""The address that the service listens on, and the server on it."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from vulnfeeds.api.connections import protocol
from vulnfeeds.cli.patience import PatientServer
from vulnfeeds.errors import AddressError

_REASONS: Final = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "this user may not listen there; ports below 1024 need a privilege",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}
_BACKLOG: Final = 2048
_GRACE_SECONDS: Final = 5
"""Time that requests under way get to finish when the service ends."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free one. Raises AddressError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # asyncio turns Nagle's algorithm off only on sockets that name their protocol, and connections take this from
        # the socket that listens; without it every answer in two parts waits 40 ms for the client's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        number = error.errno or 0
        # The resolver's errors have negative numbers.
        reason = "that name leads to no address" if number < 0 else _REASONS.get(number, os.strerror(number))
        what = "host" if number < 0 or number == errno.EADDRNOTAVAIL else "port"
        raise AddressError(
            f"cannot listen on {host}, port {port}: {reason}. Choose another with --{what}, "
            f"VULNFEEDS_{what.upper()} or the setting `{what}`"
        ) from error


def address_of(listening: socket.socket) -> str:
    """Return the URL at which this machine reaches a listening socket."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


class Server:
    """The HTTP server in a thread of its own, so that signals stay with the main thread."""

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        stop: threading.Event,
        failed: threading.Event,
        *,
        patience_seconds: float = 30.0,
    ) -> None:
        self._socket = listening
        self._stop = stop
        self._failed = failed
        self._server = PatientServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                http=protocol(),
                ws="none",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
            patience_seconds,
        )
        self._thread = threading.Thread(target=self._serve, name="server")

    def start(self) -> None:
        """Begin to answer; a server that ends before it was told to sets `failed` and `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, let those under way finish, and return when that is done."""
        self._server.should_exit = True
        self._thread.join(_GRACE_SECONDS + 2)

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            if not self._stop.is_set():
                self._failed.set()
                self._stop.set()
