"""Everything ends: too many bytes, too slow a body, too long a time; and hosts are asked politely."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fake_time import FakeTime

from vulnfeeds.errors import LimitError, SettingsError, UnreachableError, UpstreamError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.fetch.turnstile import Turnstile
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.json"


def test_an_announced_size_above_the_ceiling_is_not_fetched(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The refusal names both numbers; nothing is tried again and nothing is left."""
    upstream.put(URL, b"{" + b" " * 999_998 + b"}")
    with upstream.fetcher() as fetcher:
        for ask in (
            lambda: fetcher.download(URL, tmp_path / "x", limits=Limits(max_bytes=999_999)),
            lambda: fetcher.get_json(URL, limits=Limits(max_bytes=999_999)),
        ):
            with pytest.raises(LimitError, match="1000000 bytes are announced, 999999 are allowed"):
                ask()
        assert fetcher.download(URL, tmp_path / "x", limits=Limits(max_bytes=1_000_000)).changed
    assert len(upstream.log) == 3


def test_an_endless_body_ends_at_the_ceiling(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Without an announced size the bytes are counted; the partial body is not kept."""
    upstream.fault(URL, body=b"[" + b"1," * 50_000, endless=True)
    with upstream.fetcher(FetchSettings(max_bytes=3 << 20)) as fetcher:
        with pytest.raises(LimitError, match="more than the 3145728 bytes"):
            fetcher.download(URL, tmp_path / "x")
        with pytest.raises(LimitError, match="more than the 3145728 bytes"):
            fetcher.get_json(URL)
    assert list(tmp_path.iterdir()) == []


def test_resuming_does_not_raise_the_ceiling(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Bytes of earlier attempts count too."""
    upstream.put(URL, b"{" * 1_000_000)
    upstream.fault(URL, truncate_at=400_000, times=1, chunked=True)
    with upstream.fetcher() as fetcher, pytest.raises(LimitError, match="1000000 bytes are announced"):
        fetcher.download(URL, tmp_path / "x", limits=Limits(max_bytes=900_000))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_trickle_is_ended(upstream: UpstreamSimulator, tmp_path: Path, chunked: bool) -> None:
    """A body that brings a byte now and then never trips the read timeout; its speed over a window does."""
    upstream.fault(URL, body=b"{" * 10_000, bytes_per_second=40, chunked=chunked)
    settings = FetchSettings(attempts=2, rate_window_seconds=0.2, min_bytes_per_second=1000, backoff_first_seconds=0)
    with upstream.fetcher(settings) as fetcher:
        with pytest.raises(UnreachableError, match=r"only \d+ bytes came in"):
            fetcher.download(URL, tmp_path / "x")
        with pytest.raises(UnreachableError, match=r"only \d+ bytes came in"):
            fetcher.get_json(URL)
    assert len(upstream.log) == 4


def test_slow_but_steady_is_fine(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A speed above the least one is waited for."""
    upstream.put(URL, b"{" * 8_000)
    upstream.fault(URL, bytes_per_second=16_000)
    with upstream.fetcher(FetchSettings(rate_window_seconds=0.1, min_bytes_per_second=100)) as fetcher:
        assert fetcher.download(URL, tmp_path / "x").bytes_fetched == 8_000


def test_the_time_of_a_download_ends_and_what_came_is_kept(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """After max_seconds the download ends although bytes still come; the next run resumes it."""
    upstream.put(URL, b"{" * 40_000)
    upstream.fault(URL, bytes_per_second=20_000, times=1)
    with upstream.fetcher() as fetcher:
        with pytest.raises(LimitError, match=r"not whole within 0\.3 s"):
            fetcher.download(URL, tmp_path / "x", limits=Limits(max_seconds=0.3))
        assert fetcher.download(URL, tmp_path / "x").path.stat().st_size == 40_000
    assert sorted("range" in seen.headers for seen in upstream.log) == [False, True]


def test_silence_never_outlasts_the_time_of_the_download(upstream: UpstreamSimulator) -> None:
    """The read timeout is cut to what is left, so a hanging upstream ends with the download's time."""
    upstream.fault(URL, hang=True)
    with upstream.fetcher(FetchSettings(read_seconds=60)) as fetcher, pytest.raises(UpstreamError):
        fetcher.get_json(URL, limits=Limits(max_seconds=0.3))


@pytest.mark.parametrize("width", [1, 2, 3])
def test_no_more_requests_at_once_than_the_settings_say(
    upstream: UpstreamSimulator, tmp_path: Path, width: int
) -> None:
    """Eight threads ask one host: exactly `per_host` requests are under way, and all arrive."""
    for number in range(8):
        upstream.put(f"https://example.org/{number}", b"{" * 4000)
    upstream.fault("https://example.org/", bytes_per_second=80_000)
    with upstream.fetcher(FetchSettings(per_host=width)) as fetcher, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: fetcher.download(f"https://example.org/{n}", tmp_path / str(n)), range(8)))
    assert all(each.changed for each in got)
    assert upstream.most_at_once == width


def test_requests_to_a_paced_host_keep_their_distance(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """NVD without a key: six seconds between the starts of two requests, retries included, pages or files."""
    upstream.put("https://ok/a", b"{}")
    upstream.fault("https://ok/a", times=1, status=500)
    url = f"{upstream.address}/ok/a"
    settings = FetchSettings(pace={"127.0.0.1": 6.0}, backoff_first_seconds=0)
    with HTTPFetcher(settings, UpstreamMap(), [url], **fake_time.clocks) as fetcher:
        for _ in range(3):
            fetcher.get_json(url)
    assert [wait for wait in fake_time.waits if wait] == [6.0, 6.0, 6.0]


def test_a_mirror_is_not_paced(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """Our own mirror is asked as fast as it answers."""
    upstream.put(URL, b"{}")
    with upstream.fetcher(FetchSettings(pace={"example.org": 6.0}), **fake_time.clocks) as fetcher:
        fetcher.get_json(URL)
        fetcher.get_json(URL)
    assert fake_time.waits == []


def test_threads_take_turns_at_a_paced_host() -> None:
    """Law of the turnstile: starts are at least the pace apart, however many threads wait."""
    lock, now, starts = threading.Lock(), [0.0], []

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    turnstile = Turnstile(4, 2.0, lambda: now[0], sleep)

    def go(number: int) -> None:
        with turnstile.passage(), lock:
            starts.append(now[0])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(go, range(12)))
    assert len(starts) == 12
    assert now[0] >= 22.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("connect_seconds", 0), ("attempts", 0), ("per_host", -1), ("max_bytes", 0), ("retry_after_max_seconds", -1)],
)
def test_settings_that_cannot_work_are_refused(name: str, value: Any) -> None:
    """The error names the setting and the value."""
    with pytest.raises(SettingsError, match=rf"fetch\.{name} .*{value}"):
        FetchSettings(**{name: value})


def test_settings_of_headers_and_pace_are_checked() -> None:
    """A contact that would break the header, and a negative pace, are refused."""
    with pytest.raises(SettingsError, match="contact"):
        FetchSettings(contact="a\r\nX-Evil: 1")
    with pytest.raises(SettingsError, match=r"pace of example\.org"):
        FetchSettings(pace={"example.org": -1.0})
