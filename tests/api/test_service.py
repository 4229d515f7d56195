"""Ping, health, version, and what clients see when something is wrong inside."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

import vulnfeeds
from tests.api.filling import Clock
from vulnfeeds.api.app import create_app
from vulnfeeds.errors import StoreUnavailableError
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store


@pytest.mark.parametrize("prefix", ["", "/v1", "/v2"])
def test_probes_and_people(client: httpx2.Client, filled: Store, prefix: str) -> None:
    """Every path of the service itself, with each version and without."""
    assert client.get(f"{prefix}/").json() == {"service": "feeds", "version": vulnfeeds.__version__}
    health = client.get(f"{prefix}/health")
    assert (health.status_code, health.json(), health.headers["content-type"]) == (200, "ok", "application/json")
    version = client.get(f"{prefix}/version").json()
    assert version["service"] == {"version": vulnfeeds.__version__}
    assert version["db"] == {"schema_version": filled.schema_version()}
    assert {type(value) for part in version.values() for value in part.values()} == {str}


def test_health_says_when_the_service_is_not_ready(filled: Store, pages: PageFolder, clock: Clock) -> None:
    """503 until it is, so that a load balancer waits."""
    ready = [False]
    with TestClient(create_app(filled, pages, clock=clock, ready=lambda: ready[0])) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["httpcode"]) == (503, 503)
        assert int(answer.headers["retry-after"]) > 0
        ready[0] = True
        assert client.get("/health").status_code == 200


class BrokenStore:
    """A store of which every question ends in one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        raise self._error


@pytest.mark.parametrize(
    "path", ["/feeds", "/feeds/a", "/feeds/a/b", "/feeds/a/b/records/c", "/tasks", "/tasks/1", "/version"]
)
def test_a_store_that_cannot_be_reached(path: str, tmp_path: Path, clock: Clock) -> None:
    """503 with Retry-After and nothing about the store's address; health stays well."""
    store = BrokenStore(StoreUnavailableError("postgresql://user:secret@db refused"))
    app = create_app(store, PageFolder(tmp_path, store), clock=clock)  # type: ignore[arg-type]
    with TestClient(app) as client:
        answer = client.get(f"/v1{path}")
        assert (answer.status_code, answer.json()["httpcode"]) == (503, 503)
        assert answer.headers["content-type"] == "application/json"
        assert "secret" not in answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200


def test_an_error_of_ours_is_told_to_the_log_only(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with an id under which the log has the rest."""
    store = BrokenStore(RuntimeError("the secret inside"))
    app = create_app(store, PageFolder(tmp_path, store), clock=clock)  # type: ignore[arg-type]
    with TestClient(app, raise_server_exceptions=False) as client, caplog.at_level(logging.ERROR):
        answer = client.get("/v1/feeds")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert "secret" not in answer.text
    number = answer.json()["detail"]["error_id"]
    assert number in answer.json()["message"]
    (record,) = [record for record in caplog.records if record.name.startswith("vulnfeeds.api")]
    assert record.error_id == number  # type: ignore[attr-defined]
    assert "the secret inside" in str(record.exc_info)


def test_the_text_of_a_problem_stays_json(reader: httpx2.Client) -> None:
    """Odd characters in what a problem quotes do not break its body."""
    for query in ("since=%F0%9F%92%A9", "since=%ED%A0%80", "filter=%ff%22%5c", "since=%00"):
        path = "/v1/tasks" if query.startswith("filter") else "/v1/feeds/vulnerabilities/debian:12"
        answer = reader.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["httpcode"]) == (400, 400)
        assert answer.content.isascii()
