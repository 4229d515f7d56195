"""A feed service that answers from a script, and a strict client of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import GROUP, Clock, FakeService, Reply
from vulnfeeds.testing.client import StrictClient


@pytest.fixture
def clock() -> Clock:
    """The client's clock."""
    return Clock()


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A scripted service at a free port."""
    fake = FakeService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            fake.asked.append((self.path, dict(self.headers.items()), self.client_address[1]))
            reply = fake.answer(self.path)
            raw = reply.raw()
            self.send_response(reply.status)
            if reply.type is not None:
                self.send_header("Content-Type", reply.type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Transfer-Encoding" not in reply.headers:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw[: reply.cut])
            self.close_connection = reply.cut is not None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        fake.address = f"http://127.0.0.1:{server.server_address[1]}/v1/feeds"
        yield fake
        server.shutdown()


@pytest.fixture
def client(service: FakeService, clock: Clock, tmp_path: Path) -> Iterator[StrictClient]:
    """A strict client of the scripted service."""
    with StrictClient(service.address, tmp_path / "client.sqlite", clock=clock, read_seconds=5) as found:
        yield found


@pytest.fixture
def sync_group(service: FakeService, client: StrictClient) -> Callable[..., Any]:
    """A function that scripts the pages of the one group, syncs, and returns the group's report."""

    def run(*pages: Reply) -> Any:
        service.lists()
        target = GROUP
        for reply in pages:
            service.says(target, reply)
            token = reply.body.get("next_token", "") if isinstance(reply.body, dict) else ""
            target = f"{GROUP}?next_token={token}"
        return client.sync(["vulnerabilities"]).of("vulnerabilities", "alpine:3.10")

    return run
