"""Driver rocky on its sample and on pages: the suite, what its advisories mean, and walks that go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Upstreams, bodies, on_sample, replaced
from tests.drivers.errata_documents import Document, affected, erratum, fixed
from vulnfeeds.drivers.formats.errata import ErrataSettings
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.rocky import ADDRESS, RockyDriver
from vulnfeeds.errors import DownloadError, HostRefusedError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad
from vulnfeeds.testing.upstream import UpstreamSimulator

FEED = "vulnerabilities"
INDEX = "apollo.build.resf.org/api/v3/osv/index.html"
PATH = "/api/v3/osv/"


class TestRocky(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = RockyDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "rocky:8"), (FEED, "rocky:9")})
    extended = (Edit(INDEX, replaced(b'"advisories": [', b'"version": 3, "advisories": [')),)
    changed = (
        Edit(INDEX, replaced(b"1:1.1.1k-12.el8_9", b"1:1.1.1k-14.el8_9")),
        Edit(INDEX, replaced(b'"modified": "2024-06-06', b'"modified": "2024-06-16')),
    )
    sad = (
        Sad(Edit(INDEX, lambda _: b"{}"), "/osv/: "),
        Sad(Edit(INDEX, lambda _: b'{"advisories": [], "total": 0, "links": {"next": null}}'), "no advisory"),
        Sad(Edit(INDEX, replaced(b'"total": 3', b'"total": 4')), "hold 3 advisories of 4"),
        Sad(Edit(INDEX, replaced(b'"id": "RLSA-2024:0101"', b'"name": "x"')), "/osv/: an advisory without id"),
        Sad(
            Edit(INDEX, replaced(b'"summary": "Moderate: m', b'"summary": 7, "old": "Moderate: m')),
            "page-0001.json: advisories[1]: Expected `str`",
        ),
    )


class Apollo:
    """The API with pages of two; `advisories` may change while it runs."""

    def __init__(self, *advisories: Document) -> None:
        self.advisories = list(advisories)
        self.total: int | None = None
        self.next: dict[int, str] = {}
        """What a page says instead of the true link."""

    def __call__(self, url: str) -> bytes:
        """Answer a page."""
        number = int(url.partition("page=")[2].partition("&")[0] or 1)
        pages = -(-len(self.advisories) // 2)
        follows = self.next.get(number, f"{PATH}?page={number + 1}&size=2" if number < pages else None)
        total = len(self.advisories) if self.total is None else self.total
        shown = self.advisories[number * 2 - 2 : number * 2]
        return json.dumps({"advisories": shown, "total": total, "links": {"next": follows}}).encode()


@pytest.fixture
def apollo(tmp_path: Path) -> Iterator[tuple[Apollo, Upstreams]]:
    """The API with five advisories, and the driver that asks it."""
    names = [f"RLSA-2024:{number:04}" for number in range(1, 6)]
    api = Apollo(*(erratum(name, affected("Rocky Linux:9", "a", *fixed(f"0:{name[-1]}-1.el9"))) for name in names))
    with UpstreamSimulator() as upstream:
        upstream.serve(ADDRESS, api)
        yield api, Upstreams(RockyDriver, upstream.address, tmp_path / "workspace")


def served(found: tuple[list[Any], Context]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the vulnerabilities by (group, key)."""
    return {key: body["Vulnerability"] for key, body in bodies(found[0]).items()}


def test_a_record_is_one_advisory_in_one_release(tmp_path: Path) -> None:
    """An advisory for two releases gives two records, each with its own packages."""
    found = served(on_sample(RockyDriver, tmp_path).run())
    assert set(found) == {
        ("rocky:8", "RLSA-2024:0101"),
        ("rocky:9", "RLSA-2024:0101"),
        ("rocky:8", "RLSA-2024:0102"),
        ("rocky:9", "RXSA-2024:0103"),
    }
    record = found["rocky:9", "RLSA-2024:0101"]
    assert record["Severity"] == "High"
    assert record["Link"] == "https://errata.rockylinux.org/RLSA-2024:0101"
    assert [cve["Name"] for cve in record["Metadata"]["CVE"]] == ["CVE-2024-0001", "CVE-2024-0002"]
    assert record["FixedIn"] == [
        {
            "Name": "brookssl",
            "NamespaceName": "rocky:9",
            "Version": "1:3.0.7-27.el9_4",
            "VersionFormat": "rpm",
            "Available": {"Date": "2024-06-05", "Kind": "advisory"},
        }
    ]
    assert found["rocky:8", "RLSA-2024:0102"]["FixedIn"][0]["Module"] == "mossdb:13"


def test_releases_can_be_left_out(tmp_path: Path) -> None:
    """By `include` and `exclude`; those that are left out are not covered."""
    for number, settings in enumerate((ErrataSettings(include=("9",)), ErrataSettings(exclude=("8*",)))):
        found, context = on_sample(RockyDriver, tmp_path / str(number), settings).run()
        assert {record.group for record in found} == {"rocky:9"}
        assert context.covered == {(FEED, "rocky:9")}


def test_all_pages_are_walked(apollo: tuple[Apollo, Upstreams]) -> None:
    """Until one names no next one; again without a change nothing is parsed, whatever the order of the advisories."""
    api, upstreams = apollo
    found = served(upstreams.run())
    assert [key for _, key in found] == [f"RLSA-2024:{number:04}" for number in range(1, 6)]
    assert upstreams.run()[0] == []
    api.advisories.reverse()
    assert upstreams.run()[0] == []


def test_an_advisory_that_is_gone_is_not_reported(apollo: tuple[Apollo, Upstreams]) -> None:
    """Nothing of an earlier walk is left over, and the release is covered."""
    api, upstreams = apollo
    upstreams.run()
    del api.advisories[1:]
    found, context = upstreams.run()
    assert [record.key for record in found] == ["RLSA-2024:0001"]
    assert context.covered == {(FEED, "rocky:9")}


def test_only_a_release_with_news_is_read(apollo: tuple[Apollo, Upstreams]) -> None:
    """The others are skipped; an advisory for two releases is news for both."""
    api, upstreams = apollo
    both = [affected(f"Rocky Linux:{release}", "b", *fixed(f"0:1-1.el{release}")) for release in (8, 9)]
    api.advisories.append(erratum("RLSA-2024:0006", *both))
    assert {record.group for record in upstreams.run()[0]} == {"rocky:8", "rocky:9"}
    api.advisories.append(erratum("RLSA-2024:0007", affected("Rocky Linux:8", "c", *fixed("0:1-1.el8"))))
    found, context = upstreams.run()
    assert [record.key for record in found] == ["RLSA-2024:0006", "RLSA-2024:0007"]
    assert (context.covered, context.skipped) == ({(FEED, "rocky:8")}, {(FEED, "rocky:9"): "unchanged"})
    api.advisories[5] = erratum("RLSA-2024:0006", *both, withdrawn="2024-06-09T00:00:00Z")
    found, context = upstreams.run()
    assert [record.key for record in found] == [f"RLSA-2024:{number:04}" for number in (1, 2, 3, 4, 5, 7)]
    assert context.skipped == {}


def test_pages_that_shift_lose_and_repeat_nothing(apollo: tuple[Apollo, Upstreams]) -> None:
    """An advisory that comes in at the front moves another one to the next page: it is served once."""
    api, upstreams = apollo
    newest = erratum("RLSA-2024:0009", affected("Rocky Linux:9", "a", *fixed("0:9-1.el9")))
    true = list(api.advisories)

    class Shifting(Apollo):
        def __call__(self, url: str) -> bytes:
            answer = api(url)
            api.advisories = [newest, *true]
            return answer

    with UpstreamSimulator() as upstream:
        upstream.serve(ADDRESS, Shifting())
        upstreams.mirror = upstream.address
        found = [record.key for record in upstreams.run()[0]]
        assert found == [f"RLSA-2024:{number:04}" for number in range(1, 6)]
        assert "RLSA-2024:0009" in {record.key for record in upstreams.run()[0]}


def test_a_walk_that_misses_something_fails(apollo: tuple[Apollo, Upstreams]) -> None:
    """Fewer advisories than upstream counts, pages that lead round, and links that lead away."""
    api, upstreams = apollo
    api.total = 6
    with pytest.raises(DownloadError, match="3 pages hold 5 advisories of 6"):
        upstreams.run()
    api.total = None
    api.next = {3: f"{PATH}?page=2&size=2"}
    with pytest.raises(DownloadError, match="the pages do not end: 3 so far"):
        upstreams.run()
    api.next = {1: "https://elsewhere.example.org/api/v3/osv/?page=2"}
    with pytest.raises(HostRefusedError):
        upstreams.run()


def test_other_ecosystems_are_counted(apollo: tuple[Apollo, Upstreams]) -> None:
    """A point release counts as its release; what is not Rocky Linux' is no reason to stop."""
    api, upstreams = apollo
    packages = [affected("Rocky Linux:10.1", "a", *fixed("0:1-1.el10")), affected("Linux", "b", *fixed("0:1-1"))]
    api.advisories = [erratum("RLSA-2025:0001", *packages)]
    found, context = upstreams.run()
    assert [(record.group, record.key) for record in found] == [("rocky:10", "RLSA-2025:0001")]
    assert context.unknown_values == {"ecosystem=Linux": 1}


def test_settings_that_leave_nothing_withdraw_nothing(tmp_path: Path) -> None:
    """No group is covered, so all of them stay as they are."""
    records, context = on_sample(RockyDriver, tmp_path, ErrataSettings(include=("x",))).run()
    assert not records
    assert not context.covered
