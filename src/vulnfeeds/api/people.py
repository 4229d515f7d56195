"""The contract for programs and for people, and the state of the service for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import vulnfeeds
from vulnfeeds.api import openapi
from vulnfeeds.api.answers import answer
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import Store, TaskFilter
from vulnfeeds.web import html

_HTML: Final = "text/html; charset=utf-8"
_TASKS: Final = 25


class PeopleRoutes:
    """The handlers of the contract and of the pages for people."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def swagger(self, request: Request) -> Response:
        """Answer the contract as an OpenAPI document."""
        return answer(request, _contract(request.scope["vulnfeeds.version"]))

    async def docs(self, request: Request) -> Response:
        """Answer the contract as a page."""
        return _page(request, _docs(request.scope["vulnfeeds.version"]))

    async def status(self, request: Request) -> Response:
        """Answer the state of the service as a page."""
        return _page(request, await run_in_threadpool(self._status))

    def _status(self) -> bytes:
        groups = self._store.groups()
        tasks = self._store.tasks(TaskFilter(), limit=_TASKS)
        return html.status_page(groups, tasks, self._clock(), vulnfeeds.__version__).encode()


def _page(request: Request, content: bytes) -> Response:
    response = answer(request, content, media_type=_HTML)
    response.headers.update(html.HEADERS)
    return response


@cache
def _contract(version: str) -> bytes:
    return canonical.encode(openapi.document(version))


@cache
def _docs(version: str) -> bytes:
    return html.docs_page(openapi.document(version)).encode()
