"""How the client asks: one connection a request, nothing encoded, three immediate attempts.

The headers and rules are those of the policy engine 0.10 to 1.1 (requests 2.26): plain string formatting of the
address, redirects followed, no Retry-After, no back-off. Stricter than it: a body shorter than announced, a second
gzip member, an encoding that was not asked for are refused instead of going unnoticed.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from vulnfeeds.testing.client.errors import (
    AnswerError,
    ClientError,
    ConnectionFailedError,
    CredentialsError,
    MissingError,
    PageError,
    TierError,
)

HEADERS: Final = {
    "User-Agent": "python-requests/2.26.0",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
}
BLOCK: Final = 1 << 16
MOST_REDIRECTS: Final = 30
_NOT_TRIED_AGAIN: Final = {401: CredentialsError, 403: TierError, 404: MissingError}
_REDIRECTS: Final = (301, 302, 303, 307, 308)


class Answer(msgspec.Struct, frozen=True):
    """A successful answer whose decoded body lies in a file."""

    path: Path
    content_type: str | None
    """None when the header is missing."""
    wire_bytes: int
    """Bytes of the body as they came, before decompression."""


class Wire:
    """Asks for addresses below a base; `asked` holds the raw request targets so far, with redirects and retries."""

    def __init__(self, base_url: str, *, connect_seconds: float, read_seconds: float, attempts: int) -> None:
        self.base_url = base_url
        self.asked: list[str] = []
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._attempts = attempts

    def get(self, below: str, target: Path) -> Answer:
        """Bring base + `below` into the file `target`.

        Raises AnswerError, ConnectionFailedError after the last attempt, PageError for a body that is not whole.
        """
        url = (self.base_url + below).replace(" ", "%20")
        failure: ClientError = ConnectionFailedError(f"{url}: no attempt allowed")
        for _ in range(self._attempts):
            try:
                return self._follow(url, target)
            except AnswerError as error:
                if error.status in _NOT_TRIED_AGAIN:
                    raise
                failure = error
            except (OSError, http.client.HTTPException) as error:
                failure = ConnectionFailedError(f"{url}: {type(error).__name__}: {error}")
        raise failure

    def _follow(self, url: str, target: Path) -> Answer:
        for _ in range(MOST_REDIRECTS):
            connection = self._connect(url)
            try:
                response = self._ask(connection, url)
                location = response.getheader("Location")
                if response.status in _REDIRECTS and location:
                    url = urljoin(url, location)
                    continue
                if response.status != 200:
                    raise _refusal(url, response)
                return _receive(url, response, target)
            finally:
                connection.close()
        raise AnswerError(url, 310, f"more than {MOST_REDIRECTS} redirects")

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            secure = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=self._connect_seconds, context=secure)
        return http.client.HTTPConnection(host, parts.port, timeout=self._connect_seconds)

    def _ask(self, connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.asked.append(target)
        connection.connect()
        connection.sock.settimeout(self._read_seconds)
        connection.putrequest("GET", target, skip_accept_encoding=True)
        for name, value in HEADERS.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()


def _refusal(url: str, response: http.client.HTTPResponse) -> AnswerError:
    body = response.read(BLOCK).decode("utf-8", "replace")
    return _NOT_TRIED_AGAIN.get(response.status, AnswerError)(url, response.status, body)


def _receive(url: str, response: http.client.HTTPResponse, target: Path) -> Answer:
    """Stream the body to disk; a body that breaks off is not tried again, because the status was 200."""
    encoding = (response.getheader("Content-Encoding") or "identity").lower()
    announced = response.getheader("Content-Length")
    received = 0
    with target.open("wb") as out:
        write, finish = _decoder(encoding, out, url)
        try:
            while block := response.read(BLOCK):
                received += len(block)
                write(block)
        except http.client.IncompleteRead as error:
            raise PageError(f"{url}: the body broke off after {received} bytes") from error
        except zlib.error as error:
            raise PageError(f"{url}: not {encoding}: {error}") from error
        if announced is not None and received != int(announced):
            raise PageError(f"{url}: {received} bytes came, {announced} were announced")
        finish()
    return Answer(target, response.getheader("Content-Type"), received)


def _decoder(encoding: str, out: IO[bytes], url: str) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """Return what takes body bytes, and what checks at the end that the body was whole."""
    if encoding == "identity":
        return out.write, lambda: None
    if encoding not in ("gzip", "deflate"):
        raise PageError(f"{url}: Content-Encoding {encoding!r} was not asked for")
    unpack = zlib.decompressobj(31 if encoding == "gzip" else 15)

    def write(block: bytes) -> None:
        if unpack.eof:
            raise PageError(f"{url}: bytes after the end of the {encoding} body: clients drop them silently")
        out.write(unpack.decompress(block))
        if unpack.unused_data:
            raise PageError(f"{url}: bytes after the end of the {encoding} body: clients drop them silently")

    def finish() -> None:
        out.write(unpack.flush())
        if not unpack.eof:
            raise PageError(f"{url}: the {encoding} body has no end")

    return write, finish
