"""Errors as clients see them: the only place that turns an error into a status and a problem body.

A problem is never sent with status 200, because old clients would take it for data.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from vulnfeeds.errors import RequestError, StoreUnavailableError
from vulnfeeds.records import canonical

JSON: Final = "application/json"
"""Exactly this: the real client refuses any parameter behind it."""
ALLOWED: Final = "GET, HEAD"
RETRY_SECONDS: Final = 10

_log = logging.getLogger(__name__)


def problem(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, detail: dict[str, Any] | None = None
) -> Response:
    """Return a problem answer; `error_codes` of its detail is the status in words."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    body = {"message": message, "httpcode": status, "detail": {"error_codes": [code], **(detail or {})}}
    return Response(
        canonical.encode(body),
        status,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
        media_type=JSON,
    )


async def refuse(request: Request, error: Exception) -> Response:
    """Answer an error that the request caused."""
    status = error.status if isinstance(error, RequestError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, _printable(str(error)))


async def unroutable(request: Request, error: Exception) -> Response:
    """Answer a path that does not exist or a method that it does not have."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return problem(status, f"nothing is at {_printable(request.url.path[:200])}")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"method {_printable(request.method[:20])} is not possible; this service is only read"
        return problem(status, message, headers={"Allow": ALLOWED})
    return problem(status, HTTPStatus(status).phrase)


async def unavailable(request: Request, error: Exception) -> Response:
    """Answer while the store cannot be reached; clients may ask again soon."""
    _log.warning("store unavailable", extra={"error": str(error)})
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the store cannot be reached now; ask again later",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer an error of ours: its text stays in the log, under the id that the client gets."""
    number = uuid4().hex
    _log.error("request failed", extra={"error_id": number, "path": request.url.path}, exc_info=error)
    message = f"internal error; the service's log has more under {number}"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, message, detail={"error_id": number})


HANDLERS: Final[dict[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    RequestError: refuse,
    HTTPException: unroutable,
    StoreUnavailableError: unavailable,
    Exception: unexpected,
}
"""Which answer each error gets; a class stands for its children too."""


def _printable(text: str) -> str:
    """Return text without what has no JSON form (half of a surrogate pair)."""
    return text.encode("utf-8", "replace").decode()
