"""Driver ubuntu: the suite on its sample, OSV and VEX, which source has which release, and real documents."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Replay
from tests.drivers.driver_runs import SAMPLE, Upstreams, bodies, on_sample, replaced
from tests.drivers.ubuntu_documents import (
    OSV,
    TRACKER,
    TREE,
    VEX,
    emptied,
    fields,
    member,
    members,
    of_product,
    osv,
    vex,
    without,
)
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context
from vulnfeeds.drivers.ubuntu.driver import UbuntuDriver
from vulnfeeds.drivers.ubuntu.gathering import FEED, UbuntuSettings
from vulnfeeds.errors import DownloadError, ParseError, StatusError, UpstreamError
from vulnfeeds.records.record import Record
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial


def groups(*names: str) -> frozenset[tuple[str, str]]:
    """Return groups of the feed."""
    return frozenset((FEED, f"ubuntu:{name}") for name in names)


OF_OSV = groups("20.04", "20.04+esm", "22.04", "24.04")
OF_TRACKER = groups("14.04", "14.04+esm", "16.10", "23.10")


class TestUbuntu(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = UbuntuDriver
    upstream = SAMPLE
    groups = OF_OSV | OF_TRACKER
    extended = (
        osv("CVE-2024-0001", fields(lambda document: document.update({"new": {"a": [1]}}))),
        vex("CVE-2024-0003", fields(lambda document: document["statements"][0].update({"new": 1}))),
        member(TRACKER, f"{TREE}/active/CVE-2024-0001", replaced(b"Bugs:", b"New-Field: yes\nBugs:")),
    )
    changed = (
        osv("CVE-2024-0001", replaced(b'"fixed": "3.0.9-1ubuntu0.1"', b'"fixed": "3.0.9-1ubuntu0.2"')),
        vex("CVE-2024-0003", replaced(b"decided to not fix it", b"will fix it")),
        member(TRACKER, f"{TREE}/active/CVE-2024-0003", replaced(b"mantic_tinyxmlkit: needed", b"mantic_x: needed")),
    )
    sad = (
        Sad(emptied(OSV), "osv-all.tar.xz: no OSV document"),
        Sad(
            members(OSV, lambda found: [found.pop(name) for name in list(found) if "/cve/" in name]),  # type: ignore[arg-type]
            "osv-all.tar.xz: no CVE in the archive",
        ),
        Sad(emptied(VEX), "vex-all.tar.xz: no VEX document"),
        Sad(emptied(TRACKER), "no CVE in active or retired"),
        Sad(osv("CVE-2024-0001", lambda data: data[:-9]), "osv/cve/2024/UBUNTU-CVE-2024-0001.json"),
        Sad(osv("CVE-2024-0001", lambda _: b"[]"), "osv/cve/2024/UBUNTU-CVE-2024-0001.json"),
        Sad(osv("CVE-2024-0001", replaced(b'"name"', b'"nom"')), "UBUNTU-CVE-2024-0001.json"),
        Sad(vex("CVE-2024-0003", replaced(b'"@id": "pkg', b'"id": "pkg')), "vex/cve/2024/CVE-2024-0003.json"),
        Sad(vex("CVE-2024-0003", replaced(b'"statements"', b'"sentences"')), "vex/cve/2024/CVE-2024-0003.json"),
        Sad(
            member(OSV, "osv/usn/USN-9001-1.json", replaced(b'"cves": [', b'"cves": [7, ')),
            "osv/usn/USN-9001-1.json: cves_map",
        ),
        Sad(member(OSV, "../osv/usn/USN-9001-1.json", lambda _: b"{}"), "leads out of it"),
    )


Found = dict[tuple[str, str], dict[str, Any]]
Fix = tuple[str, str, bool]


def fixes(found: Found, group: str, cve: str) -> list[Fix]:
    """Return (package, version, whether there will be no fix) of a record."""
    record = found[f"ubuntu:{group}", cve]["Vulnerability"]
    return [(fix["Name"], fix["Version"], fix["VendorAdvisory"]["NoAdvisory"]) for fix in record["FixedIn"]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The records of the sample."""
    return bodies(on_sample(UbuntuDriver, tmp_path_factory.mktemp("sample")).run()[0])


def test_a_record_is_what_osv_says_of_a_release(found: Found) -> None:
    """With the notices that announced the fix, and the security team's priority."""
    assert found["ubuntu:22.04", "CVE-2024-0001"]["Vulnerability"] == {
        "Name": "CVE-2024-0001",
        "NamespaceName": "ubuntu:22.04",
        "Description": "A crafted certificate chain makes the chain builder of brookssl read past the end of a "
        "buffer.",
        "Severity": "High",
        "Link": "https://ubuntu.com/security/CVE-2024-0001",
        "Metadata": {},
        "FixedIn": [
            {
                "Name": "brookssl",
                "NamespaceName": "ubuntu:22.04",
                "Version": "3.0.9-1ubuntu0.1",
                "VersionFormat": "dpkg",
                "VendorAdvisory": {
                    "NoAdvisory": False,
                    "AdvisorySummary": [
                        {"ID": "USN-9001-1", "Link": "https://ubuntu.com/security/notices/USN-9001-1"}
                    ],
                },
            }
        ],
    }


def test_what_only_ubuntu_pro_fixes_is_not_fixed_without_it(found: Found) -> None:
    """The fix is in the group for Pro; the release itself stays affected, whether Pro has a fix or not."""
    assert fixes(found, "20.04+esm", "CVE-2024-0001") == [("brookssl", "3.0.8-1ubuntu0.1~esm1", False)]
    assert fixes(found, "20.04", "CVE-2024-0001") == [("brookssl", "None", True)]
    assert ("brookssl", "None", True) in fixes(found, "20.04", "CVE-2024-0003")
    assert ("ubuntu:20.04+esm", "CVE-2024-0003") not in found


def test_vex_tells_what_will_not_be_fixed(found: Found) -> None:
    """Because the security team decided so, or because the release has ended; what needs fixing may yet be."""
    assert fixes(found, "22.04", "CVE-2024-0003") == [("tinyxmlkit", "None", True)]
    assert ("tinyxmlkit", "None", True) in fixes(found, "20.04", "CVE-2024-0003")
    assert fixes(found, "24.04", "CVE-2024-0003") == [("tinyxmlkit", "None", False)]


def test_vex_tells_what_was_never_affected(found: Found) -> None:
    """Not what does not exist in the release, nor what is said of Ubuntu Pro."""
    assert ("lanternd", "0", False) in fixes(found, "24.04", "CVE-2024-0001")
    assert [name for name, _, _ in fixes(found, "22.04", "CVE-2024-0001")] == ["brookssl"]
    assert [name for name, _, _ in fixes(found, "20.04", "CVE-2024-0001")] == ["brookssl"]


@pytest.mark.parametrize(
    "product",
    [
        "pkg:deb/ubuntu/tinyxmlkit?distro=jammy&arch=source",
        "pkg:deb/ubuntu/tinyxmlkit@1.0-1?arch=source&distro=jammy#part",
        "pkg:deb/ubuntu/tiny%78mlkit@1.0-1?arch=source&distro=jammy",
    ],
)
def test_products_of_vex_are_source_packages(tmp_path: Path, product: str) -> None:
    """In whatever order a package URL says so, and escaped or not."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(vex("CVE-2024-0003", of_product(product)))
    assert fixes(bodies(trial.run()[0]), "22.04", "CVE-2024-0003") == [("tinyxmlkit", "None", True)]


@pytest.mark.parametrize(
    "product",
    [
        "pkg:deb/ubuntu/tinyxmlkit@1.0-1?arch=sources&distro=jammy",
        "pkg:deb/ubuntu/tinyxmlkit@1.0-1?arch=amd64&distro=jammy",
        "pkg:deb/debian/tinyxmlkit@1.0-1?arch=source&distro=jammy",
        "pkg:deb/ubuntu/tinyxmlkit@1.0-1?arch=source",
        "pkg:deb/ubuntu/tinyxmlkit?x" + "&arch=source" * 100 + "&distro=jammy",
    ],
)
def test_other_products_of_vex_say_nothing(tmp_path: Path, product: str) -> None:
    """Binaries, other distributions, no release, and what is longer than any product."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(vex("CVE-2024-0003", of_product(product)))
    assert fixes(bodies(trial.run()[0]), "22.04", "CVE-2024-0003") == [("tinyxmlkit", "None", False)]


def test_notices_are_cited_where_they_fixed(found: Found) -> None:
    """By release, package and CVE, with or without the map of CVEs."""
    cited = {
        group: [
            advisory["ID"]
            for fix in record["Vulnerability"]["FixedIn"]
            for advisory in fix["VendorAdvisory"]["AdvisorySummary"]
        ]
        for (group, cve), record in found.items()
        if cve == "CVE-2024-0008"
    }
    assert cited == {"ubuntu:22.04": ["USN-9002-1", "USN-9002-2"], "ubuntu:24.04": ["USN-9002-1"]}


def test_what_is_withdrawn_or_of_a_variant_makes_no_record(found: Found) -> None:
    """Withdrawn documents, and packages of FIPS, Realtime or BlueField."""
    assert not any(cve == "CVE-2024-0005" for _, cve in found)
    assert not any("Fips" in version for key in found for _, version, _ in fixes(found, key[0][7:], key[1]))


def test_untriaged_takes_the_severity_of_the_nvd(tmp_path: Path) -> None:
    """Where the security team says nothing yet; a word that we do not know is counted too."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(osv("CVE-2024-0003", replaced(b'"low"', b'"dire"')))
    records, context = trial.run()
    taking = {(record.group, record.key) for record in records if record.takes_severity}
    assert ("ubuntu:22.04", "CVE-2024-0008") in taking
    assert ("ubuntu:22.04", "CVE-2024-0001") not in taking
    assert ("ubuntu:22.04", "CVE-2024-0003") in taking
    assert context.unknown_values == {"priority=dire": 4}


def test_unknown_words_of_the_archives_are_counted(tmp_path: Path) -> None:
    """A new kind of ecosystem, an id that is no CVE, a status of VEX."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(osv("CVE-2024-0001", replaced(b'"Ubuntu:22.04:LTS"', b'"Ubuntu:Core:22"')))
    trial.edit(osv("CVE-2024-0003", replaced(b'"UBUNTU-CVE-2024-0003"', b'"UBUNTU-CVE-X"')))
    trial.edit(vex("CVE-2024-0008", replaced(b"under_investigation", b"forgotten")))
    _, context = trial.run()
    assert context.unknown_values == {"ecosystem=Ubuntu:Core:22": 1, "id=UBUNTU-CVE-X": 1, "status=forgotten": 1}


def test_a_cve_given_twice_counts_once(tmp_path: Path) -> None:
    """The first document holds."""
    trial = on_sample(UbuntuDriver, tmp_path)
    before = len(trial.run()[0])
    trial.edit(
        members(
            OSV, lambda found: found.update({f"x/{name}": data for name, data in found.items() if "0001" in name})
        )
    )
    records, context = trial.run()
    assert len(records) == before
    assert context.unknown_values == {"CVE given twice=CVE-2024-0001": 1}


def test_a_new_release_needs_no_setting(tmp_path: Path) -> None:
    """OSV names its version, and the codename that VEX knows it by."""
    trial = on_sample(UbuntuDriver, tmp_path)

    def renamed(path: str) -> Edit:
        return members(
            path,
            lambda found: found.update(
                {
                    name: data.replace(b"Ubuntu:22.04:LTS", b"Ubuntu:31.04").replace(b"distro=jammy", b"distro=zurg")
                    for name, data in found.items()
                }
            ),
        )

    trial.edit(renamed(OSV))
    trial.edit(renamed(VEX))
    records, context = trial.run()
    assert fixes(bodies(records), "31.04", "CVE-2024-0003") == [("tinyxmlkit", "None", True)]
    assert context.unknown_values == {}


def test_settings_choose_what_is_served(tmp_path: Path) -> None:
    """Sources, releases, groups for Pro, version "0" and descriptions."""

    def run(name: str, **settings: Any) -> Found:
        return bodies(on_sample(UbuntuDriver, tmp_path / name, UbuntuSettings(**settings)).run()[0])

    assert {group for group, _ in run("osv", sources="osv")} == {group for _, group in OF_OSV}
    alone = {group for group, _ in run("tracker", sources="tracker")}
    assert alone == {*(group for _, group in OF_TRACKER), "ubuntu:20.04", "ubuntu:22.04"}
    some = run("some", include=("2?.*", "10.04"), exclude=("23.*",), esm=False)
    assert {group for group, _ in some} == {"ubuntu:20.04", "ubuntu:22.04", "ubuntu:24.04", "ubuntu:10.04"}
    plain = run("plain", not_affected=False, descriptions=False)
    assert {record["Vulnerability"]["Description"] for record in plain.values()} == {""}
    assert "0" not in {version for key in plain for _, version, _ in fixes(plain, key[0][7:], key[1])}
    named = run("named", releases={"yakkety": "", "mantic": "23.99"})
    assert {group for _, group in OF_TRACKER} - {group for group, _ in named} == {"ubuntu:16.10", "ubuntu:23.10"}
    assert ("ubuntu:23.99", "CVE-2024-0003") in named


# --- the tracker --------------------------------------------------------------------------------------------------


def test_the_tracker_serves_what_osv_does_not_carry(found: Found) -> None:
    """Its lines on releases of OSV are not read."""
    assert fixes(found, "16.10", "CVE-2016-9001") == [("lanternd", "None", False), ("quillfs", "None", True)]
    assert fixes(found, "23.10", "CVE-2024-0001") == [
        ("brookssl", "3.0.10-1ubuntu1.1", False),
        ("lanternd", "0", False),
    ]
    assert fixes(found, "14.04+esm", "CVE-2024-0001") == [("brookssl", "1.0.1-1ubuntu2+esm3", False)]


def test_a_checkout_stands_in_for_the_archive(tmp_path: Path) -> None:
    """The same records; a changed file is noticed; what cannot be read ends the run."""
    folder = tmp_path / "checkout"
    with tarfile.open(SAMPLE / TRACKER) as archive:
        archive.extractall(folder, filter="data")
    checkout = folder / TREE
    (checkout / "active" / "CVE-2024-9999").unlink(missing_ok=True)
    settings = UbuntuSettings(sources="tracker", checkout=str(checkout))
    trial = on_sample(UbuntuDriver, tmp_path / "checked out", settings)
    (trial.folder / TRACKER).unlink()
    first, context = trial.fetch()
    assert isinstance(first, Checkpoint)
    packed = on_sample(UbuntuDriver, tmp_path / "packed", UbuntuSettings(sources="tracker")).run()[0]
    assert bodies(trial.parse(context)) == bodies(packed)
    assert trial.fetch(first)[0] == UNCHANGED
    (checkout / "active" / "CVE-2024-0001").write_text("mantic_p: needed\n")
    assert fixes(bodies(trial.run(first)[0]), "23.10", "CVE-2024-0001") == [("p", "None", False)]
    (checkout / "retired").rename(checkout / "moved")
    with pytest.raises(ParseError, match="retired: cannot be read"):
        trial.fetch(first)


# --- which source has which release -------------------------------------------------------------------------------


def first_run(trial: Trial) -> Checkpoint:
    """Return the checkpoint of a whole first run."""
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    trial.parse(context)
    return answer


@pytest.mark.parametrize(
    ("edit", "read", "left"),
    [
        (TestUbuntu.changed[0], OF_OSV, OF_TRACKER),
        (TestUbuntu.changed[1], OF_OSV, OF_TRACKER),
        (TestUbuntu.changed[2], OF_TRACKER, OF_OSV),
    ],
)
def test_only_the_source_that_changed_is_read(
    tmp_path: Path, edit: Edit, read: frozenset[tuple[str, str]], left: frozenset[tuple[str, str]]
) -> None:
    """The groups of the other one stay as they are."""
    trial = on_sample(UbuntuDriver, tmp_path)
    checkpoint = first_run(trial)
    trial.edit(edit)
    records, context = trial.run(checkpoint)
    assert {(record.feed, record.group) for record in records} == read == context.covered
    assert context.skipped == dict.fromkeys(left, "unchanged")


def test_a_release_that_osv_drops_is_frozen(tmp_path: Path) -> None:
    """Neither covered nor skipped, and not the tracker's, which says less of it; also after a whole new run."""
    trial = on_sample(UbuntuDriver, tmp_path)
    checkpoint = first_run(trial)
    trial.edit(members(OSV, without("22.04")))
    answer, context = trial.fetch(checkpoint)
    assert isinstance(answer, Checkpoint)
    assert {(record.feed, record.group) for record in trial.parse(context)} == OF_OSV - groups("22.04")
    assert not groups("22.04") & (context.covered | context.skipped.keys())
    assert trial.fetch(answer)[0] == UNCHANGED
    whole, _ = trial.run(None)
    assert {(record.feed, record.group) for record in whole} == (OF_OSV | OF_TRACKER) - groups("22.04")


def test_a_release_that_only_notices_name_is_the_trackers(tmp_path: Path) -> None:
    """Notices go on naming releases that have ended."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(member(OSV, "osv/usn/USN-9001-1.json", replaced(b'"Ubuntu:24.04:LTS"', b'"Ubuntu:23.10"')))
    found = bodies(trial.run()[0])
    assert fixes(found, "23.10", "CVE-2024-0001")[0] == ("brookssl", "3.0.10-1ubuntu1.1", False)


def test_a_release_that_osv_takes_up_is_its_own(tmp_path: Path) -> None:
    """The tracker's groups of that release are not touched by what the tracker says from then on."""
    trial = on_sample(UbuntuDriver, tmp_path)
    trial.edit(members(OSV, without("22.04")))
    checkpoint = first_run(trial)
    (trial.folder / OSV).write_bytes((SAMPLE / OSV).read_bytes())
    records, context = trial.run(checkpoint)
    assert groups("22.04") < context.covered
    assert context.skipped == dict.fromkeys(OF_TRACKER, "unchanged")
    assert ("ubuntu:22.04", "CVE-2024-0003") in bodies(records)


@pytest.mark.parametrize("gone", [OSV, VEX])
def test_without_osv_its_groups_stay_as_they_are(tmp_path: Path, gone: str) -> None:
    """The tracker is read alone; at a first run it must not take the releases of OSV."""
    trial = on_sample(UbuntuDriver, tmp_path)
    checkpoint = first_run(trial)
    (trial.folder / gone).unlink()
    answer, context = trial.fetch(checkpoint)
    assert answer == UNCHANGED
    assert context.skipped.keys() == OF_OSV
    assert all("HTTP status 404" in reason for reason in context.skipped.values())
    trial.edit(TestUbuntu.changed[2])
    records, context = trial.run(checkpoint)
    assert {(record.feed, record.group) for record in records} == OF_TRACKER
    assert context.skipped.keys() == OF_OSV
    with pytest.raises(StatusError, match=gone):
        on_sample_without(tmp_path / "new", gone).fetch()


def on_sample_without(tmp_path: Path, *gone: str) -> Trial:
    """Return a trial without some of the documents."""
    trial = on_sample(UbuntuDriver, tmp_path)
    for path in gone:
        (trial.folder / path).unlink()
    return trial


def test_without_the_tracker_osv_is_published(tmp_path: Path) -> None:
    """A first run says what is missing; a later one leaves the tracker's groups as they are."""
    trial = on_sample_without(tmp_path, TRACKER)
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    assert {(record.feed, record.group) for record in trial.parse(context)} == OF_OSV
    (note,) = context.notes
    assert note.startswith("the tracker could not be had")
    trial = on_sample(UbuntuDriver, tmp_path / "later")
    checkpoint = first_run(trial)
    trial.edit(TestUbuntu.changed[0])
    (trial.folder / TRACKER).write_bytes((trial.folder / TRACKER).read_bytes()[:500])
    records, context = trial.run(checkpoint)
    assert {(record.feed, record.group) for record in records} == OF_OSV
    assert context.skipped.keys() == OF_TRACKER
    assert all("ubuntu-cve-tracker-master.tar.gz" in reason for reason in context.skipped.values())


def test_without_any_source_the_run_fails(tmp_path: Path) -> None:
    """Also when all were had before."""
    trial = on_sample(UbuntuDriver, tmp_path)
    checkpoint = first_run(trial)
    for path in (OSV, TRACKER):
        (trial.folder / path).unlink()
    with pytest.raises(UpstreamError, match="HTTP status 404"):
        trial.fetch(checkpoint)


def test_a_broken_archive_leaves_what_was_read_before(tmp_path: Path) -> None:
    """The issues of the last run are replaced when the new ones are whole, not before."""
    trial = on_sample(UbuntuDriver, tmp_path)
    first_run(trial)
    before = (trial.workspace / "osv.issues").read_bytes()
    trial.edit(Edit(OSV, lambda data: data[:-200]))
    with pytest.raises(DownloadError, match="too early"):
        trial.fetch()
    assert (trial.workspace / "osv.issues").read_bytes() == before
    assert not list(trial.workspace.glob("*.partial"))


# --- real documents -----------------------------------------------------------------------------------------------


class Real(NamedTuple):
    """The driver on the replay, after its first run."""

    upstreams: Upstreams
    records: list[Record]
    context: Context


@pytest.fixture(scope="module")
def real(replay_process: Replay, tmp_path_factory: pytest.TempPathFactory) -> Real:
    """The driver on the replay: 14 OSV documents and the tracker of 2020."""
    replay_process.day(1)
    replay_process.clear()
    upstreams = Upstreams(UbuntuDriver, replay_process.address, tmp_path_factory.mktemp("ubuntu"))
    return Real(upstreams, *upstreams.run())


def test_the_real_documents_have_few_unknown_words(real: Real, replay: Replay) -> None:
    """Releases are shared out between both sources; day 2 has the same documents, so nothing is read."""
    served = {record.group for record in real.records}
    assert {"ubuntu:14.04", "ubuntu:24.04", "ubuntu:16.04+esm", "ubuntu:12.04", "ubuntu:12.04+esm"} < served
    assert {record.group for record in real.records if record.key == "CVE-2018-10196"} >= {"ubuntu:18.10"}
    assert real.context.unknown_values == {"version=": 3}
    assert real.context.notes == []
    replay.day(2)
    assert real.upstreams.run()[0] == []


@pytest.mark.parametrize("fault", ["truncate", "html", "empty", "status:500"])
def test_faults_of_upstream_leave_all_as_it_is(real: Real, replay: Replay, fault: str) -> None:
    """Half an archive, a page in its place, nothing, an error: the tracker's groups go on without OSV's."""
    # Without the copy of last time it is asked for whole.
    (real.upstreams.workspace / "osv-all.tar.xz").unlink(missing_ok=True)
    replay.fault(f"{fault}:security-metadata.canonical.com/osv")
    records, context = real.upstreams.run()
    assert records == []
    assert (FEED, "ubuntu:24.04") in context.skipped
    assert (FEED, "ubuntu:12.04") not in context.skipped
