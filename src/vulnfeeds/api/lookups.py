"""The routes that cross groups: everything about an identifier, and the records of a package or product."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vulnfeeds.api import joining, questions
from vulnfeeds.api.answers import answer
from vulnfeeds.api.crossing import PAGE, Crossing, is_identifier
from vulnfeeds.api.parameters import limit, parameters
from vulnfeeds.api.questions import Question
from vulnfeeds.api.tokens import decode_place, encode_place
from vulnfeeds.errors import NotFoundError
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import Place, Store

_PAGED: Final = ("with", "limit", "next_token")
_ABOUT: Final = "/vulnerabilities"
_SEARCH: Final = "/search"


class LookupRoutes:
    """The handlers of the routes that cross groups."""

    def __init__(self, store: Store) -> None:
        self._crossing = Crossing(store)

    async def vulnerability(self, request: Request) -> Response:
        """Answer what every group says of an identifier."""
        asked = request.path_params["id"]
        given = parameters(request.scope["query_string"], _PAGED)
        if not is_identifier(asked):
            raise NotFoundError(f"no record speaks of {asked[:300]!r}")
        token = decode_place(_ABOUT, asked, given["next_token"]) if "next_token" in given else None
        return answer(request, await run_in_threadpool(self._about, asked, given, token))

    async def search(self, request: Request) -> Response:
        """Answer the records of a package or product."""
        given = parameters(request.scope["query_string"], (*questions.PARAMETERS, *_PAGED))
        question = questions.parse(given)
        token = decode_place(_SEARCH, repr(question), given["next_token"]) if "next_token" in given else None
        return answer(request, await run_in_threadpool(self._search, question, given, token))

    def _about(self, asked: str, given: dict[str, str], after: Place | None) -> bytes:
        found, more = self._crossing.about(asked, **_options(given, after))
        return canonical.encode({**found, "next_token": encode_place(_ABOUT, asked, more) if more else ""})

    def _search(self, question: Question, given: dict[str, str], after: Place | None) -> bytes:
        found, more = self._crossing.search(question, **_options(given, after))
        token = encode_place(_SEARCH, repr(question), more) if more else ""
        return canonical.encode({**found, "next_token": token})


def _options(given: dict[str, str], after: Place | None) -> dict[str, Any]:
    return {"joins": joining.words(given.get("with", "")), "after": after, "limit": limit(given) or PAGE}
