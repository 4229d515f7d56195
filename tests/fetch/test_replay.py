"""Fetching real upstream documents from the replay, with its faults."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vulnfeeds.errors import DownloadError, LimitError, StatusError, UnreachableError
from vulnfeeds.fetch.archives import members
from vulnfeeds.fetch.decompress import open_bounded
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings

NVD_FILE = "https://nvd.nist.gov/feeds/json/cve/2.0/nvdcve-2.0-modified.json.gz"
NVD_API = "https://services.nvd.nist.gov/rest/json/cves/2.0"
TRACKER = "https://security-tracker.debian.org/tracker/data/json"
OVERRIDES = "https://github.com/anchore/nvd-data-overrides/archive/refs/heads/main.tar.gz"
ALPINE = "https://secdb.alpinelinux.org/v3.19/main.json"
HOSTS = (
    "https://nvd.nist.gov/",
    "https://services.nvd.nist.gov/",
    "https://security-tracker.debian.org/",
    "https://github.com/anchore/",
    "https://secdb.alpinelinux.org/",
    "https://epss.cyentia.com/",
    "https://salsa.debian.org/",
)
QUICK = FetchSettings(backoff_first_seconds=0.01, backoff_max_seconds=0.02, throttled_seconds=0.02, read_seconds=10)


def logged(replay: Any, count: int, part: str = "") -> list[dict[str, Any]]:
    """Return the replay's log of URLs that hold `part`.

    It writes a line only after the answer, so the last one may be waited for, and one of an answer that an earlier
    test gave up may come late.
    """
    limit = time.monotonic() + 10
    while len(lines := [line for line in replay.log() if part in line["url"]]) < count and time.monotonic() < limit:
        time.sleep(0.01)
    return lines


def statuses(replay: Any, count: int, part: str = "") -> list[int]:
    return [line["status"] for line in logged(replay, count, part)]


@pytest.fixture
def fetcher(replay: Any) -> Iterator[HTTPFetcher]:
    with HTTPFetcher(QUICK, UpstreamMap(replay.address), HOSTS) as fetcher:
        yield fetcher


def test_the_digest_is_that_of_the_meta_file(fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """NVD names the sha256 of the unpacked file: what arrived is it."""
    file = fetcher.download(NVD_FILE, tmp_path / "modified.json.gz", expect=("gzip",))
    meta = fetcher.download(NVD_FILE.replace(".json.gz", ".meta"), tmp_path / "modified.meta", expect=("text",))
    with open_bounded(file.path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    assert f"sha256:{digest.upper()}" in meta.path.read_text()


def test_the_second_day_changes_only_what_changed(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """Unchanged files cost no body on the second day; changed ones arrive."""
    year = NVD_FILE.replace("modified", "2003")
    for url, name in ((NVD_FILE, "modified"), (year, "2003")):
        assert fetcher.download(url, tmp_path / name).changed
    replay.day(2)
    assert fetcher.download(NVD_FILE, tmp_path / "modified").changed
    again = fetcher.download(year, tmp_path / "2003")
    assert (again.changed, again.bytes_fetched) == (False, 0)
    assert statuses(replay, 4) == [200, 200, 200, 304]


def test_a_large_document_arrives_whole_and_encoded_pages_are_decoded(
    replay: Any, fetcher: HTTPFetcher, tmp_path: Path
) -> None:
    """The tracker's file (27 MB) comes as it is, or gzip-encoded when the driver asks so, with the same digest."""
    plain = fetcher.download(TRACKER, tmp_path / "plain.json", expect=("json",))
    packed = fetcher.download(
        TRACKER, tmp_path / "packed.json", headers={"Accept-Encoding": "gzip"}, expect=("json",)
    )
    assert packed.sha256 == plain.sha256
    assert packed.bytes_fetched < plain.bytes_fetched / 4
    assert not fetcher.download(TRACKER, tmp_path / "packed.json", headers={"Accept-Encoding": "gzip"}).changed


def test_an_archive_comes_through_the_redirect_and_is_read(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """github.com redirects to another host of the mirror; 8,802 overrides are in the archive."""
    got = fetcher.download(OVERRIDES, tmp_path / "overrides.tar.gz", expect=("gzip",))
    assert statuses(replay, 2) == [302, 200]
    count = 0
    for name, stream in members(got.path, wanted=lambda name: "/data/" in name and name.endswith(".json")):
        count += 1
        if count % 1000 == 1:
            assert json.load(stream), name
    assert count == 8802
    assert not fetcher.download(OVERRIDES, tmp_path / "overrides.tar.gz").changed


def test_the_nvd_api_takes_our_urls(fetcher: HTTPFetcher) -> None:
    """Colons as they are; and its errors are told by its own header."""
    window = "lastModStartDate=2026-03-01T00:00:00.000%2B00:00&lastModEndDate=2026-03-12T00:00:00.000%2B00:00"
    page = json.loads(fetcher.get_json(f"{NVD_API}?{window}&resultsPerPage=3"))
    assert len(page["vulnerabilities"]) == 3
    with pytest.raises(StatusError, match=r"404 .*resultsPerPage"):
        fetcher.get_json(f"{NVD_API}?resultsPerPage=2001")


def test_the_rate_limit_of_nvd_is_outlived(replay: Any, fetcher: HTTPFetcher) -> None:
    """Six requests in half a minute: the sixth is refused by 403 as often as it is tried, and says so in the end."""
    replay.fault("ratelimit")
    for _ in range(5):
        fetcher.get_json(f"{NVD_API}?cveId=CVE-1999-0073")
    with pytest.raises(StatusError, match="403"):
        fetcher.get_json(f"{NVD_API}?cveId=CVE-1999-0073")
    assert statuses(replay, 10) == [200] * 5 + [403] * 5


@pytest.mark.parametrize("status", [429, 500, 503])
def test_injected_statuses_pass(replay: Any, fetcher: HTTPFetcher, tmp_path: Path, status: int) -> None:
    """Two failures and then the document."""
    replay.fault(
        f"status:{status}:secdb.alpinelinux.org/v3.19:2" if status != 429 else "status:429:secdb.alpinelinux.org:1"
    )
    assert fetcher.download(ALPINE, tmp_path / "main.json", expect=("json",)).changed
    assert statuses(replay, 2 if status == 429 else 3)[-1] == 200


def test_injected_404_fails_at_once(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """One request."""
    replay.fault("status:404:secdb.alpinelinux.org")
    with pytest.raises(StatusError, match="404"):
        fetcher.download(ALPINE, tmp_path / "main.json")
    assert statuses(replay, 1) == [404]


def test_a_file_that_is_always_cut_short_is_resumed_to_its_end(
    replay: Any, fetcher: HTTPFetcher, tmp_path: Path
) -> None:
    """Every answer brings half of what was asked for; five attempts are not enough, the next run needs few bytes."""
    replay.fault("truncate:nvd.nist.gov/feeds/json/cve/2.0/nvdcve-2.0-2003")
    url, target = NVD_FILE.replace("modified", "2003"), tmp_path / "2003.json.gz"
    with pytest.raises(DownloadError, match="cut short"):
        fetcher.download(url, target, expect=("gzip",))
    assert not target.exists()
    assert statuses(replay, 5) == [200, 206, 206, 206, 206]
    replay.clear()
    got = fetcher.download(url, target, expect=("gzip",))
    assert got.bytes_fetched < got.path.stat().st_size / 16
    with open_bounded(target) as stream:
        assert json.load(stream)["totalResults"] > 1000


def test_an_archive_without_length_that_is_cut_short_is_never_taken(
    replay: Any, fetcher: HTTPFetcher, tmp_path: Path
) -> None:
    """Chunked, no ranges, no strong mark: begun anew five times, then an error and no file."""
    replay.fault("truncate:codeload.github.com")
    with pytest.raises(DownloadError, match="cut short"):
        fetcher.download(OVERRIDES, tmp_path / "overrides.tar.gz")
    assert not (tmp_path / "overrides.tar.gz").exists()


def test_the_html_page_that_nvd_really_sent_is_refused(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """It came with status 200 under a .json.gz name; the last good file stays."""
    good = fetcher.download(NVD_FILE, tmp_path / "m.json.gz", expect=("gzip",))
    replay.fault("html:nvd.nist.gov")
    replay.day(2)
    for expect in (("gzip",), ()):
        with pytest.raises(DownloadError, match="HTML page"):
            fetcher.download(NVD_FILE, tmp_path / "m.json.gz", expect=expect)
    assert hashlib.sha256(good.path.read_bytes()).hexdigest() == good.sha256


def test_an_empty_answer_is_refused(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """200 with no body, for a file and for a page."""
    replay.fault("empty:secdb.alpinelinux.org", "empty:services.nvd.nist.gov")
    for ask in (lambda: fetcher.download(ALPINE, tmp_path / "x"), lambda: fetcher.get_json(NVD_API)):
        with pytest.raises(DownloadError, match="empty"):
            ask()


def test_a_slow_upstream_ends(replay: Any, tmp_path: Path) -> None:
    """By its speed, and by the time of the download."""
    replay.fault("slow:secdb.alpinelinux.org:2000")
    settings = FetchSettings(attempts=1, rate_window_seconds=0.3, min_bytes_per_second=50_000)
    too_slow = pytest.raises(UnreachableError, match="a second are expected")
    with HTTPFetcher(settings, UpstreamMap(replay.address), HOSTS) as fetcher, too_slow:
        fetcher.download(ALPINE, tmp_path / "x")
    too_long = pytest.raises(LimitError, match="not whole within")
    with HTTPFetcher(QUICK, UpstreamMap(replay.address), HOSTS) as fetcher, too_long:
        fetcher.download(ALPINE, tmp_path / "y", limits=Limits(max_seconds=0.5))


def test_a_moved_host_is_followed(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """The old EPSS host redirects to the new one, whose `current` redirects to its date."""
    got = fetcher.download(
        "https://epss.cyentia.com/epss_scores-current.csv.gz", tmp_path / "e.csv.gz", expect=("gzip",)
    )
    assert got.changed
    assert statuses(replay, 3) == [301, 302, 200]


def test_a_file_without_date_is_confirmed_by_its_etag(replay: Any, fetcher: HTTPFetcher, tmp_path: Path) -> None:
    """Debian's lists carry an ETag only."""
    url = "https://salsa.debian.org/security-tracker-team/security-tracker/raw/master/data/DSA/list"
    assert fetcher.download(url, tmp_path / "list", expect=("text",)).last_modified is None
    assert not fetcher.download(url, tmp_path / "list", expect=("text",)).changed
    assert statuses(replay, 2, "security-tracker/raw/master") == [200, 304]
