"""The service as a process of its own under clients that mean harm: it stays small, says 4xx, and serves the others.

`vulnfeeds serve` holds one large page; a well-behaved client asks for it throughout.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.service import Service, wait_until
from tests.hostile import good
from tests.hostile.world import World
from vulnfeeds.api import tokens

PATIENCE = 2
PAGE = "/v1/feeds/kev/kev:known-exploited"
NOTES = 60_000
"""Characters of each record's notes: the page has 7 MB, more than sockets hold."""


class Running:
    """The service and what can be seen of it."""

    def __init__(self, service: Service, pid: int) -> None:
        self.service = service
        self.pid = pid

    def memory_mb(self) -> float:
        """Return the resident memory of the process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))

    def connect(self, receive: int = 0) -> socket.socket:
        """Return a connection; `receive` makes its buffer small."""
        made = socket.socket()
        if receive:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        made.settimeout(30)
        made.connect(("127.0.0.1", self.service.port))
        return made

    def say(self, *lines: bytes) -> bytes:
        """Send a request as it is and return all that comes until the connection ends."""
        with self.connect() as connection:
            return exchange(connection, b"\r\n".join([*lines, b"", b""]))

    def serves(self) -> None:
        """A client that asks as clients do gets the whole page, and nothing is wrong."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.service.port}{PAGE}", headers={"Accept-Encoding": "gzip"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert len(json.loads(gzip.decompress(answer.read()))["data"]) == good.COUNT


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send bytes, as far as they are taken, and return what comes until the connection ends."""
    heard = bytearray()
    # An answer may come before all was sent.
    with contextlib.suppress(OSError):
        connection.sendall(data)
    with contextlib.suppress(OSError):
        while block := connection.recv(1 << 16):
            heard += block
    return bytes(heard)


def status_of(heard: bytes) -> int:
    """Return the status of the first answer; 0 when there was none."""
    return int(heard.split()[1]) if heard.startswith(b"HTTP/1.1 ") else 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that holds the catalog, with little patience."""
    home = tmp_path_factory.mktemp("hostile")
    with World(home, "kev") as world:
        document: dict[str, Any] = good.catalog([good.cve(number) for number in range(good.COUNT)])
        for item in document["vulnerabilities"]:
            item["notes"] = "n" * NOTES
        world.put({good.CATALOG: json.dumps(document).encode()})
        assert world.run().status == "completed"
    store = f"sqlite:///{home / 'store.sqlite'}"
    with Service(home, store, "http://127.0.0.1:1", covered=True, CLIENT_PATIENCE_SECONDS=PATIENCE) as service:
        made = Running(service, service.serve().pid)
        made.serves()
        yield made


CLOSE = b"Connection: close"
HOST = b"Host: x"


def path(text: str) -> list[bytes]:
    """Return the lines of a request for a path."""
    return [f"GET {text} HTTP/1.1".encode("latin-1"), HOST, CLOSE]


def token(feed: str, group: str) -> str:
    """Return a token that our own code made."""
    return tokens.encode(feed, group, tokens.WalkToken(1, "CVE-2024-00001"))


REFUSED: dict[str, tuple[list[bytes], set[int]]] = {
    "a path upwards": (path("/v1/feeds/../../../../etc/passwd"), {404}),
    "an encoded path upwards": (path("/v1/feeds/%2e%2e/%2e%2e/etc/passwd"), {404}),
    "an encoded slash": (path("/v1/feeds/..%2f..%2fetc%2fpasswd"), {404}),
    "a NUL in a group": (path("/v1/feeds/kev/kev%00"), {404}),
    "a raw NUL": (path("/v1/feeds/kev\0"), {400}),
    "backslashes": (path("/v1/feeds/..\\..\\windows"), {400, 404}),
    "encoded backslashes": (path("/v1/feeds/kev/..%5c..%5cwindows"), {404}),
    "overlong UTF-8": (path("/v1/feeds/%c0%ae%c0%ae/%c0%af"), {404}),
    "half a surrogate pair": (path("/v1/feeds/kev/%ed%a0%80"), {404}),
    "other letters": (path("/v1/feeds/%EF%BD%8B%EF%BD%85%EF%BD%96/x"), {404}),
    "a long name": (path("/v1/feeds/kev/" + "a" * 20_000), {404}),
    "a record upwards": (path(f"{PAGE}/records/../../../etc/passwd"), {404}),
    "an address without end": (path("/" + "a" * 1_000_000), {400, 404, 0}),
    "a header without end": ([*path(PAGE), b"X: " + b"a" * 1_000_000], {400, 431, 0}),
    "headers without end": ([*path(PAGE), *[b"X-%d: a" % number for number in range(100_000)]], {400, 431, 0}),
    "a made-up token": (path(f"{PAGE}?next_token=abc"), {400}),
    "a token of zeros": (path(f"{PAGE}?next_token={'A' * 400}"), {400}),
    "a huge token": (path(f"{PAGE}?next_token={'A' * 30_000}"), {400}),
    "a token of another group": (path(f"{PAGE}?next_token={token('kev', 'other')}"), {400}),
    "a token of another feed": (path(f"{PAGE}?next_token={token('nvdv2', 'kev:known-exploited')}"), {400}),
    "a since from nowhere": (path(f"{PAGE}?since=yesterday"), {400}),
    "a limit without bounds": (path(f"{PAGE}?limit=99999999999999999999"), {400}),
    "a long query": (path(f"{PAGE}?a={'a' * 20_000}"), {400}),
    "a task by a huge number": (path("/v1/tasks/" + "9" * 5_000), {404}),
    "POST": ([b"POST " + PAGE.encode() + b" HTTP/1.1", HOST, CLOSE, b"Content-Length: 0"], {405}),
    "DELETE": ([b"DELETE " + PAGE.encode() + b" HTTP/1.1", HOST, CLOSE], {405}),
    "TRACE": ([b"TRACE / HTTP/1.1", HOST, CLOSE], {405}),
    "CONNECT": ([b"CONNECT example.org:443 HTTP/1.1", HOST, CLOSE], {400, 404, 405}),
    "no HTTP": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], {400, 0}),
    "two lengths": ([*path(PAGE), b"Content-Length: 1", b"Content-Length: 2"], {400, 0}),
    "a length below zero": ([*path(PAGE), b"Content-Length: -1"], {400, 0}),
    "length and chunks": ([*path(PAGE), b"Content-Length: 3", b"Transfer-Encoding: chunked"], {400, 0}),
}
"""Requests that end in a plain refusal; 0: the connection ends before our answer could be read."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_plainly(running: Running, name: str) -> None:
    """The answer is 4xx, never 5xx and never data."""
    lines, expected = REFUSED[name]
    heard = running.say(*lines)
    assert status_of(heard) in expected, heard[:500]
    assert b"root:" not in heard
    running.serves()


def test_a_range_is_not_looked_at(running: Running) -> None:
    """Ranges, also many of them, get the whole page as if they were not there."""
    ranges = b"Range: bytes=" + b",".join(b"%d-%d" % (at, at + 1) for at in range(3000))
    heard = running.say(*path(PAGE), ranges)
    assert status_of(heard) == 200
    assert len(heard) > NOTES * good.COUNT


def test_a_body_on_get_is_not_read(running: Running) -> None:
    """A body of 50 MB changes neither the answer nor the memory."""
    before = running.memory_mb()
    length = 50 << 20
    with running.connect() as connection:
        head = b"\r\n".join([*path("/v1/feeds"), b"Content-Length: %d" % length, b"", b""])
        assert status_of(exchange(connection, head + b"x" * length)) in (0, 200)
    assert running.memory_mb() - before < 64
    running.serves()


def test_a_flood_of_heads_and_pipelined_requests(running: Running) -> None:
    """Three hundred HEADs on one connection are answered one after another, each without a body."""
    before = running.memory_mb()
    one = b"HEAD " + PAGE.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"\r\n".join([b"HEAD /v1/feeds HTTP/1.1", HOST, CLOSE, b"", b""])
    with running.connect() as connection:
        heard = exchange(connection, one * 300 + last)
    assert heard.count(b"HTTP/1.1 200 OK") == 301
    assert running.memory_mb() - before < 64
    running.serves()


def test_a_thousand_idle_connections(running: Running) -> None:
    """They cost little, the others are served meanwhile, and after the client's patience they are gone."""
    before = running.memory_mb()
    idle = [running.connect() for _ in range(1000)]
    try:
        running.serves()
        assert running.memory_mb() - before < 64
        assert idle[0].recv(1) == b""
        assert idle[-1].recv(1) == b""
    finally:
        for each in idle:
            each.close()


def test_requests_that_never_become_whole(running: Running) -> None:
    """A head that comes letter by letter is cut off, however lively it is."""
    slow = [running.connect() for _ in range(50)]
    try:
        began = time.monotonic()

        def all_ended() -> bool:
            assert time.monotonic() - began < 60
            ended = 0
            for each in slow:
                try:
                    each.send(b"X")
                except OSError:
                    ended += 1
            running.serves()
            return ended == len(slow)

        for each in slow:
            each.sendall(b"GET / HTTP/1.1\r\nX: ")
        wait_until(all_ended, "an end of slow requests")
    finally:
        for each in slow:
            each.close()


def test_readers_that_take_nothing(running: Running) -> None:
    """Pages that nobody takes are held for a bounded time in a bounded memory; the others are served."""
    before = running.memory_mb()
    slow = [running.connect(4096) for _ in range(60)]
    try:
        for each in slow:
            each.sendall(b"\r\n".join([*path(PAGE), b"", b""]))
        for _ in range(5):
            running.serves()
        # 60 pages of 7 MB would be more, were all of them held.
        wait_until(lambda: running.memory_mb() - before < 240, "an end of what is held beyond the ceiling")
        wait_until(lambda: _open_connections(running) < 10, "an end of the readers")
        running.serves()
    finally:
        for each in slow:
            each.close()


def test_a_reader_that_asks_ahead(running: Running) -> None:
    """Thirty pages asked for at once are held one at a time, and all of them come when they are taken."""
    # So that the page is ready in this form too.
    for _ in range(2):
        running.say(*path(PAGE))
    before = running.memory_mb()
    one = b"\r\n".join([f"GET {PAGE} HTTP/1.1".encode(), HOST, b"", b""])
    with running.connect(4096) as connection:
        connection.sendall(one * 29 + b"\r\n".join([*path(PAGE), b"", b""]))
        # Time for the service to look at what is unsent: thirty pages would be more than it bears.
        time.sleep(1)
        assert running.memory_mb() - before < 64
        heard = exchange(connection, b"")
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == 30
    assert len(heard) > 30 * NOTES * good.COUNT


def test_a_connection_in_use_is_not_idle(running: Running) -> None:
    """One that asks for a page again and again is served for longer than an idle one is borne."""
    connection = http.client.HTTPConnection("127.0.0.1", running.service.port, timeout=30)
    connection.connect()
    connection.auto_open = 0
    began = time.monotonic()
    with contextlib.closing(connection):
        while time.monotonic() - began < 3 * PATIENCE:
            connection.request("GET", PAGE, headers={"Accept-Encoding": "gzip"})
            assert connection.getresponse().read()
            time.sleep(0.1)


def _open_connections(running: Running) -> int:
    """Return how many established connections the service's port has."""
    port = f":{running.service.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


def test_nothing_was_wrong(running: Running) -> None:
    """After all of it the service has not logged an error of its own."""
    assert "request failed" not in running.service.log()
    assert "Traceback" not in running.service.log()
