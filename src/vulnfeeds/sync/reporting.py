"""How a run tells how far it is: a progress that is told at most once a second, and the bytes that came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from vulnfeeds.fetch.interface import Download, Fetcher, Limits, forget

Tell = Callable[[dict[str, Any]], None]
"""Takes a run's progress: {"phase", "done", "total", "percent", "records", "bytes"}; the unknown is left out."""
FETCH: Final = "fetch"
PARSE: Final = "parse"
INTERVAL: Final = 1.0
"""Seconds between two tellings."""


class Progress:
    """Collects what a run reports and tells it on, at once when the phase changes, else once a second."""

    def __init__(self, tell: Tell, clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._told_at = float("-inf")
        self._phase = ""
        self._said: tuple[str, int, int | None] = ("", 0, None)
        self.records = 0
        self.fetched_bytes = 0

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Note how far a phase is; a driver may call this as often as it likes."""
        self._said = (phase, done, total)
        self._maybe_tell(phase, done, total, {})

    def compared(self, records: int) -> None:
        """Note how many records were compared so far, beside what the driver says of its parsing."""
        self.records = records
        phase, done, total = self._said if self._said[0] == PARSE else (PARSE, records, None)
        self._maybe_tell(phase, done, total, {})

    def brought(self, url: str, seconds: float, amount: int) -> None:
        """Count the bytes of a download that is there; fits MeteredFetcher."""
        self.fetched_bytes += amount

    def downloading(self, url: str, done: int, total: int | None) -> None:
        """Note how many bytes of a download are there; fits the fetcher's own progress.

        They are "done" and "total" themselves when the driver does not say how many downloads there will be.
        """
        phase, so_far, of = self._said if self._said[0] == FETCH else (FETCH, done, total)
        self._maybe_tell(phase, so_far, of, {"url": url, "bytes": self.fetched_bytes + done})

    def _maybe_tell(self, phase: str, done: int, total: int | None, more: dict[str, Any]) -> None:
        now = self._clock()
        # A clock that was set back must not silence the progress.
        if phase == self._phase and 0 <= now - self._told_at < INTERVAL:
            return
        self._phase, self._told_at = phase, now
        progress: dict[str, Any] = {"phase": phase, "done": done}
        if total is not None:
            progress["total"] = total
            progress["percent"] = round(100 * min(done, total) / total, 1) if total > 0 else 100.0
        self._tell({**progress, "records": self.records, "bytes": self.fetched_bytes, **more})


class DownloadRelay:
    """Carries a fetcher's progress to a run that begins after the fetcher was made."""

    def __init__(self) -> None:
        self._take: Callable[[str, int, int | None], None] | None = None

    def lead_to(self, progress: Progress) -> None:
        """Tell this progress from now on."""
        self._take = progress.downloading

    def __call__(self, url: str, done: int, total: int | None) -> None:
        """Take what the fetcher says."""
        if self._take is not None:
            self._take(url, done, total)


class MeteredFetcher:
    """A Fetcher that tells what each request brought: `brought(url, seconds, bytes over the wire)`.

    It knows which files it brought.

    `timer` gives seconds of any beginning.
    """

    def __init__(
        self, fetcher: Fetcher, brought: Callable[[str, float, int], None], *, timer: Callable[[], float]
    ) -> None:
        self._fetcher = fetcher
        self._brought = brought
        self._timer = timer
        self._new: set[Path] = set()
        self._old: set[Path] = set()

    def distrust(self) -> None:
        """Let what this run brought be asked for without a condition the next time; if nothing is new, all of it.

        For a run that could not read something: a file may be broken although upstream's mark on it is that of a
        good one, and would then be "not modified" for ever.
        """
        for path in self._new or self._old:
            forget(path)

    def download(
        self,
        url: str,
        target: Path,
        *,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[str, ...] = (),
    ) -> Download:
        """Bring a download as the fetcher behind does."""
        began = self._timer()
        download = self._fetcher.download(url, target, limits=limits, headers=headers, expect=expect)
        self._brought(url, self._timer() - began, download.bytes_fetched)
        (self._new if download.changed else self._old).add(target)
        return download

    def get_json(self, url: str, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None) -> bytes:
        """Return a small answer as the fetcher behind does."""
        began = self._timer()
        body = self._fetcher.get_json(url, headers=headers, limits=limits)
        self._brought(url, self._timer() - began, len(body))
        return body

    def post_json(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> bytes:
        """Return the answer to a question as the fetcher behind does."""
        began = self._timer()
        answer = self._fetcher.post_json(url, body, headers=headers, limits=limits)
        self._brought(url, self._timer() - began, len(answer))
        return answer
