"""Driver rhel on true documents of the API with the advisories that they name, which the replay has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import Upstreams, archive_members, bodies
from tests.drivers.redhat import csaf_documents
from vulnfeeds.drivers.redhat.rhel import RHELDriver

DOCUMENTS = "tests/unit/providers/rhel/test-fixtures/csaf/"
API = "access.redhat.com/hydra/rest/securitydata"
CSAF = "security.access.redhat.com/data/csaf/v2/advisories"

Found = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def found(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The fixes of two CVEs, of which three of twelve advisories are at hand."""
    folder = tmp_path_factory.mktemp("true documents")
    issues, advisories = [], []
    for name, data in archive_members(shared / "upstream" / "fixtures" / "vunnel-inputs-and-snapshots.tar.xz"):
        if name.startswith(f"{DOCUMENTS}hydra/"):
            issues.append(json.loads(data))
        elif name.startswith(DOCUMENTS) and "/rhsa-" in name:
            advisories.append(json.loads(data))
    assert (len(issues), len(advisories)) == (2, 8)
    (folder / API / "cve").mkdir(parents=True)
    (folder / API / "cve.json").write_text(json.dumps([{"CVE": issue["name"]} for issue in issues]))
    for issue in issues:
        (folder / API / "cve" / f"{issue['name']}.json").write_text(json.dumps(issue))
    csaf_documents.write_folder(folder / CSAF, "advisories", "2025-12-31", advisories)
    records, context = Upstreams(RHELDriver, str(folder), folder / "workspace").run()
    assert context.unknown_values == {}
    assert context.notes == []
    return {
        (group, fix["Name"]): fix
        for (group, _), body in bodies(records).items()
        for fix in body["Vulnerability"]["FixedIn"]
    }


def test_each_minor_stream_has_its_fix(found: Found) -> None:
    """Two releases of RHEL 9 were mended on two bases: what lies between is no more affected than what is newest."""
    python = found["rhel:9", "python3.9"]
    assert python["Version"] == "0:3.9.19-8.el9"
    assert python["VulnerableRange"] == "< 0:3.9.18-3.el9_4.5 || >= 0:3.9.19, < 0:3.9.19-8.el9"
    assert python["Advisories"] == [
        {"Advisory": "RHSA-2024:6163", "Channels": ["eus", "ga"], "Minor": 4, "Version": "0:3.9.18-3.el9_4.5"},
        {"Advisory": "RHSA-2024:9371", "Channels": ["ga"], "Minor": 5, "Version": "0:3.9.19-8.el9"},
    ]
    assert [cited["ID"] for cited in python["VendorAdvisory"]["AdvisorySummary"]] == [
        "RHSA-2024:6163",
        "RHSA-2024:9371",
    ]


def test_extended_supports_are_listed_with_the_release(found: Found) -> None:
    """AUS, TUS, E4S and the long life are told apart from the release; without the advisory's document, too."""
    assert [
        (build.get("Minor"), build["Channels"], build["Version"]) for build in found["rhel:8", "bind"]["Advisories"]
    ] == [
        (2, ["aus"], "32:9.11.13-6.el8_2.11"),
        (4, ["aus", "eus_long_life"], "32:9.11.26-4.el8_4.8"),
        (6, ["eus"], "32:9.11.36-3.el8_6.7"),
        (None, ["ga"], "32:9.11.36-5.el8"),
    ]
    assert "VulnerableRange" not in found["rhel:8", "bind"], "what an extended support mended is none of the release"
    assert found["rhel:8.6+eus", "bind"]["Version"] == "32:9.11.36-3.el8_6.7"
    assert ("rhel:8.4+eus", "bind") not in found, "the add-on for a long life is another product"


def test_a_longer_life_has_the_fix_and_the_release_has_not(found: Found) -> None:
    """RHEL 6 was mended for those who pay for the extension."""
    assert found["rhel:6+els", "bind"]["Version"] == "32:9.8.2-0.68.rc1.el6_10.17"
    assert (found["rhel:6", "bind"]["Version"], found["rhel:6", "bind"]["VendorAdvisory"]["NoAdvisory"]) == (
        "None",
        True,
    )
