"""UpstreamSimulator: a real HTTP server that plays upstreams, for tests of drivers and of fetching.

    with UpstreamSimulator({"https://example.org/data.json": b"{}"}) as upstream:
        upstream.fault("https://example.org/", times=2, status=503)
        with upstream.fetcher() as fetcher:
            fetcher.download("https://example.org/data.json", folder / "data.json")
        assert [seen.status for seen in upstream.log] == [503, 503, 200]

It listens on the loopback address only, and answers `https://HOST/PATH` at `http://127.0.0.1:PORT/HOST/PATH`, which
is what the upstream map makes of it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import msgspec

from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings

MODIFIED = datetime(2024, 1, 15, 12, 0, 0, tzinfo=UTC)
"""Last-Modified of documents that name no other."""
BLOCK = 1 << 16


class Seen(msgspec.Struct, frozen=True):
    """A request that was answered."""

    method: str
    url: str
    """The upstream URL, as https."""
    status: int
    headers: dict[str, str]
    """Request headers, names in lower case."""
    sent: int
    """Body bytes that were sent."""
    began: float
    """time.monotonic() when the request came."""
    body: bytes = b""
    """What a POST asked."""


class Fault(msgspec.Struct, kw_only=True):
    """What goes wrong, or is different, for URLs that begin with `prefix`. Fields left alone change nothing."""

    prefix: str
    exact: bool = False
    """Only for the URL `prefix` itself, whatever its query."""
    times: int | None = None
    """So many requests only; None for all."""
    status: int = 200
    headers: dict[str, str] = {}
    """Added to the answer, in place of those of the same name; "" removes one."""
    body: bytes | None = None
    """Sent instead of the document."""
    truncate_at: int | None = None
    """The connection is closed after so many bytes of the body."""
    bytes_per_second: float = 0.0
    hang: bool = False
    """The request gets no answer until the simulator is closed."""
    validators: bool = True
    ranges: bool = True
    gzip: bool = False
    """The body is sent with Content-Encoding gzip, asked for or not."""
    chunked: bool = False
    endless: bool = False
    """The body is repeated without end."""


Handler = Callable[[str], bytes | None]
"""Answers a whole URL (with its query) with a body, or None for 404."""
Responder = Callable[[bytes], bytes | None]
"""Answers the body of a POST with a body, or None for 404."""


class UpstreamSimulator:
    """Upstreams on the loopback address; a context manager.

    `documents` maps upstream URLs to bodies, or is a folder laid out HOST/PATH. `tls` holds the files of a
    certificate and its key: then `address` is an https one.
    """

    def __init__(
        self, documents: Mapping[str, bytes] | Path | None = None, *, tls: tuple[Path, Path] | None = None
    ) -> None:
        self._folder = documents if isinstance(documents, Path) else None
        self._documents = dict(documents) if isinstance(documents, Mapping) else {}
        self._modified: dict[str, datetime] = {}
        self._handlers: dict[str, Handler] = {}
        self._responders: dict[str, Responder] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._open = 0
        self._log: list[Seen] = []
        self.stopped = threading.Event()
        self.most_at_once = 0
        """Most requests that were under way at the same time."""
        handler = type("BoundHandler", (_Handler,), {"simulator": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        """What the upstream map takes as a mirror."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> UpstreamSimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and let hanging requests go."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, url: str, body: bytes, *, modified: datetime | None = None) -> None:
        """Publish a document, or another version of it."""
        with self._lock:
            self._documents[url] = body
            if modified is not None:
                self._modified[url] = modified

    def remove(self, url: str) -> None:
        """Withdraw a document: 404 from now on."""
        with self._lock:
            self._documents.pop(url, None)

    def serve(self, prefix: str, handler: Handler) -> None:
        """Let a function answer all URLs that begin with `prefix`, for instance an API with arguments."""
        with self._lock:
            self._handlers[prefix] = handler

    def respond(self, prefix: str, responder: Responder) -> None:
        """Let a function answer all POSTs to URLs that begin with `prefix`: an API whose questions are bodies."""
        with self._lock:
            self._responders[prefix] = responder

    def fault(self, prefix: str, **fields: Any) -> Fault:
        """Add a fault (see Fault) for URLs that begin with `prefix`; the first that fits is used."""
        fault = Fault(prefix=prefix, **fields)
        with self._lock:
            self._faults.append(fault)
        return fault

    def redirect(self, prefix: str, location: str, *, times: int | None = None, status: int = 302) -> Fault:
        """Redirect URLs that begin with `prefix` to `location`."""
        return self.fault(prefix, times=times, status=status, headers={"Location": location}, body=b"")

    def heal(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    @property
    def log(self) -> list[Seen]:
        """Requests so far, in the order in which they ended; those under way are waited for (hanging ones not)."""
        with self._idle:
            self._idle.wait_for(lambda: self._open == 0, timeout=5)
            return self._log

    @property
    def upstreams(self) -> UpstreamMap:
        """The map that leads every host here."""
        return UpstreamMap(self.address)

    def fetcher(
        self, settings: FetchSettings | None = None, allowed: Collection[str] | None = None, **clocks: Any
    ) -> HTTPFetcher:
        """Return a fetcher for which this simulator is all upstreams; it does not wait long between attempts.

        Without `allowed`, the hosts of the documents, handlers and faults so far may be asked.
        """
        quick = FetchSettings(
            connect_seconds=5,
            read_seconds=5,
            backoff_first_seconds=0.01,
            backoff_max_seconds=0.02,
            throttled_seconds=0.02,
        )
        return HTTPFetcher(settings or quick, self.upstreams, allowed or self._hosts(), **clocks)

    def _hosts(self) -> set[str]:
        with self._lock:
            urls = [*self._documents, *self._handlers, *self._responders, *(fault.prefix for fault in self._faults)]
        if self._folder is not None:
            urls += [f"https://{child.name}/" for child in self._folder.iterdir()]
        return {"/".join(url.split("/")[:3]) + "/" for url in urls}

    def find(self, url: str) -> bytes | None:
        """Return the body of a URL; None when there is none."""
        bare = url.partition("?")[0]
        with self._lock:
            handler = next((h for prefix, h in self._handlers.items() if url.startswith(prefix)), None)
            known = self._documents.get(url, self._documents.get(bare))
        if handler is not None:
            return handler(url)
        if known is None and self._folder is not None:
            file = self._folder / bare.partition("://")[2]
            file = file / "index.html" if file.is_dir() else file
            return file.read_bytes() if file.is_file() else None
        return known

    def answer_to(self, url: str, question: bytes) -> bytes | None:
        """Return the answer to a POST; None when there is none."""
        with self._lock:
            responder = next((r for prefix, r in self._responders.items() if url.startswith(prefix)), None)
        return responder(question) if responder is not None else None

    def modified(self, url: str) -> datetime:
        """Return the Last-Modified of a document."""
        with self._lock:
            return self._modified.get(url, MODIFIED)

    def fault_for(self, url: str) -> Fault:
        """Return the fault that applies to a request, and count it."""
        with self._lock:
            for fault in self._faults:
                fits = url.partition("?")[0] == fault.prefix if fault.exact else url.startswith(fault.prefix)
                if fits and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return Fault(prefix="")

    def began(self) -> None:
        """Count a request that is under way."""
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)

    def ended(self, seen: Seen) -> None:
        """Note a request that is over."""
        with self._idle:
            self._open -= 1
            self._log.append(seen)
            self._idle.notify_all()


class _Server(ThreadingHTTPServer):
    """A threaded server that does not wait for open connections when it stops."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET, HEAD and POST: documents, conditions, ranges and faults."""

    simulator: ClassVar[UpstreamSimulator]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Say nothing; the simulator has a log of its own."""

    def do_GET(self) -> None:
        """Answer one request."""
        self._serve(None)

    do_HEAD = do_GET  # noqa: N815 (the library's name)

    def do_POST(self) -> None:
        """Answer one question."""
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, question: bytes | None) -> None:
        simulator = self.simulator
        simulator.began()
        url, began, status, sent = "https:/" + self.path, time.monotonic(), 0, 0
        fault = simulator.fault_for(url)
        try:
            if not fault.hang:
                status, headers, body = self._answer(url, fault, question)
                sent = self._send(status, headers, body, fault)
        except OSError:
            self.close_connection = True
        finally:
            heard = {name.lower(): value for name, value in self.headers.items()}
            simulator.ended(Seen(self.command, url, status, heard, sent, began, question or b""))
        if fault.hang:
            simulator.stopped.wait()
            self.close_connection = True

    def _answer(self, url: str, fault: Fault, question: bytes | None) -> tuple[int, dict[str, str], bytes]:
        if fault.body is not None:
            found: bytes | None = fault.body
        else:
            found = self.simulator.find(url) if question is None else self.simulator.answer_to(url, question)
        if fault.status != 200:
            return fault.status, dict(fault.headers), fault.body or b"injected\n"
        if found is None:
            return 404, {}, b"not found\n"
        if question is not None:
            return 200, {"Content-Type": "application/json", **fault.headers}, found
        headers = {"Content-Type": "application/octet-stream"}
        etag, modified = f'"{hashlib.sha256(found).hexdigest()[:16]}"', self.simulator.modified(url)
        if fault.validators:
            headers |= {"ETag": etag, "Last-Modified": format_datetime(modified, usegmt=True)}
        headers |= fault.headers
        if fault.validators and self._not_modified(headers.get("ETag", ""), modified):
            return 304, headers, b""
        if fault.gzip:
            return 200, headers | {"Content-Encoding": "gzip"}, gzip.compress(found, 6, mtime=0)
        return self._ranged(headers, found) if fault.ranges else (200, headers, found)

    def _not_modified(self, etag: str, modified: datetime) -> bool:
        if wanted := self.headers.get("If-None-Match"):
            return bool(etag) and etag.removeprefix("W/") in [t.strip().removeprefix("W/") for t in wanted.split(",")]
        if since := self.headers.get("If-Modified-Since"):
            return modified <= parsedate_to_datetime(since)
        return False

    def _ranged(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers["Accept-Ranges"] = "bytes"
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        guard = self.headers.get("If-Range")
        if match is None or (guard and guard not in (headers.get("ETag"), headers.get("Last-Modified"))):
            return 200, headers, body
        start = int(match[1])
        if start >= len(body):
            return 416, headers | {"Content-Range": f"bytes */{len(body)}"}, b""
        return 206, headers | {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:]

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> int:
        self.send_response(status)
        chunked = (fault.chunked or fault.endless) and status == 200
        if chunked:
            headers = headers | {"Transfer-Encoding": "chunked"}
        elif status != 304:
            headers = {"Content-Length": str(len(body))} | headers
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or status == 304:
            return 0
        sent = 0
        for piece in self._pieces(body, fault):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
        if fault.truncate_at is not None:
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")
        return sent

    def _pieces(self, body: bytes, fault: Fault) -> Iterator[bytes]:
        stop = len(body) if fault.truncate_at is None else min(len(body), fault.truncate_at)
        step = max(1, int(fault.bytes_per_second / 20)) if fault.bytes_per_second else BLOCK
        while not self.simulator.stopped.is_set():
            for at in range(0, stop, step):
                yield body[at : min(at + step, stop)]
                if fault.bytes_per_second and self.simulator.stopped.wait(step / fault.bytes_per_second):
                    return
            if not fault.endless:
                return
