"""Downloads over HTTP: conditional, resumed, retried where it can help, bounded in every direction."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx2
import stamina

from vulnfeeds.errors import DownloadError, StatusError
from vulnfeeds.fetch.connection import Connection
from vulnfeeds.fetch.folder import copy_into, read_whole
from vulnfeeds.fetch.gate import HostGate
from vulnfeeds.fetch.interface import Download, Limits
from vulnfeeds.fetch.job import DownloadJob
from vulnfeeds.fetch.mirrors import Place, UpstreamMap
from vulnfeeds.fetch.retries import RetryPlan, TransientError
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.fetch.sniff import HEAD_BYTES, check_head
from vulnfeeds.fetch.stream import Body, Deadline

logger = logging.getLogger(__name__)
T = TypeVar("T")

JSON_MAX_BYTES = 64 << 20
"""Ceiling of a `get_json` body, on the wire and decoded, unless the driver names another."""


class HTTPFetcher:
    """The Fetcher of the service: asks upstreams, or the mirrors that stand in for them.

    `allowed` holds the URL prefixes that drivers and settings lead to: nothing else is asked. `progress` is told
    (URL, bytes so far, bytes in all or None). Safe to share between threads; `close` it, or use it as a context
    manager. Raises SettingsError when `allowed` cannot be used.
    """

    def __init__(
        self,
        settings: FetchSettings,
        upstreams: UpstreamMap,
        allowed: Collection[str],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        progress: Callable[[str, int, int | None], None] | None = None,
    ) -> None:
        self._settings = settings
        self._upstreams = upstreams
        self._gate = HostGate(allowed)
        self._connection = Connection(settings, upstreams, self._gate, clock=clock, sleep=sleep, monotonic=monotonic)
        self._sleep = sleep
        self._monotonic = monotonic
        self._progress = progress or (lambda url, done, total: None)
        self._chance = random.Random()  # noqa: S311 (jitter, not a secret)

    def __enter__(self) -> HTTPFetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._connection.close()

    def download(
        self,
        url: str,
        target: Path,
        *,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[str, ...] = (),
    ) -> Download:
        """Bring `url` into the file `target`; see `Fetcher.download`."""
        bounds = limits or Limits(max_bytes=self._settings.max_bytes, max_seconds=self._settings.max_seconds)
        self._gate.check(url)
        place = self._upstreams.resolve(url)
        with _local_errors(place.url, target):
            if place.file is not None:
                return copy_into(place.url, place.file, target, limits=bounds, expect=expect)
            deadline = Deadline(place.url, bounds.max_seconds, self._monotonic)
            job = DownloadJob(
                self._connection,
                self._settings,
                self._open_body,
                place,
                target,
                deadline,
                limits=bounds,
                headers=headers or {},
                expect=expect,
            )
            return self._retrying(place, deadline, job.attempt)

    def get_json(self, url: str, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None) -> bytes:
        """Return the body of a small JSON answer; see `Fetcher.get_json`."""
        return self._json(url, headers or {}, limits, None)

    def post_json(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> bytes:
        """Return the JSON answer to a JSON body; see `Fetcher.post_json`."""
        return self._json(url, {"Content-Type": "application/json", **(headers or {})}, limits, body)

    def _json(self, url: str, headers: Mapping[str, str], limits: Limits | None, question: bytes | None) -> bytes:
        most = min(JSON_MAX_BYTES, self._settings.max_bytes)
        bounds = limits or Limits(max_bytes=most, max_seconds=self._settings.max_seconds)
        self._gate.check(url)
        place = self._upstreams.resolve(url)
        if place.file is not None:
            if question is not None:
                raise StatusError(place.url, 405, "a folder mirror answers no questions")
            with _local_errors(place.url, place.file):
                return read_whole(place.url, place.file, bounds)
        deadline = Deadline(place.url, bounds.max_seconds, self._monotonic)
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip", **headers}

        def attempt() -> bytes:
            with self._connection.answer(place, sent, deadline, (200, 203), question) as response:
                body = self._open_body(place.url, response, deadline, bounds.max_bytes, 0)
                return _whole_json(place.url, body, bounds.max_bytes)

        return self._retrying(place, deadline, attempt)

    def _open_body(self, url: str, response: httpx2.Response, deadline: Deadline, most: int, already: int) -> Body:
        return Body(
            url,
            response,
            self._settings,
            deadline,
            self._monotonic,
            self._progress,
            most=most,
            already=already,
        )

    def _retrying(self, place: Place, deadline: Deadline, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, tried again after failures that can pass."""
        plan = RetryPlan(self._settings, self._chance, self._connection.turnstile(place), deadline)
        try:
            for trial in stamina.retry_context(on=plan.decide, attempts=self._settings.attempts, timeout=None):
                if plan.failed:
                    text = "retry url=%s attempt=%d after=%.1fs reason=%s"
                    logger.warning(text, place.url, plan.failed + 1, plan.wait, plan.reason)
                    self._sleep(plan.wait)
                with trial:
                    return attempt()
        except TransientError as last:
            raise plan.outcome(last) from last.__cause__
        raise AssertionError("retries end with a result or an error")


def _whole_json(url: str, body: Body, most: int) -> bytes:
    """Return a body whole. Raises DownloadError when it is empty or does not begin like JSON."""
    whole = bytearray()
    for block in body.decoded(body.raw(), most):
        whole += block
    if not whole:
        raise DownloadError(url, "the body is empty")
    check_head(url, "", bytes(whole[:HEAD_BYTES]), ("json",))
    return bytes(whole)


@contextmanager
def _local_errors(url: str, path: Path) -> Iterator[None]:
    """Turn an error of the local disk (full, not writable) into a DownloadError that names the file."""
    try:
        yield
    except OSError as error:
        raise DownloadError(url, f"the local file {path} cannot be used: {error.strerror or error}") from error
