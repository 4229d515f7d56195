"""`vulnfeeds up`: serves at once, syncs by itself, and repairs what a killed one left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replay
from tests.end_to_end.service import ALL_FEEDS, Service, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]


def cycle_over(service: Service) -> None:
    """Wait until a cycle has ended and none is under way."""

    def over() -> Any:
        cycles = service.tasks(task_type="FeedSyncTask")
        return cycles and cycles[0]["status"] == "completed"

    wait_until(over, "the end of a cycle")


def test_up_goes_on_where_a_killed_one_was(store_url: str, replay: Replay, tmp_path: Path) -> None:
    """It answers while it syncs; after kill -9 the next one closes the tasks and syncs what is missing."""
    with Service(tmp_path, store_url, replay.address, DRIVERS="alpine,kev", WORKERS=1) as service:
        replay.fault("slow:secdb.alpinelinux.org/v3.18/main.json:100")
        process = service.serve("up")
        wait_until(lambda: under_way(service), "a run of alpine that fetches")
        assert service.get("/v1/feeds")["next_token"] == ""
        service.kill(process)
        replay.clear()
        service.serve("up")
        cycle_over(service)
        errors = [task["result"]["error"] for task in service.tasks() if task["status"] == "failed"]
        assert errors
        assert set(errors) == {"task aborted due to service restart"}
        assert service.last_run("alpine")["status"] == "completed"
        with service.client() as client:
            report = client.sync(["kev", "vulnerabilities"], wanted=lambda feed, group: group != "alpine:edge")
            assert report.problems == []
            assert client.compare(record for record in service.records() if record[1] != "alpine:edge") == []


def under_way(service: Service) -> bool:
    """Say whether a run of alpine is fetching."""
    runs = service.tasks(task_type="DriverExecutionTask", driver_id="alpine")
    return any(run["status"] == "running" and run.get("progress", {}).get("phase") == "fetch" for run in runs)


def test_the_sample_is_served_as_the_real_thing_is(tmp_path: Path) -> None:
    """No network: within a minute every feed of the sample can be synced, and holds what its store holds."""
    store_url = f"sqlite:///{tmp_path / 'home' / 'sample' / 'vulnfeeds.sqlite'}"
    (tmp_path / "home").mkdir()
    with Service(tmp_path, store_url, "http://127.0.0.1:9") as service:
        service.serve("up", "--sample")
        cycle_over(service)
        assert {task["status"] for task in service.tasks()} == {"completed"}
        assert service.quarantined() == []
        with service.client() as client:
            report = client.sync(ALL_FEEDS)
            assert [group.problem for group in report.groups if group.problem] == []
            assert {group.feed for group in report.groups} == {"vulnerabilities", "nvdv2", "nvd", "kev"}
            assert report.records == sum(1 for _ in service.records()) > 50
            assert client.compare(service.records()) == []
