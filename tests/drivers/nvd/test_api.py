"""The NVD's API: windows, totals, a crawl that is interrupted, clocks, and answers that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD
from vulnfeeds.drivers.nvd.api import ADDRESS, CVEAPI, WINDOW
from vulnfeeds.drivers.nvd.items import heads, read_items
from vulnfeeds.errors import DownloadError, ParseError, StatusError

NOW = datetime(2024, 8, 30, 6, 40, tzinfo=UTC)


def names(paths: list[Path]) -> list[str]:
    """Return the CVEs of saved pages."""
    return [heads.decode(item).cve.id for path in paths for item in read_items(path)]


@pytest.fixture
def api(feed: MakeFeed, nvd: NVD) -> Iterator[CVEAPI]:
    """The API read in pages of eight items."""
    one = feed()
    (one.workspace / "api").mkdir()
    with nvd.upstream.fetcher() as fetcher:
        yield CVEAPI(one.context(fetcher, False), one.workspace / "api", page_size=8)


def test_requests_are_what_the_nvd_takes(feed: MakeFeed, nvd: NVD) -> None:
    """Dates with raw colons, the most items a page, and the key as a header where there is one."""
    one = feed(source="api")
    one.key = "secret"
    one.run()
    first, second = nvd.upstream.log
    assert first.url == f"{ADDRESS}?resultsPerPage=2000&startIndex=0"
    window = "&lastModStartDate=2024-08-30T04:40:00.000Z&lastModEndDate=2024-08-30T06:40:00.000Z"
    assert second.url == f"{first.url}{window}"
    assert first.headers["apikey"] == "secret"


def test_without_a_key_no_header_is_sent(feed: MakeFeed, nvd: NVD) -> None:
    """The key is optional."""
    feed(source="api").run()
    assert "apikey" not in nvd.upstream.log[0].headers


def test_a_long_time_is_read_in_windows(api: CVEAPI, nvd: NVD) -> None:
    """No window is longer than 120 days, and none leaves a gap."""
    pages, _ = api.window(NOW - timedelta(days=300), NOW)
    spans = {(query["lastModStartDate"], query["lastModEndDate"]) for query in nvd.queries}
    moments = sorted((datetime.fromisoformat(low), datetime.fromisoformat(high)) for low, high in spans)
    assert len(moments) == 3
    assert all(high - low <= WINDOW for low, high in moments)
    assert [low for low, _ in moments][1:] == [high for _, high in moments][:-1]
    assert len(set(names(pages))) == 40


def test_a_clock_ahead_loses_nothing(api: CVEAPI, nvd: NVD) -> None:
    """The next window begins by the server's clock when ours is ahead, and by ours when it is behind."""
    assert api.window(NOW, NOW + timedelta(hours=5))[1] == NOW
    assert api.window(NOW - timedelta(hours=9), NOW - timedelta(hours=5))[1] == NOW - timedelta(hours=5)


def test_a_clock_before_the_cursor_still_asks(feed: MakeFeed, nvd: NVD) -> None:
    """A clock that was set back gives a window of a minute, not an error."""
    one = feed(source="api")
    one.run()
    one.now -= 86400
    one.run()
    assert nvd.queries[-1]["lastModStartDate"] < nvd.queries[-1]["lastModEndDate"]


def test_pages_follow_each_other(api: CVEAPI, nvd: NVD) -> None:
    """A crawl asks page after page until it has all."""
    pages, began_at = api.crawl(NOW, 1, None)
    assert [query["startIndex"] for query in nvd.queries] == ["0", "8", "16", "24", "32"]
    assert len(pages) == 5
    assert len(set(names(pages))) == 40
    assert began_at == NOW


def test_an_interrupted_crawl_goes_on(api: CVEAPI, nvd: NVD) -> None:
    """Pages that were saved are not asked for again, and the crawl still counts from its first page."""
    fault = nvd.upstream.fault(f"{ADDRESS}?resultsPerPage=8&startIndex=24", status=404)
    with pytest.raises(StatusError):
        api.crawl(NOW, 1, None)
    fault.times = 0
    nvd.timestamp = "2024-08-30T09:00:00.000"
    asked = len(nvd.queries)
    pages, began_at = api.crawl(NOW + timedelta(hours=3), 2, None)
    assert [query["startIndex"] for query in nvd.queries[asked:]] == ["24", "32"]
    assert len(set(names(pages))) == 40
    assert began_at == NOW


def test_a_finished_crawl_is_used_until_it_is_published(api: CVEAPI, nvd: NVD) -> None:
    """A run that died after its crawl does not crawl again; a later whole run does."""
    api.crawl(NOW, 1, None)
    asked = len(nvd.queries)
    api.crawl(NOW, 2, None)
    assert len(nvd.queries) == asked
    api.crawl(NOW, 3, 2)
    assert len(nvd.queries) == asked + 5


def test_an_old_or_broken_crawl_begins_anew(api: CVEAPI, nvd: NVD, tmp_path: Path) -> None:
    """What cannot be made up for by one window is thrown away."""
    api.crawl(NOW, 1, None)
    asked = len(nvd.queries)
    api.crawl(NOW + timedelta(days=61), 2, None)
    assert len(nvd.queries) == asked + 5
    next(tmp_path.rglob("crawl.json")).write_bytes(b"{")
    api.crawl(NOW, 3, None)
    assert len(nvd.queries) == asked + 10


def test_an_item_that_slips_through_a_crawl_is_seen(api: CVEAPI, nvd: NVD) -> None:
    """An item that moves to a page that was already read is missing in the end, so the crawl does not count."""
    moved = nvd.items[0]
    moved["cve"] = {**moved["cve"], "published": "2030-01-01T00:00:00.000"}
    original = nvd._answer

    def answer(url: str) -> bytes:
        page = original(url)
        moved["cve"]["published"] = "2000-01-01T00:00:00.000"
        return page

    nvd.upstream.serve(ADDRESS, answer)
    with pytest.raises(ParseError, match="totalResults is 40, the pages hold 39 CVEs"):
        api.crawl(NOW, 1, None)
    nvd.upstream.serve(ADDRESS, original)
    assert len(set(names(api.crawl(NOW, 1, None)[0]))) == 40


def test_changes_during_a_crawl_come_with_the_window_after_it(feed: MakeFeed, nvd: NVD) -> None:
    """After a crawl, what was modified since it began is asked for."""
    one = feed(source="api")
    original = nvd._answer

    def answer(url: str) -> bytes:
        page = original(url)
        nvd.change(sample.item(5, "Changed meanwhile.", three=9.8, modified="2024-08-30T06:39:00.000"))
        return page

    nvd.upstream.serve(ADDRESS, answer)
    one.run()
    assert one.published.record("CVE-2024-0005")["severity"] == "Critical"


def test_a_page_that_lacks_items_is_asked_for_again(feed: MakeFeed, nvd: NVD) -> None:
    """Totals that do not add up once are made good by the next answer."""
    nvd.claims = [41]
    one = feed(source="api")
    one.run()
    assert len(one.bodies) == 40
    assert len(nvd.queries) == 3


def test_totals_that_never_add_up_are_refused(feed: MakeFeed, nvd: NVD) -> None:
    """The error says what was announced and what came."""
    nvd.claims = [41] * 3
    with pytest.raises(ParseError, match=r"totalResults is 41.*41 items were due from startIndex 0; 40 came"):
        feed(source="api").stage()


def test_an_api_that_holds_nothing_is_refused(feed: MakeFeed, nvd: NVD) -> None:
    """A 200 with an empty list is no load of the NVD."""
    nvd.items = []
    one = feed(source="api")
    with pytest.raises(ParseError, match="no CVE"):
        one.stage()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<!DOCTYPE html><html><body>Request forbidden</body></html>", DownloadError),
        (b"", DownloadError),
        (b'{"message": "no"}', ParseError),
        (json.dumps({"format": "NVD_CVE"}).encode(), ParseError),
        (b'{"resultsPerPage": 1, "vulnerabilities": [', (DownloadError, ParseError)),
        (
            b'{"resultsPerPage":0,"startIndex":0,"totalResults":0,"format":"NVD_CVEHistory","version":"2.0",'
            b'"timestamp":"2024-08-30T06:40:00","vulnerabilities":[]}',
            ParseError,
        ),
        (
            b'{"resultsPerPage":0,"startIndex":0,"totalResults":0,"format":"NVD_CVE","version":"2.0",'
            b'"timestamp":"yesterday","vulnerabilities":[]}',
            ParseError,
        ),
    ],
    ids=["a page", "empty", "a message", "no items", "cut", "another form", "no time"],
)
def test_an_answer_that_is_none_is_refused(
    feed: MakeFeed, nvd: NVD, body: bytes, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    """Whatever comes with status 200, the run ends with an error that names the address."""
    nvd.upstream.fault(ADDRESS, body=body)
    with pytest.raises(error, match=ADDRESS):
        feed(source="api").stage()


def test_auto_reads_feed_files_while_the_api_is_away(feed: MakeFeed, nvd: NVD) -> None:
    """The API fails, feed files bring the change, and the API goes on where they ended."""
    one = feed()
    one.run()
    fault = nvd.upstream.fault(ADDRESS, status=503)
    new = sample.item(41, "New.", status="Received", modified="2024-08-30T09:00:00.000")
    nvd.change(new)
    nvd.feed_file("modified", [*sample.MODIFIED, new], "2024-08-30T06:00:00")
    one.now += 14400
    records, context = one.run()
    assert [record.key for record in records] == ["CVE-2024-0041"]
    assert any("API cannot be had" in note for note in context.notes)
    fault.times = 0
    nvd.timestamp = "2024-08-30T11:00:00.000"
    one.run()
    assert nvd.queries[-1]["lastModStartDate"] == "2024-08-30T08:00:00.000Z"


def test_auto_after_a_long_pause_does_not_trust_the_modified_feed(feed: MakeFeed, nvd: NVD) -> None:
    """The modified feed reaches back eight days: after a longer pause the cursor stays behind for the API."""
    one = feed()
    one.run()
    nvd.upstream.fault(ADDRESS, status=503)
    new = sample.item(41, "New.", status="Received", modified="2024-09-20T09:00:00.000")
    nvd.feed_file("modified", [new], "2024-09-20T06:00:00")
    one.now += 86400 * 21
    one.run()
    assert one.checkpoint is not None
    assert one.checkpoint.cursor["modified_at"] == "2024-08-30T06:40:00Z"


def test_the_state_of_a_crawl_is_kept(api: CVEAPI, tmp_path: Path) -> None:
    """It survives a stop of the program, because it is written after every page."""
    api.crawl(NOW, 1, None)
    state = json.loads(next(tmp_path.rglob("crawl.json")).read_bytes())
    assert state == {"began_at": "2024-08-30T06:40:00Z", "pages": 5, "received": 40, "total": 40, "run": 1}
