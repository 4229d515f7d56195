"""Driver fedora: the suite on its sample, what becomes of updates, and what stays of those that are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.fedora import FedoraDriver, FedoraSettings
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.errors import UpstreamError
from vulnfeeds.records import canonical
from vulnfeeds.records.record import Record
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, NothingPublished, Sad, Trial

FEED = "vulnerabilities"
UPDATES = "dl.fedoraproject.org/pub/fedora/linux/updates/"
INDEX = f"{UPDATES}index.html"
OLD = f"{UPDATES}39/Everything/x86_64/repodata/updateinfo.xml"
"""Its index gives no digest, so that tests may change it."""
NEW = f"{UPDATES}40/Everything/x86_64/repodata/repomd.xml"


def update(
    name: str, *, title: str = "", bug: str = "", kind: str = "security", severity: str = "Low", packages: str = ""
) -> str:
    """Return an update of the sample's form."""
    return (
        f'<update type="{kind}" status="stable"><id>{name}</id><title>{title}</title><severity>{severity}</severity>'
        f'<references><reference type="bugzilla" id="1" title="{bug}"/></references>'
        f"<pkglist><collection>{packages}</collection></pkglist></update>"
    )


def package(name: str, version: str, arch: str = "x86_64") -> str:
    """Return a package of an update."""
    return f'<package name="{name}" version="{version}" release="1.fc39" epoch="0" arch="{arch}"/>'


def updates(*said: str) -> Edit:
    """Return an edit that gives release 39 other updates."""
    return Edit(OLD, lambda _: f"<updates>{''.join(said)}</updates>".encode())


def fixes(record: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return (package, version, updates) of a record."""
    return [
        (fix["Name"], fix["Version"], [cited["ID"] for cited in fix["VendorAdvisory"]["AdvisorySummary"]])
        for fix in record["Vulnerability"]["FixedIn"]
    ]


class Before(NothingPublished):
    """Published records, as the store gives them."""

    def __init__(self, records: list[Record]) -> None:
        self._records = {(record.group, record.key): canonical.encode(record.body) for record in records}

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        """Return those that are there."""
        return {key: self._records[group, key] for key in keys if (group, key) in self._records}


class TestFedora(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = FedoraDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "fedora:39"), (FEED, "fedora:40")})
    extended = (
        Edit(OLD, replaced(b"<summary>", b"<score>1</score><summary>")),
        Edit(INDEX, replaced(b'href="testing/"', b'href="stable/"')),
    )
    changed = (Edit(OLD, replaced(b'release="2.fc39" epoch="0" arch="x86_64"', b'release="3.fc39" arch="x86_64"')),)
    sad = (
        Sad(
            Edit(INDEX, lambda data: data.replace(b'39/"', b'a/"').replace(b'40/"', b'b/"')), "0 releases; between 1"
        ),
        Sad(Edit(OLD, replaced(b"<id>FEDORA-2024-90a1b2c3d4</id>", b"")), "fedora:39 updateinfo.xml update 1: no id"),
        Sad(Edit(OLD, replaced(b'version="3.1.4"', b"")), "(FEDORA-2024-90a1b2c3d4) package quillfs"),
        Sad(Edit(OLD, lambda data: data[:-20]), "fedora:39 updateinfo.xml: not well-formed XML"),
    )


def test_a_record_gathers_the_updates_of_a_cve(tmp_path: Path) -> None:
    """Binary packages with their epochs, each with the update that brought it; the highest severity."""
    found = bodies(on_sample(FedoraDriver, tmp_path).run()[0])
    record = found["fedora:40", "CVE-2024-0003"]
    assert fixes(record) == [
        ("brookssl", "1:1.1.0l-1.fc40", ["FEDORA-2024-91a1b2c3d4"]),
        ("tinyxmlkit", "0:1.8.1-1.fc40", ["FEDORA-2024-91b1b2c3d4"]),
    ]
    assert {name: said for name, said in record["Vulnerability"].items() if name != "FixedIn"} == {
        "Name": "CVE-2024-0003",
        "NamespaceName": "fedora:40",
        "Description": "",
        "Severity": "Medium",
        "Link": "https://bodhi.fedoraproject.org/updates/FEDORA-2024-91a1b2c3d4",
        "Metadata": {},
    }
    assert [(name, version) for name, version, _ in fixes(found["fedora:39", "CVE-2024-0001"])] == [
        ("quillfs", "0:3.1.4-2.fc39"),
        ("quillfs-libs", "0:3.1.4-2.fc39"),
    ]
    assert found["fedora:40", "FEDORA-2024-91c1b2c3d4"]["Vulnerability"]["Severity"] == "Unknown"
    assert len(found) == 4


def test_what_is_no_security_update_of_fedora_is_left_out(tmp_path: Path) -> None:
    """EPEL, bug fixes, updates without packages; a CVE may stand in the update's own title."""
    trial = on_sample(FedoraDriver, tmp_path)
    trial.edit(
        updates(
            update("FEDORA-EPEL-2024-1", bug="CVE-2024-0001", packages=package("a", "1")),
            update("FEDORA-2024-1", bug="CVE-2024-0001", packages=package("a", "1"), kind="bugfix"),
            update("FEDORA-MODULAR-2024-1", bug="CVE-2024-0001"),
            update("FEDORA-2024-2", bug="CVE-2024-0001", packages=package("a", "1", "src")),
            update("FEDORA-2024-3", title="a: CVE-2024-0002", packages=package("a", "1"), severity="Dire"),
        )
    )
    records, context = trial.run()
    assert [record.key for record in records if record.group == "fedora:39"] == ["CVE-2024-0002"]
    assert context.unknown_values == {
        "id=FEDORA-EPEL-2024-1": 1,
        "update without packages=FEDORA-MODULAR-2024": 1,
        "update without packages=FEDORA-2024": 1,
        "severity=Dire": 1,
    }


def test_what_left_the_document_stays(tmp_path: Path) -> None:
    """A newer update of one package neither drops the fixes of others nor its own earlier one."""
    trial = on_sample(FedoraDriver, tmp_path, FedoraSettings(include=("39",)))
    one = package("a", "1") + package("b", "1")
    trial.edit(updates(update("FEDORA-2024-1", bug="CVE-2024-0001", packages=one)))
    before, _ = trial.run()
    trial.edit(
        updates(
            update("FEDORA-2024-2", bug="CVE-2024-0001", packages=package("a", "2")),
            update("FEDORA-2024-3", bug="CVE-2024-0009", packages=package("c", "1")),
        )
    )
    only = FedoraSettings(include=("39",))
    later = Trial(FedoraDriver, trial.folder, trial.workspace, settings=only, published=Before(before))
    records, context = later.run()
    found = bodies(records)
    assert fixes(found["fedora:39", "CVE-2024-0001"]) == [
        ("a", "0:1-1.fc39", ["FEDORA-2024-1"]),
        ("a", "0:2-1.fc39", ["FEDORA-2024-2"]),
        ("b", "0:1-1.fc39", ["FEDORA-2024-1"]),
    ]
    assert set(found) == {("fedora:39", "CVE-2024-0001"), ("fedora:39", "CVE-2024-0009")}
    assert context.covered == set()
    trial.edit(updates(update("FEDORA-2024-1", bug="CVE-2024-0001", packages=package("a", "3"))))
    assert fixes(bodies(later.run()[0])["fedora:39", "CVE-2024-0001"]) == [
        ("a", "0:3-1.fc39", ["FEDORA-2024-1"]),
        ("b", "0:1-1.fc39", ["FEDORA-2024-1"]),
    ]


def test_releases_are_found_and_chosen(tmp_path: Path) -> None:
    """A new one needs no new version; one without advisories yet is noted."""
    trial = on_sample(FedoraDriver, tmp_path, FedoraSettings(exclude=("39",)))
    trial.edit(Edit(INDEX, replaced(b'href="39/"', b'href="41/"')))
    (trial.folder / UPDATES / "39").rename(trial.folder / UPDATES / "41")
    records, _ = trial.run()
    assert {record.group for record in records} == {"fedora:40", "fedora:41"}
    trial.edit(
        Edit(OLD.replace("39", "41", 1).replace("updateinfo", "repomd"), replaced(b'"updateinfo"', b'"other"'))
    )
    records, context = trial.run()
    assert {record.group for record in records} == {"fedora:40"}
    assert context.notes == ["fedora:41: the repository has no advisories yet"]


def test_a_release_that_cannot_be_had_stays_as_it_is(tmp_path: Path) -> None:
    """Be it missing or of another digest than the index says; when none can be had the run fails."""
    trial = on_sample(FedoraDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    trial.edit(Edit(NEW, lambda data: data.replace(b'<checksum type="sha256">', b'<checksum type="sha256">0')))
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert "the index says 0" in context.skipped[FEED, "fedora:40"]
    (trial.folder / OLD).unlink()
    with pytest.raises(UpstreamError, match="the index says 0"):
        trial.fetch(first)
