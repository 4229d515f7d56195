"""Answers from memory: the same as the long way gives, never older than the request, within their bound."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.api.filling import Clock, names, os_record, publish
from vulnfeeds.api.answers import Coded
from vulnfeeds.api.app import create_app
from vulnfeeds.api.ready import Page, ReadyAnswers
from vulnfeeds.errors import StoreUnavailableError
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store
from vulnfeeds.testing.live import live_service

GROUP = "/v1/feeds/vulnerabilities/debian:12"
KEPT = [{}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "zstd"}, {"Accept-Encoding": "gzip", "Accept": "*/*"}]


@pytest.fixture
def plain(filled: Store, pages: PageFolder, clock: Clock) -> Iterator[httpx2.Client]:
    """A client of the same service without memory."""
    app = create_app(filled, pages, clock=clock, memory=0)
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as opened:
        yield opened


def raw(client: httpx2.Client, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers but the date, and the bytes as they were sent."""
    bare = {"Accept-Encoding": "", "Accept": ""} | headers
    with client.stream("GET", path, headers={name: value for name, value in bare.items() if value}) as answer:
        told = {name: value for name, value in answer.headers.items() if name != "date"}
        return answer.status_code, told, b"".join(answer.iter_raw())


@pytest.mark.parametrize("headers", KEPT, ids=str)
def test_memory_changes_no_byte(client: httpx2.Client, plain: httpx2.Client, headers: dict[str, str]) -> None:
    """First and deep pages: asked thrice, each answer is that of a service that keeps nothing."""
    token = client.get(GROUP).json()["next_token"]
    for path in (GROUP, f"{GROUP}?next_token={token}", f"/feeds//vulnerabilities/debian:12/?next_token={token}"):
        wanted = raw(plain, path, headers)
        assert wanted[0] == 200
        assert [raw(client, path, headers) for _ in range(3)] == [wanted] * 3


def test_all_but_the_plain_page_goes_the_long_way(client: httpx2.Client) -> None:
    """Conditions, HEAD, other codings and refusals are what they were before the page was kept."""
    first = [client.get(GROUP, headers={"Accept-Encoding": "gzip"}) for _ in range(2)][1]
    etag = first.headers["etag"]
    headers = {"Accept-Encoding": "gzip"}
    assert client.get(GROUP, headers={**headers, "If-None-Match": etag}).status_code == 304
    head = client.head(GROUP, headers=headers)
    assert (head.content, head.headers["content-length"]) == (b"", first.headers["content-length"])
    assert client.get(GROUP, headers={"Accept": "text/html"}).status_code == 406
    assert client.post(GROUP).status_code == 405
    twice = httpx2.Headers([("accept-encoding", "identity"), ("accept-encoding", "zstd;q=0")])
    assert "content-encoding" not in client.get(GROUP, headers=twice).headers


def test_a_publish_is_seen_at_once(client: httpx2.Client, filled: Store) -> None:
    """A walk that begins after a publish begins on it, however often the page was kept before."""
    group = "/v1/feeds/vulnerabilities/alpine:3.2"
    for number in range(2, 8):
        publish(
            filled,
            "vulnerabilities",
            "alpine:3.2",
            {f"CVE-{number}": os_record("alpine:3.2", f"CVE-{number}")},
            driver="alpine",
        )
        for _ in range(3):
            assert len(names(client.get(group).content)) == number


def test_many_at_once(url: str, filled: Store) -> None:
    """Requests that share a question to the store all get the answer, each of its own group."""

    def ask(number: int) -> bool:
        group = f"alpine:3.{(2, 10)[number % 2]}"
        with httpx2.Client(base_url=url, timeout=60) as one:
            pages = [one.get(f"/v1/feeds/vulnerabilities/{group}").text for _ in range(10)]
        return all(f'"NamespaceName":"{group}"' in page for page in pages)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(32)))


class FickleStore:
    """A store that can be switched off."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.error: Exception | None = None

    def peek_revision(self) -> int | None:
        """What the store tells at once: nothing while it is off."""
        return self._store.peek_revision() if self.error is None else None

    def __getattr__(self, name: str) -> object:
        if self.error is not None:
            raise self.error
        return getattr(self._store, name)


def test_memory_hides_no_error(filled: Store, pages: PageFolder, clock: Clock) -> None:
    """While the store is away a first page is a 503 as without memory, and a walk under way goes on."""
    store = FickleStore(filled)
    with live_service(create_app(store, pages, clock=clock)) as base:  # type: ignore[arg-type]
        first = base + GROUP
        deep = f"{first}?next_token={httpx2.get(first).json()['next_token']}"
        assert [httpx2.get(address).status_code for address in (first, deep, first, deep)] == [200] * 4
        for error in (StoreUnavailableError("gone"), RuntimeError("broken")):
            store.error = error
            wanted = 503 if isinstance(error, StoreUnavailableError) else 500
            assert [httpx2.get(address).status_code for address in (first, deep)] == [wanted, 200]
        store.error = None
        assert httpx2.get(first).status_code == 200


def test_the_bound_holds() -> None:
    """The answers used longest ago go; one that is larger than the bound is not kept at all."""
    ready = ReadyAnswers(12_000)

    def keep(generation: int, size: int) -> Page:
        page = Page("f", "g", generation, "", "gzip")
        ready.keep(page, Coded("gzip", '"etag"', b"x" * size))
        return page

    first, second = keep(1, 2000), keep(2, 2000)
    assert ready.answer(first) is not None
    third = keep(3, 1000)
    assert [ready.answer(page) is not None for page in (first, second, third)] == [True, False, True]
    assert ready.answer(keep(4, 11_000)) is None
    assert ready.answer(first) is not None


def test_a_page_larger_than_memory(filled: Store, tmp_path: Path, clock: Clock) -> None:
    """A bound below a single page changes nothing for clients."""
    app = create_app(filled, PageFolder(tmp_path / "other", filled), clock=clock, memory=100)
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as client:
        _, _, body = [raw(client, GROUP, {"Accept-Encoding": "gzip"}) for _ in range(2)][1]
    assert names(gzip.decompress(body))[0] == "CVE-2024-0000"
