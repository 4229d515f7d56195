"""The HTTP server of the service."""

from __future__ import annotations

import socket
import threading
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from vulnfeeds.api.connections import protocol
from vulnfeeds.cli.patience import PatientServer

_GRACE_SECONDS: Final = 5
"""Time that requests under way get to finish when the service ends."""


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
