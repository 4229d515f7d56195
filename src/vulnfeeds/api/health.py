"""The routes that probes and people ask first: ping, health, version."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import vulnfeeds
from vulnfeeds.api.answers import answer
from vulnfeeds.api.problems import RETRY_SECONDS, problem
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import Store

API_VERSION: Final = "0.1.0"
"""The version of the original's contract of which this one is a superset."""


class HealthRoutes:
    """The handlers of ping, health and version."""

    def __init__(self, store: Store, ready: Callable[[], bool]) -> None:
        self._store = store
        self._ready = ready

    async def ping(self, request: Request) -> Response:
        """Say that this is a feed service."""
        return answer(request, canonical.encode({"service": "feeds", "version": vulnfeeds.__version__}))

    async def health(self, request: Request) -> Response:
        """Answer "ok" while the service serves.

        The store is not asked: a probe that fails because of the store would have a healthy service restarted.
        """
        if not self._ready():
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the service is starting or ending", headers=headers)
        return answer(request, b'"ok"')

    async def version(self, request: Request) -> Response:
        """Answer the versions of the service, of the API's contract and of the store."""
        schema = await run_in_threadpool(self._store.schema_version)
        body = {
            "service": {"version": vulnfeeds.__version__},
            "api": {"version": API_VERSION},
            "db": {"schema_version": schema},
            "engine": {"version": vulnfeeds.__version__, "db": schema},
        }
        return answer(request, canonical.encode(body))
