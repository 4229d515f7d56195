"""Driver photon: the suite on its sample, what a row says, and the documents of the replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.photon import PhotonDriver, PhotonSettings
from vulnfeeds.errors import UpstreamError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED = "vulnerabilities"
METADATA = "packages.broadcom.com/photon/photon_cve_metadata/"
VERSIONS = f"{METADATA}photon_versions.json"
FOUR = f"{METADATA}cve_data_photon4.0.json"
FIVE = f"{METADATA}cve_data_photon5.0.json"


def rows(*said: dict[str, Any]) -> Edit:
    """Return an edit that replaces the rows of release 5.0."""
    plain = {"cve_id": "CVE-2024-0001", "pkg": "a", "cve_score": 5.0, "res_ver": "1-1.ph5", "status": "Fixed"}
    return Edit(FIVE, lambda _: json.dumps([{**plain, **row} for row in said]).encode())


class TestPhoton(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = PhotonDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "photon:4.0"), (FEED, "photon:5.0")})
    extended = (
        Edit(FOUR, replaced(b'"aff_ver"', b'"vector": null, "aff_ver"')),
        Edit(VERSIONS, replaced(b'"branches"', b'"newest": "5.0", "branches"')),
    )
    changed = (Edit(FIVE, replaced(b'"6.1.102-2.ph5"', b'"6.1.102-3.ph5"')),)
    sad = (
        Sad(Edit(VERSIONS, lambda _: b"{}"), "photon_versions.json: Object missing required field `branches`"),
        Sad(Edit(VERSIONS, lambda _: b'{"branches": []}'), "0 releases; between 1 and"),
        Sad(Edit(FIVE, lambda _: b"[]"), "cve_data_photon5.0.json: no list of objects"),
        Sad(rows({"cve_id": "BDSA-1"}), "cve_data_photon5.0.json: no CVE in the document"),
        Sad(rows({}, {"res_ver": 5}), "cve_data_photon5.0.json $[1]: Expected `str | null`, got `int`"),
        Sad(rows({"pkg": None}), "cve_data_photon5.0.json $[0]: Expected `str`, got `null`"),
    )


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, cve: str) -> list[tuple[str, str]]:
    """Return (package, version) of a record."""
    return [(fix["Name"], fix["Version"]) for fix in found[group, cve]["Vulnerability"]["FixedIn"]]


def test_a_record_gathers_all_packages(tmp_path: Path) -> None:
    """One record for each release and CVE; a package that is not affected has version 0, or is left out."""
    found = bodies(on_sample(PhotonDriver, tmp_path).run()[0])
    assert found["photon:5.0", "CVE-2024-0009"]["Vulnerability"] == {
        "Name": "CVE-2024-0009",
        "NamespaceName": "photon:5.0",
        "Description": "",
        "Severity": "Critical",
        "Link": "https://www.cve.org/CVERecord?id=CVE-2024-0009",
        "Metadata": {},
        "FixedIn": [
            {
                "Name": "linux",
                "NamespaceName": "photon:5.0",
                "Version": "6.1.102-2.ph5",
                "VersionFormat": "rpm",
                "VendorAdvisory": {"NoAdvisory": False, "AdvisorySummary": []},
            }
        ],
    }
    assert fixes(found, "photon:4.0", "CVE-2024-0003") == [("brookssl", "0"), ("tinyxmlkit", "1.8.1-1.ph4")]
    less = bodies(on_sample(PhotonDriver, tmp_path / "less", PhotonSettings(not_affected=False)).run()[0])
    assert fixes(less, "photon:4.0", "CVE-2024-0003") == [("tinyxmlkit", "1.8.1-1.ph4")]


def test_only_without_a_score_may_nvd_speak(tmp_path: Path) -> None:
    """The highest score counts; none, 0 and what is no score leave the severity open."""
    trial = on_sample(PhotonDriver, tmp_path)
    scores: list[Any] = [[4.0, 9.1], [None], ["7.5"], [0], ["NA"], ["high"], [11], [0.1]]
    trial.edit(
        rows(*({"cve_id": f"CVE-2024-000{n}", "cve_score": one} for n, each in enumerate(scores) for one in each))
    )
    records, context = trial.run()
    found = {record.key: record for record in records if record.group == "photon:5.0"}
    assert [record.body.vulnerability.severity for record in found.values()] == [
        *("Critical", "Unknown", "High", "Unknown", "Unknown", "Unknown", "Unknown", "Low")
    ]
    assert all(
        record.takes_severity == (record.body.vulnerability.severity == "Unknown") for record in found.values()
    )
    assert context.unknown_values == {"score=high": 1, "score=11.0": 1, "id=BDSA": 1}


def test_versions_and_ids(tmp_path: Path) -> None:
    """NA and nothing mean that there is no fix; ids that are no CVEs and new words are counted."""
    trial = on_sample(PhotonDriver, tmp_path)
    trial.edit(
        rows(
            {"res_ver": "NA"},
            {"pkg": "b", "res_ver": ""},
            {"pkg": "c", "res_ver": None},
            {"pkg": "d", "status": "Reopened"},
            {"pkg": "d"},
            {"pkg": "d", "res_ver": "2-1.ph5"},
            {"cve_id": "CVE-2019-3828-0001"},
            {"cve_id": "UNK-1"},
        )
    )
    records, context = trial.run()
    assert fixes(bodies(records), "photon:5.0", "CVE-2024-0001") == [
        *(("a", "None"), ("b", "None"), ("c", "None"), ("d", "1-1.ph5"), ("d", "2-1.ph5"))
    ]
    assert context.unknown_values == {"status=Reopened": 1, "id=CVE-2019-3828-0001": 1, "id=UNK": 1, "id=BDSA": 1}


def test_releases_are_found_and_chosen(tmp_path: Path) -> None:
    """A new one needs no new version; a name of another form is counted, patterns choose."""
    trial = on_sample(PhotonDriver, tmp_path, PhotonSettings(include=("4.*", "6.*"), exclude=("4.?",)))
    trial.edit(Edit(VERSIONS, replaced(b'"5.0"', b'"5.0", "6.0", "../x"')))
    (trial.folder / FIVE).rename(trial.folder / FIVE.replace("5.0", "6.0"))
    records, context = trial.run()
    assert {record.group for record in records} == {"photon:6.0"}
    assert context.unknown_values == {"release=../x": 1}


def test_a_release_that_cannot_be_had_stays_as_it_is(tmp_path: Path) -> None:
    """The others go on; when none can be had the run fails."""
    trial = on_sample(PhotonDriver, tmp_path)
    first, context = trial.fetch()
    assert isinstance(first, Checkpoint)
    trial.parse(context)
    (trial.folder / FIVE).unlink()
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert list(context.skipped) == [(FEED, "photon:5.0")]
    trial.edit(Edit(FOUR, replaced(b"3.1.4-2.ph4", b"3.1.4-3.ph4")))
    records, context = trial.run(first)
    assert {record.group for record in records} == {"photon:4.0"}
    assert list(context.skipped) == [(FEED, "photon:5.0")]
    (trial.folder / FOUR).unlink()
    with pytest.raises(UpstreamError, match=r"cve_data_photon5\.0\.json: HTTP status 404"):
        trial.run(first)


def test_the_documents_of_the_replay(replay: Any, upstreams: Any) -> None:
    """Day 1 gives every CVE, day 2 has the same; a fault leaves one release as it is."""
    photon = upstreams(PhotonDriver)
    records, context = photon.run()
    found = bodies(records)
    assert len(found) == 20
    assert fixes(found, "photon:4.0", "CVE-2023-44487") == [("httpd", "0"), ("nghttp2", "1.57.0-1.ph4")]
    assert fixes(found, "photon:4.0", "CVE-2023-50447") == [("python3", "None")]
    assert context.unknown_values == {"id=BDSA": 2, "id=UNK": 1}
    replay.day(2)
    for fault in ("", "status:503:", "html:", "empty:"):
        replay.clear()
        if fault:
            replay.fault(f"{fault}{FOUR}")
        records, context = photon.run()
        assert records == []
        assert set(context.skipped) == ({(FEED, "photon:4.0")} if fault else set())
