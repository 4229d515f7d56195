"""One download over HTTP and what its attempts share: condition, resumption, the partial file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx2

from vulnfeeds.errors import DownloadError, LimitError, StatusError, UpstreamError
from vulnfeeds.fetch.addresses import redacted
from vulnfeeds.fetch.connection import Connection
from vulnfeeds.fetch.encoding import is_file_itself
from vulnfeeds.fetch.interface import Download, Limits
from vulnfeeds.fetch.mirrors import Place
from vulnfeeds.fetch.partial import PartialFile, describe, known_good
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.fetch.stream import Body, Deadline, announced_length, content_range
from vulnfeeds.fetch.validators import Validators, is_sendable

OpenBody = Callable[[str, httpx2.Response, Deadline, int, int], Body]
"""Makes the Body of (URL, answer, deadline, most bytes, bytes that are there already)."""


class DownloadJob:
    """Brings one URL into one file; `attempt` may be called again after a TransientError."""

    def __init__(
        self,
        connection: Connection,
        settings: FetchSettings,
        open_body: OpenBody,
        place: Place,
        target: Path,
        deadline: Deadline,
        *,
        limits: Limits,
        headers: Mapping[str, str],
        expect: tuple[str, ...],
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._open_body = open_body
        self._place = place
        self._mark = redacted(str(place.address))
        self._target = target
        self._deadline = deadline
        self._most = limits.max_bytes
        self._headers = headers
        self._expect = expect
        self._received = 0

    def attempt(self) -> Download:
        """Ask once; bring the body, or the rest of it, or learn that nothing changed."""
        done = self._ask(resume=True)
        # What we had of it fits nothing that the upstream has now: again from the beginning, without waiting.
        done = done or self._ask(resume=False)
        if done is None:
            raise StatusError(self._place.url, 416, "the answer to a request without a range")
        return done

    def _ask(self, *, resume: bool) -> Download | None:
        """Ask once; return None when the partial body cannot be continued."""
        known = known_good(self._target, self._mark)
        partial = PartialFile(self._target, self._place.url, self._place.upstream.path, self._expect)
        with closing(partial):
            marks = partial.resumable(self._mark) if resume else None
            headers = {"Accept-Encoding": "identity", **self._headers, **_condition(known)}
            if marks is None:
                partial.discard()
            else:
                headers |= {"Range": f"bytes={partial.path.stat().st_size}-", "If-Range": marks.resume_mark}
            accept = (200, 203, 304) if marks is None else (200, 203, 206, 304, 416)
            with self._connection.answer(self._place, headers, self._deadline, accept) as response:
                if response.status_code == 304:
                    return self._not_modified(known, partial)
                if response.status_code == 416:
                    return None
                if response.status_code == 206 and not _continues(response, partial, marks):
                    return None
                return self._bring(response, partial)

    def _not_modified(self, known: Validators | None, partial: PartialFile) -> Download:
        if known is None:
            raise StatusError(self._place.url, 304, "not modified, although nothing was named to compare with")
        partial.discard()
        return describe(self._target, known, changed=False, bytes_fetched=self._received)

    def _bring(self, response: httpx2.Response, partial: PartialFile) -> Download:
        """Write the body and put it in place; keep what can be resumed when it breaks off."""
        headers = response.headers
        marks = Validators(self._mark, headers.get("ETag", ""), headers.get("Last-Modified", ""))
        resumed = response.status_code == 206
        if resumed:
            partial.resume()
        body = self._open_body(self._place.url, response, self._deadline, self._most, partial.size)
        try:
            if resumed:
                _, whole = content_range(response)
                self._write(body.raw(), partial, self._most)
            else:
                whole = self._write_new(response, body, partial, marks)
            if whole is not None and partial.size != whole:
                raise DownloadError(self._place.url, f"{partial.size} bytes came, {whole} were announced")
            return partial.commit(marks, self._received + body.received)
        except UpstreamError as error:
            # A body that is wrong or too large must not be resumed; one that only took too long may be.
            if not isinstance(error, LimitError) or self._deadline.remaining > 0:
                partial.discard()
            raise
        finally:
            self._received += body.received

    def _write_new(
        self, response: httpx2.Response, body: Body, partial: PartialFile, marks: Validators
    ) -> int | None:
        """Write a body from its beginning; return its announced size, None when it cannot be compared."""
        blocks = body.raw()
        first = next(blocks, b"")
        blocks = _chained(first, blocks)
        if not body.encoding or is_file_itself(body.encoding, self._place.upstream.path, first):
            length = announced_length(response)
            partial.begin(Validators(marks.url, marks.etag, marks.last_modified, size=length or 0))
            self._write(blocks, partial, self._most)
            return length
        # Ranges of an encoded body count encoded bytes, so it cannot be resumed: it is begun without marks.
        partial.begin(Validators(marks.url))
        most = self._settings.max_decompressed_bytes
        self._write(body.decoded(blocks, most), partial, most)
        return None

    def _write(self, blocks: Iterator[bytes], partial: PartialFile, most: int) -> None:
        for block in blocks:
            partial.write(block, most)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _condition(known: Validators | None) -> dict[str, str]:
    """Return the headers that make a request conditional on what is there already."""
    if known is None:
        return {}
    pairs = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in pairs.items() if value and is_sendable(value)}


def _continues(response: httpx2.Response, partial: PartialFile, marks: Validators | None) -> bool:
    """Tell whether a 206 brings exactly what is missing of the same body."""
    start, total = content_range(response)
    encoded = response.headers.get("Content-Encoding", "identity").strip().lower() != "identity"
    same_size = marks is None or not marks.size or total is None or total == marks.size
    return not encoded and same_size and start == partial.path.stat().st_size
