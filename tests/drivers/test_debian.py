"""Driver debian: the suite on its sample, the rules of the tracker, and the real tracker against the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.debian import advisories, releases
from vulnfeeds.drivers.debian.driver import ALWAYS_UNKNOWN, DebianDriver, DebianSettings
from vulnfeeds.drivers.debian.tracker import Tracker
from vulnfeeds.drivers.interface import Checkpoint
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.records.vulnerability import Advisory
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
TRACKER = "security-tracker.debian.org/tracker/data/json"
LIST = "salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/DSA/list"
ISSUE = b'{"releases": {"sid": {"status": "open"}}}'


def tracker(document: Any) -> Edit:
    """Return an edit that replaces the tracker's document."""
    return Edit(TRACKER, lambda _: json.dumps(document).encode())


class TestDebian(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = DebianDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "debian:11"), (FEED, "debian:12"), (FEED, "debian:unstable")})
    extended = (
        Edit(TRACKER, replaced(b'"scope"', b'"cvss": 9.8, "scope"')),
        Edit(TRACKER, replaced(b'"status"', b'"since": "2024-01-01", "status"')),
    )
    changed = (
        Edit(TRACKER, replaced(b'"3.1.4-2+deb12u1"', b'"3.1.4-2+deb12u9"')),
        Edit(LIST, lambda data: b"[02 Sep 2024] DSA-9009-1 quillfs - security update\n" + data),
    )
    sad = (
        Sad(tracker({}), "tracker.json: no packages"),
        Sad(tracker({"a": {}, "b": {"TEMP-1": {"releases": {}}}}), "no CVE in the document"),
        Sad(tracker([]), "tracker.json"),
        Sad(tracker({"glibc": []}), "tracker.json package glibc"),
        Sad(tracker({"glibc": {"CVE-2024-0001": {"releases": []}}}), "package glibc: Expected `object`, got `array`"),
        Sad(tracker({"glibc": {"CVE-2024-0001": {"releases": {"sid": {"urgency": "low"}}}}}), "field `status`"),
        Sad(Edit(TRACKER, replaced(b'"quillfs": {', b'"lanternd": {')), "package lanternd is given twice"),
        Sad(
            Edit(TRACKER, replaced(b'"brookssl": {', b'"brookssl": {"CVE-2024-0001": ' + ISSUE + b",")),
            "json brookssl.CVE-2024-0001: the key is given twice",
        ),
        Sad(
            Edit(TRACKER, replaced(b'"releases": {', b'"releases": {"sid": {"status": "open"},')),
            "brookssl.CVE-2024-0001.releases.sid: the key is given twice",
        ),
        Sad(
            Edit(TRACKER, replaced(b'"status": ', b'"status": "open", "status": ')),
            "releases.bullseye.status: the key is given twice",
        ),
        Sad(
            Edit(TRACKER, replaced(b'"fixed_version": ', b'"fixed_version": "1", "fixed_version": ')),
            "releases.bullseye.fixed_version: the key is given twice",
        ),
        Sad(Edit(TRACKER, lambda data: data[:-4]), "not JSON after 7 packages"),
        Sad(Edit(LIST, lambda _: b"\n\n"), "no advisory in the list"),
    )


def one(found: dict[tuple[str, str], dict[str, Any]], group: str, cve: str) -> dict[str, Any]:
    """Return the inner object of a record."""
    record: dict[str, Any] = found[group, cve]["Vulnerability"]
    return record


def test_a_record_gathers_all_packages(tmp_path: Path) -> None:
    """One record for each release and CVE, with a fix for every package, in order."""
    found = bodies(on_sample(DebianDriver, tmp_path).run()[0])
    assert one(found, "debian:11", "CVE-2024-0003") == {
        "Name": "CVE-2024-0003",
        "NamespaceName": "debian:11",
        "Description": "tinyxmlkit and the copy of it in brookssl accept entity references in attribute names "
        "without a limit.",
        "Severity": "Unknown",
        "Link": "https://security-tracker.debian.org/tracker/CVE-2024-0003",
        "Metadata": {},
        "FixedIn": [
            {
                "Name": name,
                "NamespaceName": "debian:11",
                "Version": "None",
                "VersionFormat": "dpkg",
                "VendorAdvisory": {"NoAdvisory": True, "AdvisorySummary": []},
            }
            for name in ("brookssl", "tinyxmlkit")
        ],
    }


def test_an_advisory_is_cited_where_it_fixed(tmp_path: Path) -> None:
    """By codename, CVE and package; a regression update inherits the CVEs of its series."""
    found = bodies(on_sample(DebianDriver, tmp_path).run()[0])

    def cited(group: str, cve: str) -> list[str]:
        (fix,) = one(found, group, cve)["FixedIn"]
        return [advisory["ID"] for advisory in fix["VendorAdvisory"]["AdvisorySummary"]]

    assert cited("debian:12", "CVE-2024-0001") == ["DSA-9004-1"]
    assert cited("debian:12", "CVE-2024-0008") == ["DSA-9006-1", "DSA-9006-2"]
    assert cited("debian:11", "CVE-2024-0008") == ["DSA-9006-1"]
    assert cited("debian:unstable", "CVE-2024-0001") == []
    assert cited("debian:11", "CVE-2024-0017") == ["DSA-9003-1"]
    assert cited("debian:12", "CVE-2024-0017") == []


def test_what_is_not_known_or_no_cve_is_left_out(tmp_path: Path) -> None:
    """Undetermined issues and temporary ids make no record."""
    found = bodies(on_sample(DebianDriver, tmp_path).run()[0])
    assert not any(cve == "CVE-2024-0006" or cve.startswith("TEMP") for _, cve in found)


def test_not_affected_is_version_zero(tmp_path: Path) -> None:
    """It carries no advisory, and can be left out; a record without any other fix is then not reported."""
    found = bodies(on_sample(DebianDriver, tmp_path).run()[0])
    (fix,) = one(found, "debian:12", "CVE-2024-0005")["FixedIn"]
    assert fix["Version"] == "0"
    assert fix["VendorAdvisory"] == {"NoAdvisory": False, "AdvisorySummary": []}
    less = on_sample(DebianDriver, tmp_path / "less", DebianSettings(not_affected=False))
    assert ("debian:12", "CVE-2024-0005") not in bodies(less.run()[0])


def test_severity_is_the_highest_urgency(tmp_path: Path) -> None:
    """Stars do not count, end-of-life says nothing; only where the vendor says nothing may NVD speak."""
    trial = on_sample(DebianDriver, tmp_path)
    both = {"fixed_version": "1-1", "status": "resolved"}
    document = {
        "a": {
            "CVE-2024-0001": {"releases": {"sid": {**both, "urgency": "low**"}}},
            "CVE-2024-0002": {"releases": {"sid": {**both, "urgency": "end-of-life"}}},
            "CVE-2024-0003": {"releases": {"sid": {**both, "urgency": "dire"}}},
            "CVE-2023-4863": {"releases": {"sid": {**both, "urgency": "high"}}},
        },
        "b": {"CVE-2024-0001": {"releases": {"sid": {**both, "urgency": "medium**"}}}},
    }
    trial.edit(tracker(document))
    records, context = trial.run()
    found = {record.key: record for record in records}
    assert {cve: record.body.vulnerability.severity for cve, record in found.items()} == {
        "CVE-2023-4863": "Unknown",
        "CVE-2024-0001": "Medium",
        "CVE-2024-0002": "Unknown",
        "CVE-2024-0003": "Unknown",
    }
    assert {cve for cve, record in found.items() if record.takes_severity} == {"CVE-2024-0002", "CVE-2024-0003"}
    assert context.unknown_values == {"urgency=dire": 1}


def test_an_unknown_status_or_release_is_counted(tmp_path: Path) -> None:
    """A new status is served like an open one, a release without a version is not served; both are reported."""
    trial = on_sample(DebianDriver, tmp_path)
    state = {"status": "triaged", "urgency": "low"}
    trial.edit(tracker({"a": {"CVE-2024-0001": {"releases": {"sid": state, "zurg": state}}}}))
    records, context = trial.run()
    assert [record.group for record in records] == ["debian:unstable"]
    assert context.unknown_values == {"status=triaged": 2, "release=zurg": 1}


def test_releases_can_be_named_in_the_settings(tmp_path: Path) -> None:
    """A codename can be added, renamed or taken out."""
    settings = DebianSettings(releases={"zurg": "16", "sid": "", "bookworm": "12"})
    trial = on_sample(DebianDriver, tmp_path, settings)
    state = {"status": "open", "urgency": "low"}
    trial.edit(tracker({"a": {"CVE-2024-0001": {"releases": dict.fromkeys(("sid", "zurg"), state)}}}))
    assert [record.group for record in trial.run()[0]] == ["debian:16"]
    assert releases.table({})["sid"] == "unstable"


def test_a_release_that_the_tracker_dropped_is_left_alone(tmp_path: Path) -> None:
    """It is neither covered nor skipped, so that the service freezes its group."""
    trial = on_sample(DebianDriver, tmp_path)
    trial.run()
    trial.edit(Edit(TRACKER, lambda data: data.replace(b'"bullseye": {', b'"zurg": {')))
    _, context = trial.run()
    assert context.covered == {(FEED, "debian:12"), (FEED, "debian:unstable")}


def test_descriptions_can_be_left_out(tmp_path: Path) -> None:
    """Then they are empty, as the original served them."""
    found = bodies(on_sample(DebianDriver, tmp_path, DebianSettings(descriptions=False)).run()[0])
    assert {record["Vulnerability"]["Description"] for record in found.values()} == {""}


def test_a_shorter_list_of_advisories_is_noted(tmp_path: Path) -> None:
    """The list only grows; a shorter one is published and told."""
    trial = on_sample(DebianDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    assert first.cursor == {"advisories": 7}
    trial.edit(Edit(LIST, lambda data: data[data.index(b"[28 Aug 2024]") :]))
    _, context = trial.run(first)
    assert context.notes == ["the list of advisories got shorter: 6, 7 at the last run"]


def test_a_cut_list_of_advisories_ends_the_run(tmp_path: Path) -> None:
    """What it lacks would no longer be cited by any record; who forces the run takes it all the same."""
    trial = on_sample(DebianDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    trial.edit(Edit(LIST, lambda data: data[: len(data) // 2]))
    with pytest.raises(ParseError, match=r"DSA/list: the list of advisories got shorter: \d, 7 at the last run"):
        trial.fetch(first)
    answer, context = trial.fetch(first, forced=True)
    assert isinstance(answer, Checkpoint)
    assert "got shorter" in context.notes[0]


def test_lines_that_mean_nothing_are_counted(tmp_path: Path) -> None:
    """A slip in the hand-written list costs that line only."""
    trial = on_sample(DebianDriver, tmp_path)
    trial.edit(Edit(LIST, lambda data: b"what is this\n" + data + b"\t[bookworm] quillfs\n"))
    _, context = trial.run()
    assert context.unknown_values == {
        "line of the DSA list=what is this": 1,
        "line of the DSA list=[bookworm] quillfs": 1,
    }


def test_notes_can_carry_a_fix() -> None:
    """Old advisories list some fixes behind NOTE: and a not-affected release is not fixed by them."""
    text = (
        "[01 Jan 2009] DSA-1-1 a b - several\n\t{CVE-2009-0001 CVE-2009-0002 }\n\tNOTE: [etch] - a 1.0-1\n"
        "\tNOTE: see the mail\n\t[lenny] - a <not-affected> (other code)\n\t[lenny] - b\n"
    )
    index = advisories.read(text.splitlines(keepends=True), "list", lambda line: pytest.fail(line))
    cited = (Advisory(id="DSA-1-1", link="https://security-tracker.debian.org/tracker/DSA-1-1"),)
    assert index == {
        ("etch", "CVE-2009-0001", "a"): cited,
        ("etch", "CVE-2009-0002", "a"): cited,
        ("lenny", "CVE-2009-0001", "b"): cited,
        ("lenny", "CVE-2009-0002", "b"): cited,
    }


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the list holds, it is read or refused with ParseError."""
    try:
        advisories.read(text.splitlines(keepends=True), "list", lambda line: None)
    except ParseError as error:
        assert error.place == "list"


def test_the_real_tracker_has_no_unknown_words(upstreams: Any) -> None:
    """What Debian leaves open takes NVD's severity, but for the CVEs that are known to be wrong."""
    records, context = upstreams(DebianDriver).run()
    assert context.unknown_values == {}
    unknown = {record.key for record in records if record.body.vulnerability.severity == "Unknown"}
    taking = {record.key for record in records if record.takes_severity}
    assert taking == unknown - ALWAYS_UNKNOWN


def test_the_tracker_is_never_whole_in_memory(tmp_path: Path) -> None:
    """A package is dropped once it is packed: what is kept of each issue is a few dozen bytes."""
    states = {name: {"status": "open", "repositories": {name: "1.0-1"}, "urgency": "low"} for name in ("sid", "duke")}
    package = {f"CVE-2024-{number:05d}": {"scope": "x" * 2000, "releases": states} for number in range(500)}
    path = tmp_path / "tracker.json"
    path.write_text(json.dumps({f"package-{number}": package for number in range(4)}))
    document = Tracker()
    document.read(path, on_sample(DebianDriver, tmp_path).context(fetcher=None))  # type: ignore[arg-type]
    assert path.stat().st_size > 4_000_000
    assert sum(len(packed) for kept in document._packed.values() for packed in kept) < 80_000
    assert sum(len(issue.states["sid"]) for issue in document.issues()) == 2000


def test_both_documents_are_needed(tmp_path: Path) -> None:
    """Without the list of advisories every citation would vanish, so the run fails instead."""
    trial: Trial = on_sample(DebianDriver, tmp_path)
    (trial.folder / LIST).unlink()
    with pytest.raises(StatusError, match="DSA/list: HTTP status 404"):
        trial.fetch()


@pytest.mark.parametrize("fault", ["truncate", "html", "empty"])
@pytest.mark.parametrize("document", ["security-tracker.debian.org", "salsa.debian.org"])
def test_upstream_failures_end_the_run(replay: Any, upstreams: Any, fault: str, document: str) -> None:
    """Half a document, a page in its place or nothing: the run fails before anything is parsed."""
    replay.fault(f"{fault}:{document}")
    with pytest.raises(UpstreamError, match=document):
        upstreams(DebianDriver).run()
