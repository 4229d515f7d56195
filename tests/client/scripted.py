"""A feed service that answers from a script, to see what the strict client does with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

GROUP = "/v1/feeds/vulnerabilities/alpine:3.10"


@dataclass
class Reply:
    """One answer; `body` is JSON unless it is bytes."""

    body: Any = b""
    status: int = 200
    type: str | None = "application/json"
    """None sends no such header."""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes of the body after which the connection is closed."""

    def raw(self) -> bytes:
        """Return the body as sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class FakeService:
    """Scripted answers by raw request target; a list of replies is used up one by one, the last one stays."""

    address: str = ""
    script: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    """Raw target, headers and port of the client, request by request."""

    def says(self, target: str, *replies: Reply) -> None:
        """Script the answers to a target."""
        self.script[target] = list(replies)

    def lists(self, feed: str = "vulnerabilities", *groups: str) -> None:
        """Script the listings of one feed."""
        self.says("/v1/feeds", Reply({"feeds": [listed(feed)], "next_token": ""}))
        names = groups or ("alpine:3.10",)
        self.says(f"/v1/feeds/{feed}", Reply({"groups": [listed(name) for name in names], "next_token": ""}))

    def targets(self) -> list[str]:
        """Return the raw targets asked for, in order."""
        return [target for target, _, _ in self.asked]

    def answer(self, target: str) -> Reply:
        """Return the next scripted answer."""
        replies = self.script.get(target, [Reply({"title": "not found"}, status=404)])
        return replies.pop(0) if len(replies) > 1 else replies[0]


def listed(name: str) -> dict[str, Any]:
    """Return a row of a listing."""
    return {"name": name, "description": f"about {name}", "access_tier": 0}


def page(*records: Any, token: str = "") -> Reply:
    """Return a data page."""
    return Reply({"data": list(records), "next_token": token})


def os_record(name: str = "CVE-2020-0001", group: str = "alpine:3.10", **changes: Any) -> dict[str, Any]:
    """Return a good record of an OS group, with changes to its inner object."""
    fix = {"Name": "bash", "NamespaceName": group, "Version": "1:5.0-r1", "VersionFormat": "apk"}
    inner: dict[str, Any] = {
        "Description": "",
        "FixedIn": [fix],
        "Link": f"http://cve.example/{name}",
        "Metadata": {},
        "Name": name,
        "NamespaceName": group,
        "Severity": "Low",
    }
    return {"Vulnerability": {**inner, **changes}}


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **delta: float) -> None:
        """Move the hands."""
        self.now += timedelta(**delta)
