"""What a connection may send before it is ended."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from urllib.parse import urlsplit

import pytest

ENDLESS = 4 << 20
"""Bytes after which a test gives up waiting for the service to end the connection."""
START = b"GET /v1/health HTTP/1.1\r\nHost: a\r\n"


def ended(url: str, start: bytes, piece: bytes) -> bytes:
    """Send a start, then a piece again and again; return what the service said before it ended the connection."""
    address = urlsplit(url)
    said = b""
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.settimeout(30)
        with suppress(ConnectionError):
            connection.sendall(start)
            for part in repeat(piece, ENDLESS // len(piece)):
                connection.sendall(part)
            pytest.fail("the service read on and on")
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                said += part
    return said


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /", b"a" * 4096),
        (START, b"X-More: " + b"b" * 1000 + b"\r\n"),
        (START + b"X-Long: ", b"c" * 4096),
        (START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: ", b"d" * 4096),
    ],
    ids=["address", "headers", "header", "trailer"],
)
def test_what_has_no_end_is_ended(url: str, start: bytes, piece: bytes) -> None:
    """An address, headers, a header, a trailer without end: the connection ends, with 400 if that can be said."""
    said = ended(url, start, piece)
    assert said == b"" or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))


@pytest.fixture
def connection(url: str) -> Iterator[socket.socket]:
    """A connection to the service."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as opened:
        yield opened


def test_a_long_head_within_the_bound(connection: socket.socket) -> None:
    """30 kB of headers, again and again on one connection, are answered: the bound is for each request."""
    for _ in range(5):
        connection.sendall(START + b"X-Long: " + b"e" * 30_000 + b"\r\n\r\n")
        said = b""
        while not said.endswith(b'"ok"'):
            part = connection.recv(65536)
            assert part, said
            said += part
        assert said.startswith(b"HTTP/1.1 200 ")
