"""Clients whose clocks are wrong by an hour lose nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Replay
from tests.end_to_end.service import Service

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]
FEED = "vulnerabilities"
GROUPS = ("alpine:3.18", "alpine:3.19")


def wanted(feed: str, group: str) -> bool:
    """Say whether a group is synced here: two that change on day 2 are enough."""
    return group in GROUPS


def stored(service: Service) -> list[tuple[str, str, str, bytes]]:
    """Return the current records of those groups."""
    return [record for record in service.records(FEED) if record[1] in GROUPS]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_skewed_clock_loses_nothing(store_url: str, replay: Replay, tmp_path: Path, hours: int) -> None:
    """Ahead or behind, the client equals the store after each sync, because `since` is taken with a margin."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    with Service(tmp_path, store_url, replay.address, DRIVERS="alpine") as service:
        service.serve()
        for day in (1, 2):
            replay.day(day)
            service.sync()
            with service.client(clock=clock) as client:
                report = client.sync([FEED], wanted=wanted)
                assert report.problems == []
                assert len(report.groups) == len(GROUPS)
                assert client.compare(stored(service)) == []


def test_without_the_margin_a_clock_ahead_does_lose(sqlite_url: str, replay: Replay, tmp_path: Path) -> None:
    """What the margin is for: the same client, margin 0, misses day 2."""

    def ahead() -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)

    with Service(tmp_path, sqlite_url, replay.address, DRIVERS="alpine", SINCE_MARGIN_SECONDS=0) as service:
        service.serve()
        service.sync()
        with service.client(clock=ahead) as client:
            client.sync([FEED], wanted=wanted)
            replay.day(2)
            service.sync()
            client.sync([FEED], wanted=wanted)
            assert client.compare(stored(service)) != []
