"""Forms of listings and pages that the real client chokes on, loses data by, or asks for without end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.scripted import GROUP, FakeService, Reply, listed, os_record, page
from vulnfeeds.testing.client import LoopError, PageError, StrictClient

Sync = Callable[..., Any]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/html", "Application/JSON", None])
def test_the_type_of_a_page_is_exact(sync_group: Sync, kind: str | None) -> None:
    """Anything but the bare type fails the page, as since 0.10."""
    report = sync_group(Reply({"data": [], "next_token": ""}, type=kind))
    assert report.failed
    assert "Content-Type must be exactly" in report.problem


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "not an object but an array"),
        (b"{}", "data is nothing"),
        (b'{"data": null, "next_token": ""}', "data is nothing"),
        (b'{"data": {}, "next_token": ""}', "data is an object"),
        (b'{"title": "Not Found", "status": 404}', "data is nothing"),
        (b'{"data": [[]], "next_token": ""}', "data[0] is an array"),
        (b'{"data": ["x"], "next_token": ""}', "data[0] is a string"),
        (b"", "not JSON"),
        (b'{"data": [', "not JSON"),
        (b'{"data": []} {}', "not JSON"),
        (b"<!doctype html><html></html>", "not JSON"),
        (b'\xef\xbb\xbf{"data": [], "next_token": ""}', "byte order mark"),
        (b'{"data": [{"a": NaN}], "next_token": ""}', "NaN is not JSON"),
        (b'{"data": [{"a": -Infinity}], "next_token": ""}', "-Infinity is not JSON"),
        (b'{"data": [], "next_token": "a", "next_token": "b"}', "key next_token more than once"),
        (b'{"data": [], "data": [], "next_token": ""}', "key data more than once"),
        (b'{"data": [{"a": 1, "a": 2}], "next_token": ""}', "key a more than once"),
        ('{"data": [{"a": "é"}], "next_token": ""}'.encode(), "not ASCII"),
        (b'{"data": [], "next_token": 5}', "next_token is a scalar"),
        (b'{"data": [], "next_token": "a+b"}', "does not survive"),
        (b'{"data": [], "next_token": "a/b"}', "does not survive"),
        (b'{"data": [], "next_token": "a b"}', "does not survive"),
        (b'{"data": [], "next_token": "a&b"}', "does not survive"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_pages_of_another_form_are_refused(sync_group: Sync, client: StrictClient, body: bytes, reason: str) -> None:
    """Where the real client says "0 records, success" or stops early, this one fails the group and stays behind."""
    report = sync_group(Reply(body))
    assert reason in report.problem
    assert report.failed
    assert client.last_sync("vulnerabilities", "alpine:3.10") is None


def test_a_page_holds_at_most_a_thousand(sync_group: Sync) -> None:
    """1000 records pass, 1001 do not."""
    records = [os_record(f"CVE-2020-{number:04}") for number in range(1001)]
    assert "1001 records on one page" in sync_group(page(*records)).problem
    assert sync_group(page(*records[:1000])).problem == ""


@pytest.mark.parametrize("end", ["", None, "absent"])
def test_three_ways_to_end(sync_group: Sync, end: str | None) -> None:
    """An empty token, null and none at all all mean the last page."""
    body: dict[str, Any] = {"data": [os_record()], "next_token": end}
    if end == "absent":
        del body["next_token"]
    report = sync_group(Reply(body))
    assert (report.complete, report.pages, report.problem) == (True, 1, "")


def test_key_order_and_other_keys_do_not_matter(sync_group: Sync) -> None:
    """Unknown top-level keys are passed over, and nested keys of the same names too."""
    extra = {"next_token": "", "more": {"data": [1], "next_token": "x"}, "data": [os_record()]}
    assert sync_group(Reply(extra)).records == 1


def test_an_empty_page_with_a_token_goes_on(sync_group: Sync) -> None:
    """0 records and a token: the next page is asked for."""
    report = sync_group(page(token="a"), page(os_record()))
    assert (report.pages, report.records) == (2, 1)


def test_a_token_that_comes_again_is_a_loop(sync_group: Sync) -> None:
    """The real client would turn for ever."""
    with pytest.raises(LoopError, match="'a' came a second time"):
        sync_group(page(token="a"), page(token="b"), Reply({"data": [], "next_token": "a"}))


def test_a_walk_without_end_is_a_loop(service: FakeService, clock: Any) -> None:
    """New tokens for ever end at the ceiling of pages."""
    service.lists()
    service.says(GROUP, page(token="t0"))
    for number in range(20):
        service.says(f"{GROUP}?next_token=t{number}", page(token=f"t{number + 1}"))
    with (
        StrictClient(service.address, ":memory:", clock=clock, most_pages=10) as client,
        pytest.raises(LoopError, match="more than 10 pages"),
    ):
        client.sync(["vulnerabilities"])


@pytest.mark.parametrize("body", [{}, {"title": "error"}, {"groups": []}])
def test_a_feeds_listing_without_feeds_is_a_loop(service: FakeService, client: StrictClient, body: Any) -> None:
    """The real client asks again without delay, for ever."""
    service.says("/v1/feeds", Reply(body))
    with pytest.raises(LoopError):
        client.sync()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([], None),
        (b"null", None),
        ({"feeds": {}}, None),
        ({"feeds": ["nvdv2"]}, None),
        ({"feeds": [{"description": "", "access_tier": 0}]}, None),
        ({"feeds": [{**listed("nvdv2"), "name": ""}]}, None),
        ({"feeds": [{**listed("nvdv2"), "name": "a/b"}]}, None),
        ({"feeds": [{**listed("nvdv2"), "name": 5}]}, None),
        ({"feeds": [{**listed("nvdv2"), "access_tier": "free"}]}, None),
        ({"feeds": [], "next_token": "a b"}, None),
        ({"feeds": [], "next_token": ""}, "missing header"),
    ],
)
def test_listings_of_another_form_are_refused(
    service: FakeService, client: StrictClient, body: Any, kind: str | None
) -> None:
    """A listing is an object with a list of names, texts and numbers; its type may be any, but must be there."""
    service.says("/v1/feeds", Reply(body, type=None if kind else "application/json"))
    with pytest.raises(PageError):
        client.sync()


def test_a_listing_may_have_pages_and_any_type(service: FakeService, client: StrictClient) -> None:
    """Tokens of listings are followed; text/html is taken."""
    service.says("/v1/feeds", Reply({"feeds": [listed("nvdv2")], "next_token": "x"}, type="text/html"))
    service.says("/v1/feeds?next_token=x", Reply({"feeds": [listed("github")], "next_token": None}))
    assert [feed.name for feed in client.list_feeds()] == ["nvdv2", "github"]


def test_a_listing_that_repeats_its_token_is_a_loop(service: FakeService, client: StrictClient) -> None:
    """Listings are guarded as pages are."""
    again = Reply({"feeds": [], "next_token": "x"})
    service.says("/v1/feeds", again)
    service.says("/v1/feeds?next_token=x", again)
    with pytest.raises(LoopError):
        client.list_feeds()
