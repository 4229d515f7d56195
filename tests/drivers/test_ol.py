"""Driver ol: the suite on its sample, what Oracle's advisories mean, and the real document in the replay."""

from __future__ import annotations

import bz2
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Upstreams, bodies, on_sample, packed, replaced
from vulnfeeds.drivers.ol import OracleDriver, OracleSettings
from vulnfeeds.errors import RecordError, StatusError, UpstreamError
from vulnfeeds.records import canonical, contract
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED = "vulnerabilities"
ALL = "linux.oracle.com/security/oval/com.oracle.elsa-all.xml.bz2"
GROUPS = ("ol:8", "ol:8+ksplice", "ol:9", "ol:9+fips")


def edit(old: str, new: str) -> Edit:
    """Return an edit of the first place where the document says `old`."""
    return Edit(ALL, packed(bz2, replaced(old.encode(), new.encode())))


class TestOracle(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = OracleDriver
    upstream = SAMPLE
    groups = frozenset((FEED, group) for group in GROUPS)
    extended = (
        edit("<rights>", "<reviewed>yes</reviewed><rights>"),
        edit("<tests>", '<tests><red-def:rpmverify_test id="oval:x:tst:1"/>'),
        edit('class="patch"', 'class="patch" status="final"'),
    )
    changed = (edit("0:2.4-3.el8", "0:2.4-4.el8"), edit("<severity>LOW", "<severity>MODERATE"))
    sad = (
        Sad(edit("ELSA-2024-9001:", "RHSA-2024-9001:"), "oval:com.oracle.elsa:def:20249001"),
        Sad(edit('version="501" class', 'version="new" class'), "def:20249001: version 'new' is no number"),
        Sad(edit("<oval_definitions", "<!DOCTYPE x><oval_definitions"), "com.oracle.elsa-all.xml.bz2:2"),
        Sad(edit("</tests>", ""), "com.oracle.elsa-all.xml.bz2:"),
        Sad(Edit(ALL, lambda data: data[:-40]), "com.oracle.elsa-all.xml.bz2"),
        Sad(Edit(ALL, lambda _: bz2.compress(b"<oval_definitions/>")), "no definitions in the document"),
    )


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, advisory: str) -> list[tuple[str, str]]:
    """Return (package, version) of a record."""
    return [(fix["Name"], fix["Version"]) for fix in found[group, advisory]["Vulnerability"]["FixedIn"]]


def test_an_advisory_is_a_record_in_each_release(tmp_path: Path) -> None:
    """With the fixes of that release only, and without those of other architectures twice."""
    found = bodies(on_sample(OracleDriver, tmp_path).run()[0])
    assert fixes(found, "ol:9", "ELSA-2024-9001") == [("quillfs", "0:2.4-3.el9"), ("quillfs-libs", "0:2.4-3.el9")]
    record = found["ol:8", "ELSA-2024-9001"]["Vulnerability"]
    assert record == {
        "Name": "ELSA-2024-9001",
        "NamespaceName": "ol:8",
        "Description": "[2.4-3]\n- Check the length of names <CVE-2024-0001>\n"
        "- Do not follow links of others (CVE-2024-0002)",
        "Severity": "High",
        "Link": "https://linux.oracle.com/errata/ELSA-2024-9001.html",
        "Metadata": {
            "CVE": [
                {"Name": f"CVE-2024-000{n}", "Link": f"https://linux.oracle.com/cve/CVE-2024-000{n}.html"}
                for n in (1, 2)
            ],
            "Issued": "2024-01-15",
            "RefId": "ELSA-2024-9001",
        },
        "FixedIn": [
            {
                "Name": name,
                "NamespaceName": "ol:8",
                "Version": "0:2.4-3.el8",
                "VersionFormat": "rpm",
                "Available": {"Date": "2024-01-15", "Kind": "advisory"},
            }
            for name in ("quillfs", "quillfs-libs")
        ],
    }


def test_the_newest_definition_counts(tmp_path: Path) -> None:
    """Versions are numbers: 501 is newer than 9."""
    found = bodies(on_sample(OracleDriver, tmp_path).run()[0])
    assert fixes(found, "ol:8", "ELSA-2024-9002") == [("brookssl", "1:3.1.4-5.el8_9")]


def test_a_module_is_named(tmp_path: Path) -> None:
    """A fix below "module is enabled" is that stream's."""
    found = bodies(on_sample(OracleDriver, tmp_path).run()[0])
    (fix,) = found["ol:8", "ELSA-2024-9003"]["Vulnerability"]["FixedIn"]
    assert fix["Module"] == "lanternd:2"


def test_flavours_are_kept_apart(tmp_path: Path) -> None:
    """Builds for Ksplice and FIPS are in groups of their own, or nowhere; the ordinary group has none of them."""
    found = bodies(on_sample(OracleDriver, tmp_path).run()[0])
    assert ("ol:8", "ELSA-2024-9004") not in found
    assert fixes(found, "ol:8+ksplice", "ELSA-2024-9004") == [("brookssl", "2:3.1.4-5.ksplice1.el8_9")]
    assert fixes(found, "ol:9", "ELSA-2024-9005") == [("marlgcrypt", "0:1.10-4.el9")]
    assert fixes(found, "ol:9+fips", "ELSA-2024-9005") == [("marlgcrypt", "10:1.10-4.el9_fips")]
    none = on_sample(OracleDriver, tmp_path / "none", OracleSettings(flavours=())).run()[0]
    assert {record.group for record in none} == {"ol:8", "ol:9"}


def test_an_architecture_is_named_where_versions_differ(tmp_path: Path) -> None:
    """A word for severity that Oracle uses where there is none is the lowest."""
    found = bodies(on_sample(OracleDriver, tmp_path).run()[0])
    record = found["ol:9", "ELSA-2024-9006"]["Vulnerability"]
    assert [(fix["Version"], fix["Arch"]) for fix in record["FixedIn"]] == [
        ("0:7-1.el9", "x86_64"),
        ("0:7-2.el9", "aarch64"),
    ]
    assert record["Severity"] == "Negligible"
    assert record["Metadata"] == {"Issued": "2024-05-02", "RefId": "ELSA-2024-9006"}


def test_releases_and_descriptions_can_be_left_out(tmp_path: Path) -> None:
    """A release that is not wanted is neither covered nor skipped."""
    settings = OracleSettings(include=("8", "9"), exclude=("9",), descriptions=False)
    records, context = on_sample(OracleDriver, tmp_path, settings).run()
    assert context.covered == {(FEED, "ol:8"), (FEED, "ol:8+ksplice")}
    assert {record.body.vulnerability.description for record in records} == {""}


@pytest.mark.parametrize(
    ("old", "new", "counted"),
    [
        ('test_ref="oval:com.oracle.elsa:tst:20249002003"', 'test_ref="oval:x:tst:1"', "missing"),
        (
            'less than">1:3.1.4-5.el8_9',
            'greater than">1:3.1.4-5.el8_9',
            "not of an older version",
        ),
    ],
)
def test_a_test_that_does_not_help_is_counted(tmp_path: Path, old: str, new: str, counted: str) -> None:
    """The criterion's comment says the same; both are told to the operator."""
    trial = on_sample(OracleDriver, tmp_path)
    trial.edit(edit(old, new))
    records, context = trial.run()
    assert fixes(bodies(records), "ol:8", "ELSA-2024-9002") == [("brookssl", "1:3.1.4-5.el8_9")]
    assert context.unknown_values == {f"test of a criterion={counted}": 1}


def test_a_fix_that_nothing_tells_goes_to_quarantine(tmp_path: Path) -> None:
    """Neither test nor comment: the record is refused, so that the one of the last run stays."""
    trial = on_sample(OracleDriver, tmp_path)
    trial.edit(
        edit(
            'test_ref="oval:com.oracle.elsa:tst:20249002003" comment="brookssl is earlier',
            'test_ref="oval:x:tst:1" comment="brookssl is less fresh',
        )
    )
    (record,) = [record for record in trial.run()[0] if record.key == "ELSA-2024-9002"]
    with pytest.raises(RecordError, match=r"FixedIn\[0\].Version is empty"):
        contract.check(record.feed, record.group, canonical.encode(record.body))


def test_new_words_are_counted(tmp_path: Path) -> None:
    """A severity, a criterion and an advisory that say nothing to us do not end the run."""
    trial = on_sample(OracleDriver, tmp_path)
    trial.edit(edit("<severity>LOW", "<severity>DIRE"))
    trial.edit(edit('comment="Module lanternd:2 is enabled"', 'comment="The moon is full"'))
    trial.edit(edit('"marlgcrypt is earlier than 0:1.10-4.el9"', '"marlgcrypt is signed with"'))
    trial.edit(edit('"marlgcrypt is earlier than 10:1.10-4.el9_fips"', '"marlgcrypt is signed with"'))
    records, context = trial.run()
    (record,) = [record for record in records if record.key == "ELSA-2024-9003"]
    assert record.body.vulnerability.severity == "Unknown"
    assert context.unknown_values == {
        "severity=DIRE": 1,
        "criterion=The moon is full": 1,
        "advisory without a package=ELSA-2024-9005:  marlgcrypt security upd": 1,
    }


def test_years_can_be_read_one_by_one(tmp_path: Path) -> None:
    """From a year to this one; only this year's document may not be there yet."""
    trial = on_sample(OracleDriver, tmp_path, OracleSettings(since_year=2023))
    folder = (trial.folder / ALL).parent
    shutil.move(trial.folder / ALL, folder / "com.oracle.elsa-2023.xml.bz2")
    records, context = trial.run()
    assert {record.group for record in records} == set(GROUPS)
    assert context.notes == ["com.oracle.elsa-2024.xml.bz2 is not there yet"]
    shutil.copy(folder / "com.oracle.elsa-2023.xml.bz2", folder / "com.oracle.elsa-2024.xml.bz2")
    twice, context = trial.run()
    assert len(twice) == len(records)
    assert context.unknown_values["advisory of two years=ELSA-2024-9001"] == 1
    (folder / "com.oracle.elsa-2023.xml.bz2").unlink()
    with pytest.raises(StatusError, match="elsa-2023"):
        trial.fetch()


def test_the_real_document_has_no_unknown_words(replay: Any, upstreams: Any) -> None:
    """Five years of advisories; it is the same document on the second day, so that day has nothing new."""
    real: Upstreams = upstreams(OracleDriver)
    records, context = real.run()
    assert context.unknown_values == {}
    assert Counter(record.group for record in records) == {
        "ol:5": 227,
        "ol:6": 727,
        "ol:6+ksplice": 11,
        "ol:7": 1004,
        "ol:7+ksplice": 16,
        "ol:8": 136,
        "ol:8+ksplice": 2,
    }
    replay.day(2)
    again, context = real.run()
    assert (again, context.covered, context.skipped) == ([], set(), {})


@pytest.mark.parametrize("fault", ["truncate", "html", "empty", "status:503"])
def test_upstream_failures_end_the_run(replay: Any, upstreams: Any, fault: str) -> None:
    """Half a document, a page in its place, nothing or an error: the run fails before anything is parsed."""
    replay.fault(f"{fault}:linux.oracle.com")
    with pytest.raises(UpstreamError, match=r"linux\.oracle\.com"):
        upstreams(OracleDriver).run()
