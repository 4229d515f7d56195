"""Reading one answer's body: with a deadline, a lowest speed, ceilings and progress."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx2

from vulnfeeds.errors import LimitError, UnreachableError
from vulnfeeds.fetch.encoding import TransportDecoder
from vulnfeeds.fetch.retries import TransientError
from vulnfeeds.fetch.settings import FetchSettings

PROGRESS_BYTES = 1 << 20
"""Progress is told once for so many bytes, and at the end."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Deadline:
    """The time at which a download must be whole."""

    def __init__(self, url: str, seconds: float, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._seconds = seconds
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left; below 0 when it is over."""
        return self._at - self._monotonic()

    def check(self) -> None:
        """Raise LimitError when the time is over."""
        if self.remaining <= 0:
            raise self.over()

    def over(self, last: Exception | None = None) -> LimitError:
        """Return the error that says so; `last` is the failure before."""
        cause = f"; the last attempt: {last}" if last is not None else ""
        return LimitError(self._url, f"not whole within {self._seconds:g} s{cause}")


class SpeedWatch:
    """Notices a body that trickles. `add` raises TransientError when a window brought too few bytes."""

    def __init__(self, url: str, settings: FetchSettings, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._least = settings.min_bytes_per_second
        self._window = settings.rate_window_seconds
        self._monotonic = monotonic
        self._since = monotonic()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count bytes and judge the window when it is over."""
        self._bytes += count
        elapsed = self._monotonic() - self._since
        if elapsed < self._window:
            return
        if self._bytes < self._least * elapsed:
            reason = (
                f"only {self._bytes} bytes came in {elapsed:.0f} s (at least {self._least:g} a second are expected)"
            )
            raise TransientError(UnreachableError(self._url, reason))
        self._since, self._bytes = self._monotonic(), 0


class Body:
    """The body of one answer, as raw bytes or decoded, watched over while it comes.

    `most` bytes may come over the wire, `already` of them came in earlier attempts.
    """

    def __init__(
        self,
        url: str,
        response: httpx2.Response,
        settings: FetchSettings,
        deadline: Deadline,
        monotonic: Callable[[], float],
        progress: Callable[[str, int, int | None], None],
        *,
        most: int,
        already: int = 0,
    ) -> None:
        self._url = url
        self._response = response
        self._settings = settings
        self._deadline = deadline
        self._monotonic = monotonic
        self._progress = progress
        self._most = most
        self._already = already
        self.received = 0
        """Bytes that came over the wire so far."""
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        self.encoding = "" if encoding == "identity" else encoding
        """The transport encoding, "" when there is none."""

    def raw(self) -> Iterator[bytes]:
        """Yield the bytes as they come over the wire.

        Raises LimitError for too many bytes or too long a time, TransientError when they trickle.
        """
        announced = announced_length(self._response)
        total = None if announced is None else self._already + announced
        if total is not None and total > self._most:
            raise LimitError(self._url, f"{total} bytes are announced, {self._most} are allowed")
        watch = SpeedWatch(self._url, self._settings, self._monotonic)
        told = 0
        # Without a chunk size each block is what one read of the socket gave: a trickle is seen at its first byte.
        for block in self._response.iter_raw():
            self.received += len(block)
            if self._already + self.received > self._most:
                raise LimitError(self._url, f"more than the {self._most} bytes that it may have")
            self._deadline.check()
            watch.add(len(block))
            yield block
            if self.received - told >= PROGRESS_BYTES:
                told = self.received
                self._progress(self._url, self._already + told, total)
        self._progress(self._url, self._already + self.received, total)

    def decoded(self, blocks: Iterator[bytes], most: int) -> Iterator[bytes]:
        """Yield raw `blocks` without their transport encoding; at most `most` bytes.

        Raises DownloadError for an encoding that was not asked for or is broken, LimitError for a bomb.
        """
        if not self.encoding:
            yield from blocks
            return
        decoder = TransportDecoder(self._url, self.encoding, most, self._settings.max_ratio)
        for block in blocks:
            yield from decoder.decode(block)
        decoder.finish()


def announced_length(response: httpx2.Response) -> int | None:
    """Return the Content-Length of an answer, None when there is none (or none that counts)."""
    text = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not (text.isascii() and text.isdigit()):
        return None
    return int(text[:18])


def content_range(response: httpx2.Response) -> tuple[int, int | None]:
    """Return (first byte, size of the whole) that a 206 announces; (-1, None) when it cannot be understood."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        return -1, None
    return int(match[1]), None if match[3] == "*" else int(match[3])
