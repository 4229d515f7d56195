"""The strict client: syncs like the policy engine, group after group, and says where it would have come to grief."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vulnfeeds.testing.client import compare, mapping, pages
from vulnfeeds.testing.client.errors import ClientError, LoopError, RecordError
from vulnfeeds.testing.client.report import Difference, GroupReport, SyncReport
from vulnfeeds.testing.client.tables import Kept, Tables
from vulnfeeds.testing.client.wire import Wire

FEEDS: Final = ("vulnerabilities", "nvdv2", "github", "packages")
"""Feeds of the real client in the order in which it syncs them."""
RECORDS_A_COMMIT: Final = 500
SQLITE_PREFIX: Final = "sqlite:///"


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class StrictClient:
    """A client of the feed API that keeps what it gets in a SQLite database.

    `base_url` ends where the feeds listing is, such as http://127.0.0.1:8228/v1/feeds. `database` is a path, or
    sqlite:///path, or ":memory:"; what lies there from before is gone on with. `clock` is the client's own clock:
    `since` comes from it alone. `after_page` is called with (feed, group, number of pages so far) after each page
    has come, so that a test can do something in the middle of a walk.
    """

    def __init__(
        self,
        base_url: str,
        database: Path | str,
        *,
        clock: Callable[[], datetime] = utc_now,
        connect_seconds: float = 3.0,
        read_seconds: float = 60.0,
        attempts: int = 3,
        most_pages: int = 10_000,
        after_page: Callable[[str, str, int], None] = lambda feed, group, number: None,
    ) -> None:
        self._wire = Wire(base_url, connect_seconds=connect_seconds, read_seconds=read_seconds, attempts=attempts)
        self._tables = Tables(str(database).removeprefix(SQLITE_PREFIX))
        self._clock = clock
        self._most_pages = most_pages
        self._after_page = after_page

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._tables.close()

    @property
    def asked(self) -> list[str]:
        """Raw request targets so far, in order, retries and redirects included."""
        return self._wire.asked

    def sync(
        self,
        feeds: Sequence[str] = FEEDS,
        *,
        wanted: Callable[[str, str], bool] = lambda feed, group: True,
        flush: bool = False,
    ) -> SyncReport:
        """Bring all groups of `feeds` for which `wanted(feed, group)` holds up to date; return what came of it.

        `flush` deletes the groups' rows and asks for everything. A failing group does not keep the others from being
        synced. Raises ClientError when a listing fails (the real client gives up the whole sync), and LoopError
        where the real client would ask for ever.
        """
        report = SyncReport()
        listed = {feed.name: feed for feed in self.list_feeds()}
        report.not_listed = [feed for feed in feeds if feed not in listed]
        there = [feed for feed in feeds if feed in listed]
        for feed in there:
            self._tables.put_feed(listed[feed])
            for group in self.list_groups(feed):
                self._tables.put_group(feed, group)
        for feed in there:
            for name in self._tables.groups(feed):
                if wanted(feed, name):
                    report.groups.append(self._sync_group(feed, name, flush))
        return report

    def list_feeds(self) -> list[pages.Named]:
        """Return the feeds listing, all pages of it."""
        return self._listing("", "feeds")

    def list_groups(self, feed: str) -> list[pages.Named]:
        """Return the groups listing of a feed, all pages of it."""
        return self._listing(f"/{feed}", "groups")

    def walk(self, feed: str, group: str, since: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield all records of a group as they come; raises what is wrong with a page instead of reporting it."""
        report = GroupReport(feed, group, since)
        with tempfile.TemporaryDirectory(prefix="strict-client-") as folder:
            for page in self._pages(report, Path(folder)):
                yield from page.items()

    def last_sync(self, feed: str, group: str) -> datetime | None:
        """Return when the last complete download of a group began by the client's clock, naive UTC."""
        return self._tables.last_sync(feed, group)

    def ids(self, feed: str, group: str) -> set[str]:
        """Return the ids of all records of a group."""
        return self._tables.ids(feed, group)

    def vulnerability(self, feed: str, group: str, record_id: str) -> Kept | None:
        """Return a vulnerability of an OS or GitHub group as it lies in the tables, or None."""
        return self._tables.kept(feed, group, "vulnerability", record_id)

    def compare(self, records: Iterable[tuple[str, str, str, bytes]]) -> list[Difference]:
        """Return how the client differs from the service's current records (feed, group, key, body as JSON).

        Give whole groups: a record of the client that does not come in one of them is a difference. Groups that do
        not come at all are not looked at. Equal means: same ids, same columns, same children, same whole body; so a
        withdrawn record has no children here.
        """
        return compare.differences(self._tables, records)

    def _listing(self, below: str, key: str) -> list[pages.Named]:
        place = f"listing {below or '/'}"
        tokens = pages.Tokens(place, self._most_pages)
        found: list[pages.Named] = []
        token = ""
        with tempfile.TemporaryDirectory(prefix="strict-client-") as folder:
            while True:
                answer = self._wire.get(below + (f"?next_token={token}" if token else ""), Path(folder) / "listing")
                named, token = pages.read_listing(place, answer.path.read_bytes(), answer.content_type, key)
                found += named
                if not tokens.take(token):
                    return found

    def _sync_group(self, feed: str, group: str, flush: bool) -> GroupReport:
        last = None if flush else self._tables.last_sync(feed, group)
        report = GroupReport(feed, group, last.isoformat() if last else None)
        began = _naive_utc(self._clock())
        with tempfile.TemporaryDirectory(prefix="strict-client-") as folder:
            came: list[pages.Page] = []
            whole = self._download(report, Path(folder), came)
            if came:
                self._load(report, came, flush, began if whole else None)
        return report

    def _download(self, report: GroupReport, folder: Path, came: list[pages.Page]) -> bool:
        """Bring all pages to disk; return whether all came. What came before a failure is loaded all the same."""
        try:
            came.extend(self._pages(report, folder))
        except LoopError:
            raise
        except ClientError as error:
            report.problem = str(error)
            report.failed = not came
            return False
        return True

    def _pages(self, report: GroupReport, folder: Path) -> Iterator[pages.Page]:
        feed, group = report.feed, report.group
        tokens = pages.Tokens(f"{feed}/{group}", self._most_pages)
        token = ""
        while True:
            below = _page_address(feed, group, report.since, token)
            answer = self._wire.get(below, folder / f"page-{report.pages}")
            page = pages.read_page(below, answer.path, answer.content_type)
            report.pages += 1
            report.records += page.records
            report.wire_bytes += answer.wire_bytes
            yield page
            self._after_page(feed, group, report.pages)
            token = tokens.take(page.next_token)
            if not token:
                return

    def _load(self, report: GroupReport, came: Iterable[pages.Page], flush: bool, began: datetime | None) -> None:
        """Write the records; set last_sync to `began` unless it is None, the mark of an incomplete download."""
        feed, group = report.feed, report.group
        seen: set[str] = set()
        self._tables.begin()
        try:
            if flush:
                self._tables.clear(feed, group)
            for page in came:
                with closing(page.items()) as items:
                    for item in items:
                        self._load_record(report, item, seen)
        except (RecordError, sqlite3.IntegrityError) as error:
            self._tables.rollback()
            report.failed = True
            report.problem = f"record {len(seen) + report.repeated}: {error}"
            return
        if began is not None:
            self._tables.put_last_sync(feed, group, began)
            report.complete = True
        self._tables.commit()

    def _load_record(self, report: GroupReport, item: Mapping[str, Any], seen: set[str]) -> None:
        mapped = mapping.map_record(report.feed, report.group, item)
        fresh = self._tables.upsert(report.feed, report.group, mapped)
        report.created += fresh
        report.updated += not fresh
        report.repeated += mapped.id in seen
        report.skipped_cpes += mapped.skipped_cpes
        seen.add(mapped.id)
        if (report.created + report.updated) % RECORDS_A_COMMIT == 0:
            self._tables.commit()
            self._tables.begin()


def _page_address(feed: str, group: str, since: str | None, token: str) -> str:
    """Return what is asked below the base, formatted and not encoded, since always first."""
    query = [f"since={since}"] if since else []
    query += [f"next_token={token}"] if token else []
    return f"/{feed}/{group}" + ("?" + "&".join(query) if query else "")


def _naive_utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
