"""Made-up advisories in both forms that GitHub publishes, and an API that answers with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vulnfeeds.drivers.github.api import ADDRESS, PAGE
from vulnfeeds.testing.upstream import UpstreamSimulator

Node = dict[str, Any]


def name(number: int) -> str:
    """Return the id of an advisory."""
    letters = "23456789cfghjmpqrvwx"
    return f"GHSA-2222-2222-{''.join(letters[number // 20**place % 20] for place in (3, 2, 1, 0))}"


def day(number: int) -> str:
    """Return the time of an update."""
    return f"2024-05-{1 + number // 24:02}T{number % 24:02}:00:00Z"


def affects(ecosystem: str, package: str, text: str, fixed: str | None = None) -> Node:
    """Return what an advisory affects, as the API says it."""
    return {
        "package": {"ecosystem": ecosystem, "name": package},
        "firstPatchedVersion": {"identifier": fixed} if fixed else None,
        "vulnerableVersionRange": text,
    }


def node(number: int, *affected: Node, updated: int | None = None, **more: Any) -> Node:
    """Return an advisory as the API says it."""
    return {
        "ghsaId": name(number),
        "classification": "GENERAL",
        "summary": f"Advisory {number}",
        "severity": "HIGH",
        "publishedAt": day(number),
        "updatedAt": day(number if updated is None else updated),
        "withdrawnAt": None,
        "cvssSeverities": {"cvssV3": {"vectorString": None}, "cvssV4": {"vectorString": None}},
        "identifiers": [
            {"type": "GHSA", "value": name(number)},
            {"type": "CVE", "value": f"CVE-2024-{1000 + number}"},
        ],
        "references": [{"url": f"https://example.org/{number}"}],
        "vulnerabilities": list(affected) or [affects("NPM", f"package-{number}", "< 2.0", "2.0")],
        **more,
    }


class API:
    """Answers as GitHub's API does; `spoil` may answer in its place."""

    def __init__(self, upstream: UpstreamSimulator, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.asked: list[dict[str, Any]] = []
        """Variables of each question."""
        self.page = PAGE
        """Most advisories on a page, whatever is asked for."""
        self.inner = PAGE
        """Most packages of an advisory that come at once."""
        self.spoil: Callable[[dict[str, Any], bytes], bytes | None] = lambda variables, good: good
        upstream.respond(ADDRESS, self.answer)

    def answer(self, question: bytes) -> bytes | None:
        """Answer one question."""
        asked = json.loads(question)
        variables = asked["variables"]
        self.asked.append(variables)
        data = self._more(variables) if "id" in variables else self._page(variables)
        return self.spoil(variables, json.dumps({"data": data}).encode())

    def _page(self, variables: dict[str, Any]) -> dict[str, Any]:
        found = sorted(self.nodes, key=lambda item: (item["updatedAt"], item["ghsaId"]))
        found = [item for item in found if item["updatedAt"] >= (variables["since"] or "")]
        mark = tuple((variables["after"] or "").split())
        left = [item for item in found if (item["updatedAt"], item["ghsaId"]) > mark]
        page = left[: min(self.page, variables["first"])]
        last = f"{page[-1]['updatedAt']} {page[-1]['ghsaId']}" if page else None
        return {
            "rateLimit": {"remaining": 4000, "resetAt": day(0)},
            "securityAdvisories": {
                "totalCount": len(found),
                "pageInfo": {"hasNextPage": len(left) > len(page), "endCursor": last},
                "nodes": [{**item, "vulnerabilities": self._part(item, 0)} for item in page],
            },
        }

    def _more(self, variables: dict[str, Any]) -> dict[str, Any]:
        wanted = next(item for item in self.nodes if item["ghsaId"] == variables["id"])
        return {"securityAdvisory": {"vulnerabilities": self._part(wanted, int(variables["after"]))}}

    def _part(self, item: Node, start: int) -> dict[str, Any]:
        affected, end = item["vulnerabilities"], start + self.inner
        return {
            "pageInfo": {"hasNextPage": end < len(affected), "endCursor": str(end)},
            "nodes": affected[start:end],
        }


def errors(message: str, kind: str = "", data: object = None) -> bytes:
    """Return an answer with an error, and with partial data beside it."""
    return json.dumps({"data": data, "errors": [{"type": kind, "message": message}]}).encode()
