"""Driver sles: the suite on its sample, what SUSE's definitions mean, and a real document of the same form."""

from __future__ import annotations

import bz2
import gzip
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, packed, replaced
from vulnfeeds.drivers.interface import Checkpoint
from vulnfeeds.drivers.sles import SLESDriver, SLESSettings
from vulnfeeds.errors import ParseError, RecordError, UpstreamError
from vulnfeeds.records import canonical, contract
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
FOLDER = "ftp.suse.com/pub/projects/security/oval"
INDEX = f"{FOLDER}/index.html"
FIFTEEN = f"{FOLDER}/suse.linux.enterprise.server.15-affected.xml.gz"
TWELVE = f"{FOLDER}/suse.linux.enterprise.server.12.xml.bz2"


def edit(old: str, new: str) -> Edit:
    """Return an edit of the first place where the document of 15 says `old`."""
    return Edit(FIFTEEN, packed(gzip, replaced(old.encode(), new.encode())))


class TestSLES(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = SLESDriver
    upstream = SAMPLE
    groups = frozenset((FEED, f"sles:{release}") for release in ("12.5", "15.3", "15.4"))
    extended = (
        edit("<severity>", "<reviewed>yes</reviewed><severity>"),
        Edit(INDEX, replaced(b"</pre>", b'<a href="suse.linux.micro.6.xml.gz">new</a></pre>')),
    )
    changed = (
        edit("0:2.4-150400.3.1", "0:2.4-150400.4.1"),
        Edit(TWELVE, packed(bz2, replaced(b"<severity>Important", b"<severity>Critical"))),
    )
    sad = (
        Sad(edit("<definitions>", "<!DOCTYPE x><definitions>"), "suse.linux.enterprise.server.15-affected.xml.gz:"),
        Sad(edit("</objects>", ""), "suse.linux.enterprise.server.15-affected.xml.gz:"),
        Sad(edit("<metadata>", "<data>"), "suse.linux.enterprise.server.15-affected.xml.gz"),
        Sad(Edit(TWELVE, packed(bz2, replaced(b">12.5<", b">13.5<"))), "no CVE of any service pack of 12"),
        Sad(Edit(INDEX, lambda _: b"<html><a href='x'>x</a></html>"), "the index lists no document of a server"),
    )


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, cve: str) -> list[tuple[str, str]]:
    """Return (package, version) of a record."""
    return [(fix["Name"], fix["Version"]) for fix in found[group, cve]["Vulnerability"]["FixedIn"]]


def test_a_cve_is_a_record_in_each_service_pack(tmp_path: Path) -> None:
    """Not in those of other products, such as the server for SAP applications."""
    found = bodies(on_sample(SLESDriver, tmp_path).run()[0])
    assert {group for group, cve in found if cve == "CVE-2024-0001"} == {"sles:12.5", "sles:15.3", "sles:15.4"}
    assert found["sles:15.4", "CVE-2024-0001"]["Vulnerability"] == {
        "Name": "CVE-2024-0001",
        "NamespaceName": "sles:15.4",
        "Description": "quillfs does not check the length of names.",
        "Severity": "High",
        "Link": "https://www.suse.com/security/cve/CVE-2024-0001",
        "Metadata": {},
        "CVSS": [
            {
                "base_metrics": {
                    "base_score": 7.5,
                    "base_severity": "High",
                    "exploitability_score": 3.9,
                    "impact_score": 3.6,
                },
                "status": "",
                "vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
                "version": "3.1",
            }
        ],
        "FixedIn": [
            {
                "Name": name,
                "NamespaceName": "sles:15.4",
                "Version": "0:2.4-150400.3.1",
                "VersionFormat": "rpm",
                "VendorAdvisory": {"NoAdvisory": False, "AdvisorySummary": []},
                "Available": {"Date": "2024-01-20", "Kind": "advisory"},
            }
            for name in ("quillfs", "quillfs-libs")
        ],
    }


@pytest.mark.parametrize(
    ("said", "scores", "unknown"),
    [
        ('cvss3="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" {}>CVE-2024-0001<', [7.5], 0),
        ('cvss3="7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" {}>CVE-2024-0001 at NVD<', [], 0),
        ('cvss3="7.5/CVSS:3.1/AV:N/AC:Q" {}>CVE-2024-0001 at SUSE<', [], 1),
        ('cvss3="75/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" {}>CVE-2024-0001 at SUSE<', [], 1),
        ("{}>CVE-2024-0001 at SUSE<", [], 0),
    ],
)
def test_scores_are_those_of_suse(tmp_path: Path, said: str, scores: list[float], unknown: int) -> None:
    """With a score or without one; not the NVD's; what is no vector or no score is counted."""
    link = 'href="https://www.suse.com/security/cve/CVE-2024-0001/"'
    before = f'cvss3="7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" {link}>CVE-2024-0001 at SUSE<'
    trial = on_sample(SLESDriver, tmp_path)
    trial.edit(edit(before, said.format(link)))
    records, context = trial.run()
    listed = bodies(records)["sles:15.4", "CVE-2024-0001"]["Vulnerability"]["CVSS"]
    assert [each["base_metrics"]["base_score"] for each in listed] == scores
    assert sum(count for value, count in context.unknown_values.items() if value.startswith("CVSS")) == unknown


def test_long_term_support_speaks_where_nothing_else_does(tmp_path: Path) -> None:
    """For each package: what the service pack itself got goes before what only its long term support got."""
    found = bodies(on_sample(SLESDriver, tmp_path).run()[0])
    assert fixes(found, "sles:15.3", "CVE-2024-0001") == [
        ("quillfs", "0:2.3-150300.5.1"),
        ("quillfs-libs", "0:2.3-150300.7.1"),
    ]


def test_modules_are_part_of_the_server(tmp_path: Path) -> None:
    """A fix that only a module's release package speaks of is the service pack's."""
    found = bodies(on_sample(SLESDriver, tmp_path).run()[0])
    assert fixes(found, "sles:15.4", "CVE-2024-0002") == [("quillfs", "0:2.4-150400.6.1")]


def test_unfixed_and_not_affected(tmp_path: Path) -> None:
    """Version None and version "0"; the latter can be left out, and never stands beside a fix."""
    found = bodies(on_sample(SLESDriver, tmp_path).run()[0])
    assert fixes(found, "sles:15.4", "CVE-2024-0003") == [("brookssl", "0"), ("tinyxmlkit", "None")]
    assert fixes(found, "sles:15.4", "CVE-2024-0004") == [("lanternd", "0:2.0-150400.1.1")]
    less = on_sample(SLESDriver, tmp_path / "less", SLESSettings(not_affected=False, descriptions=False))
    record = bodies(less.run()[0])["sles:15.4", "CVE-2024-0003"]["Vulnerability"]
    assert ([fix["Name"] for fix in record["FixedIn"]], record["Description"]) == (["tinyxmlkit"], "")


def test_what_a_service_pack_never_had_can_leave_no_record(tmp_path: Path) -> None:
    """Where version "0" is all that there is and is not wanted."""
    trial = on_sample(SLESDriver, tmp_path, SLESSettings(not_affected=False))
    trial.edit(edit('operation="greater than">0:0-0</evr>', 'operation="greater than or equal">0:0-0</evr>'))
    assert ("sles:15.4", "CVE-2024-0003") not in bodies(trial.run()[0])


def test_live_patches_are_no_fixes(tmp_path: Path) -> None:
    """A kernel that is mended while it runs has no version of its own."""
    found = bodies(on_sample(SLESDriver, tmp_path).run()[0])
    assert fixes(found, "sles:15.4", "CVE-2024-0005") == [("kernel-default", "0:5.14.21-150400.24.1")]


def test_nvd_stands_in_for_a_missing_severity(tmp_path: Path) -> None:
    """Only there."""
    records = on_sample(SLESDriver, tmp_path).run()[0]
    assert [record.key for record in records if record.takes_severity] == ["CVE-2024-0004"]


def test_the_variant_can_be_chosen(tmp_path: Path) -> None:
    """Without what is not fixed yet the plain document is read, whatever its packing."""
    trial = on_sample(SLESDriver, tmp_path, SLESSettings(unfixed=False, include=("15.*",), exclude=("15.3",)))
    plain = (trial.folder / FOLDER) / "suse.linux.enterprise.server.15.xml.gz"
    plain.write_bytes(gzip.decompress((trial.folder / FIFTEEN).read_bytes()).replace(b"Moderate", b"Low"))
    (trial.folder / TWELVE).write_bytes(b"")
    records, context = trial.run()
    assert context.covered == {(FEED, "sles:15.4")}
    severities = {record.key: record.body.vulnerability.severity for record in records}
    assert severities["CVE-2024-0002"] == "Low"


def test_a_listed_variant_has_no_stand_in(tmp_path: Path) -> None:
    """The plain document would withdraw all that is not fixed: the groups stay as they are instead."""
    trial = on_sample(SLESDriver, tmp_path)
    first, context = trial.fetch()
    trial.parse(context)
    assert isinstance(first, Checkpoint)
    shutil.move(trial.folder / FIFTEEN, (trial.folder / FOLDER) / "suse.linux.enterprise.server.15.xml.gz")
    _, context = trial.fetch(first)
    assert set(context.skipped) == {(FEED, "sles:15.3"), (FEED, "sles:15.4")}


def test_only_the_document_that_changed_is_read(tmp_path: Path) -> None:
    """All service packs of the other one are skipped as unchanged."""
    trial = on_sample(SLESDriver, tmp_path)
    first, context = trial.fetch()
    trial.parse(context)
    assert isinstance(first, Checkpoint)
    trial.edit(Edit(TWELVE, packed(bz2, replaced(b"0:1.9-4.1", b"0:1.9-5.1"))))
    records, context = trial.run(first)
    assert {record.group for record in records} == {"sles:12.5"}
    assert context.skipped == {(FEED, "sles:15.3"): "unchanged", (FEED, "sles:15.4"): "unchanged"}


def test_a_mirror_may_have_no_index(tmp_path: Path) -> None:
    """Then documents are asked for by name, in each form; what is not there is told."""
    trial = on_sample(SLESDriver, tmp_path)
    (trial.folder / INDEX).unlink()
    records, context = trial.run()
    assert {record.group for record in records} == {"sles:12.5", "sles:15.3", "sles:15.4"}
    assert context.notes[0].startswith("there is no index")
    assert [note.split()[0] for note in context.notes[1:]] == ["11", "16"]


def test_only_old_documents_are_not_enough(tmp_path: Path) -> None:
    """Those of 10 and older have another form."""
    trial = on_sample(SLESDriver, tmp_path)
    trial.edit(Edit(INDEX, lambda data: data.replace(b"server.12", b"server.9").replace(b"server.15", b"server.10")))
    with pytest.raises(ParseError, match="no document of a server"):
        trial.fetch()


def lost(trial: Trial, comment: str) -> None:
    """Let the criterion of that comment lead to no test."""

    def change(text: bytes) -> bytes:
        head, _, tail = text.partition(f'" comment="{comment}"/>'.encode())
        assert tail
        return head + b'9" comment="' + comment.encode() + b'"/>' + tail

    trial.edit(Edit(FIFTEEN, packed(gzip, change)))


def test_a_test_that_leads_nowhere_is_counted(tmp_path: Path) -> None:
    """Its comment says which product, or that something is affected or not; else the record goes to quarantine."""
    trial = on_sample(SLESDriver, tmp_path)
    lost(trial, "brookssl is not affected")
    lost(trial, "tinyxmlkit is affected")
    lost(trial, "SUSE Linux Enterprise Server 15 SP4 is installed")
    lost(trial, "SUSE Linux Enterprise Server for SAP Applications 15 SP4 is installed")
    lost(trial, "SUSE Linux Enterprise Server 15 SP3-LTSS is installed")
    lost(trial, "quillfs-2.3-150300.5.1 is installed")
    records, context = trial.run()
    assert context.unknown_values == {"test of a criterion=missing": 3}
    by_key = {(record.group, record.key): record for record in records}
    bad = by_key.pop(("sles:15.3", "CVE-2024-0001"))
    with pytest.raises(RecordError, match="Version is empty"):
        contract.check(bad.feed, bad.group, canonical.encode(bad.body))
    found = bodies(list(by_key.values()))
    assert fixes(found, "sles:15.4", "CVE-2024-0003") == [("brookssl", "0"), ("tinyxmlkit", "None")]
    assert len(fixes(found, "sles:15.4", "CVE-2024-0001")) == 2


def test_new_words_are_counted(tmp_path: Path) -> None:
    """A title that is no CVE, a severity, and a state that is of no version."""
    trial = on_sample(SLESDriver, tmp_path)
    trial.edit(edit("<title>CVE-2024-0002", "<title>SUSE-SU-2024:1"))
    trial.edit(edit("<severity>Low", "<severity>Dire"))
    trial.edit(edit('<evr datatype="evr_string" operation="less than">0:2.0-150400.1.1</evr>', "<arch>x</arch>"))
    assert trial.run()[1].unknown_values == {
        "title=SUSE-SU-2024:1": 1,
        "severity=Dire": 1,
        "criterion=lanternd-2.0-150400.1.1 is installed": 1,
    }


def test_the_cut_documents_of_the_replay_are_read(replay: Any, upstreams: Any) -> None:
    """What is listed there; tests that their author cut off cost their records only."""
    real = upstreams(SLESDriver)
    records, context = real.run()
    assert Counter(record.group for record in records) == {"sles:15": 3, "sles:15.1": 1}
    assert context.unknown_values == {"test of a criterion=missing": 39}
    replay.day(2)
    again, context = real.run()
    assert (again, context.covered, context.skipped) == ([], set(), {})


@pytest.mark.parametrize("fault", ["truncate", "html", "empty", "status:503"])
def test_upstream_failures_end_the_run(replay: Any, upstreams: Any, fault: str) -> None:
    """Half a document, a page in its place, nothing or an error: the run fails where there is only one document."""
    replay.fault(f"{fault}:ftp.suse.com/pub/projects/security/oval/suse.linux.enterprise.server.15")
    with pytest.raises(UpstreamError, match=r"ftp\.suse\.com"):
        upstreams(SLESDriver).run()
