"""Finding the answer to a request in memory, for those who may wait and for those who may not."""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from vulnfeeds.api.heads import Heads
from vulnfeeds.api.ready import ASKED, Answer, Form, Page, ReadyAnswers, form_of


class Finder:
    """Finds kept answers; belongs to one event loop."""

    def __init__(self, answers: ReadyAnswers, heads: Heads) -> None:
        self._answers = answers
        self._heads = heads

    def same(self, data: bytes, form: Form) -> None:
        """Remember that these bytes are a whole plain GET of this form, and nothing else."""
        self._answers.same(data, form)

    def at_once(self, form: Form | bytes) -> Answer | None:
        """Return the answer to a request of this form, or of these bytes, if that takes no waiting, else None."""
        asked = self._answers.asked(form)
        if isinstance(asked, Page) and asked.generation is None:
            head = self._heads.at_once(asked.feed, asked.group)
            asked = None if head is None else msgspec.structs.replace(asked, generation=head.generation)
        return None if asked is None else self._answers.answer(asked)

    async def find(self, form: Form) -> Answer | None:
        """Return the answer to a request of this form, None when it is not in memory; may ask the store."""
        asked = self._answers.asked(form)
        if isinstance(asked, Page) and asked.generation is None:
            head = await self._heads.head(asked.feed, asked.group)
            asked = None if head is None else msgspec.structs.replace(asked, generation=head.generation)
        return None if asked is None else self._answers.answer(asked)


class SendReady:
    """Answer from memory what is there; hand all else on."""

    def __init__(self, app: ASGIApp, finder: Finder) -> None:
        self._app = app
        self._finder = finder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "GET" and (form := _form(scope)) is not None:
            answer = await self._finder.find(form)
            if answer is not None:
                await send(answer.start)
                await send({"type": "http.response.body", "body": answer.coded.body})
                return
            scope[ASKED] = form
        await self._app(scope, receive, send)


def _form(scope: Scope) -> Form | None:
    """Return a request's form, None when it has none."""
    # Not every server tells the path as it was sent.
    path: bytes | None = scope.get("raw_path")
    query: bytes = scope["query_string"]
    return None if path is None else form_of(path + b"?" + query if query else path, scope["headers"])
