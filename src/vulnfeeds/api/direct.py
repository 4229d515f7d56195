"""Connections that answer what is ready before the application is asked.

A plain GET whose answer lies in memory is answered when its last byte is read: no scope, no task, no messages, only
three pieces of bytes to the transport. Everything else takes uvicorn's own way, and so does a request that must wait
for its turn behind another one, or whose client has not taken what it was sent before.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vulnfeeds.api.finding import Finder
from vulnfeeds.api.ready import Answer, form_of

LONGEST_HEAD: Final = 64 << 10
"""Bytes that a request may take before its head is whole; a read of the socket may go beyond it once."""


class DirectProtocol(HttpToolsProtocol):
    """Answers at once what it can, and ends a connection that sends without end what is no body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._finder: Finder | None = None if self.config.access_log else finder_of(self.config.app)
        self._unfinished = 0
        self._answer: Answer | None = None
        self._defaults: list[tuple[bytes, bytes]] = []
        self._opening = STATUS_LINE[200]
        self.answered = 0
        """How many requests were answered at once: for those who watch whether a connection is used."""

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
        self._answer = self._at_once()
        if self._answer is None:
            # An answer at once to a request of the same read began to wait for the next one, which is this.
            self._unset_keepalive_if_required()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body, which is bounded elsewhere."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; send its answer if that is ready."""
        self._unfinished = 0
        if self._answer is None:
            super().on_message_complete()
            return
        answer, self._answer = self._answer, None
        self.transport.writelines((self._begin(), answer.lines, answer.coded.body))
        self.answered += 1
        self.on_response_complete()

    def _at_once(self) -> Answer | None:
        """Return the answer to the request whose head is read, None when it must take the long way."""
        if self._finder is None or not (self.cycle is None or self.cycle.response_complete):
            return None
        # A client that has not taken what it was sent waits its turn the long way: no second answer piles up here.
        if self.transport.get_write_buffer_size() or self.transport.is_closing():
            return None
        parser = self.parser
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        form = form_of(self.url, self.headers)
        return None if form is None else self._finder.at_once(form)

    def _begin(self) -> bytes:
        """Return the status line and the headers that the server gives to every answer; they change each second."""
        if self._defaults is not self.server_state.default_headers:
            self._defaults = self.server_state.default_headers
            self._opening = STATUS_LINE[200] + b"".join(b"%b: %b\r\n" % header for header in self._defaults)
        return self._opening


def finder_of(app: Any) -> Finder | None:
    """Return what an application answers from, None for one that keeps nothing ready."""
    found = getattr(getattr(app, "state", None), "finder", None)
    return found if isinstance(found, Finder) else None
