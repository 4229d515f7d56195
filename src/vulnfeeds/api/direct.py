"""Connections that answer what is ready before the application is asked.

A plain GET whose answer lies in memory is answered when its last byte is read: no scope, no task, no messages, only
three pieces of bytes to the transport. Everything else takes uvicorn's own way, and so does a request that must wait
for its turn behind another one, or whose client has not taken what it was sent before. A request whose bytes came
before, as a whole and alone, means what it meant then and is not parsed again.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vulnfeeds.api.finding import Finder
from vulnfeeds.api.ready import LONGEST_FORM, Answer, Form, form_of

LONGEST_HEAD: Final = 64 << 10
"""Bytes that a request may take before its head is whole; a read of the socket may go beyond it once."""
_SECRETS: Final = frozenset((b"authorization", b"proxy-authorization", b"cookie"))
"""Headers that the service ignores; nothing of it remembers what is in them."""


class DirectProtocol(HttpToolsProtocol):
    """Answers at once what it can, and ends a connection that sends without end what is no body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._finder: Finder | None = None if self.config.access_log else finder_of(self.config.app)
        self._unfinished = 0
        self._is_between = True
        """No request has begun that is not whole."""
        self._begun = 0
        """How many requests began in the bytes that are being parsed."""
        self._form: Form | None = None
        self._answer: Answer | None = None
        self._defaults: list[tuple[bytes, bytes]] = []
        self._opening = STATUS_LINE[200]
        self.answered = 0
        """How many requests were answered at once: for those who watch whether a connection is used."""

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket; those of a request that came before, whole and alone, are not parsed again."""
        begins = self._is_between and len(data) <= LONGEST_FORM
        if begins and self._finder is not None and self._is_free():
            answer = self._finder.at_once(data)
            if answer is not None:
                self._unfinished = 0
                self._send(answer)
                return
        self._unfinished += len(data)
        self._begun, self._form = 0, None
        super().data_received(data)
        if begins and self._begun == 1 and self._is_between:
            self._recall(data)
        if self._unfinished <= LONGEST_HEAD or self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response("Invalid HTTP request received.")
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request. Its scope is made when the application is to be asked."""
        self._is_between = False
        self._begun += 1
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Begin to answer: the head is whole."""
        self._unfinished = 0
        self._answer = self._at_once()
        if self._answer is None:
            # An answer at once to a request of the same read began to wait for the next one, which is this.
            self._unset_keepalive_if_required()
            self._make_scope()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body, which is bounded elsewhere."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; send its answer if that is ready."""
        self._unfinished = 0
        self._is_between = True
        if self._answer is None:
            super().on_message_complete()
            return
        answer, self._answer = self._answer, None
        self._send(answer)

    def _make_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.headers += headers
        self.url, self.expect_100_continue = url, expects

    def _is_free(self) -> bool:
        """Say whether an answer may be sent now: none is under way, and the client has taken all that it was sent.

        A client that takes nothing waits its turn the long way, so that no second answer piles up here.
        """
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle and not self.transport.get_write_buffer_size() and not self.transport.is_closing()

    def _at_once(self) -> Answer | None:
        """Return the answer to the request whose head is read, None when it must take the long way."""
        if self._finder is None or not self._is_free():
            return None
        parser = self.parser
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        self._form = form_of(self.url, self.headers)
        return None if self._form is None else self._finder.at_once(self._form)

    def _recall(self, data: bytes) -> None:
        """Remember the bytes of a request that came whole and alone, unless they hold secrets."""
        if self._form is None or self._finder is None or any(name in _SECRETS for name, _ in self.headers):
            return
        self._finder.same(data, self._form)

    def _send(self, answer: Answer) -> None:
        self.transport.writelines((self._begin(), answer.lines, answer.coded.body))
        self.answered += 1
        self.on_response_complete()

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
