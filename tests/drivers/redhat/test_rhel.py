"""Driver rhel on its sample: the suite for both sources, and what the documents mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.interface import Checkpoint, Context, Unchanged
from vulnfeeds.drivers.redhat.rhel import RHELDriver, RHELSettings
from vulnfeeds.errors import StatusError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.driver_suite import NOW, DriverSuite, Edit, NothingPublished, Sad

FEED = "vulnerabilities"
API = "access.redhat.com/hydra/rest/securitydata"
CSAF = "security.access.redhat.com/data/csaf/v2"
ADVISORIES, VEX = f"{CSAF}/advisories", f"{CSAF}/vex"
ADVISORY = f"{ADVISORIES}/2024/rhsa-2024_9015.json"
RELEASES = ("6", "6+els", "7", "8", "9", "9.2+eus")
GROUPS = frozenset((FEED, f"rhel:{release}") for release in RELEASES)


class TestFromTheAPI(DriverSuite):
    """What every driver must do, from the security data API and the advisories."""

    driver = RHELDriver
    upstream = SAMPLE
    groups = GROUPS
    extended = (
        Edit(f"{API}/cve/CVE-2024-0003.json", replaced(b'"csaw"', b'"lang": {"en": 1}, "csaw"')),
        Edit(ADVISORY, replaced(b'"category": "csaf_security_advisory"', b'"category": "x", "lang": ["en"]')),
    )
    changed = (Edit(f"{ADVISORIES}/deletions.csv", lambda data: data + b'"2024/rhsa-2024_9015.json","2024-08-30"\n'),)
    sad = (
        Sad(Edit(f"{API}/cve.json", lambda _: b"[]"), "the list is empty"),
        Sad(Edit(f"{API}/cve.json", lambda _: b'{"data": []}'), "a list of CVEs is expected"),
        Sad(Edit(f"{API}/cve.json", lambda _: b'[{"CVE": "../../x"}]'), "'../../x' is no CVE"),
        Sad(Edit(f"{API}/cve.json", lambda _: b'[{"cve": "CVE-2024-0003"}]'), "`CVE`"),
        Sad(Edit(f"{API}/cve/CVE-2024-0003.json", replaced(b'"name": "CVE', b'"name": "EVC')), "CVE-2024-0003.json"),
        Sad(Edit(f"{API}/cve/CVE-2024-0003.json", lambda _: b'{"x": ' + b"[" * 5000), "CVE-2024-0003.json"),
        Sad(
            Edit(f"{API}/cve/CVE-2024-0003.json", replaced(b'"cpe": "cpe:', b'"CPE": "cpe:')),
            "$.affected_release[0]",
        ),
        Sad(Edit(f"{ADVISORIES}/archive_latest.txt", lambda _: b"../csaf.tar.zst"), "archive_latest.txt"),
        Sad(Edit(f"{ADVISORIES}/changes.csv", lambda data: b'"../../etc/x.json","2024-08-29"\n' + data), "line 1"),
        Sad(Edit(f"{ADVISORIES}/changes.csv", replaced(b"2024-08-29T06", b"yesterday")), "changes.csv line 1"),
        Sad(Edit(ADVISORY, replaced(b'"id": "RHSA-2024:9015"', b'"id": "RHSA-2024:9016"')), "RHSA-2024:9016"),
        Sad(Edit(ADVISORY, replaced(b'"tracking"', b'"backtrack"')), "$.document"),
    )


class TestFromVEX(DriverSuite):
    """What every driver must do, from the VEX archive."""

    driver = RHELDriver
    upstream = SAMPLE
    settings = RHELSettings(source="vex")
    groups = GROUPS
    changed = (
        Edit(f"{VEX}/deletions.csv", lambda data: data + b'"2024/cve-2024-0014.json","2024-08-30T00:00:00Z"\n'),
    )
    sad = (
        Sad(Edit(f"{VEX}/2024/cve-2024-0014.json", replaced(b'"product_ids": [', b'"product_ids": 1, "x": [')), "$"),
        Sad(Edit(f"{VEX}/deletions.csv", lambda data: data + b"/etc/passwd,2024-08-29\n"), "deletions.csv line 2"),
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What clients get of the sample."""
    records, context = on_sample(RHELDriver, tmp_path_factory.mktemp("rhel")).run()
    assert context.unknown_values == {}
    return {key: body["Vulnerability"] for key, body in bodies(records).items()}


def fixes(record: dict[str, Any]) -> list[tuple[str, str, str, bool, list[str]]]:
    """Return (package, version, module, will not be fixed, advisories) of a record's fixes."""
    return [
        (
            fix["Name"],
            fix["Version"],
            fix.get("Module", ""),
            fix["VendorAdvisory"]["NoAdvisory"],
            [cited["ID"] for cited in fix["VendorAdvisory"]["AdvisorySummary"]],
        )
        for fix in record["FixedIn"]
    ]


def test_a_record_has_the_keys_of_the_original(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Red Hat's own text, severity and score; the fix with its advisory and that one's date."""
    assert found["rhel:9", "CVE-2024-0003"] == {
        "Name": "CVE-2024-0003",
        "NamespaceName": "rhel:9",
        "Description": "A long name makes brookssl write past its buffer.",
        "Severity": "High",
        "Link": "https://access.redhat.com/security/cve/CVE-2024-0003",
        "Metadata": {},
        "CVSS": [
            {
                "base_metrics": {
                    "base_score": 7.5,
                    "base_severity": "High",
                    "exploitability_score": 3.9,
                    "impact_score": 3.6,
                },
                "status": "verified",
                "vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
                "version": "3.1",
            }
        ],
        "FixedIn": [
            {
                "Name": "brookssl",
                "NamespaceName": "rhel:9",
                "Version": "1:3.1.4-6.el9_4",
                "VersionFormat": "rpm",
                "Available": {"Date": "2024-08-13", "Kind": "advisory"},
                "VendorAdvisory": {
                    "NoAdvisory": False,
                    "AdvisorySummary": [
                        {"ID": "RHSA-2024:9003", "Link": "https://access.redhat.com/errata/RHSA-2024:9003"}
                    ],
                },
                "Advisories": [
                    {"Advisory": "RHSA-2024:9004", "Channels": ["eus"], "Minor": 2, "Version": "1:3.1.4-2.el9_2"},
                    {"Advisory": "RHSA-2024:9003", "Channels": ["ga"], "Minor": 4, "Version": "1:3.1.4-6.el9_4"},
                ],
            }
        ],
    }


def test_versions_always_have_an_epoch(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Where we have no document of the advisory, the API's own version stands, with epoch 0 when it says none."""
    assert fixes(found["rhel:8", "CVE-2024-0003"]) == [("brookssl", "0:3.0.1-2.el8", "", False, ["RHSA-2024:9005"])]


def test_extended_update_support_is_a_group_of_its_own(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Its fixes are not those of the release; support for other purposes (E4S) is not served."""
    eus = fixes(found["rhel:9.2+eus", "CVE-2024-0003"])
    assert eus == [("brookssl", "1:3.1.4-2.el9_2", "", False, ["RHSA-2024:9004"])]


def test_the_end_of_support_is_no_fix(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Out of support, or fixed for extended life cycle support only: affected, and nothing will come."""
    assert fixes(found["rhel:7", "CVE-2024-0003"]) == [("brookssl", "None", "", True, [])]
    assert fixes(found["rhel:6", "CVE-2024-0003"]) == [("brookssl", "None", "", True, [])]
    assert fixes(found["rhel:6+els", "CVE-2024-0003"]) == [
        ("brookssl", "1:1.0.1-9.el6", "", False, ["RHSA-2024:9004"])
    ], "who pays for the longer life has the fix"


def test_modules_are_told_apart(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """A module's build means its package of that name; two streams may have no fix, one of them never."""
    assert fixes(found["rhel:8", "CVE-2024-0006"]) == [
        ("mossdb", "0:5.1-3.module+el8.9.0+21+0a1b2c3d", "mossdb:5", False, ["RHSA-2024:9006"]),
        ("mossdb", "None", "mossdb:4", True, []),
        ("mossdb", "None", "mossdb:6", False, []),
    ]
    assert fixes(found["rhel:9", "CVE-2024-0006"]) == [("mossdb", "None", "", False, [])], "flatpaks are left out"


def test_the_newest_fix_counts(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """By rpm's order, in which 10 comes after 9; its advisory came after the archive."""
    assert fixes(found["rhel:9", "CVE-2024-0014"]) == [("lanternd", "0:2.4.0-10.el9", "", False, ["RHSA-2024:9015"])]


def test_not_affected_is_said(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Version "0"; what is still looked into gives no record, nor do other products."""
    assert fixes(found["rhel:8", "CVE-2024-0008"]) == [("tinyxmlkit", "0", "", False, [])]
    assert ("rhel:7", "CVE-2024-0008") not in found
    assert not any(cve == "CVE-2024-0016" for _, cve in found)


def test_not_affected_can_be_left_out(tmp_path: Path) -> None:
    """Then a record that says nothing else is not there."""
    records, _ = on_sample(RHELDriver, tmp_path, RHELSettings(not_affected=False)).run()
    assert ("rhel:8", "CVE-2024-0008") not in bodies(records)
    assert ("rhel:9", "CVE-2024-0008") in bodies(records)


def test_nvd_rates_what_red_hat_does_not(tmp_path: Path) -> None:
    """Without a severity of Red Hat's the record takes NVD's; with one it does not."""
    records, _ = on_sample(RHELDriver, tmp_path).run()
    taking = {record.key for record in records if record.takes_severity}
    assert taking == {"CVE-2024-0020"}
    assert bodies(records)["rhel:9", "CVE-2024-0020"]["Vulnerability"]["CVSS"] == []


def _without_dates(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in fix.items() if name != "Available"} for fix in record["FixedIn"]]


def test_both_sources_say_the_same(tmp_path: Path, found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Of a CVE that both have: the same records, but for dates, the status of a score, and what one does not know."""
    records, context = on_sample(RHELDriver, tmp_path, RHELSettings(source="vex")).run()
    other = {key: body["Vulnerability"] for key, body in bodies(records).items()}
    assert context.unknown_values == {}
    assert found.keys() - other.keys() == {("rhel:9", "CVE-2024-0020"), ("rhel:8", "CVE-2024-0003")}
    assert other.keys() <= found.keys()
    for key, record in other.items():
        assert _without_dates(record) == _without_dates(found[key]), key
        assert record["Severity"] == found[key]["Severity"], key
        assert record["Description"] == found[key]["Description"], key


def test_releases_can_be_chosen(tmp_path: Path) -> None:
    """`include` and `exclude` take patterns of releases; a release left out is not covered, so it is frozen."""
    settings = RHELSettings(include=("9*",), exclude=("*+eus",))
    records, context = on_sample(RHELDriver, tmp_path, settings).run()
    assert {record.group for record in records} == {"rhel:9"}
    assert context.covered == {(FEED, "rhel:9")}
    records, context = on_sample(RHELDriver, tmp_path / "none", RHELSettings(include=("99",))).run()
    assert not records
    assert not context.covered


def test_only_lines_that_changed_are_asked_for(tmp_path: Path) -> None:
    """A document whose line of the list is as it was is not read again, whatever it says now."""
    trial = on_sample(RHELDriver, tmp_path)
    checkpoint, _ = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    trial.edit(Edit(f"{API}/cve/CVE-2024-0008.json", replaced(b'"Affected"', b'"Will not fix"')))
    assert isinstance(trial.fetch(checkpoint)[0], Unchanged)
    trial.edit(Edit(f"{API}/cve.json", replaced(b'"severity": "low"', b'"severity": "moderate"')))
    records, _ = trial.run(checkpoint)
    assert fixes(bodies(records)["rhel:9", "CVE-2024-0008"]["Vulnerability"])[0][3] is True


@pytest.mark.parametrize(("days", "noticed"), [(1.9, False), (4.1, True)])
def test_documents_are_asked_for_again_after_some_days(tmp_path: Path, days: float, noticed: bool) -> None:
    """The list does not show every change, so no document stays unasked for longer than `refresh_days`."""
    trial = on_sample(RHELDriver, tmp_path)
    checkpoint, context = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    trial.edit(Edit(f"{API}/cve/CVE-2024-0008.json", replaced(b'"Affected"', b'"Will not fix"')))
    with HTTPFetcher(
        FetchSettings(attempts=1), UpstreamMap(default=str(trial.folder)), RHELDriver.upstreams
    ) as fetcher:
        later = Context(
            fetcher=fetcher,
            workspace=context.workspace,
            published=NothingPublished(),
            checkpoint=checkpoint,
            now=lambda: NOW + days * 86400,
        )
        assert isinstance(RHELDriver().fetch(later), Checkpoint) is noticed


def test_a_cve_that_leaves_the_list_is_asked_for_by_itself(tmp_path: Path) -> None:
    """The list is paged while it changes: gone is only what the API has no document of."""
    trial = on_sample(RHELDriver, tmp_path)
    checkpoint, _ = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    path = trial.folder / API / "cve.json"
    path.write_bytes(path.read_bytes().replace(b"CVE-2024-0008", b"CVE-2024-0003"))
    assert isinstance(trial.fetch(checkpoint)[0], Unchanged)
    (trial.folder / API / "cve" / "CVE-2024-0008.json").unlink()
    path.write_bytes(path.read_bytes().replace(b"CVE-2024-0014", b"CVE-2024-0003"))
    (trial.folder / API / "cve" / "CVE-2024-0014.json").unlink()
    records, _ = trial.run(checkpoint)
    assert {record.key for record in records} == {"CVE-2024-0003", "CVE-2024-0006", "CVE-2024-0008", "CVE-2024-0020"}


def test_a_listed_document_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """The API lists CVEs that it has no document of: the task says so, and the others are published."""
    trial = on_sample(RHELDriver, tmp_path)
    (trial.folder / API / "cve" / "CVE-2024-0014.json").unlink()
    records, context = trial.run()
    assert "CVE-2024-0003" in {record.key for record in records}
    assert context.notes[0].startswith("1 listed documents could not be had")


def test_what_was_had_is_used_when_upstream_fails(tmp_path: Path) -> None:
    """A document that turns into nonsense keeps its last copy, with a note; without a copy the run fails."""
    trial = on_sample(RHELDriver, tmp_path)
    trial.fetch()
    trial.edit(Edit(f"{API}/cve.json", replaced(b'"severity": "low"', b'"severity": "moderate"')))
    trial.edit(Edit(f"{API}/cve/CVE-2024-0008.json", lambda _: b'{"name": 7}'))
    records, context = trial.run()
    assert ("rhel:9", "CVE-2024-0008") in bodies(records)
    assert "1 documents could not be had, their last copies are used" in context.notes[0]


def test_advisories_that_cannot_be_had_stay_as_they_were(tmp_path: Path) -> None:
    """The first run needs them; later ones go on with what is kept, and the task says so."""
    trial = on_sample(RHELDriver, tmp_path)
    checkpoint, _ = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    (trial.folder / ADVISORIES / "changes.csv").unlink()
    answer, context = trial.fetch(checkpoint)
    assert isinstance(answer, Unchanged)
    assert "advisories/ are used as they were" in context.notes[0]
    with pytest.raises(StatusError):
        fresh = on_sample(RHELDriver, tmp_path / "fresh")
        (fresh.folder / ADVISORIES / "changes.csv").unlink()
        fresh.fetch()


def test_unknown_words_are_counted(tmp_path: Path) -> None:
    """A state, a severity or a score that we do not know does not end the run."""
    trial = on_sample(RHELDriver, tmp_path)
    trial.edit(Edit(f"{API}/cve/CVE-2024-0008.json", replaced(b'"Under investigation"', b'"Pondering"')))
    trial.edit(
        Edit(f"{API}/cve/CVE-2024-0008.json", replaced(b'"threat_severity": "Low"', b'"threat_severity": "Mild"'))
    )
    trial.edit(Edit(f"{API}/cve/CVE-2024-0014.json", replaced(b"CVSS:3.1/AV:N", b"CVSS:3.1/AV:Z")))
    _, context = trial.run()
    assert context.unknown_values == {
        "fix_state=Pondering": 1,
        "severity=Mild": 1,
        "CVSS 3 vector=CVSS:3.1/AV:Z/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H 9.8": 1,
    }
