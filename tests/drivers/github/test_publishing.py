"""Driver github in whole runs over a store: what readers see when made-up and real documents change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replay
from tests.drivers.errata_documents import archive
from tests.drivers.github.advisory_documents import API, affects, name, node
from tests.drivers.github.test_api import osv_document
from vulnfeeds.drivers.github.api import ADDRESS
from vulnfeeds.drivers.github.database import ARCHIVE
from vulnfeeds.drivers.github.driver import GitHubDriver, GitHubSettings
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute
from vulnfeeds.testing.driver_suite import NOW
from vulnfeeds.testing.upstream import UpstreamSimulator

QUICK = FetchSettings(attempts=2, backoff_first_seconds=0.01, throttled_seconds=0.01)


class Installation:
    """A store, a home folder and an upstream map."""

    def __init__(self, home: Path, mirror: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.mirror = mirror
        self.store = open_store(f"sqlite:///{home / 'store.sqlite'}")

    def run(self, token: str = "good", **settings: Any) -> RunResult:
        """Run the driver as the service does."""
        task_id = self.store.open_task("DriverExecutionTask", driver="github", feed="github")
        with HTTPFetcher(QUICK, UpstreamMap(self.mirror), GitHubDriver.upstreams) as fetcher:
            return execute(
                GitHubDriver(GitHubSettings(**settings)),
                store=self.store,
                fetcher=fetcher,
                home=self.home,
                task_id=task_id,
                clock=lambda: NOW,
                secrets={"GITHUB_TOKEN": token} if token else {},
            )

    def advisory(self, group: str, key: str) -> dict[str, Any]:
        """Return what clients get of an advisory."""
        head = self.store.group("github", group)
        assert head is not None
        rows = self.store.changes("github", group, 0, head.sequence)
        body = next(body for found, body, _ in rows if found == key)
        advisory: dict[str, Any] = json.loads(body)["Advisory"]
        return advisory


@pytest.fixture
def upstream() -> Iterator[UpstreamSimulator]:
    """An upstream without documents."""
    with UpstreamSimulator() as made:
        yield made


def test_an_advisory_that_leaves_an_ecosystem_is_withdrawn_there(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Where it stays it holds on; when it comes back it holds again."""
    both = (affects("NPM", "a", "< 2.0", "2.0"), affects("PIP", "a", "< 3.0", "3.0"))
    api = API(upstream, [node(0), node(1, *both)])
    here = Installation(tmp_path, upstream.address)
    assert here.run().status == "completed"
    api.nodes[1] = node(1, both[1], updated=9)
    changes = here.run().result["changes"]
    assert changes["github:npm"] == {"created": 0, "updated": 0, "deleted": 1}
    assert here.advisory("github:npm", name(1))["withdrawn"] == "2024-08-30T06:40:00Z"
    assert here.advisory("github:python", name(1))["withdrawn"] is None
    api.nodes[1] = node(1, *both, updated=10)
    here.run()
    assert here.advisory("github:npm", name(1))["withdrawn"] is None


def test_malware_stays_while_there_is_no_token(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The archive does not know it; general advisories that the archive has not are withdrawn."""
    API(upstream, [node(0), node(1), node(2, classification="MALWARE")])
    upstream.put(ARCHIVE, archive({f"x/advisories/github-reviewed/{name(0)}.json": osv_document(0)}))
    here = Installation(tmp_path, upstream.address)
    here.run()
    upstream.fault(ADDRESS, status=401, body=b"{}")
    result = here.run().result
    assert result["changes"]["github:npm"] == {"created": 0, "updated": 0, "deleted": 1}
    assert "revoked" in result["notes"][0]
    assert here.advisory("github:npm", name(1))["withdrawn"] is not None
    assert here.advisory("github:npm", name(2))["withdrawn"] is None
    assert here.advisory("github:npm", name(2))["Classification"] == "MALWARE"
    assert here.run().result["unchanged"]


@pytest.mark.parametrize("token", ["good", ""])
def test_two_days_of_real_documents(replay: Replay, tmp_path: Path, token: str) -> None:
    """Day 1, a failure that changes nothing, day 2, and once more: only what changed is published, then nothing."""
    here = Installation(tmp_path, replay.address)
    first = here.run(token).result
    created = {group: counts["created"] for group, counts in first["changes"].items()}
    assert created == {"github:gem": 828, "github:npm": 3474, "github:python": 3002}
    assert (first["quarantined"], first["notes"], first["unknown_values"]) == (0, [], {})
    assert here.run(token).result["unchanged"]
    replay.day(2)
    replay.fault("status:503:api.github.com", "truncate:codeload.github.com")
    failed = here.run(token)
    assert failed.status == "failed"
    replay.clear()
    second = here.run(token).result
    assert second["changes"] == {
        "github:gem": {"created": 24, "updated": 16, "deleted": 0},
        "github:npm": {"created": 0, "updated": 8, "deleted": 0},
    }
    assert here.run(token).result["unchanged"]
