"""Driver nvdv2: the suite on its sample, runs that follow each other, and what may go wrong between them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD, refused
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.nvd.making import INDEX
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.drivers.nvd.plan import GROUP, NVDv2Settings
from vulnfeeds.errors import ParseError, SettingsError
from vulnfeeds.records.record import Score
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEEDS = "nvd.nist.gov/feeds/json/cve/2.0/nvdcve-2.0"
SOURCES = ("feeds", "api", "auto")


class TestNVDv2(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = NVDv2Driver
    upstream = SAMPLE
    groups = frozenset({("nvdv2", GROUP)})
    sad = (
        Sad(Edit(f"{FEEDS}-2024.meta", replaced(b"sha256", b"md5")), "nvdcve-2.0-2024.meta: no meta of a feed file"),
        Sad(Edit(f"{FEEDS}-2024.meta", replaced(b"-04:00", b"")), "a date without a zone"),
        Sad(Edit(f"{FEEDS}-2024.meta", replaced(b"size:", b"size:1\r\nsize:")), "a line twice"),
        Sad(Edit(f"{FEEDS}-2024.meta", replaced(b"sha256:", b"sha256:00")), "no sha256"),
        Sad(Edit(f"{FEEDS}-2024.meta", lambda meta: meta[:-6] + b"0000\r\n"), "sha256 of the unpacked document"),
        Sad(Edit(f"{FEEDS}-2024.meta", replaced(b"size:", b"size:1\r\nSize:")), "more than the 1 bytes"),
        Sad(Edit(f"{FEEDS}-2024.json.gz", lambda data: data[:-3000]), "nvdcve-2.0-2024.json.gz"),
    )


def test_the_sample_is_what_its_maker_makes() -> None:
    """The package's documents hold what the table of the tests says, byte for byte once unpacked."""
    for name, items in (("2024", sample.YEAR), ("modified", sample.MODIFIED)):
        packed = (sample.FOLDER / f"nvdcve-2.0-{name}.json.gz").read_bytes()
        assert packed[4:8] == b"\0\0\0\0"
        document = sample.gzip.decompress(packed)
        assert json.loads(document)["vulnerabilities"] == items
        stamp = json.loads(document)["timestamp"]
        assert document == sample.feed(items, stamp)
        made_at = f"{stamp[:19]}-04:00"
        assert (sample.FOLDER / f"nvdcve-2.0-{name}.meta").read_bytes() == sample.meta(document, packed, made_at)


def test_the_sample_needs_no_api(tmp_path: Path) -> None:
    """In a folder mirror the API answers nothing: feed files serve instead, and the task says so."""
    records, context = on_sample(NVDv2Driver, tmp_path).run()
    assert len(records) == 40
    assert any("API cannot be had" in note for note in context.notes)
    assert any("no feed file for 2002-2023" in note for note in context.notes)
    # The modified feed is newer than the yearly file.
    assert bodies(records)[GROUP, "CVE-2024-0009"]["status"] == "Analyzed"


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_records(feed: MakeFeed, source: str) -> None:
    """Feed files, API, and both together end in the same bytes."""
    one, other = feed("one", source=source), feed("other", source="feeds")
    one.run()
    other.run()
    assert len(one.bodies) == 40
    assert one.bodies == other.bodies


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_new_is_unchanged(feed: MakeFeed, source: str) -> None:
    """The overlap of two windows brings the same items again, which is no news."""
    one = feed(source=source)
    one.run()
    assert [one.stage()[1] for _ in range(2)] == [UNCHANGED, UNCHANGED]


def test_scores_are_the_newest_of_the_nvd(feed: MakeFeed) -> None:
    """Other drivers' records take the newest CVSS (4, 3, 2), and CVSS 2 as it is; none when there is no CVSS."""
    one = feed()
    one.run()
    scores = one.published.scores
    assert scores["CVE-2024-0012"] == Score("High")
    assert scores["CVE-2024-0019"] == Score("Medium", 5.0, "AV:N/AC:L/Au:N/C:N/I:N/A:P")
    assert scores["CVE-2024-0025"] == Score("Critical")
    assert scores["CVE-2024-0036"] == Score("Medium", 5.0, "AV:N/AC:L/Au:N/C:N/I:N/A:P")
    assert scores["CVE-2024-0031"] is None


def test_a_rejected_cve_stays_a_record(feed: MakeFeed) -> None:
    """It has its text and no names."""
    one = feed()
    one.run()
    record = one.published.record("CVE-2024-0032")
    assert record["status"] == "Rejected"
    assert record["vulnerable_cpes"] == []
    assert record["cve"]["description"]["description_data"][0]["value"].startswith("Rejected reason")


def changed_quill(fixed: str = "1.11") -> dict[str, Any]:
    """Return CVE-2024-0011 after an edit: it names 1.7 and 1.10.1 now, and 1.9 no longer."""
    return sample.item(
        11,
        "quillfs reads uninitialised memory when an image ends within a superblock.",
        sample.anyone(*sample.exact(sample.QUILL, "1.7", "1.10-rc1", "1.10"), sample.below(sample.QUILL, fixed)),
        two=2.1,
        modified="2024-08-30T08:00:00.000",
    )


def quill_names(one: Any, key: str) -> list[str]:
    """Return the versions of quillfs in a record's names."""
    return [name.split(":")[5] for name in one.published.record(key)["vulnerable_cpes"]]


def test_a_new_version_reaches_records_that_did_not_change(feed: MakeFeed, nvd: NVD) -> None:
    """A version that one CVE names comes into another's range, and one that nobody names any more goes."""
    one = feed(source="api")
    one.run()
    assert quill_names(one, "CVE-2024-0010") == ["1.10-rc1", "1.10", "1.8", "1.9"]
    nvd.change(changed_quill())
    one.now += 7200
    nvd.timestamp = "2024-08-30T08:40:00.000"
    records, _ = one.run()
    assert [record.key for record in records] == ["CVE-2024-0011", "CVE-2024-0010", "CVE-2024-0038"]
    assert quill_names(one, "CVE-2024-0010") == ["1.10-rc1", "1.10", "1.7", "1.8"]
    assert quill_names(one, "CVE-2024-0038") == ["1.7", "1.8"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_whole_run_after_a_change_changes_nothing(feed: MakeFeed, nvd: NVD, source: str) -> None:
    """What incremental runs made is what reading everything makes."""
    one = feed(source=source)
    one.run()
    nvd.change(changed_quill())
    nvd.feed_file("modified", [*sample.MODIFIED, changed_quill()], "2024-08-30T04:30:00")
    nvd.timestamp = "2024-08-30T08:40:00.000"
    one.now += 7200
    assert one.run()[0]
    after = dict(one.bodies)
    records, _ = one.run(forced=True)
    assert len(records) == 40
    assert one.bodies == after
    fresh = feed("fresh", source=source)
    fresh.now = one.now
    fresh.run()
    assert fresh.bodies == after


def test_a_run_that_dies_before_it_publishes_is_made_up_for(feed: MakeFeed, nvd: NVD) -> None:
    """The next run yields the same changes, although the index of products already knows them."""
    one = feed(source="api")
    one.run()
    nvd.change(changed_quill())
    one.now += 7200
    nvd.timestamp = "2024-08-30T08:40:00.000"
    died, answer, _ = one.stage()
    assert isinstance(answer, Checkpoint)
    again, _ = one.run()
    assert [record.key for record in again] == [record.key for record in died]
    after = dict(one.bodies)
    one.run(forced=True)
    assert one.bodies == after


def test_a_run_that_dies_while_it_reads_leaves_the_index(feed: MakeFeed, nvd: NVD) -> None:
    """A broken document in the middle of a run undoes what the run wrote into the index."""
    one = feed(source="feeds")
    one.run()
    broken = changed_quill()
    del broken["cve"]["id"]
    nvd.feed_file("modified", [*sample.MODIFIED, changed_quill("1.20"), broken], "2024-08-30T04:30:00")
    with pytest.raises(ParseError, match=r"nvdcve-2.0-modified.json.gz item 4"):
        one.stage()
    nvd.feed_file("modified", [*sample.MODIFIED, changed_quill()], "2024-08-30T05:30:00")
    one.run()
    after = dict(one.bodies)
    one.run(forced=True)
    assert one.bodies == after


def test_items_that_went_back_are_taken_when_a_dead_run_saw_newer_ones(feed: MakeFeed, nvd: NVD) -> None:
    """A dead run saw an item by the API; the next has feed files with an older form; later the newer one comes."""
    one = feed()
    one.run()
    nvd.change(changed_quill("1.20"))
    one.now += 7200
    nvd.timestamp = "2024-08-30T08:40:00.000"
    assert one.stage()[0]
    older = changed_quill("1.15")
    older["cve"]["lastModified"] = "2024-08-30T07:00:00.000"
    nvd.feed_file("modified", [*sample.MODIFIED, older], "2024-08-30T03:30:00")
    fault = nvd.upstream.fault("https://services.nvd.nist.gov/", status=503)
    one.run()
    assert one.published.record("CVE-2024-0011")["lastModifiedDate"] == "2024-08-30T07:00Z"
    fault.times = 0
    one.run()
    assert one.published.record("CVE-2024-0011")["lastModifiedDate"] == "2024-08-30T08:00Z"
    after = dict(one.bodies)
    one.run(forced=True)
    assert one.bodies == after


@pytest.mark.parametrize("spoil", ["missing", "other", "broken"])
def test_without_the_index_everything_is_read_again(feed: MakeFeed, spoil: str) -> None:
    """An index that is lost, of another store or broken makes a whole run, which changes nothing."""
    one = feed()
    one.run()
    before = dict(one.bodies)
    if spoil == "missing":
        (one.workspace / INDEX).unlink()
    elif spoil == "broken":
        (one.workspace / INDEX).write_bytes(b"no database" * 1000)
    else:
        with sqlite3.connect(one.workspace / INDEX) as database:
            database.execute("UPDATE mark SET value = 'another' WHERE name = 'identity'")
        database.close()
    records, context = one.run()
    assert len(records) == 40
    assert any("everything is read again" in note for note in context.notes)
    assert one.bodies == before
    assert one.stage()[1] == UNCHANGED


def test_a_store_from_a_backup_makes_a_whole_run(feed: MakeFeed, nvd: NVD) -> None:
    """A checkpoint from before the index forgot what went does not go with it."""
    one = feed(source="api")
    one.run()
    old = one.checkpoint
    for hour in (8, 9, 10):
        changed = changed_quill(f"1.{hour + 10}")
        changed["cve"]["lastModified"] = f"2024-08-30T{hour:02}:00:00.000"
        nvd.change(changed)
        nvd.timestamp = f"2024-08-30T{hour:02}:40:00.000"
        one.now += 7200
        one.run()
    one.checkpoint = old
    records, context = one.run()
    assert len(records) == 40
    assert any("everything is read again" in note for note in context.notes)


def test_a_checkpoint_of_another_form_makes_a_whole_run(feed: MakeFeed) -> None:
    """A cursor that cannot be read is as good as none."""
    one = feed()
    one.run()
    one.checkpoint = Checkpoint("old", {"since": "2020"})
    assert len(one.run()[0]) == 40


def test_an_odd_item_goes_to_quarantine_alone(feed: MakeFeed, nvd: NVD) -> None:
    """An item of another shape is passed on as it is, is refused for its shape, and delays no other."""
    odd = sample.item(35, "A page can be read.", three=7.5)
    odd["cve"]["metrics"]["cvssMetricV31"][0]["cvssData"]["baseScore"] = "high"
    worse = sample.item(36, "All versions.")
    worse["cve"]["configurations"] = "none"
    nvd.change(odd)
    nvd.change(worse)
    records, _, context = feed(source="api").stage()
    assert len(records) == 40
    assert sorted(refused(records)) == ["CVE-2024-0035", "CVE-2024-0036"]
    assert any("CVE-2024-0035 is not of the NVD's form 2.0" in note for note in context.notes)


def test_a_text_with_nul_goes_to_quarantine(feed: MakeFeed, nvd: NVD) -> None:
    """U+0000 in a description is refused by the contract, not by a crash."""
    nvd.change(sample.item(31, "opens \0 attachments", status="Received"))
    records, _, _ = feed(source="api").stage()
    assert len(records) == 40
    assert refused(records) == {"CVE-2024-0031": "text holds U+0000, which no client can store"}


def test_a_text_of_no_words_is_replaced(feed: MakeFeed, nvd: NVD) -> None:
    """Clients take the first text of a description, so there is one."""
    silent = sample.item(31, "", status="Received")
    silent["cve"]["descriptions"] = []
    nvd.change(silent)
    one = feed(source="api")
    one.run()
    assert one.published.record("CVE-2024-0031")["cve"]["description"]["description_data"][0]["value"]


def test_the_limit_of_a_range_takes_the_newest(feed: MakeFeed) -> None:
    """Bounds come besides the limit."""
    one = feed(max_versions_per_range=1)
    one.run()
    assert quill_names(one, "CVE-2024-0010") == ["1.10"]
    assert quill_names(one, "CVE-2024-0003") == ["3.1.4", "4.0.1"]
    bounds = feed("none", max_versions_per_range=0)
    bounds.run()
    assert quill_names(bounds, "CVE-2024-0003") == ["3.1.4"]


@pytest.mark.parametrize("name", ["overlap_seconds", "max_versions_per_range"])
def test_settings_without_sense_are_refused(name: str) -> None:
    """The error names the setting."""
    with pytest.raises(SettingsError, match=name):
        NVDv2Settings(**{name: -1})
