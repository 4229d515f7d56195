"""Two days of real documents, from the upstreams to a client's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Replay
from tests.end_to_end.service import ALL_FEEDS, Service

pytestmark = [pytest.mark.timeout(900), pytest.mark.no_cover]


def check_client(service: Service, *, flush: bool = False) -> int:
    """Sync the client, compare it with the store if anything came, and return how many records came."""
    with service.client() as client:
        report = client.sync(ALL_FEEDS, flush=flush)
        assert [problem for problem in report.problems if "not listed" not in problem] == []
        assert set(report.not_listed) == {"github", "packages"}
        assert [(group.group, group.repeated) for group in report.groups if group.repeated] == []
        if report.records:
            assert client.compare(service.records()) == []
    return report.records


def test_two_days_reach_a_client(store_url: str, replay: Replay, tmp_path: Path) -> None:
    """First sync, changes, withdrawals, a cycle without news and a flush: after each, the client equals the store."""
    with Service(tmp_path, store_url, replay.address, SINCE_MARGIN_SECONDS=0) as service:
        service.serve()
        service.sync()
        assert {task["status"] for task in service.tasks()} == {"completed"}
        assert [row for row in service.quarantined() if not row.reason] == []
        in_all = check_client(service)
        assert in_all == sum(1 for _ in service.records()) > 100_000

        replay.day(2)
        service.sync()
        assert {task["status"] for task in service.tasks()} == {"completed"}
        assert [row for row in service.quarantined() if not row.reason] == []
        changed = sum(
            sum(counts.values())
            for task in service.tasks(task_type="DriverExecutionTask")[:5]
            for counts in task["result"]["changes"].values()
        )
        assert check_client(service) == changed > 0
        withdrawn = service.withdrawn()
        with service.client() as client:
            kept = [client.vulnerability(*place) for place in withdrawn if place[0] == "vulnerabilities"]
        assert len(kept) > 0
        assert all(record is not None and record.children == () for record in kept)

        before = service.positions()
        service.sync()
        assert service.positions() == before
        assert check_client(service) == 0

        assert check_client(service, flush=True) == sum(1 for _ in service.records())
