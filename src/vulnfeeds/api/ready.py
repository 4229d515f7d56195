"""Whole answers kept in memory: a page that was sent lately is sent again without routing, files or coding.

A page of a generation never changes, so an answer is kept under its generation; which generation a walk begins on
is asked anew for every request. All but the plain GET of such a page goes the long way.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vulnfeeds.api.heads import Heads
from vulnfeeds.publish.splice import Encoding

MEMORY: Final = 64 << 20
"""Bytes of answers that are kept unless another limit is given."""

_ASKED: Final = "vulnfeeds.asked"
_KEPT_FORMS: Final = 4096
_LONGEST_FORM: Final = 1000
"""Bytes of path, query and headers of a request that is remembered; with the number above, 4 MB at the most."""
_OVERHEAD: Final = 2000
"""Bytes that an answer takes beside its body, roughly."""

Form = tuple[str, bytes, bytes | None, bytes | None]
"""All of a request that its answer depends on: path, query, Accept, Accept-Encoding."""


class Page(msgspec.Struct, frozen=True):
    """What a request asks for."""

    feed: str
    group: str
    generation: int | None
    """None: the current one."""
    key: str
    encoding: Encoding


class ReadyAnswers:
    """The answers, those used longest ago going first; belongs to one event loop."""

    def __init__(self, most_bytes: int = MEMORY) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._forms: OrderedDict[Form, Page] = OrderedDict()
        self._answers: OrderedDict[Page, tuple[Message, Message]] = OrderedDict()

    def keep(self, scope: Scope, page: Page, generation: int, response: Response) -> None:
        """Remember the answer to a request: a page of a generation, as it was sent whole."""
        form: Form | None = scope.get(_ASKED)
        body = bytes(response.body)
        size = len(body) + _OVERHEAD
        if form is None or size > self._most:
            return
        self._forms[form] = page
        if len(self._forms) > _KEPT_FORMS:
            self._forms.popitem(last=False)
        kept = msgspec.structs.replace(page, generation=generation)
        if kept in self._answers:
            return
        start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        self._answers[kept] = (start, {"type": "http.response.body", "body": body})
        self._bytes += size
        while self._bytes > self._most:
            _, (_, dropped) = self._answers.popitem(last=False)
            self._bytes -= len(dropped["body"]) + _OVERHEAD

    def page(self, form: Form) -> Page | None:
        """Return what a request asks for when one like it was answered lately."""
        found = self._forms.get(form)
        if found is not None:
            self._forms.move_to_end(form)
        return found

    def answer(self, page: Page) -> tuple[Message, Message] | None:
        """Return the two messages of a kept answer."""
        found = self._answers.get(page)
        if found is not None:
            self._answers.move_to_end(page)
        return found


class SendReady:
    """Answer from memory what is there; hand all else on."""

    def __init__(self, app: ASGIApp, ready: ReadyAnswers, heads: Heads) -> None:
        self._app = app
        self._ready = ready
        self._heads = heads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "GET" and (form := _form(scope)) is not None:
            answer = await self._find(form)
            if answer is not None:
                await send(answer[0])
                await send(answer[1])
                return
            scope[_ASKED] = form
        await self._app(scope, receive, send)

    async def _find(self, form: Form) -> tuple[Message, Message] | None:
        page = self._ready.page(form)
        if page is None:
            return None
        if page.generation is None:
            generation = await self._heads.generation(page.feed, page.group)
            if generation is None:
                return None
            page = Page(page.feed, page.group, generation, page.key, page.encoding)
        return self._ready.answer(page)


def _form(scope: Scope) -> Form | None:
    """Return a request's form; None for one with a condition, with a header twice, or too long to remember."""
    accept = encoding = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            if encoding is not None:
                return None
            encoding = value
        elif name == b"accept":
            if accept is not None:
                return None
            accept = value
        elif name == b"if-none-match":
            return None
    path, query = scope["path"], scope["query_string"]
    length = len(path) + len(query) + len(accept or b"") + len(encoding or b"")
    return (path, query, accept, encoding) if length <= _LONGEST_FORM else None
