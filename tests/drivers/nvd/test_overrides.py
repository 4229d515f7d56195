"""Overrides: corrections that come, change and go, over records that change too."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD, Feed
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.errors import DownloadError, HostRefusedError, ParseError, StatusError, UpstreamError


def override(number: int, *matches: dict[str, Any], **annotation: Any) -> dict[str, Any]:
    """Return one override."""
    name = f"CVE-2024-{number:04}"
    given: dict[str, Any] = {"references": [{"source": "anchore", "url": f"https://example.org/{number}"}]}
    if matches:
        given["configurations"] = sample.anyone(*matches)
    return {"_annotation": {"cna": "pebble", "cve_id": name, "reason": "not analysed", **annotation}, "cve": given}


def archive(*overrides: dict[str, Any], **others: bytes) -> bytes:
    """Return an archive as the host of the overrides makes it."""
    files = {f"data/2024/{found['_annotation']['cve_id']}.json": json.dumps(found).encode() for found in overrides}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in {"README.md": b"# Overrides", **files, **others}.items():
            member = tarfile.TarInfo(f"nvd-data-overrides-main/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


UNANALYSED = override(31, *sample.exact(sample.PEBBLE, "0.9.0", "0.9.1"))
UNKNOWN = override(
    99,
    sample.below(sample.PEBBLE, "0.9.2"),
    description="pebble-mail sends drafts.",
    published="2024-08-01T17:41:15.878000+00:00",
    references=["https://example.org/advisory"],
)


def versions(one: Feed, number: int) -> list[str]:
    """Return the versions in a record's names."""
    record = one.published.record(f"CVE-2024-{number:04}")
    return [name.split(":")[5] for name in record["vulnerable_cpes"]]


def test_an_override_replaces_adds_and_invents(feed: MakeFeed, nvd: NVD) -> None:
    """Configurations are replaced, references added, a CVE that the NVD lacks becomes a record, and ranges profit."""
    nvd.overrides(archive(UNANALYSED, UNKNOWN))
    one = feed(source="api", overrides=True)
    one.run()
    assert len(one.bodies) == 41
    assert versions(one, 31) == ["0.9.0", "0.9.1"]
    record = one.published.record("CVE-2024-0031")
    assert [ref["url"] for ref in record["external_references"]] == ["https://example.org/31"]
    invented = one.published.record("CVE-2024-0099")
    assert versions(one, 99) == ["0.9.0", "0.9.1"]
    assert invented["status"] == "Reserved"
    assert invented["severity"] == "Unknown"
    assert invented["publishedDate"] == "2024-08-01T17:41Z"
    assert invented["cve"]["CVE_data_meta"]["ASSIGNER"] == "pebble"
    assert invented["cve"]["description"]["description_data"][0]["value"] == "pebble-mail sends drafts."
    assert versions(one, 16) == ["0.9.0", "0.9.1"]
    assert one.stage()[1] == UNCHANGED


def test_an_override_without_dates_gives_none(feed: MakeFeed, nvd: NVD) -> None:
    """Half of those for CVEs that the NVD lacks are so; the time of the run would make another record of each run."""
    nvd.overrides(archive(override(98, *sample.exact(sample.PEBBLE, "0.9.0"))))
    one = feed(source="api", overrides=True)
    one.run()
    record = one.published.record("CVE-2024-0098")
    assert (record["publishedDate"], record["lastModifiedDate"]) == ("", "")


def test_overrides_change_although_the_nvd_does_not(feed: MakeFeed, nvd: NVD) -> None:
    """Only records that an override touches are made again, and those with a range over its versions."""
    nvd.overrides(archive(UNKNOWN))
    one = feed(source="api", overrides=True)
    one.run()
    before = dict(one.bodies)
    nvd.overrides(archive(UNKNOWN, UNANALYSED))
    records, _ = one.run()
    assert {record.key for record in records} == {"CVE-2024-0031", "CVE-2024-0016", "CVE-2024-0099"}
    nvd.overrides(archive(UNKNOWN, override(31, *sample.exact(sample.PEBBLE, "0.8"))))
    one.run()
    assert versions(one, 31) == ["0.8"]
    assert versions(one, 16) == ["0.8"]
    nvd.overrides(archive(UNKNOWN))
    one.run()
    assert one.bodies == before


@pytest.mark.parametrize("died", [False, True])
def test_a_whole_run_after_any_change_changes_nothing(feed: MakeFeed, nvd: NVD, died: bool) -> None:
    """Overrides and records change together, a run dies between, and the end is that of a fresh load."""
    nvd.overrides(archive(UNANALYSED, UNKNOWN))
    one = feed(source="api", overrides=True)
    one.run()
    nvd.overrides(archive(override(31, *sample.exact(sample.PEBBLE, "0.7")), override(30), override(16)))
    nvd.change(sample.item(31, "pebble-mail opens it.", three=5.5, modified="2024-08-30T08:00:00.000"))
    nvd.change(sample.item(99, "pebble-mail sends.", three=5.5, modified="2024-08-30T08:00:00.000"))
    nvd.timestamp = "2024-08-30T08:40:00.000"
    assert one.now is not None
    one.now += 7200
    if died:
        assert isinstance(one.stage()[1], Checkpoint)
    one.run()
    after = dict(one.bodies)
    one.run(forced=True)
    assert one.bodies == after
    fresh = feed("fresh", source="api", overrides=True)
    fresh.now = one.now
    fresh.run()
    assert fresh.bodies == after


def test_an_invented_record_that_loses_its_override_matches_nothing(feed: MakeFeed, nvd: NVD) -> None:
    """It cannot vanish, so it keeps no names."""
    nvd.overrides(archive(UNKNOWN))
    one = feed(source="api", overrides=True)
    one.run()
    nvd.overrides(archive(override(1)))
    one.run()
    assert versions(one, 99) == []


def test_they_are_off_by_default(feed: MakeFeed, nvd: NVD) -> None:
    """Without the setting nothing leads to their host."""
    nvd.overrides(archive(UNANALYSED))
    one = feed(source="api")
    one.run()
    assert versions(one, 31) == []
    assert not any("github" in url for url in NVDv2Driver().upstreams)
    assert any("codeload.github.com" in url for url in feed("on", overrides=True).driver.upstreams)


def test_without_the_archive_the_last_one_holds(feed: MakeFeed, nvd: NVD) -> None:
    """A first run needs it; later ones go on without it and say so."""
    one = feed(source="api", overrides=True)
    with pytest.raises((StatusError, HostRefusedError)):
        one.run()
    nvd.overrides(archive(UNANALYSED))
    one.run()
    nvd.upstream.fault("https://github.com/", status=503)
    _, _, context = one.stage()
    assert any("the overrides of last time are used" in note for note in context.notes)
    one.run(forced=True)
    assert versions(one, 31) == ["0.9.0", "0.9.1"]


@pytest.mark.parametrize(
    "spoilt",
    [
        archive(**{"data/2024/CVE-2024-0031.json": b"{}"}),
        archive(**{"data/2024/CVE-2024-0031.json": b"\xff"}),
        archive(**{"data/2024/CVE-2024-0030.json": json.dumps(UNANALYSED).encode()}),
        archive(**{"../../data/2024/CVE-2024-0031.json": b"{}"}),
        archive(UNANALYSED)[:200],
        b"<!DOCTYPE html><html></html>",
    ],
    ids=["no override", "no text", "another name", "outside", "cut", "a page"],
)
def test_a_spoilt_archive_is_refused(feed: MakeFeed, nvd: NVD, spoilt: bytes) -> None:
    """The run ends with an error, and what is published stays."""
    nvd.overrides(archive(UNANALYSED))
    one = feed(source="api", overrides=True)
    one.run()
    nvd.overrides(spoilt)
    try:
        _, _, context = one.stage()
    except (ParseError, DownloadError, UpstreamError):
        return
    # Refused while it was fetched: the archive of last time is used.
    assert any("the overrides of last time are used" in note for note in context.notes)
