"""nvdv2 on the NVD's own documents: two days, three sources, an independent second opinion, and faults."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import Feed
from vulnfeeds.drivers.interface import UNCHANGED
from vulnfeeds.drivers.nvd.items import read_items
from vulnfeeds.drivers.nvd.nvddb import NVDDBDriver
from vulnfeeds.errors import DownloadError, StatusError
from vulnfeeds.records import canonical, contract

API = "services.nvd.nist.gov/rest/json/cves/2.0"
FEEDS = "nvd.nist.gov/feeds/json/cve/2.0"
DAY1, DAY2 = 9253, 9405

# Measuring coverage takes a third of the time, and the tests on the sample have been through the same code.
pytestmark = pytest.mark.no_cover


def without_status(one: Feed) -> dict[str, Any]:
    """Return the records without the NVD's word for the state of its analysis."""
    return {key: {**json.loads(body), "status": ""} for key, body in one.bodies.items()}


def test_three_sources_two_days(replayed: MakeFeed, replay: Any) -> None:
    """API, feed files, and both give the same bytes; what changed on day 2 comes alone; reading all changes nothing.

    One thing the API's windows cannot show: on day 2 the NVD has given 79 CVEs another status without a new
    modification date. Feed files show it, and so does a whole run.
    """
    made = {source: replayed(source, source=source) for source in ("api", "feeds", "auto")}
    api = made["api"]
    for one in made.values():
        records, _ = one.run()
        assert len(records) == DAY1
        assert one.stage()[1] == UNCHANGED
        assert one.bodies == api.bodies
    replay.day(2)
    counts = {source: len(one.run()[0]) for source, one in made.items()}
    assert counts == {"api": 622, "feeds": 792, "auto": 622}
    assert {len(one.bodies) for one in made.values()} == {DAY2}
    assert made["auto"].bodies == api.bodies
    assert without_status(made["feeds"]) == without_status(api)
    differing = [key for key, body in api.bodies.items() if made["feeds"].bodies[key] != body]
    assert len(differing) == 79
    made["auto"].run(forced=True)
    assert made["auto"].bodies == made["feeds"].bodies
    assert made["auto"].stage()[1] == UNCHANGED


def test_nvddb_follows_both_days(replayed: MakeFeed, replay: Any, tmp_path: Path) -> None:
    """Its records come of nvdv2's, whole at first, then those that changed; all keep the client contract."""
    one = replayed("feeds", source="feeds")
    driver, checkpoint = NVDDBDriver(), None
    counts = []
    for day in (1, 2):
        replay.day(day)
        one.run()
        context = Feed(tmp_path / "nvddb", "").context(None, False)  # type: ignore[arg-type]
        context.published, context.checkpoint = one.published, checkpoint
        checkpoint = driver.fetch(context)
        groups = {}
        for record in driver.parse(context):
            contract.check(record.feed, record.group, canonical.encode(record.body))
            groups[record.group] = groups.get(record.group, 0) + 1
        counts.append(sum(groups.values()))
    assert counts == [DAY1, 701]


def test_a_key_keeps_within_the_rate_limit(replayed: MakeFeed, replay: Any) -> None:
    """50 requests in 30 seconds are more than a load of five pages needs."""
    replay.fault("ratelimit")
    one = replayed("api", source="api")
    one.key = "any"
    assert len(one.run()[0]) == DAY1


def test_a_crawl_goes_on_after_the_rate_limit(replayed: MakeFeed, replay: Any) -> None:
    """Without a key the sixth request, after five pages, is refused; the next run asks for no page that it has."""
    replay.fault("ratelimit")
    one = replayed("api", source="api")
    with pytest.raises(StatusError):
        one.stage()
    replay.clear()
    assert len(one.run()[0]) == DAY1
    asked = [row["url"] for row in replay.log() if API in row["url"]]
    assert len(asked) == 1
    assert "lastModStartDate" in asked[0]


def test_a_page_under_the_name_of_a_feed_file_is_refused(replayed: MakeFeed, replay: Any) -> None:
    """The NVD really sent HTML with status 200; auto does not turn it into an empty feed either."""
    replay.fault(f"html:{FEEDS}/nvdcve-2.0-2003.json.gz")
    for source in ("feeds", "auto"):
        with pytest.raises(DownloadError):
            replayed(source, source=source).stage()
    replay.clear()
    replay.fault(f"html:{API}")
    with pytest.raises(DownloadError):
        replayed("api", source="api").stage()
    one = replayed("auto", source="auto")
    records, context = one.run()
    assert len(records) == DAY1
    assert any("API cannot be had" in note for note in context.notes)


@pytest.mark.parametrize("fault", ["truncate", "empty"])
def test_half_a_feed_file_is_refused(replayed: MakeFeed, replay: Any, fault: str) -> None:
    """Cut short or empty, whatever the status says."""
    replay.fault(f"{fault}:{FEEDS}/nvdcve-2.0-2026.json.gz")
    with pytest.raises(Exception, match=r"nvdcve-2\.0-2026\.json\.gz"):
        replayed("feeds", source="feeds").stage()


def test_a_large_document_is_read_in_little_memory(shared: Path, tmp_path: Path) -> None:
    """150 MB unpacked are taken apart in less than 20 MB."""
    small = shared / "upstream/data/nvd/feed-2.0/2026-03-12/nvdcve-2.0-2026.json.gz"
    text = gzip.decompress(small.read_bytes())
    head, _, rest = text.partition(b'"vulnerabilities"')
    begin, end = rest.index(b"[") + 1, rest.rindex(b"]")
    count, body = 7024 * 5, rest[begin:end].rstrip()
    del text
    large = tmp_path / "nvdcve-2.0-2026.json.gz"
    with gzip.open(large, "wb", 1) as stream:
        stream.write(head.replace(b"7024", str(count).encode()) + b'"vulnerabilities":[')
        for number in range(5):
            stream.write((b"," if number else b"") + body)
        stream.write(b"]}")
    del body, rest
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_items(large)) == count
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
