"""A filled store and the service over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.api.app import create_app
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store, open_store
from vulnfeeds.testing.live import live_service

GROUP = "debian:12"


@pytest.fixture
def clock() -> Clock:
    """The time of the store and of the service."""
    return Clock()


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Iterator[Store]:
    """An empty SQLite store."""
    opened = open_store(sqlite_url, clock=clock)
    yield opened
    opened.close()


def fill(store: Store, clock: Clock) -> None:
    """Feed `vulnerabilities` with 2345 records in debian:12, one in alpine:3.10 and alpine:3.2, and feed `kev`."""
    for group in ("alpine:3.2", "alpine:3.10"):
        publish(store, "vulnerabilities", group, {"CVE-1": os_record(group, "CVE-1")}, driver="alpine")
    keys = [f"CVE-2024-{number:04}" for number in range(2345)]
    publish(store, "vulnerabilities", GROUP, {key: os_record(GROUP, key) for key in keys})
    publish(store, "kev", "kev:known-exploited", {"CVE-2024-0001": {"cveID": "CVE-2024-0001"}}, driver="kev")
    clock.move(days=1)


@pytest.fixture
def filled(store: Store, clock: Clock) -> Store:
    """The store with what `fill` puts there."""
    fill(store, clock)
    return store


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of one live service for all tests of a module that only read."""
    folder, clock = tmp_path_factory.mktemp("service"), Clock()
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}", clock=clock)
    fill(store, clock)
    app = create_app(store, PageFolder(folder / "pages", store), clock=clock)
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as opened:
        yield opened
    store.close()


@pytest.fixture
def pages(filled: Store, tmp_path: Path) -> PageFolder:
    """The page folder of the filled store."""
    return PageFolder(tmp_path / "pages", filled)


@pytest.fixture
def app(filled: Store, pages: PageFolder, clock: Clock) -> Starlette:
    """The service over the filled store."""
    return create_app(filled, pages, clock=clock)


@pytest.fixture
def url(app: Starlette) -> Iterator[str]:
    """Base URL of the live service over the filled store."""
    with live_service(app) as base:
        yield base


@pytest.fixture
def client(url: str) -> Iterator[httpx2.Client]:
    """A client of the live service that sends only what it is told to."""
    with httpx2.Client(base_url=url, timeout=60) as opened:
        yield opened
