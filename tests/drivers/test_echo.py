"""Driver echo on its sample: the suite, and what its document means."""

from __future__ import annotations

from pathlib import Path

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.echo import EchoDriver
from vulnfeeds.drivers.rolling import RollingSettings
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED, GROUP = "vulnerabilities", "echo:rolling"
DATA = "advisory.echohq.com/data.json"


class TestEcho(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = EchoDriver
    upstream = SAMPLE
    groups = frozenset({(FEED, GROUP)})
    extended = (Edit(DATA, replaced(b'"severity": "high"', b'"severity": "high", "aliases": []')),)
    changed = (Edit(DATA, replaced(b"3.0.15-1~deb12u1", b"3.0.15-1~deb12u2")),)
    sad = (
        Sad(Edit(DATA, lambda _: b"[1]"), "no packages in the document"),
        Sad(Edit(DATA, lambda _: b"{}"), "no packages in the document"),
        Sad(Edit(DATA, lambda _: b'{"a": {"TEMP-1": {}}}'), "no vulnerability"),
        Sad(Edit(DATA, lambda _: b'{"a": {}, "a": {}}'), "package a is given twice"),
        Sad(Edit(DATA, lambda _: b'{"a": ["CVE-2024-0001"]}'), "data.json package a: Expected `object`"),
        Sad(Edit(DATA, lambda _: b'{"a": {"CVE-2024-0001": {"fixed_version": 3}}}'), "$[...].fixed_version"),
        Sad(Edit(DATA, lambda _: b'{"a": {}, "b": {"CVE-2024'), "not JSON after 1 packages"),
        Sad(Edit(DATA, lambda _: b'{"a": ' + b'{"b": ' * 40 + b"1" + b"}" * 41), "nest more than 32 deep"),
    )


def test_a_record_gathers_its_packages(tmp_path: Path) -> None:
    """By the most severe of its packages; the whole record is as it is sent."""
    found = bodies(on_sample(EchoDriver, tmp_path).run()[0])
    same = {"NamespaceName": GROUP, "Version": "15.8-0+deb12u1", "VersionFormat": "dpkg"}
    assert found[GROUP, "CVE-2024-0012"] == {
        "Vulnerability": {
            "Name": "CVE-2024-0012",
            "NamespaceName": GROUP,
            "Description": "",
            "Severity": "Critical",
            "Link": "https://www.cve.org/CVERecord?id=CVE-2024-0012",
            "Metadata": {},
            "FixedIn": [{"Name": "mossdb", **same}, {"Name": "mossdb-client", **same}],
        }
    }


def test_what_is_missing_or_empty(tmp_path: Path) -> None:
    """No version is no fix yet; no severity is NVD's for CVEs; temporary ids are left out."""
    records, context = on_sample(EchoDriver, tmp_path).run()
    found = bodies(records)
    versions = {key: {fix["Version"] for fix in body["Vulnerability"]["FixedIn"]} for (_, key), body in found.items()}
    assert versions["CVE-2024-0013"] == versions["GHSA-7q4m-2r5x-9v8c"] == {"None"}
    assert versions["CVE-2024-0006"] == {"0"}
    assert {record.key for record in records if record.takes_severity} == {"CVE-2024-0002", "CVE-2024-0013"}
    assert not any(key.startswith("TEMP-") for key in versions)
    assert context.unknown_values == {}


def test_not_affected_can_be_left_out(tmp_path: Path) -> None:
    """Without `not_affected` a record that had no other fix is not reported."""
    found = bodies(on_sample(EchoDriver, tmp_path, RollingSettings(not_affected=False)).run()[0])
    assert (GROUP, "CVE-2024-0006") not in found
    assert (GROUP, "CVE-2024-0001") in found


def test_new_words_are_counted(tmp_path: Path) -> None:
    """A severity that is not known, and a kind of id, are no reason to lose a record."""
    trial = on_sample(EchoDriver, tmp_path)
    trial.edit(Edit(DATA, replaced(b'"severity": "high"', b'"severity": "dreadful"')))
    trial.edit(Edit(DATA, replaced(b'"CVE-2024-0013"', b'"XSA-13"')))
    records, context = trial.run()
    assert "XSA-13" in {record.key for record in records}
    assert context.unknown_values == {"severity=dreadful": 1, "kind of id=XSA-13": 1}
