"""Driver arch: the suite on its sample, what a group of vulnerabilities says, and the real list."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.arch import ArchDriver, ArchSettings
from vulnfeeds.errors import UpstreamError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

GROUP = "arch:rolling"
TRACKER = "security.archlinux.org/all.json"


def listed(*groups: dict[str, Any]) -> Edit:
    """Return an edit that replaces the tracker's list."""
    return Edit(TRACKER, lambda _: json.dumps(groups).encode())


def avg(name: str, **said: Any) -> dict[str, Any]:
    """Return a group of vulnerabilities."""
    plain = {"packages": ["a"], "status": "Fixed", "severity": "Low", "fixed": "1-1", "issues": [], "advisories": []}
    return {"name": name, **plain, **said}


class TestArch(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = ArchDriver
    upstream = SAMPLE
    groups = frozenset({("vulnerabilities", GROUP)})
    extended = (Edit(TRACKER, replaced(b'"ticket"', b'"reporter": {"name": "a"}, "ticket"')),)
    changed = (Edit(TRACKER, replaced(b'"1.8.1-1"', b'"1.8.1-2"')),)
    sad = (
        Sad(listed(), "all.json: no list of objects"),
        Sad(listed(avg("AVG-1"), {"name": "AVG-2"}), "all.json $[1]: Object missing required field `packages`"),
        Sad(listed(avg("AVG-1", packages=[])), "all.json $[0]: AVG-1 has no name or package"),
        Sad(listed(avg("AVG-1", packages="a")), "all.json $[0]: Expected `array`, got `str`"),
        Sad(Edit(TRACKER, lambda data: data[:-3]), "all.json: not JSON after 4 objects"),
    )


def test_a_record_is_a_group_of_vulnerabilities(tmp_path: Path) -> None:
    """With the advisories that announced the fix; without a fixed version there is none yet."""
    found = bodies(on_sample(ArchDriver, tmp_path).run()[0])
    assert found[GROUP, "AVG-9003"]["Vulnerability"] == {
        "Name": "AVG-9003",
        "NamespaceName": GROUP,
        "Description": "multiple issues",
        "Severity": "Medium",
        "Link": "https://security.archlinux.org/AVG-9003",
        "Metadata": {
            "CVE": [
                {"Name": name, "Link": f"https://nvd.nist.gov/vuln/detail/{name}"}
                for name in ("CVE-2023-0303", "CVE-2024-0003")
            ]
        },
        "FixedIn": [
            {
                "Name": "tinyxmlkit",
                "NamespaceName": GROUP,
                "Version": "1.8.1-1",
                "VersionFormat": "pacman",
                "VendorAdvisory": {
                    "NoAdvisory": False,
                    "AdvisorySummary": [
                        {"ID": "ASA-202408-1", "Link": "https://security.archlinux.org/ASA-202408-1"}
                    ],
                },
            }
        ],
    }
    fixes = found[GROUP, "AVG-9004"]["Vulnerability"]["FixedIn"]
    assert [(fix["Name"], fix["Version"]) for fix in fixes] == [("lib32-quillfs", "None"), ("quillfs", "None")]


def test_not_affected_is_version_zero(tmp_path: Path) -> None:
    """Whatever fixed version the group names; it can be left out."""
    found = bodies(on_sample(ArchDriver, tmp_path).run()[0])
    (fix,) = found[GROUP, "AVG-9002"]["Vulnerability"]["FixedIn"]
    assert fix["Version"] == "0"
    less = on_sample(ArchDriver, tmp_path / "less", ArchSettings(not_affected=False))
    assert (GROUP, "AVG-9002") not in bodies(less.run()[0])


def test_what_is_strange_is_counted(tmp_path: Path) -> None:
    """New words and a group that comes twice."""
    trial = on_sample(ArchDriver, tmp_path)
    trial.edit(
        listed(avg("AVG-1", status="Pending"), avg("AVG-1"), avg("AVG-2", severity="Dire", advisories=["A", "A"]))
    )
    records, context = trial.run()
    assert [record.key for record in records] == ["AVG-1", "AVG-2"]
    assert [record.body.vulnerability.severity for record in records] == ["Low", "Unknown"]
    assert context.unknown_values == {
        "status=Pending": 1,
        "severity=Dire": 1,
        "group of vulnerabilities given twice=AVG-1": 1,
    }


def test_the_real_list(replay: Any, upstreams: Any) -> None:
    """Day 1 gives all of it, day 2 has the same; a page, nothing or an error in its place ends the run."""
    arch = upstreams(ArchDriver)
    records, context = arch.run()
    bodies(records)
    assert context.unknown_values == {}
    versions = Counter(min(fix.version, "1") for record in records for fix in record.body.vulnerability.fixed_in[:1])
    assert len(records) == 2548
    assert versions["0"] == 198
    replay.day(2)
    assert arch.run()[0] == []
    for fault in ("status:503:", "html:", "empty:"):
        replay.clear()
        replay.fault(f"{fault}security.archlinux.org")
        with pytest.raises(UpstreamError, match=r"all\.json"):
            arch.run()
