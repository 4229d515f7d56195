"""Drivers wolfi, chainguard, minimos and secureos on their samples: the suite, and what their documents mean."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.interface import Checkpoint
from vulnfeeds.drivers.rolling import ChainguardDriver, MinimOSDriver, RollingSettings, WolfiDriver
from vulnfeeds.drivers.secureos import SecureOSDriver
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
WOLFI = "packages.wolfi.dev/os/security.json"
CHAINGUARD = "packages.cgr.dev/chainguard/security.json"
MINIMOS = "packages.mini.dev/advisories/secdb/security.json"
POINTER = "security.secureos.io/v1/latest.json"
SNAPSHOT = "security.secureos.io/v1/secdb-20240829-101500.json.gz"


class TestWolfi(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = WolfiDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "wolfi:rolling")})
    extended = (Edit(WOLFI, replaced(b'"pkg": {', b'"priority": 1, "pkg": {"maintainer": ["me"], ')),)
    changed = (Edit(WOLFI, replaced(b"3.3.1-r1", b"3.3.1-r2")),)
    sad = (
        Sad(Edit(WOLFI, lambda _: b'{"packages": []}'), "no fix in the document"),
        Sad(Edit(WOLFI, lambda _: b'{"packages": [{"pkg": {"name": 7}}]}'), "$.packages[0].pkg.name"),
        Sad(Edit(WOLFI, lambda _: b'{"apkurl": ""}'), "missing required field `packages`"),
        Sad(Edit(WOLFI, lambda _: b'{"packages": [], "packages": {}}'), "'packages' is given twice"),
    )


class TestChainguard(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = ChainguardDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "chainguard:rolling")})
    changed = (Edit(CHAINGUARD, replaced(b"3.1.4-r7", b"3.1.4-r8")),)


class TestMinimOS(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = MinimOSDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "minimos:rolling")})
    changed = (Edit(MINIMOS, replaced(b"0.9.3-r1", b"0.9.3-r2")),)


class TestSecureOS(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = SecureOSDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, "secureos:rolling")})
    extended = (Edit(POINTER, replaced(b'"version"', b'"signature": null, "version"')),)
    sad = (
        Sad(Edit(POINTER, lambda _: b'{"latest_url": ""}'), "latest.json: "),
        Sad(Edit(POINTER, replaced(b'"sha256": "', b'"sha256": "0')), "latest.json says 0"),
        Sad(Edit(POINTER, replaced(b"https://security.secureos.io/v1/secdb-", b"https://elsewhere.org/")), "outside"),
        Sad(Edit(SNAPSHOT, lambda _: gzip.compress(b"{}")), "sha256 is"),
    )


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, word: str) -> set[tuple[str, str]]:
    """Return (package, version) of a record's fixes."""
    return {(fix["Name"], fix["Version"]) for fix in found[group, word]["Vulnerability"]["FixedIn"]}


def test_all_kinds_of_ids_become_records(tmp_path: Path) -> None:
    """CVE, GHSA and GO, several in one text; NVD's severity stands in for CVEs only."""
    records, context = on_sample(WolfiDriver, tmp_path).run()
    found = bodies(records)
    assert {key.partition("-")[0] for _, key in found} == {"CVE", "GHSA", "GO"}
    assert fixes(found, "wolfi:rolling", "GHSA-7q4m-2r5x-9v8c") == {("brookssl", "3.3.1-r1")}
    assert {record.key.startswith("CVE-") for record in records if record.takes_severity} == {True}
    assert not any(record.takes_severity for record in records if not record.key.startswith("CVE-"))
    assert context.unknown_values == {}


def test_a_record_gathers_its_packages(tmp_path: Path) -> None:
    """The document is by package, a record by vulnerability; the whole record is as it is sent."""
    found = bodies(on_sample(WolfiDriver, tmp_path).run()[0])
    same = {"NamespaceName": "wolfi:rolling", "Version": "3.3.1-r0", "VersionFormat": "apk"}
    assert found["wolfi:rolling", "CVE-2024-0001"] == {
        "Vulnerability": {
            "Name": "CVE-2024-0001",
            "NamespaceName": "wolfi:rolling",
            "Description": "",
            "Severity": "Unknown",
            "Link": "https://images.chainguard.dev/security/CVE-2024-0001",
            "Metadata": {},
            "FixedIn": [{"Name": "brookssl", **same}, {"Name": "brookssl-dev", **same}],
        }
    }


def test_links_lead_to_whoever_has_a_page(tmp_path: Path) -> None:
    """MinimOS has no pages of its own, SecureOS those of CVEs."""
    links: dict[str, str] = {}
    for driver in (MinimOSDriver, SecureOSDriver):
        found = bodies(on_sample(driver, tmp_path / driver.name).run()[0])
        links |= {f"{driver.name} {key[:4]}": body["Vulnerability"]["Link"] for (_, key), body in found.items()}
    assert links["minimos GHSA"] == "https://github.com/advisories/GHSA-2p6h-8w3j-5f4x"
    assert links["minimos CVE-"] == "https://www.cve.org/CVERecord?id=CVE-2024-0017"
    assert links["secureos GHSA"] == "https://github.com/advisories/GHSA-7q4m-2r5x-9v8c"
    assert links["secureos CVE-"] == "https://security.secureos.io/CVE-2024-0024"
    assert MinimOSDriver().link("GO-2024-2887") == "https://osv.dev/vulnerability/GO-2024-2887"


def test_not_affected_can_be_left_out(tmp_path: Path) -> None:
    """Without `not_affected` no fix has version "0", and a record that had no other is not reported."""
    trial = on_sample(WolfiDriver, tmp_path, RollingSettings(not_affected=False))
    found = bodies(trial.run()[0])
    assert ("wolfi:rolling", "CVE-2024-0006") not in found
    assert not any(version == "0" for key in found for _, version in fixes(found, *key))


def test_strange_ids_are_counted_and_served(tmp_path: Path) -> None:
    """A kind of id that is new is no reason to lose a record; a CVE in small letters is that CVE."""
    trial = on_sample(WolfiDriver, tmp_path)
    trial.edit(Edit(WOLFI, replaced(b'"CVE-2024-0010"', b'"cve-2024-0010", "XSA-1"')))
    records, context = trial.run()
    assert {"CVE-2024-0010", "XSA-1"} <= {record.key for record in records}
    assert context.unknown_values == {"kind of id=XSA-1": 1}


def test_a_version_given_twice_loses_nothing(tmp_path: Path) -> None:
    """Both lists of ids count, and the key is told."""
    trial = on_sample(WolfiDriver, tmp_path)
    trial.edit(Edit(WOLFI, replaced(b'"1.10-r4": null', b'"1.10-r2": ["CVE-2024-0011"]')))
    records, context = trial.run()
    found = bodies(records)
    assert fixes(found, "wolfi:rolling", "CVE-2024-0010") == fixes(found, "wolfi:rolling", "CVE-2024-0011")
    assert context.unknown_values == {"key given twice=1.10-r2": 1}


def test_a_revision_fixes_its_own_version_only(tmp_path: Path) -> None:
    """SecureOS fixes again in each version: what an older one had fixed before stays fixed; "None" is no fix yet."""
    found = bodies(on_sample(SecureOSDriver, tmp_path).run()[0])
    name, group = "lanternd-2.9-client", "secureos:rolling"
    same = {"Name": name, "NamespaceName": group, "VersionFormat": "apk"}
    assert found[group, "CVE-2024-0007"]["Vulnerability"]["FixedIn"] == [
        {**same, "Version": "2.9.0-r1"},
        {**same, "Version": "2.9.1-r2", "VulnerableRange": ">=2.9.1-r0, <2.9.1-r2"},
        {**same, "Version": "2.9.2-r0"},
    ]
    assert fixes(found, group, "CVE-2024-0024") == {(name, "None")}
    assert fixes(found, group, "CVE-2024-0001") == {("brookssl", "3.1.4-120"), ("brookssl", "3.2.0-31")}
    assert ("tinyxmlkit", "0") in fixes(found, group, "GHSA-7q4m-2r5x-9v8c")


def moved(trial: Trial, name: str, version: bytes) -> bytes:
    """Publish another state of SecureOS under another name; return the packed document."""
    document = gzip.decompress((trial.folder / SNAPSHOT).read_bytes()).replace(b"2.9.1-r2", version)
    packed = gzip.compress(document, mtime=0)
    (trial.folder / "security.secureos.io/v1" / name).write_bytes(packed)
    pointer = json.loads((trial.folder / POINTER).read_bytes())
    pointer |= {
        "sha256": hashlib.sha256(packed).hexdigest(),
        "snapshot_url": f"https://security.secureos.io/v1/{name}",
    }
    (trial.folder / POINTER).write_text(json.dumps(pointer))
    return packed


def test_a_new_snapshot_is_noticed(tmp_path: Path) -> None:
    """The pointer leads to it; the same pointer again asks for nothing else."""
    trial = on_sample(SecureOSDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    moved(trial, "secdb-20240830-101500.json.gz", b"2.9.1-r3")
    records, context = trial.run(first)
    found = bodies(records)
    assert ("lanternd-2.9-client", "2.9.1-r3") in fixes(found, "secureos:rolling", "CVE-2024-0007")
    assert context.covered == {(FEED, "secureos:rolling")}


def test_a_snapshot_that_is_gone_is_had_by_its_other_name(tmp_path: Path) -> None:
    """The newest document under its fixed name counts when its digest is the announced one."""
    trial = on_sample(SecureOSDriver, tmp_path)
    packed = moved(trial, "gone.json.gz", b"2.9.1-r3")
    folder = trial.folder / "security.secureos.io/v1"
    (folder / "gone.json.gz").rename(folder / "secdb.json.gz")
    assert ("lanternd-2.9-client", "2.9.1-r3") in fixes(bodies(trial.run()[0]), "secureos:rolling", "CVE-2024-0007")
    (folder / "secdb.json.gz").write_bytes(packed + packed)
    with pytest.raises(DownloadError, match="sha256"):
        trial.fetch(forced=True)


def test_an_empty_secureos_is_refused(tmp_path: Path) -> None:
    """A document without any fix is never the truth, whatever its digest."""
    trial = on_sample(SecureOSDriver, tmp_path)
    packed = gzip.compress(b'{"packages": []}', mtime=0)
    (trial.folder / SNAPSHOT).write_bytes(packed)
    pointer = json.loads((trial.folder / POINTER).read_bytes()) | {"sha256": hashlib.sha256(packed).hexdigest()}
    (trial.folder / POINTER).write_text(json.dumps(pointer))
    with pytest.raises(ParseError, match="no fix in the document"):
        trial.run()
