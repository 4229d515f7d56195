"""How bytes on a connection become requests: the fast parser where it is installed, the pure one elsewhere.

The fast parser keeps what it is sent without end; here it is held to the bound that the pure one has.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

LONGEST_HEAD: Final = 64 << 10
"""Bytes that a request may take before its head is whole; a read of the socket may go beyond it once."""


def protocol() -> type[asyncio.Protocol] | Literal["h11"]:
    """Return uvicorn's setting `http`."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class BoundedProtocol(HttpToolsProtocol):
        """Ends a connection that sends a head, or anything else that is no body, without end."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._unfinished = 0

        def data_received(self, data: bytes) -> None:
            """Take bytes from the socket."""
            self._unfinished += len(data)
            super().data_received(data)
            if self._unfinished <= LONGEST_HEAD or self.transport.is_closing():
                return
            if self.cycle is None or self.cycle.response_complete:
                self.send_400_response("Invalid HTTP request received.")
            else:
                self.transport.close()

        def on_headers_complete(self) -> None:
            """Begin to answer: the head is whole."""
            self._unfinished = 0
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            """Take a part of a request's body, which is bounded elsewhere."""
            self._unfinished = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            """End a request."""
            self._unfinished = 0
            super().on_message_complete()

    return BoundedProtocol
