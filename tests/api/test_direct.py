"""Answers below the application: byte for byte what the application gives, in turn, and to one who takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from tests.api.conftest import fill
from tests.api.filling import Clock, names, os_record, publish
from tests.api.talking import connect, heard, one_answer, request, said_to
from vulnfeeds.api.app import create_app
from vulnfeeds.api.tokens import DeltaToken, encode
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store, open_store
from vulnfeeds.testing.live import live_service

FEED, GROUP = "vulnerabilities", "debian:12"
FIRST = f"/v1/feeds/{FEED}/{GROUP}"
CHANGES = f"{FIRST}?next_token={encode(FEED, GROUP, DeltaToken(5, 2345))}"
CODINGS = ("identity", "gzip", "zstd")


class Two:
    """Two services over one store: one that keeps answers in memory and one that does not."""

    def __init__(self, keeping: str, plain: str) -> None:
        self.keeping = keeping
        self.plain = plain
        token = httpx2.get(plain + FIRST).json()["next_token"]
        self.deep = f"{FIRST}?next_token={token}"
        self.etag = httpx2.get(plain + FIRST, headers={"Accept-Encoding": "gzip"}).headers["etag"]
        self.warm()

    def warm(self) -> None:
        """Have the pages kept in each form that is asked for often."""
        for target in (FIRST, self.deep, CHANGES):
            for headers in ([], *([f"Accept-Encoding: {coding}"] for coding in CODINGS)):
                said_to(self.keeping, [request(target, *headers)] * 2 + [request("/health", "Connection: close")])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Both services, for tests that only read."""
    folder, clock = tmp_path_factory.mktemp("two"), Clock()
    with ExitStack() as stack:
        store = open_store(f"sqlite:///{folder / 'store.sqlite'}", clock=clock)
        stack.callback(store.close)
        fill(store, clock)
        pages = PageFolder(folder / "pages", store)
        apps = [create_app(store, pages, clock=clock, memory=memory) for memory in (64 << 20, 0)]
        yield Two(*(stack.enter_context(live_service(app)) for app in apps))


HEADERS = st.sampled_from(
    [
        "Accept-Encoding: gzip",
        "accept-encoding: gzip",
        "Accept-Encoding: zstd",
        "Accept-Encoding: gzip;q=0",
        "Accept-Encoding: identity;q=0, gzip",
        "Accept-Encoding: *;q=0",
        "Accept-Encoding:",
        "Accept: */*",
        "Accept: text/html",
        "If-None-Match: *",
        "If-None-Match: ETAG",
        "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
        "Range: bytes=0-9",
        "Expect: 100-continue",
        "Content-Length: 0",
        "Connection: keep-alive",
        "Authorization: Basic eDp5",
        "X-Long: " + "x" * 3000,
    ]
)
TARGETS = st.sampled_from(
    [
        "FIRST",
        "FIRST",
        "DEEP",
        "DEEP",
        CHANGES,
        "FIRST?",
        "FIRST?limit=2",
        "DEEP#x",
        f"http://a{FIRST}",
        FIRST.replace(":", "%3A"),
        FIRST.replace("/v1", ""),
        f"/v1//feeds/{FEED}",
        "/feeds/none/none",
        "/health",
    ]
)
SOME = st.lists(HEADERS, max_size=3).filter(lambda lines: lines.count("Content-Length: 0") < 2)
"""Two lengths are an error, which ends the connection at once, before the answers that are not ready."""
PLAIN = st.builds(lambda target, headers: (target, headers, "GET", b""), TARGETS, SOME)
OTHER = st.one_of(
    st.builds(lambda target, headers: (target, headers, "HEAD", b""), TARGETS, SOME),
    st.builds(lambda target: (target, ["Content-Length: 3"], "GET", b"abc"), TARGETS),
    st.builds(lambda target: (target, ["Transfer-Encoding: chunked"], "GET", b"1\r\na\r\n0\r\n\r\n"), TARGETS),
    st.builds(lambda target: (target, ["Content-Length: 3"], "POST", b"abc"), TARGETS),
)
LAST = st.sampled_from(
    [
        (["Connection: close"], "1.1"),
        (["Connection: close", "Accept-Encoding: gzip"], "1.1"),
        ([], "1.0"),
        (["Connection: keep-alive"], "1.0"),
        (["Connection: close, Upgrade", "Upgrade: h2c"], "1.1"),
    ]
)


READY = ("FIRST", [], "GET", b"")
LONG = (f"/v1//feeds/{FEED}", [], "GET", b"")


@settings(max_examples=150, deadline=None)
@example(asked=[READY, READY], last=([], "1.0"), cuts=[])
@example(asked=[READY, READY], last=(["Connection: keep-alive"], "1.0"), cuts=[])
@example(asked=[READY, LONG, READY, LONG, READY], last=(["Connection: close"], "1.1"), cuts=[])
@example(asked=[READY, LONG, READY, LONG, READY], last=(["Connection: close"], "1.1"), cuts=[10, 20, 60, 90])
@given(asked=st.lists(PLAIN | PLAIN | OTHER, max_size=8), last=LAST, cuts=st.lists(st.integers(1, 4000), max_size=6))
def test_the_application_would_say_the_same(
    two: Two,
    asked: list[tuple[str, list[str], str, bytes]],
    last: tuple[list[str], str],
    cuts: list[int],
) -> None:
    """Any requests on one connection, however they are cut into pieces: the same bytes come in the same order."""

    def filled(text: str) -> str:
        return text.replace("FIRST", FIRST).replace("DEEP", two.deep).replace("ETAG", two.etag)

    sent = b"".join(
        request(filled(target), *map(filled, headers), method=method, body=body)
        for target, headers, method, body in asked
    )
    sent += request(FIRST, *last[0], version=last[1])
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    parts = [sent[start:end] for start, end in pairwise(places)]
    assert said_to(two.keeping, parts) == said_to(two.plain, parts)


class Counting:
    """The application, and how often it is asked."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self.state = app.state
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and hand on."""
        self.requests += 1
        await self._app(scope, receive, send)


@pytest.fixture
def counting(app: Starlette) -> Counting:
    """The service over the filled store, counted."""
    return Counting(app)


@pytest.fixture
def counted(counting: Counting) -> Iterator[str]:
    """Its address."""
    with live_service(counting) as base:
        yield base


def test_what_is_ready_does_not_reach_the_application(counting: Counting, counted: str) -> None:
    """First, later and delta pages: it is asked once for each."""
    deep = f"{FIRST}?next_token={httpx2.get(counted + FIRST).json()['next_token']}"
    with connect(counted) as connection:
        before = counting.requests
        for target in (FIRST, deep, CHANGES) * 5:
            connection.sendall(request(target, "Accept-Encoding: gzip"))
            assert one_answer(connection)[0].startswith(b"HTTP/1.1 200 OK\r\n")
        assert counting.requests - before == 3


def test_a_request_is_known_by_its_bytes(app: Starlette) -> None:
    """One that came whole and alone is, unless it holds a password; one that came in parts or in company is not."""
    plain, secret = request(CHANGES), request(CHANGES, "Authorization: Basic eDp5")
    early, late, parts = request(CHANGES, "X: 1"), request(CHANGES, "X: 2"), request(CHANGES, "X: 3")
    with live_service(app) as base, connect(base) as connection:
        for _ in range(3):
            for data in (plain, secret):
                connection.sendall(data)
                assert one_answer(connection)[0].startswith(b"HTTP/1.1 200 ")
        connection.sendall(parts[:20])
        # The health answer comes when the first part has been read.
        said_to(base, [request("/health", "Connection: close")])
        connection.sendall(parts[20:])
        one_answer(connection)
        connection.sendall(early + late)
        one_answer(connection)
        # And this one when all of the bytes above are done with.
        said_to(base, [request("/health", "Connection: close")])
        known = {
            data: app.state.finder.at_once(data) is not None
            for data in (plain, secret, early, late, early + late, parts)
        }
    assert known == {plain: True, secret: False, early: False, late: False, early + late: False, parts: False}


def test_known_bytes_inside_another_request(url: str) -> None:
    """They are a part of that request, as anything would be there: one answer comes, to what began first."""
    known = request(CHANGES)
    with connect(url) as connection:
        for _ in range(3):
            connection.sendall(known)
            one_answer(connection)
        connection.sendall(b"GET /health HTTP/1.1\r\nX: ")
        # Read apart from what follows.
        said_to(url, [request("/health", "Connection: close")])
        connection.sendall(known)
        assert one_answer(connection)[1] == b'"ok"'
        connection.sendall(request("/health", "Connection: close"))
        assert heard(connection).count(b"HTTP/1.1 ") == 1


def test_a_publish_is_seen_on_a_connection_that_is_kept(
    counting: Counting, counted: str, filled: Store, sqlite_url: str
) -> None:
    """Between two requests another process's publish, here another store's, changes the first page at once."""
    group = "alpine:3.2"
    other = open_store(sqlite_url)
    with connect(counted) as connection:
        for number in range(2, 6):
            key = f"CVE-{number}"
            publish(other, FEED, group, {key: os_record(group, key)}, driver="alpine")
            for _ in range(4):
                before = counting.requests
                connection.sendall(request(f"/v1/feeds/{FEED}/{group}"))
                assert len(names(one_answer(connection)[1])) == number
            assert counting.requests == before
    other.close()


def test_one_who_reads_slowly_gets_all_of_it(url: str) -> None:
    """Forty requests at once from a reader with small buffers: forty whole pages, one after another."""
    page = httpx2.get(url + FIRST).content
    with connect(url, receive=4096) as connection:
        connection.sendall(request(FIRST) * 39 + request(FIRST, "Connection: close"))
        said = heard(connection)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 40
    assert said.count(page) == 40


def test_an_idle_connection_is_ended(url: str) -> None:
    """One that was answered from memory and asks no more is ended by the service."""
    with connect(url) as connection:
        for _ in range(3):
            connection.sendall(request(FIRST))
            one_answer(connection)
        assert connection.recv(1) == b""


class Slow(Counting):
    """The application, which takes longer for each answer than an idle connection is borne."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and hand on."""
        if scope["path"] == "/slow":
            await asyncio.sleep(6)
        await super().__call__(scope, receive, send)


def test_one_that_waits_for_its_answer_is_not_idle(app: Starlette) -> None:
    """An answer at once before it, to a request of the same packet, does not begin the time of an idle connection."""
    with live_service(Slow(app)) as base:
        for _ in range(3):
            said_to(base, [request(FIRST) + request("/health", "Connection: close")])
        said = said_to(base, [request(FIRST) + request("/slow", "Connection: close")])
    assert said.count(b"HTTP/1.1 200 ") == 1
    assert said.count(b"HTTP/1.1 404 ") == 1


def test_the_end_of_the_service_ends_its_connections(app: Starlette) -> None:
    """A connection that was answered from memory does not hold the service up."""
    with live_service(app) as base:
        connection = connect(base)
        for _ in range(3):
            connection.sendall(request(FIRST))
            one_answer(connection)
    with connection:
        assert connection.recv(1) == b""


def test_empty_lines_between_requests(url: str) -> None:
    """A client may send some before each request, as often as it likes: the bound is for each request."""
    with connect(url) as connection:
        for _ in range(40):
            connection.sendall(b"\r\n" * 1000)
            # Read apart from the request, which then comes as it came before.
            said_to(url, [request("/health", "Connection: close")])
            connection.sendall(request(FIRST))
            assert one_answer(connection)[0].startswith(b"HTTP/1.1 200 ")


def test_a_garbled_request_after_an_answer(url: str) -> None:
    """What makes no sense on a connection that was answered from memory is a 400 and its end."""
    with connect(url) as connection:
        for _ in range(2):
            connection.sendall(request(FIRST))
            one_answer(connection)
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert heard(connection).startswith(b"HTTP/1.1 400 Bad Request\r\n")
