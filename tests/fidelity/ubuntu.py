"""Driver ubuntu against vunnel, from the same tracker and from the same OSV documents, and against the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.drivers.driver_runs import Upstreams, archive_members, bodies
from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import Body, World
from vulnfeeds.drivers.ubuntu import tracker
from vulnfeeds.drivers.ubuntu.driver import UbuntuDriver
from vulnfeeds.drivers.ubuntu.gathering import UbuntuSettings

DRIVER = "ubuntu"
FROM_NVD = ("NVD score", "NVD vector")
"""What the sync fills in."""
UNFIXED = "None"


def _of_pro(found: Difference) -> bool:
    return found.theirs is None and "+esm " in found.key


def _left_out(found: Difference) -> bool:
    return found.theirs is None and found.key.startswith("ubuntu:13.10 ")


def _ended(found: Difference) -> bool:
    return found.theirs is None and found.key.startswith(("ubuntu:12.04 ", "ubuntu:14.04 "))


def _without_fixes(found: Difference) -> bool:
    return found.ours is None and found.theirs["package"] == set()


def _fixes(record: Fields) -> set[tuple[str, str, bool]]:
    said: set[tuple[str, str, bool]] = record.get("will not fix", set())
    return said


def _more(found: Difference) -> set[tuple[str, str, bool]]:
    return _fixes(found.our_record) - _fixes(found.their_record)


def _less(found: Difference) -> set[tuple[str, str, bool]]:
    return _fixes(found.their_record) - _fixes(found.our_record)


def _slip(found: Difference) -> bool:
    return any(version != version.strip("() ") or "," in version for _, version, _ in _less(found))


def _harmless(found: Difference) -> bool:
    return bool(_less(found)) and all(version == UNFIXED for _, version, _ in _less(found))


def _affected(found: Difference) -> bool:
    more = _more(found)
    return bool(more) and not _less(found) and all(version == UNFIXED for _, version, _ in more)


OF_A_FIX = (
    "package",
    "fixed version",
    "version format",
    "group of a fix",
    "will not fix",
    "keys of a fix",
    "advisory",
)
PRO = DifferenceClass(
    "groups for Ubuntu Pro",
    (RECORD,),
    ("ubuntu:14.04+esm CVE-2019-12900",),
    "`ubuntu:14.04+esm`: from the tracker vunnel makes no groups for Ubuntu Pro",
    "ours",
    "a host with Pro has these fixes",
    _of_pro,
)
LEFT_OUT = DifferenceClass(
    "a release that vunnel leaves out",
    (RECORD,),
    ("ubuntu:13.10 CVE-2013-4348",),
    "saucy (13.10) is not in vunnel's table",
    "ours",
    "the tracker has it",
    _left_out,
)
ENDED = DifferenceClass(
    "found after the end of a release",
    (RECORD,),
    ("ubuntu:12.04 CVE-2019-19533",),
    "of 12.04 and 14.04 the tracker has a line for Ubuntu Pro only, such as `precise/esm_linux: needed`; here the "
    "release without Pro is affected and will not be fixed, in vunnel there is no record",
    "ours",
    "hosts without Pro are affected; for OSV vunnel says the same",
    _ended,
)
WITHOUT_FIXES = DifferenceClass(
    "records without any fix",
    (RECORD,),
    ("ubuntu:18.04 CVE-2016-6703", "ubuntu:12.04 CVE-2015-2309"),
    "vunnel and the original make a record with `FixedIn: []` of a release that the tracker has any line for; here "
    "only a withdrawn record has none (run with `not_affected: false`, since neither of them serves version `0`)",
    "either",
    "they match nothing",
    _without_fixes,
)
SLIP = DifferenceClass(
    "slips of the pen",
    OF_A_FIX,
    ("ubuntu:18.04 CVE-2019-13722",),
    "`released (1:68.4.1+build1-0ubuntu0.18.04.1` without the second bracket, doubled brackets, a blank, two "
    "versions: vunnel takes all that into the version",
    "ours",
    "such a version compares as nonsense",
    _slip,
)
HARMLESS = DifferenceClass(
    "ignored, but not affected",
    (RECORD, *OF_A_FIX),
    ("ubuntu:18.04 CVE-2019-14898",),
    "`ignored (was not-affected ... now end-of-life)`, and `needs-triage` where the line of Ubuntu Pro says "
    "not-affected for a reason other than the version: vunnel serves no fix yet, here the package is not affected",
    "ours",
    "the tracker says so",
    _harmless,
)
AFFECTED = DifferenceClass(
    "ignored for another reason than the end",
    OF_A_FIX,
    ("ubuntu:16.04 CVE-2016-4587",),
    "`ignored`, `ignored (no update available)`, `ignored (abandoned)`, ...: here affected and will not be fixed; "
    "vunnel says so only where the release has ended, and else leaves the package out",
    "ours",
    "the package is affected; reasons that say otherwise (`code-not-compiled`) are not served so here",
    _affected,
)
PRIORITY = DifferenceClass(
    "priority of a package",
    ("severity",),
    ("ubuntu:12.04 CVE-2014-9295",),
    "`Priority: medium` with `Priority_ntp: low`: vunnel takes the higher one; here that of the package stands, and "
    "that of packages which only one side lists counts on that side",
    "ours",
    "the security team rates the package on purpose",
)
IGNORED = DifferenceClass(
    "ignored, or not yet looked into",
    OF_A_FIX,
    ("ubuntu:12.04 CVE-2008-2751", "ubuntu:14.04 CVE-2012-0097"),
    "the original left out what is `ignored`, `(reached end-of-life)` too, and what is `needs-triage`; here and in "
    "vunnel both are without a fix",
    "ours",
    "the package is affected, or may be",
    lambda found: found.their_record["package"] == set() and {said[1] for said in _more(found)} == {UNFIXED},
)
LINK = DifferenceClass(
    "link to another site",
    ("link",),
    ("ubuntu:20.04 CVE-2019-12067",),
    "the original led to people.ubuntu.com, which redirects; here and in vunnel to ubuntu.com/security",
    "ours",
    holds=lambda found: found.theirs.startswith("http://people.ubuntu.com/~ubuntu-security/cve/"),
)
VENDOR = DifferenceClass(
    "will not fix",
    ("keys of a fix",),
    ("ubuntu:20.04 CVE-2019-12067",),
    "the original had no `VendorAdvisory`",
    "ours",
    "clients show it",
    lambda found: found.ours - found.theirs == {"VendorAdvisory"},
)
CLASSES = (PRO, LEFT_OUT, ENDED, WITHOUT_FIXES, SLIP, HARMLESS, AFFECTED, PRIORITY)


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    return [_tracker(world), _osv(world), _original(world)]


def _tracker(world: World) -> Agreement:
    """Compare all records that vunnel makes of the tracker of 2020-06-18."""
    settings = UbuntuSettings(sources="tracker", descriptions=False, not_affected=False)
    records, context = Upstreams(UbuntuDriver, world.replay.address, world.folder / "tracker").run(settings)
    assert context.skipped == {}
    ours = os_fields.side(bodies(records).values())
    theirs = os_fields.side(_in_our_form(documents.vunnel(world.shared, "ubuntu")))
    return compare(DRIVER, "vunnel 0.44, tracker of 2020-06-18", ours, theirs, CLASSES)


def _in_our_form(items: Iterable[Body]) -> Iterator[Body]:
    """Leave out dates that vunnel's database of dates would fill, and name the advisories, none, in full."""
    for item in items:
        for fix in item["Vulnerability"]["FixedIn"]:
            fix.pop("Available")
            fix["VendorAdvisory"].setdefault("AdvisorySummary", [])
        yield item


def _osv(world: World) -> Agreement:
    """Compare what vunnel's own tests expect of OSV and VEX documents, which it keeps in OSV's form there."""
    settings = UbuntuSettings(sources="osv", not_affected=False)
    records, _ = Upstreams(UbuntuDriver, world.replay.address, world.folder / "osv").run(settings)
    archive = world.shared / "upstream" / "fixtures" / "vunnel-inputs-and-snapshots.tar.xz"
    beginning = "tests/unit/providers/ubuntu/test-fixtures/snapshots/ubuntu-"
    theirs = {}
    for name, data in archive_members(archive):
        document = documents.json_of(data)["item"] if name.startswith(beginning) else {}
        if "withdrawn" not in document and (fixes := set(_snapshot_fixes(document))):
            pro = "+esm" if name.startswith(f"{beginning}pro-") else ""
            version = name.removeprefix(beginning).removeprefix("pro-").partition("-")[0]
            theirs[f"ubuntu:{version}{pro} {document['upstream'][0]}"] = _said(fixes)
    known = {key.split()[1] for key in theirs}
    ours = {
        key: _said(fields["will not fix"])
        for key, fields in os_fields.side(bodies(records).values()).items()
        if key.split()[1] in known
    }
    return compare(DRIVER, "vunnel's test documents of OSV", ours, theirs, ())


def _snapshot_fixes(document: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield (package, version, will not fix); of Ubuntu Pro the fixes only, which alone vunnel passes on."""
    for affected in document.get("affected", []):
        events = [event for found in affected["ranges"] for event in found["events"]]
        fixed = [event["fixed"] for event in events if "fixed" in event]
        if fixed or ":Pro:" not in affected["package"]["ecosystem"]:
            status = affected.get("database_specific", {}).get("anchore", {}).get("status")
            yield affected["package"]["name"], *(fixed or [UNFIXED])[:1], status == "wont-fix"


def _said(fixes: set[tuple[str, str, bool]]) -> Fields:
    return {
        "package": {name for name, _, _ in fixes},
        "fixed version": sorted((name, version) for name, version, _ in fixes),
        "will not fix": fixes,
    }


def _original(world: World) -> Agreement:
    """Compare ten records of each of 16 groups as served in 2021-04, with the tracker's files of 2021-04-14."""
    prefix = "pairs/vulnerabilities/ubuntu_"
    checkout = world.folder / "checkout"
    _lay_out(world.shared / "golden" / documents.PAIRS, prefix, checkout)
    settings = UbuntuSettings(sources="tracker", checkout=str(checkout), descriptions=False, not_affected=False)
    records, _ = Upstreams(UbuntuDriver, world.replay.address, world.folder / "2021").run(settings)
    theirs = _without_scores(os_fields.side(documents.pages(world.shared, documents.PAIRS, prefix)))
    ours = {key: fields for key, fields in os_fields.side(bodies(records).values()).items() if key in theirs}
    return compare(DRIVER, "original of 2021-04", ours, theirs, (WITHOUT_FIXES, LINK, IGNORED, VENDOR))


def _lay_out(archive: Path, prefix: str, checkout: Path) -> None:
    for folder in tracker.FOLDERS:
        (checkout / folder).mkdir(parents=True)
    for name, data in archive_members(archive):
        if name.startswith(prefix) and ".input/" in name:
            (checkout / "active" / name.rpartition("/")[2]).write_bytes(data)


def _without_scores(side: Side) -> Side:
    return {
        key: {name: said for name, said in fields.items() if name not in FROM_NVD} for key, fields in side.items()
    }
