"""Feed files of the NVD: metas, digests, years that are missing, and answers that are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD
from vulnfeeds.drivers.interface import UNCHANGED
from vulnfeeds.drivers.nvd.feeds import ADDRESS
from vulnfeeds.errors import DownloadError, ParseError, StatusError, UpstreamError

YEAR = f"{ADDRESS}nvdcve-2.0-2024.json.gz"


def asked(nvd: NVD) -> list[str]:
    """Return the names of the feed files that were asked for and found, metas left out."""
    return [
        seen.url.removeprefix(ADDRESS)
        for seen in nvd.upstream.log
        if seen.url.startswith(ADDRESS) and not seen.url.endswith(".meta") and seen.status == 200
    ]


def test_a_file_of_a_known_digest_is_not_fetched(feed: MakeFeed, nvd: NVD) -> None:
    """Only metas are asked for while nothing changes, and a forced run uses the kept files."""
    one = feed(source="feeds")
    one.run()
    assert asked(nvd) == ["nvdcve-2.0-2024.json.gz", "nvdcve-2.0-modified.json.gz"]
    assert one.stage()[1] == UNCHANGED
    assert len(one.run(forced=True)[0]) == 40
    assert len(asked(nvd)) == 2


def test_only_changed_files_are_read(feed: MakeFeed, nvd: NVD) -> None:
    """A new modified feed brings its items and no others."""
    one = feed(source="feeds")
    one.run()
    nvd.feed_file("modified", [*sample.MODIFIED, sample.item(41, "New.", status="Received")], "2024-08-30T06:00:02")
    assert [record.key for record in one.run()[0]] == ["CVE-2024-0041"]
    assert asked(nvd)[2:] == ["nvdcve-2.0-modified.json.gz"]


def test_an_item_without_a_new_date_is_taken_when_it_changed(feed: MakeFeed, nvd: NVD) -> None:
    """The NVD changes the status of items without a new modification date; feed files show it."""
    one = feed(source="feeds")
    one.run()
    modified = [*sample.MODIFIED[:2], sample.item(40, "lanternd answers.", modified="2024-08-29T08:15:02.223")]
    nvd.feed_file("modified", modified, "2024-08-30T06:00:02")
    assert [record.key for record in one.run()[0]] == ["CVE-2024-0040"]
    assert one.published.record("CVE-2024-0040")["status"] == "Analyzed"


def test_a_missing_year_is_noted(feed: MakeFeed) -> None:
    """Years without a file are left out, as runs of years."""
    _, context = feed(source="feeds", first_year=2010).run()
    assert context.notes == ["the NVD has no feed file for 2010-2023"]


def test_no_year_at_all_is_an_error(feed: MakeFeed, nvd: NVD) -> None:
    """When every meta is missing the run fails instead of reading nothing."""
    nvd.upstream.fault(ADDRESS, status=404)
    with pytest.raises(StatusError):
        feed(source="feeds").stage()


def test_an_empty_year_is_an_error(feed: MakeFeed, nvd: NVD) -> None:
    """Documents that hold no CVE at all are not a load."""
    nvd.feed_file("2024", [], "2024-08-26T03:00:01")
    nvd.feed_file("modified", [], "2024-08-29T06:00:02")
    with pytest.raises(ParseError, match="no CVE in any document"):
        feed(source="feeds").stage()


def test_a_file_that_overtook_its_meta_is_fetched_again(feed: MakeFeed, nvd: NVD) -> None:
    """The NVD replaces meta and file one after the other: the pair is asked for a second time."""
    document = sample.feed(sample.YEAR[:5], "2024-08-25T03:00:01")
    nvd.upstream.fault(YEAR, times=1, body=sample.packed(document), validators=False)
    assert len(feed(source="feeds").run()[0]) == 40


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-4] + b"\0\0\0\0",
        lambda data: b"<!DOCTYPE html><html><body>Not here any more</body></html>",
        lambda data: b"",
        lambda data: sample.packed(b"{}"),
        lambda data: sample.packed(sample.feed(sample.YEAR[1:], "2024-08-26T03:00:01")),
    ],
    ids=["cut", "wrong sum", "a page", "empty", "another document", "fewer items"],
)
def test_a_file_that_is_not_what_the_meta_says_is_refused(
    feed: MakeFeed, nvd: NVD, spoil: Callable[[bytes], bytes]
) -> None:
    """Nothing of it is used, and once the NVD is well again the next run is."""
    good = nvd.upstream.find(YEAR)
    assert good is not None
    one = feed(source="feeds")
    nvd.upstream.fault(YEAR, body=spoil(good), validators=False)
    with pytest.raises(DownloadError) as caught:
        one.stage()
    assert caught.value.url == YEAR
    nvd.upstream.heal()
    assert len(one.run()[0]) == 40


def test_a_broken_upstream_leaves_what_is_published(feed: MakeFeed, nvd: NVD) -> None:
    """An error after a good run changes neither checkpoint nor records."""
    one = feed(source="feeds")
    one.run()
    before = dict(one.bodies)
    nvd.feed_file("2024", sample.YEAR[:20], "2024-08-30T03:00:01")
    nvd.upstream.fault(YEAR, truncate_at=100)
    with pytest.raises(UpstreamError):
        one.run()
    nvd.upstream.heal()
    assert one.bodies == before
    one.run()
    assert one.bodies == before
