"""Processes that end without a word: a walk goes on, a sync is repaired, nothing is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replay
from tests.end_to_end.service import Service, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]
FEED = "vulnerabilities"


def test_a_walk_outlives_the_service(store_url: str, replay: Replay, tmp_path: Path) -> None:
    """kill -9 and a new start between any two pages: the client gets every record once."""
    with Service(tmp_path, store_url, replay.address, DRIVERS="alpine") as service:
        service.sync()
        running: list[subprocess.Popen[bytes]] = [service.serve()]

        def restart(feed: str, group: str, number: int) -> None:
            service.kill(running.pop())
            running.append(service.serve())

        wanted = "alpine:3.18"
        with service.client(after_page=restart) as client:
            report = client.sync([FEED], wanted=lambda feed, group: group == wanted)
            assert report.problems == []
            assert report.of(FEED, wanted).repeated == 0
            assert report.of(FEED, wanted).pages > 2
            stored = [record for record in service.records() if record[1] == wanted]
            assert report.records == len(stored)
            assert client.compare(stored) == []


def test_a_walk_sees_one_state_while_others_publish(store_url: str, replay: Replay, tmp_path: Path) -> None:
    """Day 2 is published in the middle of a walk: the walk is day 1 to its end, the next sync makes it day 2."""
    wanted = "alpine:3.18"
    with Service(tmp_path, store_url, replay.address, DRIVERS="alpine", SINCE_MARGIN_SECONDS=0) as service:
        service.sync()
        service.serve()
        first_day = [record for record in service.records() if record[1] == wanted]

        def publish(feed: str, group: str, number: int) -> None:
            if number == 1:
                replay.day(2)
                service.sync()

        with service.client(after_page=publish) as client:
            report = client.sync([FEED], wanted=lambda feed, group: group == wanted)
            assert report.problems == []
            assert report.of(FEED, wanted).pages > 1
            assert client.compare(first_day) == []
            second_day = [record for record in service.records() if record[1] == wanted]
            assert client.compare(second_day) != []
        with service.client() as client:
            client.sync([FEED], wanted=lambda feed, group: group == wanted)
            assert client.compare(second_day) == []


def killed_in(service: Service, phase: str, *drivers: str) -> None:
    """Start a sync and kill it, and it alone, when a driver's run is in a phase."""
    process = service.start("sync", *drivers)

    def reached() -> Any:
        assert process.poll() is None, f"the sync was over before {phase}:\n{service.log()[-2000:]}"
        tasks = service.tasks(task_type="DriverExecutionTask")
        return [
            task for task in tasks if task["status"] == "running" and task.get("progress", {}).get("phase") == phase
        ]

    wait_until(reached, f"phase {phase}")
    service.kill(process)


@pytest.mark.parametrize("phase", ["fetch", "parse", "publish"])
def test_a_killed_sync_is_repaired(store_url: str, replay: Replay, tmp_path: Path, phase: str) -> None:
    """All or nothing is published; the next sync closes the tasks and publishes what the first could not."""
    with Service(tmp_path, store_url, replay.address, DRIVERS="debian") as service:
        service.serve()
        if phase == "fetch":
            replay.fault("slow:security-tracker.debian.org/tracker/data/json:2000")
        killed_in(service, phase, "debian")
        if phase != "publish":
            assert service.positions() == {}
        replay.clear()
        service.sync()
        tasks = service.tasks()
        assert [task for task in tasks if task["status"] == "running"] == []
        errors = {task["result"]["error"] for task in tasks if task["status"] == "failed"}
        assert errors == {"task aborted due to service restart"}
        runs = service.tasks(task_type="DriverExecutionTask", status="completed")
        created = sum(counts["created"] for run in runs for counts in run["result"]["changes"].values())
        assert created == sum(1 for _ in service.records()) > 50_000
        with service.client() as client:
            report = client.sync([FEED], wanted=lambda feed, group: group == "debian:13")
            assert report.problems == []
            assert report.of(FEED, "debian:13").created > 10_000
            assert client.compare(record for record in service.records() if record[1] == "debian:13") == []
