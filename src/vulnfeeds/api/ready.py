"""Whole answers kept in memory: a page that was sent lately is sent again without routing, files or coding.

What is kept never changes: a page of a generation, or the changes between two numbers. Which generation a walk begins
on is asked anew for every request. All but the plain GET of what is kept goes the long way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Message, Scope

from vulnfeeds.api.answers import Coded, Wish, headers_of
from vulnfeeds.publish.splice import Encoding

MEMORY: Final = 64 << 20
"""Bytes of answers that are kept unless another limit is given."""
ASKED: Final = "vulnfeeds.asked"
"""Where a request's form lies in its scope."""

_KEPT_FORMS: Final = 4096
LONGEST_FORM: Final = 1000
"""Bytes of a request's form that is remembered; with the number above, 4 MB at the most."""
_OVERHEAD: Final = 3000
"""Bytes that an answer takes beside its body, roughly."""
_LONG_WAY: Final = frozenset(
    (b"if-none-match", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"http2-settings")
)
"""Headers of requests that are not plain: they have a condition or a body, or want something else than an answer."""

Form = tuple[bytes, bytes | None, bytes | None]
"""All of a plain GET that its answer depends on: target, Accept, Accept-Encoding."""


class Page(msgspec.Struct, frozen=True):
    """A page of a whole group."""

    feed: str
    group: str
    generation: int | None
    """None: the current one."""
    key: str
    encoding: Encoding


class Delta(msgspec.Struct, frozen=True):
    """A page of changes."""

    feed: str
    group: str
    after: int
    upto: int
    limit: int
    wish: Wish


class Answer(msgspec.Struct, frozen=True):
    """A whole answer with status 200 in the forms in which it is sent."""

    coded: Coded
    start: Message
    lines: bytes
    """The headers as they stand on the wire, with the empty line that ends them."""

    @staticmethod
    def of(coded: Coded) -> Answer:
        """Return an answer in JSON in the forms in which it is sent."""
        headers = Response(None, HTTPStatus.OK, headers_of(coded)).raw_headers
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        start = {"type": "http.response.start", "status": HTTPStatus.OK.value, "headers": headers}
        return Answer(coded, start, lines + b"\r\n")


def form_of(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Form | None:
    """Return a GET's form; None for one that is not plain, has a header twice, or is too long to remember.

    `target` is what stands in the request's first line, `headers` have small letters in their names.
    """
    accept = encoding = None
    for name, value in headers:
        if name == b"accept-encoding":
            if encoding is not None:
                return None
            encoding = value
        elif name == b"accept":
            if accept is not None:
                return None
            accept = value
        elif name in _LONG_WAY:
            return None
    length = len(target) + len(accept or b"") + len(encoding or b"")
    return (target, accept, encoding) if length <= LONGEST_FORM else None


class ReadyAnswers:
    """The answers, those used longest ago going first; belongs to one event loop."""

    def __init__(self, most_bytes: int = MEMORY) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._forms: OrderedDict[Form | bytes, Page | Delta] = OrderedDict()
        self._answers: OrderedDict[Page | Delta, Answer] = OrderedDict()

    def remember(self, scope: Scope, asked: Page | Delta) -> None:
        """Remember what a request asks for, so that the next one like it is answered from memory."""
        form: Form | None = scope.get(ASKED)
        if form is not None:
            self._remember(form, asked)

    def same(self, data: bytes, form: Form) -> None:
        """Remember that these bytes are a whole plain GET of this form, and nothing else."""
        asked = self._forms.get(form)
        if asked is not None and len(data) <= LONGEST_FORM:
            self._remember(data, asked)

    def _remember(self, form: Form | bytes, asked: Page | Delta) -> None:
        self._forms[form] = asked
        if len(self._forms) > _KEPT_FORMS:
            self._forms.popitem(last=False)

    def keep(self, page: Page | Delta, coded: Coded) -> None:
        """Keep an answer: a page of a generation, or of the changes between two numbers."""
        size = len(coded.body) + _OVERHEAD
        if size > self._most or page in self._answers:
            return
        self._answers[page] = Answer.of(coded)
        self._bytes += size
        while self._bytes > self._most:
            _, dropped = self._answers.popitem(last=False)
            self._bytes -= len(dropped.coded.body) + _OVERHEAD

    def asked(self, form: Form | bytes) -> Page | Delta | None:
        """Return what a request asks for when one like it was answered lately."""
        found = self._forms.get(form)
        if found is not None:
            self._forms.move_to_end(form)
        return found

    def answer(self, page: Page | Delta) -> Answer | None:
        """Return a kept answer."""
        found = self._answers.get(page)
        if found is not None:
            self._answers.move_to_end(page)
        return found
