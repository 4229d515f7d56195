"""Driver mariner: the suite on its sample, what Microsoft's definitions mean, and the real documents."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Upstreams, bodies, on_sample, replaced
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.mariner import MarinerDriver, MarinerSettings
from vulnfeeds.errors import RecordError, UpstreamError
from vulnfeeds.records import canonical, contract
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED = "vulnerabilities"
FOLDER = "raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main"
ONE, TWO, THREE = (f"{FOLDER}/{name}-oval.xml" for name in ("cbl-mariner-1.0", "cbl-mariner-2.0", "azurelinux-3.0"))


def edit(path: str, old: str, new: str) -> Edit:
    """Return an edit of the first place where a document says `old`."""
    return Edit(path, replaced(old.encode(), new.encode()))


class TestMariner(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = MarinerDriver
    upstream = SAMPLE
    groups = frozenset((FEED, f"mariner:{release}") for release in ("1.0", "2.0", "3.0"))
    extended = (
        edit(THREE, "<patchable>", "<reviewed>yes</reviewed><patchable>"),
        edit(TWO, 'class="vulnerability"', 'class="vulnerability" status="final"'),
    )
    changed = (edit(ONE, "0:2.4-3.cm1", "0:2.4-4.cm1"), edit(THREE, "<severity>Low", "<severity>High"))
    sad = (
        Sad(edit(TWO, "<reference ", "<mention "), "oval:com.microsoft.cbl-mariner:def:90000"),
        Sad(edit(ONE, "<patchable>true", "<patchable>Not Applicable"), "cbl-mariner-1.0-oval.xml: no definition"),
        Sad(edit(THREE, "<metadata>", "<!DOCTYPE x><metadata>"), "azurelinux-3.0-oval.xml:"),
        Sad(edit(THREE, "</states>", ""), "azurelinux-3.0-oval.xml:"),
        Sad(edit(THREE, 'ref_id="CVE-2024-0004"', 'ref_id=""'), "oval:com.microsoft.azurelinux:def:90000"),
    )


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, cve: str) -> list[tuple[str, str, str]]:
    """Return (package, version, affected versions) of a record."""
    made = found[group, cve]["Vulnerability"]["FixedIn"]
    return [(fix["Name"], fix["Version"], fix["VulnerableRange"]) for fix in made]


def test_a_record_gathers_all_packages(tmp_path: Path) -> None:
    """One record for each CVE, with the highest severity; what has no fix yet has version None."""
    found = bodies(on_sample(MarinerDriver, tmp_path).run()[0])
    fix = {"NamespaceName": "mariner:2.0", "VersionFormat": "rpm"}
    advisory = {"VendorAdvisory": {"NoAdvisory": False, "AdvisorySummary": []}}
    assert found["mariner:2.0", "CVE-2024-0003"]["Vulnerability"] == {
        "Name": "CVE-2024-0003",
        "NamespaceName": "mariner:2.0",
        "Description": "CVE-2024-0003 affecting package brookssl for versions less than 3.1.4-5. "
        "A patched version of the package is available.\n"
        "CVE-2024-0003 affecting package tinyxmlkit for versions less than 1.9-2. No patch is available currently.",
        "Severity": "Critical",
        "Link": "https://nvd.nist.gov/vuln/detail/CVE-2024-0003",
        "Metadata": {},
        "FixedIn": [
            {
                **fix,
                **advisory,
                "Name": "brookssl",
                "Version": "0:3.1.4-5.cm2",
                "VulnerableRange": "< 0:3.1.4-5.cm2",
                "Available": {"Date": "2024-03-01", "Kind": "advisory"},
            },
            {**fix, **advisory, "Name": "tinyxmlkit", "Version": "None", "VulnerableRange": "<= 0:1.9-2.cm2"},
        ],
    }


def test_a_range_may_have_a_beginning(tmp_path: Path) -> None:
    """The criterions of a definition are limits of one range; definitions of one package are ranges of their own."""
    found = bodies(on_sample(MarinerDriver, tmp_path).run()[0])
    assert fixes(found, "mariner:3.0", "CVE-2024-0004") == [
        ("lanternd", "0:2.0-1.azl3", "> 0:1.19.0.azl3, < 0:2.0-1.azl3")
    ]
    assert fixes(found, "mariner:3.0", "CVE-2024-0006") == [
        ("quillfs-tools", "0:6-9.azl3", "< 0:6-9.azl3"),
        ("quillfs-tools", "None", "<= 0:7-1.azl3"),
    ]


def test_a_blank_in_a_version_is_taken_out(tmp_path: Path) -> None:
    """Upstream has one behind an epoch (golang, CVE-2023-39323); clients could not read the version."""
    trial = on_sample(MarinerDriver, tmp_path)
    trial.edit(edit(THREE, 'less than">0:2.0-1.azl3', 'less than">0: 2.0-1.azl3'))
    assert fixes(bodies(trial.run()[0]), "mariner:3.0", "CVE-2024-0004") == [
        ("lanternd", "0:2.0-1.azl3", "> 0:1.19.0.azl3, < 0:2.0-1.azl3")
    ]


def test_ranges_of_the_same_fix_are_joined(tmp_path: Path) -> None:
    """Two definitions with other beginnings and the same end."""
    trial = on_sample(MarinerDriver, tmp_path)
    trial.edit(edit(THREE, 'less than">0:6-9.azl3', 'less than or equal">0:5-1.azl3'))
    assert fixes(bodies(trial.run()[0]), "mariner:3.0", "CVE-2024-0006") == [
        ("quillfs-tools", "None", "<= 0:7-1.azl3 || <= 0:5-1.azl3")
    ]


def test_what_does_not_apply_is_left_out(tmp_path: Path) -> None:
    """And where no severity is given NVD's may stand in."""
    records = on_sample(MarinerDriver, tmp_path).run()[0]
    assert ("mariner:2.0", "CVE-2024-0007") not in bodies(records)
    taking = [(record.key, record.body.vulnerability.severity) for record in records if record.takes_severity]
    assert taking == [("CVE-2024-0005", "Unknown")]


@pytest.mark.parametrize(
    ("old", "new", "counted"),
    [
        ('test_ref="oval:com.microsoft.cbl-mariner:tst:89999000"', 'test_ref="oval:x:tst:1"', "missing"),
        ('"less than">0:3.1.4-5.cm2', '"equals">0:3.1.4-5.cm2', "not of a version"),
    ],
)
def test_a_test_that_leads_nowhere_goes_to_quarantine(tmp_path: Path, old: str, new: str, counted: str) -> None:
    """The record is refused, so that the one of the last run stays."""
    trial = on_sample(MarinerDriver, tmp_path)
    trial.edit(edit(TWO, old, new))
    records, context = trial.run()
    assert context.unknown_values == {f"test of a criterion={counted}": 1}
    refused = []
    for record in records:
        try:
            contract.check(record.feed, record.group, canonical.encode(record.body))
        except RecordError as error:
            refused.append((record.group, record.key, str(error)))
    assert [found[:2] for found in refused] == [("mariner:2.0", "CVE-2024-0003")]
    assert "Version is empty" in refused[0][2]


def test_two_packages_in_one_definition_are_counted(tmp_path: Path) -> None:
    """Which of them is affected cannot be told."""
    trial = on_sample(MarinerDriver, tmp_path)
    trial.edit(
        edit(
            THREE,
            'obj:90000004" version="1">\n      <linux-def:name>lanternd',
            'obj:90000004" version="1">\n      <linux-def:name>quillfs',
        )
    )
    _, context = trial.run()
    assert context.unknown_values == {"packages of a definition=2": 1}


def test_new_words_are_counted(tmp_path: Path) -> None:
    """A severity and a state of patching that say nothing to us."""
    trial = on_sample(MarinerDriver, tmp_path)
    trial.edit(edit(ONE, "<severity>High", "<severity>Dire"))
    trial.edit(edit(ONE, "<patchable>true", "<patchable>soon"))
    assert trial.run()[1].unknown_values == {"severity=Dire": 1, "patchable=soon": 1}


def test_only_the_release_that_changed_is_read(tmp_path: Path) -> None:
    """The others are skipped as unchanged."""
    trial = on_sample(MarinerDriver, tmp_path)
    first, context = trial.fetch()
    trial.parse(context)
    assert isinstance(first, Checkpoint)
    trial.edit(edit(THREE, "<severity>Low", "<severity>High"))
    records, context = trial.run(first)
    assert {record.group for record in records} == {"mariner:3.0"}
    assert context.skipped == {(FEED, "mariner:1.0"): "unchanged", (FEED, "mariner:2.0"): "unchanged"}


def test_a_release_that_cannot_be_had_stays_as_it_is(tmp_path: Path) -> None:
    """The others go on; when none can be had the run fails; a release that was never had is only noted."""
    trial = on_sample(MarinerDriver, tmp_path)
    shutil.move(trial.folder / ONE, tmp_path / "kept")
    first, context = trial.fetch()
    records = trial.parse(context)
    assert {record.group for record in records} == {"mariner:2.0", "mariner:3.0"}
    assert "1.0 could not be had" in context.notes[0]
    shutil.move(trial.folder / TWO, tmp_path / "two")
    assert isinstance(first, Checkpoint)
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert list(context.skipped) == [(FEED, "mariner:2.0")]
    (trial.folder / THREE).unlink()
    with pytest.raises(UpstreamError, match="404"):
        trial.fetch(first)


def test_releases_can_be_named_in_the_settings(tmp_path: Path) -> None:
    """Added, left out by an empty name, or not included."""
    settings = MarinerSettings(
        releases={"4.0": "azurelinux-4.0-oval.xml", "1.0": ""}, exclude=("2.*",), descriptions=False
    )
    trial = on_sample(MarinerDriver, tmp_path, settings)
    shutil.copy(trial.folder / THREE, trial.folder / FOLDER / "azurelinux-4.0-oval.xml")
    records, context = trial.run()
    assert context.covered == {(FEED, "mariner:3.0"), (FEED, "mariner:4.0")}
    assert {record.body.vulnerability.description for record in records} == {""}


def test_the_real_documents_have_no_unknown_words(replay: Any, upstreams: Any) -> None:
    """They are the same on the second day, so that day has nothing new; what one release lacks hurts no other."""
    real: Upstreams = upstreams(MarinerDriver)
    records, context = real.run()
    assert context.unknown_values == {}
    assert Counter(record.group for record in records) == {"mariner:1.0": 2092, "mariner:2.0": 4, "mariner:3.0": 1005}
    replay.day(2)
    again, context = real.run()
    assert (again, context.covered, context.skipped) == ([], set(), {})


@pytest.mark.parametrize("fault", ["truncate", "html", "empty", "status:503"])
def test_a_failure_of_one_document_is_told(replay: Any, upstreams: Any, fault: str) -> None:
    """Half a document, a page in its place, nothing or an error: that release is not covered."""
    replay.fault(f"{fault}:{THREE}")
    _, context = upstreams(MarinerDriver).run()
    assert context.covered == {(FEED, "mariner:1.0"), (FEED, "mariner:2.0")}
    assert "azurelinux-3.0-oval.xml" in context.notes[0]
