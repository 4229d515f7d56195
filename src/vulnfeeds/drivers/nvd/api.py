"""The NVD's API 2.0: pages of a window of modification dates, or of everything.

    https://services.nvd.nist.gov/rest/json/cves/2.0?resultsPerPage=2000&startIndex=0
        &lastModStartDate=2026-03-12T00:00:00.000Z&lastModEndDate=2026-03-13T00:00:00.000Z

A window spans at most 120 days. Dates in items are UTC without saying so. Records may change while pages are read, so
the numbers must add up, and a crawl of everything is followed by a window that begins where the crawl began.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.nvd import items
from vulnfeeds.errors import ParseError

ADDRESS: Final = "https://services.nvd.nist.gov/rest/json/cves/2.0"
PAGE: Final = 2000
"""The most items that the API gives at once."""
WINDOW: Final = timedelta(days=120)
MOST: Final = 5_000_000
"""CVEs; an answer that promises more is not believed, because it would be read page by page."""
_OLDEST: Final = datetime(1999, 1, 1, tzinfo=UTC)
"""No server's clock says less: there were no CVEs before."""
ATTEMPTS: Final = 3


class Crawl(msgspec.Struct):
    """How far a crawl has come; kept in the workspace after every page."""

    began_at: datetime
    pages: int = 0
    received: int = 0
    total: int = 0
    run: int = 0
    """Number of the run that used its pages; 0 while it is not complete."""


class CVEAPI:
    """Reads the API and saves its pages, packed, in a folder of the workspace."""

    def __init__(self, context: Context, folder: Path, *, page_size: int = PAGE) -> None:
        self._context = context
        self._folder = folder
        self._size = page_size
        key = context.secrets.get("NVD_API_KEY")
        self._headers = {"apiKey": key} if key else {}
        self._state = folder / "crawl.json"

    def window(self, begin: datetime, end: datetime) -> tuple[list[Path], datetime]:
        """Save what was modified between two moments; return the pages, and up to when they are complete.

        That is the earlier of `end` and the server's own clock, so a clock of ours that is ahead loses nothing.
        """
        for old in self._folder.glob("window-*.json.zst"):
            old.unlink()
        saved: list[Path] = []
        for first, last in _windows(begin, end):
            pages, seen_at = self._span(first, last, len(saved))
            saved += pages
            end = min(end, seen_at)
        return saved, end

    def crawl(self, now: datetime, run: int, published: int | None) -> tuple[list[Path], datetime]:
        """Save everything; return the pages and when the crawl began. An interrupted crawl goes on where it was.

        The pages of a finished crawl are used again until a checkpoint (`published`) shows that they were published.
        """
        state = self._crawl_state(now, published)
        while state.pages == 0 or state.received < state.total:
            page, envelope = self._page(state.received, "")
            if state.pages == 0:
                state.began_at = min(now, _seen_at(envelope, ADDRESS))
            self._save(page, f"crawl-{state.pages:05}")
            state.pages += 1
            state.received += len(envelope.vulnerabilities)
            state.total = envelope.total_results
            self._keep(state)
            self._context.report("fetch", state.received, state.total)
        paths = [self._folder / f"crawl-{number:05}.json.zst" for number in range(state.pages)]
        self._check_crawl(paths, state)
        state.run = run
        self._keep(state)
        return paths, state.began_at

    def forget_crawl(self) -> None:
        """Remove the pages of a crawl."""
        self._state.unlink(missing_ok=True)
        for page in self._folder.glob("crawl-*.json.zst"):
            page.unlink()

    def _crawl_state(self, now: datetime, published: int | None) -> Crawl:
        try:
            state = msgspec.json.decode(self._state.read_bytes(), type=Crawl)
        except (OSError, msgspec.MsgspecError):
            state = None
        if state is not None:
            done = state.run > 0 and published is not None and published >= state.run
            whole = all((self._folder / f"crawl-{number:05}.json.zst").is_file() for number in range(state.pages))
            if whole and not done and now - state.began_at < WINDOW / 2:
                return state
        self.forget_crawl()
        return Crawl(now)

    def _keep(self, state: Crawl) -> None:
        partial = self._state.with_name("crawl.json.new")
        partial.write_bytes(msgspec.json.encode(state))
        partial.replace(self._state)

    def _check_crawl(self, paths: list[Path], state: Crawl) -> None:
        """Raise ParseError when an item was skipped because the list moved under the crawl."""
        names = {items.head_of(item, path.name).id for path in paths for item in items.read_items(path)}
        if len(names) < state.total:
            self.forget_crawl()
            raise ParseError(ADDRESS, f"totalResults is {state.total}, the pages hold {len(names)} CVEs")

    def _span(self, begin: datetime, end: datetime, number: int) -> tuple[list[Path], datetime]:
        dates = f"&lastModStartDate={_stamp(begin)}&lastModEndDate={_stamp(end)}"
        for _ in range(ATTEMPTS):
            pages: list[Path] = []
            names: set[str] = set()
            received, total, seen_at = 0, 1, datetime.max.replace(tzinfo=UTC)
            while received < total:
                page, envelope = self._page(received, dates)
                seen_at = min(seen_at, _seen_at(envelope, ADDRESS))
                total = envelope.total_results
                if not envelope.vulnerabilities:
                    break
                pages.append(self._save(page, f"window-{number + len(pages):05}"))
                received += len(envelope.vulnerabilities)
                names.update(items.head_of(item, f"{ADDRESS}?{dates[1:]}").id for item in envelope.vulnerabilities)
                self._context.report("fetch", received, total)
            if len(names) >= total:
                return pages, seen_at
        raise ParseError(f"{ADDRESS}?{dates[1:]}", f"totalResults is {total}, the pages hold {len(names)} CVEs")

    def _page(self, start: int, dates: str) -> tuple[bytes, items.Envelope]:
        url = f"{ADDRESS}?resultsPerPage={self._size}&startIndex={start}{dates}"
        for _ in range(ATTEMPTS):
            page = self._context.fetcher.get_json(url, headers=self._headers)
            try:
                envelope = items.envelopes.decode(page)
            except items.UNREADABLE as error:
                raise ParseError(url, f"no page of CVEs: {error}; {page[:200]!r}") from error
            items.check_form(url, envelope)
            if envelope.total_results > MOST:
                raise ParseError(url, f"totalResults is {envelope.total_results}, of which {MOST} are plausible")
            count = len(envelope.vulnerabilities)
            wanted = max(0, min(self._size, envelope.total_results - start))
            if count == wanted == envelope.results_per_page and envelope.start_index == start:
                return page, envelope
        raise ParseError(
            url,
            f"totalResults is {envelope.total_results} and resultsPerPage {envelope.results_per_page}, "
            f"so {wanted} items were due from startIndex {envelope.start_index}; {count} came",
        )

    def _save(self, page: bytes, name: str) -> Path:
        target = self._folder / f"{name}.json.zst"
        partial = target.with_name(f"{target.name}.new")
        partial.write_bytes(zstandard.compress(page, 3))
        partial.replace(target)
        return target


def _windows(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while end - begin > WINDOW:
        yield begin, begin + WINDOW
        begin += WINDOW
    yield begin, max(end, begin + timedelta(minutes=1))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seen_at(envelope: items.Envelope, place: str) -> datetime:
    """Return the server's clock: API timestamps are UTC without saying so (those in feed files are not)."""
    try:
        moment = datetime.fromisoformat(envelope.timestamp)
    except ValueError as error:
        raise ParseError(place, f"timestamp: {error}") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment < _OLDEST:
        raise ParseError(place, f"timestamp: {envelope.timestamp[:40]} was before there was an NVD")
    return moment
