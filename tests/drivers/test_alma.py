"""Driver alma on its sample: the suite, and what its advisories mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample
from tests.drivers.errata_documents import Document, affected, archive, erratum, fixed, repacked, written
from vulnfeeds.drivers.alma import AlmaDriver
from vulnfeeds.drivers.formats import errata
from vulnfeeds.drivers.formats.errata import ErrataSettings
from vulnfeeds.drivers.interface import Checkpoint, Context
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
ARCHIVE = "github.com/AlmaLinux/osv-database/archive/refs/heads/master.tar.gz"
TOP = "osv-database-master/advisories"
FIRST = f"{TOP}/almalinux8/ALSA-2024:0101.json"


def replacing(old: bytes, new: bytes, name: str = FIRST) -> Edit:
    """Return a change of one advisory."""

    def change(files: dict[str, bytes]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return Edit(ARCHIVE, repacked(change))


class TestAlma(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = AlmaDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "alma:8"), (FEED, "alma:9")})
    extended = (replacing(b'"published"', b'"credits": [{"name": "me"}], "database_specific": null, "published"'),)
    changed = (replacing(b"1.1.1k-12.el8_9", b"1.1.1k-14.el8_9"),)
    sad = (
        Sad(replacing(b'"summary": ', b'"summary": 7, "other": '), f"{FIRST}: Expected `str`"),
        Sad(replacing(b'"ALSA-2024:0101"', b'"ALSA-2024:0199"'), "is about 'ALSA-2024:0199'"),
        Sad(replacing(b'"events": [', b'"events": {"a": 1}, "old": ['), "$.affected[0].ranges[0].events"),
        Sad(Edit(ARCHIVE, lambda _: archive({f"{TOP}/README.md": b"moved"})), "no advisory of any release"),
        Sad(
            Edit(ARCHIVE, repacked(lambda files: files.update({f"{TOP}/../../evil.json": b"{}"}))),
            "leads out",
        ),
    )


def served(trial: Trial) -> tuple[dict[tuple[str, str], dict[str, Any]], Context]:
    """Return the vulnerabilities by (group, key)."""
    records, context = trial.run()
    return {key: body["Vulnerability"] for key, body in bodies(records).items()}, context


def of_documents(tmp_path: Path, *documents: tuple[str, Document], settings: ErrataSettings | None = None) -> Trial:
    """Return the driver with an archive of (release, advisory)."""
    trial = on_sample(AlmaDriver, tmp_path, settings)
    files = {f"{TOP}/almalinux{release}/{made['id']}.json": written(made) for release, made in documents}
    (trial.folder / ARCHIVE).write_bytes(archive(files))
    return trial


def test_a_record_is_one_advisory_in_one_release(tmp_path: Path) -> None:
    """With the severity of its summary, its CVEs, and the page of that release."""
    found, _ = served(on_sample(AlmaDriver, tmp_path))
    page = "https://www.cve.org/CVERecord?id="
    fix = {
        "NamespaceName": "alma:8",
        "Version": "1:1.1.1k-12.el8_9",
        "VersionFormat": "rpm",
        "Available": {"Date": "2024-06-04", "Kind": "advisory"},
    }
    assert found["alma:8", "ALSA-2024:0101"] == {
        "Name": "ALSA-2024:0101",
        "NamespaceName": "alma:8",
        "Severity": "High",
        "Description": "Security Fix(es):\n\n* brookssl security update\n",
        "Link": "https://errata.almalinux.org/8/ALSA-2024-0101.html",
        "Metadata": {
            "CVE": [{"Name": name, "Link": f"{page}{name}"} for name in ("CVE-2024-0001", "CVE-2024-0002")],
            "RefId": "ALSA-2024:0101",
            "Issued": "2024-06-04",
            "Updated": "2024-06-07",
        },
        "FixedIn": [{"Name": "brookssl", **fix}, {"Name": "brookssl-libs", **fix}],
    }


def test_each_release_has_its_own_packages(tmp_path: Path) -> None:
    """An advisory for several releases lies in the folder of each with the packages of all."""
    found, _ = served(on_sample(AlmaDriver, tmp_path))
    versions = {
        group: [fix["Version"] for fix in found[group, "ALSA-2024:0103"]["FixedIn"]] for group in ("alma:8", "alma:9")
    }
    assert versions == {"alma:8": ["1:21.0.3.0.9-1.el8.alma.1"], "alma:9": ["1:21.0.3.0.9-1.el9.alma.1"]}


def test_an_advisory_without_its_copy_is_not_lost(tmp_path: Path) -> None:
    """A release's folder may lack the copy; a release without any folder gets no group."""
    packages = [affected(f"AlmaLinux:{release}", "jdk", *fixed(f"21-1.el{release}")) for release in ("8", "9", "10")]
    trial = of_documents(
        tmp_path,
        ("8", erratum("ALSA-2024:0001", *packages)),
        ("8", erratum("ALSA-2024:0002", packages[1])),
        ("9", erratum("ALSA-2024:0003", packages[1])),
    )
    found, context = served(trial)
    assert set(found) == {
        ("alma:8", "ALSA-2024:0001"),
        ("alma:9", "ALSA-2024:0001"),
        ("alma:9", "ALSA-2024:0002"),
        ("alma:9", "ALSA-2024:0003"),
    }
    assert context.covered == {(FEED, "alma:8"), (FEED, "alma:9")}


def test_only_a_release_with_news_is_read(tmp_path: Path) -> None:
    """The others are skipped, unless the run is forced; an advisory counts where its copy is missing, too."""
    trial = of_documents(
        tmp_path,
        ("8", erratum("ALSA-2024:0001", affected("AlmaLinux:8", "a", *fixed("1-1.el8")))),
        ("8", erratum("ALSA-2024:0002", affected("AlmaLinux:9", "b", *fixed("1-1.el9")))),
        ("9", erratum("ALSA-2024:0003", affected("AlmaLinux:9", "c", *fixed("1-1.el9")))),
    )
    checkpoint, _ = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    trial.edit(replacing(b"1-1.el9", b"2-1.el9", f"{TOP}/almalinux9/ALSA-2024:0003.json"))
    records, context = trial.run(checkpoint)
    assert {(record.group, record.key) for record in records} == {
        ("alma:9", "ALSA-2024:0002"),
        ("alma:9", "ALSA-2024:0003"),
    }
    assert (context.covered, context.skipped) == ({(FEED, "alma:9")}, {(FEED, "alma:8"): "unchanged"})
    trial.edit(replacing(b"1-1.el9", b"3-1.el9", f"{TOP}/almalinux8/ALSA-2024:0002.json"))
    changed, context = trial.run(checkpoint)
    assert {record.group for record in changed} == {"alma:8", "alma:9"}
    assert context.skipped == {}


def test_modules_are_named(tmp_path: Path) -> None:
    """The summary names the module, the release of a package tells that it is built as one; each build is a fix."""
    found, _ = served(on_sample(AlmaDriver, tmp_path))
    fixes = found["alma:8", "ALSA-2024:0102"]["FixedIn"]
    assert {(fix["Name"], fix["Version"], fix["Module"]) for fix in fixes} == {
        ("mossdb", "0:13.14-1.module_el8.9.0+3706+885c732e", "mossdb:13"),
        ("mossdb", "0:13.14-1.module_el8.6.0+3095+ac1e2b3c", "mossdb:13"),
        ("mossdb-server", "0:13.14-1.module_el8.9.0+3706+885c732e", "mossdb:13"),
    }
    assert found["alma:8", "ALEA-2024:0105"]["FixedIn"][0]["Module"] == "mossdb:13"
    assert "Module" not in found["alma:8", "ALSA-2024:0101"]["FixedIn"][0]


@pytest.mark.parametrize(
    ("summary", "severity", "module"),
    [
        ("Important: brookssl security update", "High", ""),
        ("Moderate: virt:rhel and virt-devel:rhel security update", "Medium", "virt:rhel"),
        ("ALSA-2022:5468: php:8.0 security update (Important)", "High", "php:8.0"),
        ("new module: maven:3.6", "Unknown", "maven:3.6"),
        ("httpd:2.4 bug fix update", "Unknown", "httpd:2.4"),
        ("Critical: a: b security update", "Critical", ""),
        ("Dreadful: gnarl security update", "Unknown", ""),
    ],
)
def test_the_summary_says_severity_and_module(summary: str, severity: str, module: str) -> None:
    """Also in the forms that upstream uses rarely; a security advisory without a known word is told."""
    told: list[str] = []
    assert errata.severity(summary, told.append) == severity
    assert errata.module(summary) == module
    assert bool(told) == summary.startswith("Dreadful")


def test_only_builds_of_modules_have_a_module(tmp_path: Path) -> None:
    """A summary with a version behind a colon names none."""
    package = affected("AlmaLinux:8", "kernel", *fixed("4.18.0-553.30.1.el8_10"))
    made = erratum("ALSA-2024:0281", package, summary="Moderate: kernel:4.18.0 security update")
    found, _ = served(of_documents(tmp_path, ("8", made)))
    assert "Module" not in found["alma:8", "ALSA-2024:0281"]["FixedIn"][0]


def test_advisories_about_no_vulnerability_are_left_out(tmp_path: Path) -> None:
    """Bug fixes and enhancements are served when they name a CVE, or when the settings say so."""
    found, _ = served(on_sample(AlmaDriver, tmp_path / "a"))
    assert ("alma:8", "ALBA-2024:0104") not in found
    assert ("alma:8", "ALEA-2024:0105") in found
    found, _ = served(on_sample(AlmaDriver, tmp_path / "b", ErrataSettings(all_advisories=True)))
    assert ("alma:8", "ALBA-2024:0104") in found


def test_packages_that_upstream_forgot_are_added(tmp_path: Path) -> None:
    """A library of eight advisories has the version of its sibling; once upstream names it, it is there once."""
    package = affected("AlmaLinux:8", "cups", *fixed("1:2.2.6-40.el8"))
    library = affected("AlmaLinux:8", "cups-libs", *fixed("1:2.2.6-40.el8"))
    for number, packages in enumerate(([package], [package, library])):
        made = erratum("ALSA-2021:4393", *packages)
        found, _ = served(of_documents(tmp_path / str(number), ("8", made)))
        fixes = found["alma:8", "ALSA-2021:4393"]["FixedIn"]
        assert [(fix["Name"], fix["Version"]) for fix in fixes] == [
            ("cups", "1:2.2.6-40.el8"),
            ("cups-libs", "1:2.2.6-40.el8"),
        ]


def test_releases_can_be_left_out(tmp_path: Path) -> None:
    """By `include` and `exclude`; those that are left out are not covered, so that what is served stays."""
    for number, settings in enumerate((ErrataSettings(include=("9",)), ErrataSettings(exclude=("8",)))):
        found, context = served(on_sample(AlmaDriver, tmp_path / str(number), settings))
        assert {group for group, _ in found} == {"alma:9"}
        assert context.covered == {(FEED, "alma:9")}


def test_what_is_strange_is_counted(tmp_path: Path) -> None:
    """Ecosystems, ids, packages without versions, versions without order; what is withdrawn is not served."""
    several = ({"introduced": "0"}, {"fixed": "1-1"}, {"introduced": ""}, {"fixed": "3-1"})
    trial = of_documents(
        tmp_path,
        ("8", erratum("ALXX-1", affected("AlmaLinux:8", "a", *fixed("1-1.el8")))),
        (
            "8",
            erratum("ALSA-2024:0002", affected("AlmaLinux:8", "a"), affected("AlmaLinux:8", "b", *fixed("2-1.el8"))),
        ),
        ("8", erratum("ALSA-2024:0003", affected("AlmaLinux Kitten", "a", *fixed("1-1.el8")))),
        ("8", erratum("ALSA-2024:0004", affected("AlmaLinux:8", "a", *several))),
        ("8", erratum("ALSA-2024:0005", affected("AlmaLinux:8", "a", *fixed("5")), withdrawn="2024-06-09T00:00:00Z")),
    )
    found, context = served(trial)
    assert {key for _, key in found} == {"ALXX-1", "ALSA-2024:0002", "ALSA-2024:0004"}
    assert context.unknown_values == {
        "id=ALXX-1": 1,
        "package without versions=ALSA-2024:0002 a": 1,
        "ecosystem=AlmaLinux Kitten": 1,
        "version that cannot be compared=": 1,
    }


def test_ranges_are_kept(tmp_path: Path) -> None:
    """No fix yet, versions from one on, and up to one: said as the version and, where that is too much, the range."""
    packages = [
        affected("AlmaLinux:9", "a", {"introduced": "0"}),
        affected("AlmaLinux:9", "b", {"fixed": "4-1"}, {"introduced": "3-1"}, {"fixed": "2-1"}, {"introduced": "0"}),
        affected("AlmaLinux:9", "c", {"introduced": "0"}, {"last_affected": "1:5-2"}),
    ]
    found, _ = served(of_documents(tmp_path, ("9", erratum("ALSA-2024:0001", *packages))))
    same = {"NamespaceName": "alma:9", "VersionFormat": "rpm"}
    dated = {"Available": {"Date": "2024-06-04", "Kind": "advisory"}, **same}
    assert found["alma:9", "ALSA-2024:0001"]["FixedIn"] == [
        {"Name": "a", "Version": "None", **same},
        {"Name": "b", "Version": "2-1", **dated},
        {"Name": "b", "Version": "4-1", "VulnerableRange": ">=3-1, <4-1", **dated},
        {"Name": "c", "Version": "None", "VulnerableRange": "<=1:5-2", **same},
    ]
