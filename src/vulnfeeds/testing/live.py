"""A real server on a real port, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from vulnfeeds.api.connections import protocol

_START_SECONDS = 30.0


@contextmanager
def live_service(app: ASGIApp, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve an application in a thread on a free port and give its base URL, such as `http://127.0.0.1:40123`.

    Raises RuntimeError when the server does not start.
    """
    # Without the protocol's number asyncio leaves Nagle's algorithm on, and every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((host, 0))
    config = uvicorn.Config(
        app,
        log_level="error",
        lifespan="off",
        access_log=False,
        http=protocol(),
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = _ThreadServer(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="live-service", daemon=True)
    thread.start()
    try:
        if not server.began.wait(_START_SECONDS):
            raise RuntimeError("the server did not start")
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        listener.close()


class _ThreadServer(uvicorn.Server):
    """A server that says when it listens and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.began.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals: they belong to the main thread."""
        with contextlib.nullcontext():
            yield
