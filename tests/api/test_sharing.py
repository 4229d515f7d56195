"""What many ask for: read once, the same for all, and never that of another state."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.api.filling import Clock, names, os_record, publish
from vulnfeeds.api.app import create_app
from vulnfeeds.api.sharing import Shared
from vulnfeeds.api.tokens import DeltaToken, encode
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store
from vulnfeeds.testing.live import live_service

FEED, GROUP = "vulnerabilities", "debian:12"
PATH = f"/v1/feeds/{FEED}/{GROUP}"


class CountedStore:
    """A store, and how often each of its methods was asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.asked[name] += 1
            return method(*args, **kwargs)

        return counted


@pytest.fixture
def counted(filled: Store) -> CountedStore:
    """The filled store, counted."""
    return CountedStore(filled)


@pytest.fixture
def client(counted: CountedStore, pages: PageFolder, clock: Clock) -> Iterator[httpx2.Client]:
    """A client of a service that takes `since` as it is said."""
    app = create_app(counted, pages, clock=clock, since_margin=timedelta(0))  # type: ignore[arg-type]
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as opened:
        yield opened


def changed(store: Store, count: int, text: str) -> None:
    """Publish new texts of the first records."""
    keys = [f"CVE-2024-{number:04}" for number in range(count)]
    publish(store, FEED, GROUP, {key: os_record(GROUP, key, text) for key in keys})


def test_times_that_mean_the_same_share_an_answer(
    client: httpx2.Client, counted: CountedStore, filled: Store, clock: Clock
) -> None:
    """Every client's own time, between the same two publishes: one reading of the changes, one answer."""
    changed(filled, 5, "new")
    published = clock.now
    clock.move(days=1)
    answers = []
    for minutes in range(10):
        since = (published - timedelta(minutes=minutes)).replace(tzinfo=None).isoformat()
        answers.append(client.get(PATH, params={"since": since}))
    assert {names(each.content)[4] for each in answers} == {"CVE-2024-0004"}
    assert len({each.headers["etag"] for each in answers}) == 1
    assert counted.asked["delta"] == 1


def test_nothing_new_needs_no_question(client: httpx2.Client, counted: CountedStore, clock: Clock) -> None:
    """Since the last publish, at many times: after the first answer the store is not read again."""
    moments = [clock.move(minutes=1).replace(tzinfo=None).isoformat() for _ in range(10)]
    bodies = {client.get(PATH, params={"since": since}).content for since in moments}
    assert bodies == {b'{"data":[],"next_token":""}'}
    read = {name: number for name, number in counted.asked.items() if name != "peek_revision"}
    again = {client.get(PATH, params={"since": since}).content for since in moments}
    assert again == bodies
    assert {name: number for name, number in counted.asked.items() if name != "peek_revision"} == read


def test_a_publish_is_in_the_next_answer(client: httpx2.Client, filled: Store, clock: Clock) -> None:
    """The same `since` again and again: each answer has what was published until then, at its newest."""
    since = clock.move(minutes=1).replace(tzinfo=None).isoformat()
    assert client.get(PATH, params={"since": since}).json()["data"] == []
    for number in range(1, 5):
        clock.move(minutes=1)
        changed(filled, number, f"text {number}")
        for _ in range(3):
            data = client.get(PATH, params={"since": since}).json()["data"]
            assert [item["Vulnerability"]["Description"] for item in data] == [f"text {number}"] * number


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_memory_changes_no_byte(
    client: httpx2.Client, filled: Store, pages: PageFolder, clock: Clock, coding: str
) -> None:
    """Pages of a delta by token and by time, asked thrice: status, headers and body of a service without memory."""
    changed(filled, 1500, "new")
    clock.move(hours=1)
    head = filled.group(FEED, GROUP)
    assert head is not None
    token = encode(FEED, GROUP, DeltaToken(head.sequence - 1200, head.sequence))
    queries = [{"next_token": token}, {"next_token": token, "limit": "1000"}, {"next_token": token, "limit": "7"}]
    queries += [{"since": "2026-01-01"}, {"since": "2026-01-02T00:00:00Z", "limit": "1"}, {"since": "2027-01-01"}]
    bare = create_app(filled, pages, clock=clock, since_margin=timedelta(0), memory=0)

    def told(base: Any, query: dict[str, str], more: dict[str, str], method: str = "GET") -> Any:
        headers = {"Accept-Encoding": coding, "Accept": "*/*"} | more
        with httpx2.stream(method, f"{base}{PATH}", params=query, headers=headers) as answer:
            shown = {name: value for name, value in answer.headers.items() if name != "date"}
            return answer.status_code, shown, b"".join(answer.iter_raw())

    with live_service(bare) as plain:
        for query in queries:
            wanted = told(plain, query, {})
            assert wanted[0] == 200
            for more in ({}, {}, {}, {"If-None-Match": wanted[1]["etag"]}, {"If-None-Match": '"other"'}):
                assert told(client.base_url, query, more) == told(plain, query, more)
            assert told(client.base_url, query, {}, "HEAD") == told(plain, query, {}, "HEAD")
            refused = {"Accept-Encoding": f"{coding or 'gzip'}, identity;q=0"}
            assert told(client.base_url, query, refused) == told(plain, query, refused)


def test_numbers_that_were_never_given(client: httpx2.Client, filled: Store, clock: Clock) -> None:
    """A token whose end is still to come means now, at each time anew, and is not kept under its own numbers."""
    head = filled.group(FEED, GROUP)
    assert head is not None
    path = f"{PATH}?next_token={encode(FEED, GROUP, DeltaToken(head.sequence, head.sequence + 3))}"
    seen = []
    for number in range(5):
        seen += [len(client.get(path).json()["data"]) for _ in range(2)]
        publish(filled, FEED, GROUP, {f"CVE-9-{number}": os_record(GROUP, f"CVE-9-{number}")})
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]


def test_many_at_once_read_once(client: httpx2.Client, counted: CountedStore) -> None:
    """Clients that come together get the same page from few readings: those under way are shared."""

    def ask(_: int) -> str:
        return httpx2.get(f"{client.base_url}{PATH}", params={"since": "2026-01-01"}).headers["etag"]

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(48)))) == 1
    assert counted.asked["delta"] == 1


def test_a_first_page_after_a_publish_is_made_once(
    client: httpx2.Client, counted: CountedStore, filled: Store
) -> None:
    """Clients that come together after a publish get its first page from one reading of its manifest."""

    def ask(_: int) -> str:
        return httpx2.get(f"{client.base_url}{PATH}").json()["data"][0]["Vulnerability"]["Description"]

    with ThreadPoolExecutor(16) as pool:
        for number in range(1, 4):
            changed(filled, 1, f"text {number}")
            counted.asked.clear()
            assert set(pool.map(ask, range(32))) == {f"text {number}"}
            assert counted.asked["manifest"] == 1


def test_one_making_for_all_who_wait() -> None:
    """Who asks while it is made gets what is made; who asks later has it made anew; one who leaves disturbs none."""

    async def scene() -> list[str]:
        made: list[str] = []
        go = asyncio.Event()

        async def make(name: str) -> str:
            made.append(name)
            number = len(made)
            await go.wait()
            return f"{name} {number}"

        shared: Shared[str, str] = Shared()

        def get(name: str) -> asyncio.Future[str]:
            return asyncio.ensure_future(shared.get(name, lambda: make(name)))

        waiting = [get(name) for name in ("a", "a", "b", "a")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go.set()
        await asyncio.wait(waiting)
        assert waiting[0].cancelled()
        return [task.result() for task in waiting[1:]] + [await get("a")]

    assert asyncio.run(scene()) == ["a 1", "b 2", "a 1", "a 3"]


def test_an_error_is_everybodys_and_not_kept() -> None:
    """All who wait get the error; the next one to ask gets a new try."""

    async def scene() -> list[object]:
        tries: list[int] = []

        async def make() -> str:
            tries.append(1)
            await asyncio.sleep(0)
            if len(tries) == 1:
                raise ValueError("no")
            return "yes"

        shared: Shared[str, str] = Shared()
        first = await asyncio.gather(*(shared.get("a", make) for _ in range(3)), return_exceptions=True)
        return [*map(str, first), await shared.get("a", make)]

    assert asyncio.run(scene()) == ["no", "no", "no", "yes"]
