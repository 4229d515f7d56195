"""Driver centos on its sample: the suite, and what an advisory becomes."""

from __future__ import annotations

from pathlib import Path

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.config import load
from vulnfeeds.drivers.redhat.centos import CentOSDriver
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED = "vulnerabilities"
ADVISORIES = "security.access.redhat.com/data/csaf/v2/advisories"
ADVISORY = f"{ADVISORIES}/2024/rhsa-2024_9015.json"


class TestCentOS(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = CentOSDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "centos:8"), (FEED, "centos:9")})
    extended = (Edit(ADVISORY, replaced(b'"csaf_version"', b'"notes": [], "csaf_version"')),)
    changed = (Edit(f"{ADVISORIES}/deletions.csv", lambda data: data + b'"2024/rhsa-2024_9015.json","2024-08-30"\n'),)
    sad = (
        Sad(Edit(ADVISORY, replaced(b'"vulnerabilities": [', b'"vulnerabilities": [7, ')), "$.vulnerabilities[0]"),
    )


def test_an_advisory_becomes_a_record(tmp_path: Path) -> None:
    """By release, with binary packages, dates and CVEs; extended releases and debug packages are left out."""
    found = bodies(on_sample(CentOSDriver, tmp_path).run()[0])
    assert found["centos:9", "RHSA-2024:9003"]["Vulnerability"] == {
        "Name": "RHSA-2024:9003",
        "NamespaceName": "centos:9",
        "Description": "",
        "Severity": "High",
        "Link": "https://access.redhat.com/errata/RHSA-2024:9003",
        "Metadata": {
            "Issued": "2024-08-13",
            "Updated": "2024-08-20",
            "RefId": "RHSA-2024:9003",
            "CVE": [{"Name": "CVE-2024-0003", "Link": "https://access.redhat.com/security/cve/CVE-2024-0003"}],
        },
        "FixedIn": [
            {
                "Name": name,
                "NamespaceName": "centos:9",
                "Version": "1:3.1.4-6.el9_4",
                "VersionFormat": "rpm",
                "Available": {"Date": "2024-08-13", "Kind": "advisory"},
                "VendorAdvisory": {
                    "NoAdvisory": False,
                    "AdvisorySummary": [
                        {"ID": "RHSA-2024:9003", "Link": "https://access.redhat.com/errata/RHSA-2024:9003"}
                    ],
                },
            }
            for name in ("brookssl", "brookssl-libs")
        ],
    }
    assert {group for group, _ in found} == {"centos:8", "centos:9"}
    assert found["centos:8", "RHSA-2024:9006"]["Vulnerability"]["FixedIn"][0]["Module"] == "mossdb:5"


def test_old_advisories_have_scores(tmp_path: Path) -> None:
    """Red Hat's own CVSS 2, as the original wrote it beside a CVE; newer advisories have CVSS 3 only."""
    old = (
        b'"scores": [{"cvss_v2": {"baseScore": 5.0, "vectorString": "AV:N/AC:L/Au:N/C:N/I:N/A:P"}}], "cve": "CVE-2024'
    )
    trial = on_sample(CentOSDriver, tmp_path)
    trial.edit(Edit(ADVISORY, replaced(b'"cve": "CVE-2024', old)))
    record = bodies(trial.run()[0])["centos:9", "RHSA-2024:9015"]["Vulnerability"]
    assert [cited["cvss2"] for cited in record["Metadata"]["CVE"]] == ["5.0/AV:N/AC:L/Au:N/C:N/I:N/A:P"]


def test_it_is_off_unless_named() -> None:
    """Clients of today use the groups of rhel."""
    registry = load_drivers()
    assert "centos" not in load(None, {}, registry).drivers
    assert "rhel" in load(None, {}, registry).drivers
    assert load(None, {"VULNFEEDS_DRIVERS": "centos"}, registry).drivers == ("centos",)
