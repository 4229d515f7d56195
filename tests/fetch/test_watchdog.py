"""Trickles that no timeout of a read notices end with the time of the download."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vulnfeeds.errors import LimitError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def trickler(at_once: bytes, drop: bytes) -> Iterator[str]:
    """Give the address of a server that sends `at_once` and then `drop` again and again, ten times a second."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def serve() -> None:
            while not stopped.is_set():
                with contextlib.suppress(OSError):
                    client, _ = listening.accept()
                    with client:
                        client.recv(65536)
                        client.sendall(at_once)
                        while not stopped.wait(0.1):
                            client.sendall(drop)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopped.set()
            thread.join()


@pytest.mark.parametrize(
    ("at_once", "drop"),
    [
        (b"", b"H"),
        (HEADERS + b"X-Long: ", b"x"),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n2;name=", b"x"),
        (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: ", b"x"),
    ],
)
def test_headers_and_chunk_marks_that_trickle_end(tmp_path: Path, at_once: bytes, drop: bytes) -> None:
    """Status line, header, chunk mark, trailer: one byte ten times a second is over after max_seconds."""
    with (
        trickler(at_once, drop) as address,
        HTTPFetcher(FetchSettings(), UpstreamMap(address), ["https://example.org/"]) as fetcher,
    ):
        for ask in (
            lambda: fetcher.get_json("https://example.org/x", limits=Limits(max_seconds=0.4)),
            lambda: fetcher.download("https://example.org/x", tmp_path / "x", limits=Limits(max_seconds=0.4)),
        ):
            with pytest.raises(LimitError, match=r"not whole within 0\.4 s"):
                ask()
    assert not (tmp_path / "x").exists()
