"""Driver nvddb: what follows from published nvdv2 records, and which of them a run reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD, Feed, Published
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context
from vulnfeeds.drivers.nvd.nvddb import NVDDBDriver
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Record
from vulnfeeds.records.withdrawal import withdraw


class NoFetcher(Fetcher):
    """A fetcher for a driver that asks nothing."""


def context(
    published: Published, workspace: Path, checkpoint: Checkpoint | None = None, forced: bool = False
) -> Context:
    """Return the context of a run."""
    workspace.mkdir(exist_ok=True)
    return Context(
        fetcher=NoFetcher(),
        workspace=workspace,
        published=published,
        checkpoint=checkpoint,
        forced=forced,
        now=lambda: 0.0,
    )


def run(at: Context) -> tuple[dict[str, dict[str, Any]], Checkpoint | None]:
    """Fetch and parse; return bodies by key and the checkpoint."""
    answer = NVDDBDriver().fetch(at)
    if not isinstance(answer, Checkpoint):
        return {}, None
    return {record.key: served(record) for record in NVDDBDriver().parse(at)}, answer


def served(record: Record) -> dict[str, Any]:
    """Return a record as clients get it."""
    body = canonical.encode(record.body)
    contract.check(record.feed, record.group, body)
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.fixture
def published(feed: MakeFeed) -> Published:
    """The sample's nvdv2 records."""
    one: Feed = feed(source="api")
    one.run()
    return one.published


def test_a_record_in_the_old_form(published: Published, tmp_path: Path) -> None:
    """Products as URIs, ranges as their versions, CVSS 2 with its score as text."""
    found, _ = run(context(published, tmp_path / "w"))
    assert len(found) == 40
    record = found["CVE-2024-0007"]
    assert record["@id"] == "CVE-2024-0007"
    assert record["summary"].startswith("lanternd allows local users")
    products = ["cpe:/a:lantern_project:lanternd:2.7.9", "cpe:/a:lantern_project:lanternd:2.8.0"]
    assert record["vulnerable-software-list"] == {"product": products}
    assert record["cvss"]["base_metrics"]["score"] == "7.2"
    assert record["cvss"]["base_metrics"]["access-vector"] == "LOCAL"
    (configuration,) = record["vulnerable-configuration"]
    assert configuration["logical-test"]["fact-ref"] == [{"@name": name} for name in products]
    assert record["cwe"] == [{"@id": "CWE-59"}]


def test_platforms_stay_in_the_configuration(published: Published, tmp_path: Path) -> None:
    """A nested test keeps what must be there too; the list of products does not name it."""
    record = run(context(published, tmp_path / "w"))[0]["CVE-2024-0035"]
    assert record["vulnerable-software-list"] == {"product": ["cpe:/o:harbor:h-100_firmware:12.2%2833%29sxi"]}
    test = record["vulnerable-configuration"][0]["logical-test"]
    facts = [fact["@name"] for inner in test["logical-test"] for fact in inner["fact-ref"]]
    assert test["@operator"] == "AND"
    assert sorted(facts) == ["cpe:/h:harbor:h-100:-", "cpe:/o:harbor:h-100_firmware:12.2%2833%29sxi"]


def test_a_newer_score_stands_in(published: Published, tmp_path: Path) -> None:
    """Without CVSS 2 the score is that of CVSS 3 or 4; without any there is no cvss."""
    found, _ = run(context(published, tmp_path / "w"))
    assert found["CVE-2024-0004"]["cvss"]["base_metrics"]["score"] == "4.3"
    assert found["CVE-2024-0006"]["cvss"]["base_metrics"]["score"] == "3.3"
    assert found["CVE-2024-0025"]["cvss"]["base_metrics"]["score"] == "9.3"
    assert "cvss" not in found["CVE-2024-0032"]
    assert found["CVE-2024-0032"]["vulnerable-software-list"] == {}


def test_only_what_changed_is_read(feed: MakeFeed, nvd: NVD, tmp_path: Path) -> None:
    """Nothing new is UNCHANGED; a change of nvdv2 brings its records; force brings all."""
    one = feed(source="api")
    one.run()
    found, checkpoint = run(context(one.published, tmp_path / "w"))
    assert NVDDBDriver().fetch(context(one.published, tmp_path / "w", checkpoint)) == UNCHANGED
    nvd.change(sample.item(5, "Changed.", three=9.8, modified="2024-08-30T08:00:00.000"))
    nvd.timestamp = "2024-08-30T08:40:00.000"
    assert one.now is not None
    one.now += 7200
    one.run()
    changed, _ = run(context(one.published, tmp_path / "w", checkpoint))
    assert set(changed) == {"CVE-2024-0005"}
    assert len(run(context(one.published, tmp_path / "w", checkpoint, forced=True))[0]) == len(found)


def test_another_store_is_read_whole(published: Published, tmp_path: Path) -> None:
    """A cursor ahead of the group comes from another store."""
    ahead = Checkpoint("9999", {"sequence": 9999})
    assert len(run(context(published, tmp_path / "w", ahead))[0]) == 40


def test_nothing_published_is_nothing_to_do(tmp_path: Path) -> None:
    """Before nvdv2's first run there is nothing to read."""
    assert NVDDBDriver().fetch(context(Published(), tmp_path / "w")) == UNCHANGED


def test_a_withdrawn_record_has_no_products(published: Published, tmp_path: Path) -> None:
    """nvdv2's way to withdraw ends in this feed's way."""
    body = published.bodies_by_key["CVE-2024-0007"]
    published.bodies_by_key["CVE-2024-0007"] = withdraw("nvdv2", body)
    assert run(context(published, tmp_path / "w"))[0]["CVE-2024-0007"]["vulnerable-software-list"] == {}


def test_groups_are_years(published: Published, tmp_path: Path) -> None:
    """CVEs from before 2002 are in 2002's group; what is no CVE id is noted."""
    for name in ("CVE-1999-0001", "CVE-2002-0001", "CVE-2010-12345", "OTHER-1"):
        published.bodies_by_key[name] = published.bodies_by_key["CVE-2024-0001"]
        published.positions[name] = published.sequence("nvdv2", "nvdv2:cves") + 1
    at = context(published, tmp_path / "w")
    NVDDBDriver().fetch(at)
    groups = {record.key: record.group for record in NVDDBDriver().parse(at)}
    assert groups["CVE-1999-0001"] == groups["CVE-2002-0001"] == "nvddb:2002"
    assert groups["CVE-2010-12345"] == "nvddb:2010"
    assert "OTHER-1" not in groups
    assert at.notes == ["OTHER-1 is no CVE id and belongs to no year"]


def test_a_body_of_another_form_is_an_error(published: Published, tmp_path: Path) -> None:
    """The error names the record."""
    published.bodies_by_key["CVE-2024-0003"] = b"{}"
    with pytest.raises(ParseError, match="CVE-2024-0003"):
        run(context(published, tmp_path / "w"))


def test_parsing_needs_a_fetch(tmp_path: Path) -> None:
    """Without one there is nothing to parse."""
    with pytest.raises(ParseError, match="nothing was fetched"):
        list(NVDDBDriver().parse(context(Published(), tmp_path / "w")))
