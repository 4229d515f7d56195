"""Upstreams that break on day 2: the last good data stays, and the failed task says where it broke."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Replay
from tests.end_to_end.service import ALL_FEEDS, SYNC_FAILED, Service

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]

UPSTREAMS = {
    "alpine": ["secdb.alpinelinux.org/"],
    "debian": ["security-tracker.debian.org/tracker/data/json"],
    "kev": ["www.cisa.gov/"],
    "nvdv2": ["services.nvd.nist.gov/", "nvd.nist.gov/"],
}
GROUPS = ("alpine:3.18", "debian:13", "nvdv2:cves", "kev:known-exploited")


def wanted(feed: str, group: str) -> bool:
    """Say whether the client syncs a group: one of each driver is enough."""
    return group in GROUPS


@pytest.fixture(scope="module")
def synced(replay_process: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has day 1 and whose client is in sync; no test that uses it changes its records."""
    replay_process.day(1)
    replay_process.clear()
    home = tmp_path_factory.mktemp("faults")
    store_url = f"sqlite:///{home / 'store.sqlite'}"
    with Service(home, store_url, replay_process.address, SINCE_MARGIN_SECONDS=0) as service:
        service.sync()
        service.serve()
        with service.client() as client:
            assert len(client.sync(ALL_FEEDS, wanted=wanted).groups) == len(GROUPS)
        yield service


FAULTS = ("status:503:{}", "truncate:{}", "html:{}", "empty:{}")
# KEV's document is the same on both days: "not modified" has no body that could be cut short.
BROKEN = [(fault, driver) for driver in UPSTREAMS for fault in FAULTS if (fault, driver) != ("truncate:{}", "kev")]


@pytest.mark.parametrize(("fault", "driver"), BROKEN)
def test_a_broken_upstream_changes_nothing_and_is_named(
    synced: Service, replay: Replay, fault: str, driver: str
) -> None:
    """Whatever comes instead of the documents: the task fails with the upstream's address, clients notice nothing."""
    replay.day(2)
    replay.fault(*(fault.format(prefix) for prefix in UPSTREAMS[driver]))
    before = synced.positions()
    assert synced.run("sync", driver) == SYNC_FAILED
    assert synced.positions() == before
    task = synced.last_run(driver)
    assert task["status"] == "failed"
    hosts = [prefix.split("/")[0] for prefix in UPSTREAMS[driver]]
    assert any(host in task["result"]["error"] for host in hosts), task["result"]
    with synced.client() as client:
        report = client.sync(ALL_FEEDS, wanted=wanted)
        assert [group for group in report.groups if group.problem] == []
        assert report.records == 0


def by_place(service: Service) -> dict[tuple[str, str, str], bytes]:
    """Return all current bodies by (feed, group, key)."""
    return {(feed, group, key): body for feed, group, key, body in service.records()}


def test_after_the_faults_the_day_is_caught_up(replay: Replay, tmp_path: Path) -> None:
    """A fault that passes leaves nothing behind: the next run publishes all of day 2."""
    store_url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    with Service(tmp_path, store_url, replay.address, DRIVERS="alpine,kev", SINCE_MARGIN_SECONDS=0) as service:
        service.sync()
        replay.day(2)
        replay.fault("truncate:secdb.alpinelinux.org/")
        assert service.run("sync") == SYNC_FAILED
        replay.clear()
        service.sync()
        caught_up = by_place(service)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with Service(fresh, f"sqlite:///{fresh / 'store.sqlite'}", replay.address, DRIVERS="alpine,kev") as service:
        service.sync()
        straight = by_place(service)
    assert [place for place, body in straight.items() if caught_up.get(place) != body] == []


def test_a_release_that_cannot_be_had_waits_alone(sqlite_url: str, replay: Replay, tmp_path: Path) -> None:
    """One file of one release breaks: the others come to day 2, that one stays on day 1 and catches up later."""
    group = ("vulnerabilities", "alpine:3.18")
    with Service(tmp_path, sqlite_url, replay.address, DRIVERS="alpine", SINCE_MARGIN_SECONDS=0) as service:
        service.sync()
        service.serve()
        before = service.positions()
        replay.day(2)
        replay.fault("status:503:secdb.alpinelinux.org/v3.18/community.json")
        service.sync()
        between = service.positions()
        assert between[group] == before[group]
        assert between["vulnerabilities", "alpine:3.19"] != before["vulnerabilities", "alpine:3.19"]
        assert "v3.18/community.json" in str(service.last_run("alpine")["result"])
        replay.clear()
        service.sync()
        after = service.positions()
        assert {place for place in after if after[place] != between[place]} == {group}
