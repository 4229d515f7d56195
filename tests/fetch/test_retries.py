"""Only failures that can pass are tried again, as often and as late as the settings and the upstream say."""

from __future__ import annotations

import random
import socket
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from fake_time import FakeTime
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import DownloadError, LimitError, StatusError, UnreachableError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.retries import TransientError, is_transient, parse_retry_after, wait_before_next
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.json"
NVD = "https://services.nvd.nist.gov/rest/json/cves/2.0"
STEADY = FetchSettings(connect_seconds=5, read_seconds=5)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_can_pass_is_tried_again(
    upstream: UpstreamSimulator, tmp_path: Path, fake_time: FakeTime, status: int
) -> None:
    """Two failures, then the document: it arrives, for files and for pages."""
    upstream.put(URL, b"{}")
    with upstream.fetcher(**fake_time.clocks) as fetcher:
        upstream.fault(URL, times=2, status=status)
        assert fetcher.download(URL, tmp_path / "data.json").changed
        upstream.fault(URL, times=2, status=status)
        assert fetcher.get_json(URL) == b"{}"
    assert [seen.status for seen in upstream.log] == [status, status, 200] * 2
    assert len(fake_time.waits) >= 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 410, 418, 451, 204, 205, 300])
def test_what_cannot_pass_fails_at_once(upstream: UpstreamSimulator, tmp_path: Path, status: int) -> None:
    """Any other status is one request and a StatusError with the number."""
    upstream.put(URL, b"{}")
    upstream.fault(URL, status=status, body=b"" if status in (204, 205) else b"no")
    with upstream.fetcher() as fetcher:
        with pytest.raises(StatusError, match=f"HTTP status {status}") as caught:
            fetcher.download(URL, tmp_path / "data.json")
        assert (caught.value.status, caught.value.url) == (status, URL)
        with pytest.raises(StatusError):
            fetcher.get_json(URL)
    assert len(upstream.log) == 2


def test_a_host_that_throttles_by_403_is_tried_again(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """NVD says 403 for "too many requests": there it waits the half minute of NVD's window and asks again."""
    upstream.put(NVD, b"{}")
    upstream.fault(NVD, times=1, status=403)
    with upstream.fetcher(STEADY, **fake_time.clocks) as fetcher:
        assert fetcher.get_json(NVD) == b"{}"
    assert fake_time.waits == [30.0]


def test_the_message_header_of_an_error_is_told(upstream: UpstreamSimulator) -> None:
    """NVD explains its empty 404 answers in a header of their own."""
    upstream.fault(NVD, status=404, headers={"message": "Invalid apiKey."}, body=b"")
    with upstream.fetcher() as fetcher, pytest.raises(StatusError, match=r"404 \(Invalid apiKey\.\)"):
        fetcher.get_json(NVD)


def test_it_gives_up_after_the_attempts_of_the_settings(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """The last failure is what is raised, and nobody waits after it; waits double with jitter up to their ceiling."""
    upstream.fault(URL, status=503)
    settings = FetchSettings(attempts=6, backoff_first_seconds=1, backoff_max_seconds=5)
    with upstream.fetcher(settings, **fake_time.clocks) as fetcher, pytest.raises(StatusError, match="503"):
        fetcher.get_json(URL)
    assert len(upstream.log) == 6
    assert len(fake_time.waits) == 5
    for wait, most in zip(fake_time.waits, (1, 2, 4, 5, 5), strict=True):
        assert most / 2 <= wait <= most


def test_one_attempt_means_one(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """`attempts: 1` never waits."""
    upstream.fault(URL, status=503)
    with upstream.fetcher(FetchSettings(attempts=1), **fake_time.clocks) as fetcher, pytest.raises(StatusError):
        fetcher.get_json(URL)
    assert fake_time.waits == []


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(upstream: UpstreamSimulator, fake_time: FakeTime, status: int) -> None:
    """Seconds and dates are waited for, up to the ceiling of the settings."""
    upstream.put(URL, b"{}")
    at = format_datetime(datetime.fromtimestamp(fake_time.now + 17 + 90, UTC), usegmt=True)
    for value in ("17", at, "86400"):
        upstream.fault(URL, times=1, status=status, headers={"Retry-After": value})
    with upstream.fetcher(STEADY, **fake_time.clocks) as fetcher:
        assert fetcher.get_json(URL) == b"{}"
    assert fake_time.waits == [17.0, 90.0, 300.0]


def test_a_throttling_host_is_left_alone_by_everybody(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """After Retry-After another download from the same host waits too; other hosts do not."""
    upstream.put(URL, b"{}")
    upstream.put("https://other.example/x.json", b"{}")
    upstream.fault(URL, times=1, status=429, headers={"Retry-After": "60"})
    with upstream.fetcher(FetchSettings(attempts=1), **fake_time.clocks) as fetcher:
        with pytest.raises(StatusError):
            fetcher.get_json(URL)
        assert fetcher.get_json("https://other.example/x.json") == b"{}"
        assert fake_time.waits == []
        assert fetcher.get_json(URL) == b"{}"
    assert fake_time.waits == [60.0]


def test_no_wait_beyond_the_time_of_the_download(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """When the next attempt would begin too late, it ends now, and says what went wrong last."""
    upstream.fault(URL, status=503, headers={"Retry-After": "200"})
    over = pytest.raises(LimitError, match=r"not whole within 500 s; the last attempt: .*503")
    with upstream.fetcher(STEADY, **fake_time.clocks) as fetcher, over:
        fetcher.get_json(URL, limits=Limits(max_seconds=500))
    assert fake_time.waits == [200.0, 200.0]


def test_a_refused_connection_is_tried_again_and_named(tmp_path: Path, fake_time: FakeTime) -> None:
    """Nobody listens: UnreachableError with the upstream's URL and where it was really asked."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            HTTPFetcher(STEADY, UpstreamMap(address), ["https://example.org/"], **fake_time.clocks) as fetcher,
            pytest.raises(UnreachableError, match=f"asked at {address}/example.org") as caught,
        ):
            fetcher.download(URL, tmp_path / "data.json")
    assert caught.value.url == URL
    assert len(fake_time.waits) == 4


def test_a_host_that_does_not_exist_is_unreachable(tmp_path: Path, fake_time: FakeTime) -> None:
    """A name that cannot be resolved is an UnreachableError too: the network may come back, so it is tried again."""
    url = "http://nowhere.invalid/data.json"
    with (
        HTTPFetcher(FetchSettings(attempts=2), UpstreamMap(), [url], **fake_time.clocks) as fetcher,
        pytest.raises(UnreachableError),
    ):
        fetcher.download(url, tmp_path / "data.json")
    assert len(fake_time.waits) == 1


def test_silence_is_ended_and_tried_again(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An upstream that takes the request and says nothing counts as failed after the read timeout."""
    upstream.put(URL, b"{}")
    upstream.fault(URL, times=1, hang=True)
    settings = FetchSettings(read_seconds=0.2, backoff_first_seconds=0.01)
    with upstream.fetcher(settings) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.json").changed
        upstream.fault(URL, hang=True)
        with pytest.raises(UnreachableError, match="no answer in time"):
            fetcher.get_json(URL)


def test_a_page_that_is_cut_short_is_asked_for_again(upstream: UpstreamSimulator) -> None:
    """Half a page is never given out, with and without an announced length."""
    upstream.put(URL, b'{"a": [' + b"1," * 5000 + b"1]}")
    upstream.fault(URL, times=1, truncate_at=5000)
    upstream.fault(URL, times=1, truncate_at=5000, chunked=True)
    with upstream.fetcher() as fetcher:
        assert fetcher.get_json(URL).endswith(b"1]}")
        upstream.fault(URL, truncate_at=5000, chunked=True)
        with pytest.raises(DownloadError, match="cut short"):
            fetcher.get_json(URL)
    assert len(upstream.log) == 3 + 5


@given(st.integers(0, 10**11), st.floats(0, 4e9))
def test_retry_after_in_seconds_is_those_seconds(seconds: int, now: float) -> None:
    """Law: a number means itself, whatever the clock says."""
    assert parse_retry_after(f" {seconds} ", now) == float(seconds)


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 (what Hypothesis takes)
    st.integers(-86400 * 400, 86400 * 400),
    st.integers(-12, 12),
)
def test_retry_after_as_a_date_is_the_time_until_then(moment: datetime, offset: int, zone: int) -> None:
    """Law: a date means the seconds from now on, never fewer than 0, in any zone."""
    now = moment.replace(microsecond=0, tzinfo=UTC)
    text = format_datetime((now + timedelta(seconds=offset)).astimezone(timezone(timedelta(hours=zone))))
    assert parse_retry_after(text, now.timestamp()) == max(0, offset)


@given(st.text(max_size=40))
def test_any_other_retry_after_is_ignored_without_an_error(text: str) -> None:
    """Law: whatever an upstream sends, the answer is None or a number of seconds that is not negative."""
    got = parse_retry_after(text, 1_700_000_000.0)
    assert got is None or got >= 0


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "²", "Fri, 32 Foo 2024 00:00:00 GMT", "9" * 400])
def test_odd_values_of_retry_after(text: str) -> None:
    """Rubbish is None; a number of absurd length is only a long time."""
    got = parse_retry_after(text, 0.0)
    assert got is None or got > 1e9


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats(0, 1e9)), st.booleans(), st.integers())
def test_waits_stay_within_the_settings(attempt: int, after: float | None, throttled: bool, seed: int) -> None:
    """Law: no wait is negative or above the largest ceiling, whatever attempt it is."""
    settings = FetchSettings()
    failure = TransientError(UnreachableError(URL, "x"), after=after, throttled=throttled)
    wait = wait_before_next(failure, attempt, settings, random.Random(seed))
    assert 0 <= wait <= settings.retry_after_max_seconds
    if after is None and not throttled:
        assert wait <= settings.backoff_max_seconds


def test_which_statuses_can_pass() -> None:
    """429 and 5xx everywhere, 403 only where the settings say that it means throttling."""
    settings = FetchSettings()
    passing = [status for status in range(100, 700) if is_transient(status, "example.org", settings)]
    assert passing == [429, *range(500, 600)]
    assert is_transient(403, "services.nvd.nist.gov", settings)
    assert is_transient(403, "alas.aws.amazon.com", settings)
