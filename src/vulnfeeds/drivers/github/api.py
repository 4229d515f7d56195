"""GitHub's GraphQL API: pages of advisories, oldest update first, with all that each affects.

    {"data": {"securityAdvisories": {"totalCount": 7253, "pageInfo": {"hasNextPage": true, "endCursor": "Y3Vyc28="},
     "nodes": [{"ghsaId": "GHSA-8m36-62rw-9mxw", "severity": "MODERATE", "vulnerabilities": {"nodes": [...]}, ...}]}}}

The API answers errors with status 200, beside data that may be partial. No page with an error is ever used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from vulnfeeds.drivers.github.advisory import Advisory, Affects, is_id
from vulnfeeds.drivers.github.ecosystems import OF_API
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.fetch.interface import Fetcher

ADDRESS: Final = "https://api.github.com/graphql"
PAGE: Final = 100
"""The most advisories, and the most of what one affects, that the API gives at once."""
ATTEMPTS: Final = 3
MOST_AFFECTED: Final = 100_000
"""Packages and ranges of one advisory; the largest true ones have some hundred."""

_AFFECTED: Final = """\
pageInfo { hasNextPage endCursor }
nodes { package { ecosystem name } firstPatchedVersion { identifier } vulnerableVersionRange }"""
_PAGE: Final = f"""\
query($first: Int!, $after: String, $since: DateTime) {{
  rateLimit {{ remaining resetAt }}
  securityAdvisories(first: $first, after: $after, updatedSince: $since, classifications: [GENERAL, MALWARE],
                     orderBy: {{field: UPDATED_AT, direction: ASC}}) {{
    totalCount
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      ghsaId classification summary severity publishedAt updatedAt withdrawnAt
      cvssSeverities {{ cvssV3 {{ vectorString }} cvssV4 {{ vectorString }} }}
      identifiers {{ type value }}
      references {{ url }}
      vulnerabilities(first: {PAGE}) {{ {_AFFECTED} }}
    }}
  }}
}}"""
_MORE: Final = f"""\
query($id: String!, $after: String) {{
  securityAdvisory(ghsaId: $id) {{ vulnerabilities(first: {PAGE}, after: $after) {{ {_AFFECTED} }} }}
}}"""
_CURSOR: Final = re.compile(r"cursor", re.IGNORECASE)
_LIMITED: Final = re.compile(r"rate limit", re.IGNORECASE)

T = TypeVar("T")


class CursorError(UpstreamError):
    """The API does not know the cursor any more; its page can be found again by the time of updates."""


class _PageInfo(msgspec.Struct, frozen=True, rename="camel"):
    has_next_page: bool
    end_cursor: str | None = None


class _Package(msgspec.Struct, frozen=True):
    ecosystem: str
    name: str


class _Patched(msgspec.Struct, frozen=True):
    identifier: str


class _Vulnerability(msgspec.Struct, frozen=True, rename="camel"):
    package: _Package
    vulnerable_version_range: str
    first_patched_version: _Patched | None = None


class _Vulnerabilities(msgspec.Struct, frozen=True, rename="camel"):
    page_info: _PageInfo
    nodes: list[_Vulnerability]


class _Vector(msgspec.Struct, frozen=True, rename="camel"):
    vector_string: str | None = None


class _Severities(msgspec.Struct, frozen=True, rename={"v3": "cvssV3", "v4": "cvssV4"}):
    v3: _Vector | None = None
    v4: _Vector | None = None


class _Identifier(msgspec.Struct, frozen=True):
    type: str
    value: str


class _Reference(msgspec.Struct, frozen=True):
    url: str


class _Node(msgspec.Struct, frozen=True, rename="camel"):
    ghsa_id: str
    classification: str
    summary: str
    severity: str
    published_at: str
    updated_at: str
    identifiers: list[_Identifier]
    references: list[_Reference]
    vulnerabilities: _Vulnerabilities
    withdrawn_at: str | None = None
    cvss_severities: _Severities | None = None


class _Advisories(msgspec.Struct, frozen=True, rename="camel"):
    page_info: _PageInfo
    nodes: list[_Node]
    total_count: int


class _RateLimit(msgspec.Struct, frozen=True, rename="camel"):
    remaining: int
    reset_at: str


class _PageData(msgspec.Struct, frozen=True, rename="camel"):
    security_advisories: _Advisories
    rate_limit: _RateLimit | None = None


class _One(msgspec.Struct, frozen=True):
    vulnerabilities: _Vulnerabilities


class _MoreData(msgspec.Struct, frozen=True, rename="camel"):
    security_advisory: _One | None


class _Problem(msgspec.Struct, frozen=True):
    message: str = ""
    type: str = ""


class _Answer(msgspec.Struct, frozen=True):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Problem] = []


class Page(msgspec.Struct, frozen=True):
    """One page of a walk."""

    advisories: list[Advisory]
    after: str | None
    """The cursor of the next page; None on the last one."""
    total: int
    """How many advisories upstream says that the walk has."""


_answers: Final = msgspec.json.Decoder(_Answer)
_pages: Final = msgspec.json.Decoder(_PageData)
_rest: Final = msgspec.json.Decoder(_MoreData)


class AdvisoryAPI:
    """Asks the API with a token; one at a time, as GitHub wants it."""

    def __init__(self, fetcher: Fetcher, token: str) -> None:
        self._fetcher = fetcher
        self._headers = {"Authorization": f"Bearer {token}"}

    def page(self, after: str | None, since: str | None) -> Page:
        """Return the page behind a cursor, of advisories updated at or after `since` (RFC 3339; None for all).

        Raises CursorError for a cursor that holds no longer, StatusError 401 for such a token and 429 when the
        requests of the hour are used up, and ParseError for an answer of another shape, or one that the API cannot
        give without errors.
        """
        found = self._ask(_PAGE, {"first": PAGE, "after": after, "since": since}, _pages).security_advisories
        following = found.page_info.end_cursor if found.page_info.has_next_page else None
        if found.page_info.has_next_page and following in (None, after):
            raise ParseError(ADDRESS, f"there is a page after {after!r}, but no way to it: {following!r}")
        return Page([self._advisory(node) for node in found.nodes], following, found.total_count)

    def _advisory(self, node: _Node) -> Advisory:
        if not is_id(node.ghsa_id):
            raise ParseError(ADDRESS, f"an advisory's id is {node.ghsa_id[:80]!r}")
        scores = node.cvss_severities or _Severities()
        return Advisory(
            id=node.ghsa_id,
            classification=node.classification,
            severity=node.severity,
            summary=node.summary,
            published=node.published_at,
            updated=node.updated_at,
            withdrawn=node.withdrawn_at or None,
            identifiers=tuple(item.value for item in node.identifiers),
            vectors=tuple(score.vector_string for score in (scores.v3, scores.v4) if score and score.vector_string),
            references=tuple(item.url for item in node.references),
            affects=tuple(map(_affects, self._all(node.ghsa_id, node.vulnerabilities))),
        )

    def _all(self, name: str, first: _Vulnerabilities) -> Iterator[_Vulnerability]:
        """Yield all that an advisory affects, the pages behind the first one too."""
        part, count = first, 0
        while True:
            yield from part.nodes
            count += len(part.nodes)
            if not part.page_info.has_next_page:
                return
            after = part.page_info.end_cursor
            if after is None or not part.nodes or count > MOST_AFFECTED:
                raise ParseError(f"{ADDRESS} {name}", f"after {count} packages there is no plausible next page")
            found = self._ask(_MORE, {"id": name, "after": after}, _rest).security_advisory
            if found is None:
                raise ParseError(f"{ADDRESS} {name}", "is gone while what it affects was read")
            part = found.vulnerabilities

    def _ask(self, query: str, variables: dict[str, Any], decoder: msgspec.json.Decoder[T]) -> T:
        """Return the data of an answer; after an error that may pass, asked for again, in smaller pages.

        The API gives up on what takes it too long, in words only ("Something went wrong while executing your query").
        """
        asked = dict(variables)
        reason = ""
        for _ in range(ATTEMPTS):
            question = msgspec.json.encode({"query": query, "variables": asked})
            answer = self._decoded(self._fetcher.post_json(ADDRESS, question, headers=self._headers), _answers)
            if not answer.errors:
                return self._decoded(bytes(answer.data), decoder)
            first = answer.errors[0]
            reason = f"{first.type} {first.message}".strip()[:300]
            if first.type == "RATE_LIMITED" or _LIMITED.search(first.message):
                raise StatusError(ADDRESS, 429, f"{reason}; the next run goes on here")
            if variables.get("after") is not None and _CURSOR.search(reason):
                raise CursorError(ADDRESS, reason)
            if "first" in asked:
                asked["first"] = max(1, asked["first"] // 2)
        raise ParseError(ADDRESS, f"the answer has errors, {ATTEMPTS} times: {reason}")

    @staticmethod
    def _decoded(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            return decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(ADDRESS, f"no answer of the expected shape: {error}; {data[:200]!r}") from error


def _affects(found: _Vulnerability) -> Affects:
    return Affects(
        ecosystem=OF_API.get(found.package.ecosystem, found.package.ecosystem),
        name=found.package.name,
        range=found.vulnerable_version_range,
        fixed=found.first_patched_version.identifier if found.first_patched_version else "",
    )
