"""Questions: JSON bodies that are sent and answered with JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_time import FakeTime

from vulnfeeds.errors import DownloadError, LimitError, StatusError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://api.github.com/graphql"


def test_a_question_is_answered(upstream: UpstreamSimulator) -> None:
    """The body goes out as JSON, the driver's headers with it, and the answer comes back whole."""
    upstream.respond(URL, lambda question: b'{"heard": ' + question + b"}")
    with upstream.fetcher() as fetcher:
        assert fetcher.post_json(URL, b"[1]", headers={"Authorization": "x"}) == b'{"heard": [1]}'
    (seen,) = upstream.log
    assert (seen.method, seen.body, seen.headers["content-type"]) == ("POST", b"[1]", "application/json")
    assert seen.headers["authorization"] == "x"


def test_a_question_is_asked_again_after_what_can_pass(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """With the same body; what does not pass is not asked again."""
    upstream.respond(URL, lambda question: question)
    upstream.fault(URL, times=2, status=502)
    with upstream.fetcher(**fake_time.clocks) as fetcher:
        assert fetcher.post_json(URL, b"[1]") == b"[1]"
        upstream.fault(URL, times=1, status=401)
        with pytest.raises(StatusError, match="401"):
            fetcher.post_json(URL, b"[1]")
    assert [seen.body for seen in upstream.log] == [b"[1]"] * 4


def test_used_up_requests_are_waited_for(upstream: UpstreamSimulator, fake_time: FakeTime) -> None:
    """Until the reset that GitHub names; of a host that has requests left, its reset says nothing."""
    upstream.respond(URL, lambda question: question)
    reset = {"X-RateLimit-Reset": f"{fake_time.now + 40:.0f}"}
    upstream.fault(URL, times=1, status=403, headers={"X-RateLimit-Remaining": "0", **reset})
    upstream.fault(URL, times=1, status=403, headers={"X-RateLimit-Remaining": "7", **reset})
    settings = FetchSettings(throttled_seconds=3.0)
    with upstream.fetcher(settings, **fake_time.clocks) as fetcher:
        assert fetcher.post_json(URL, b"[1]") == b"[1]"
    assert fake_time.waits == [pytest.approx(40.0, abs=1.0), 3.0]


def test_a_question_is_not_redirected(upstream: UpstreamSimulator) -> None:
    """What authorises it goes to nobody else, not even to the same host."""
    upstream.redirect(URL, "https://api.github.com/other")
    with upstream.fetcher() as fetcher, pytest.raises(StatusError, match="not redirected"):
        fetcher.post_json(URL, b"[1]")
    assert len(upstream.log) == 1


def test_answers_are_bounded_and_looked_at(upstream: UpstreamSimulator) -> None:
    """Too much, a page for people and nothing at all are refused as for any download."""
    upstream.respond(URL, lambda question: b'"' + b"x" * 5000 + b'"')
    with upstream.fetcher(FetchSettings(attempts=1)) as fetcher:
        with pytest.raises(LimitError):
            fetcher.post_json(URL, b"[1]", limits=Limits(max_bytes=100))
        for body in (b"<!DOCTYPE html><html></html>", b""):
            upstream.fault(URL, times=1, body=body)
            with pytest.raises(DownloadError):
                fetcher.post_json(URL, b"[1]")


def test_a_folder_mirror_answers_no_questions(tmp_path: Path) -> None:
    """StatusError 405, so that a driver can turn to what a folder has."""
    with (
        HTTPFetcher(FetchSettings(), UpstreamMap(str(tmp_path)), [URL]) as fetcher,
        pytest.raises(StatusError, match="answers no questions") as caught,
    ):
        fetcher.post_json(URL, b"[1]")
    assert caught.value.status == 405
