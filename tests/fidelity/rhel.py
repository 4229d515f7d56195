"""Driver rhel against vunnel, without and with OVAL documents, and against what the original service served."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from tests.drivers.driver_runs import Upstreams, bodies
from tests.drivers.redhat import csaf_documents
from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Side, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.redhat.rhel import RHELDriver

DRIVER = "rhel"
GOLDEN: Final = "pairs/vulnerabilities/rhel_"
API: Final = "access.redhat.com/hydra/rest/securitydata"
CSAF: Final = "security.access.redhat.com/data/csaf/v2/advisories"
ANY_FIX: Final = ("BaseOS-9.4.0.GA", csaf_documents.rpm("p", "1-1.el9"))
"""There must be advisories; those that the original's documents name are not at hand."""
SAID_OF_A_FIX = ("package", "fixed version", "version format", "group of a fix", "will not fix", "module")


def _packages(fields: dict[str, Any], version: str) -> set[str]:
    return {name for name, found in fields["fixed version"] if found == version}


def _only_not_affected(found: Difference) -> bool:
    if found.field == RECORD:
        return found.theirs is None and {version for _, version in found.ours["fixed version"]} == {"0"}
    healthy = _packages(found.our_record, "0")
    more = set(found.ours) - set(found.theirs)
    named = {entry if isinstance(entry, str) else entry[0] for entry in more}
    return bool(more) and set(found.theirs) <= set(found.ours) and named <= healthy


def _after_the_end(found: Difference) -> bool:
    said = found.ours and found.ours["will not fix"]
    return found.theirs is None and {(version, never) for _, version, never in said} >= {("None", True)}


def _of_a_module(found: Difference) -> bool:
    if found.field == RECORD and found.ours is not None:
        return False
    kept = set(found.our_record.get("fixed version", ()))
    more = {version for name, version in found.their_record["fixed version"] if (name, version) not in kept}
    return bool(more) and all(".module+el" in version for version in more)


def _by_stream(found: Difference) -> bool:
    if found.field == "advisory":
        return "range of a fix" in found.our_record and found.theirs < found.ours
    more = found.ours ^ found.theirs
    return "Advisories" in more and more <= {"Advisories", "VulnerableRange", "Module", "Available"}


NOT_AFFECTED = DifferenceClass(
    "not affected",
    (RECORD, *SAID_OF_A_FIX),
    ("rhel:9 CVE-2019-0136",),
    "Red Hat says that a package is not affected: here a fix with version `0`; vunnel 0.44 leaves that out, later "
    "versions do not",
    "ours",
    "it silences what other sources say; `not_affected = false` leaves it out",
    _only_not_affected,
)
AFTER_THE_END = DifferenceClass(
    "fixed for extended life cycle support only",
    (RECORD,),
    ("rhel:6 CVE-2020-1971",),
    "the fix is for a paid extension of an ended release: here the release has a record that says affected, will not "
    "be fixed; vunnel 0.44 has none",
    "ours",
    "the package of the release has the flaw and gets no fix",
    _after_the_end,
)
NULLS = DifferenceClass(
    "keys of a fix",
    ("keys of a fix",),
    ("rhel:7 CVE-2020-27764", "rhel:8 CVE-2019-0203"),
    "vunnel writes `Module: null` where there is no module, and no date without its own database; here no module is "
    "no key, and `Available` is the advisory's date",
    "either",
    "clients read neither",
    lambda found: {"Module", "Available"} >= (found.ours ^ found.theirs),
)
OF_A_MODULE = DifferenceClass(
    "advisory of a module not at hand",
    (RECORD, "advisory", *SAID_OF_A_FIX),
    ("rhel:8 CVE-2019-0203",),
    "the API names a module's build but no package version; vunnel has it from the OVAL documents of 2019, the CSAF "
    "documents of those advisories are not among the recorded ones",
    "theirs",
    "with the whole CSAF archive both have it; the task tells how many fixes lack a version",
    _of_a_module,
)
WITH_ADVISORY = DifferenceClass(
    "advisories at hand",
    (RECORD,),
    ("rhel:8 CVE-2021-33621",),
    "the CSAF documents of three advisories tell the versions and modules; vunnel's run had no CSAF documents",
    "ours",
    "the versions are those that the advisories list",
    lambda found: found.theirs is None and any(module for _, _, module in found.ours["module"]),
)
LONGER_LIFE = DifferenceClass(
    "groups of the extended life",
    (RECORD,),
    ("rhel:6+els CVE-2020-0466",),
    "`rhel:6+els`: what the paid extension of an ended release got; vunnel has no groups of it",
    "ours",
    "a host with the extension has these fixes",
    lambda found: found.theirs is None and found.ours["group"].endswith("+els"),
)
BY_STREAM = DifferenceClass(
    "fixes by minor stream",
    ("keys of a fix", "advisory"),
    ("rhel:8 CVE-2020-8696",),
    "`Advisories` lists the fix of each minor release and support; where a release was fixed on several bases, "
    "`VulnerableRange` says what is affected and all their advisories are named. vunnel 0.44 has the newest only, "
    "later versions have both",
    "ours",
    "with the newest alone a host of an older minor release counts as affected for ever",
    _by_stream,
)
OF_ITS_DAY = DifferenceClass(
    "said otherwise since",
    (RECORD, "keys of a fix", "fixed version", "will not fix", "advisory", "module", "CVSS"),
    ("rhel:5 CVE-2016-4122", "rhel:8 CVE-2018-1000858"),
    "Red Hat's documents of 2023-12 say something else: gnupg2 of RHEL 8 is fixed, flash-plugin belongs to a product "
    "beside RHEL 5",
    "both",
    "each as Red Hat had it on its day",
    lambda found: found.ours is None or found.key == "rhel:8 CVE-2018-1000858",
)
OF_THE_ORIGINAL = (OF_ITS_DAY,)
CLASSES = (AFTER_THE_END, LONGER_LIFE, WITH_ADVISORY, BY_STREAM, NULLS)


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    served = world.served(RHELDriver, 1)
    affected = side(_without_not_affected(served))
    vunnel = side(documents.vunnel(world.shared, "rhel"))
    with_oval = side(documents.vunnel(world.shared, "rhel-oval"))
    return [
        compare(DRIVER, "vunnel 0.44", side(served), vunnel, (NOT_AFFECTED, *CLASSES)),
        compare(DRIVER, 'vunnel 0.44, without version "0"', affected, vunnel, CLASSES),
        compare(DRIVER, 'vunnel 0.44 with OVAL, without version "0"', affected, with_oval, (*CLASSES, OF_A_MODULE)),
        _original(world),
    ]


def _original(world: World) -> Agreement:
    """Compare with ten records of each of four groups, from the API's documents of the same CVEs of 2023-12."""
    recorded = side(documents.pages(world.shared, documents.PAIRS, *(f"{GOLDEN}{n}.json" for n in (5, 6, 7, 8))))
    folder = world.folder / "API of 2023-12"
    (folder / API / "cve").mkdir(parents=True)
    names = set()
    for path, data in documents.archive_members(world.shared / "golden" / documents.PAIRS):
        if path.startswith(GOLDEN) and ".input/" in path:
            names.add(path.rpartition("/")[2].removesuffix(".json"))
            (folder / API / "cve" / path.rpartition("/")[2]).write_bytes(data)
    (folder / API / "cve.json").write_text(json.dumps([{"CVE": name} for name in sorted(names)]))
    other = csaf_documents.advisory("RHSA-2023:0001", ["CVE-2023-0001"], [ANY_FIX])
    csaf_documents.write_folder(folder / CSAF, "advisories", "2023-12-31", [other])
    records, _ = Upstreams(RHELDriver, str(folder), folder / "workspace").run()
    ours = side(_without_not_affected(list(bodies(records).values())))
    met = {key: fields for key, fields in ours.items() if key in recorded}
    return compare(DRIVER, 'original of 2021-04, without version "0"', met, recorded, OF_THE_ORIGINAL)


def _without_not_affected(records: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for body in records:
        record = body["Vulnerability"]
        if fixes := [fix for fix in record["FixedIn"] if fix["Version"] != "0"]:
            yield {"Vulnerability": {**record, "FixedIn": fixes}}


def side(records: Iterable[dict[str, Any]]) -> Side:
    """Return the fields of records, with modules and the vendor's CVSS."""
    found: dict[str, dict[str, Any]] = {}
    for body in records:
        record = body["Vulnerability"]
        fields = os_fields.of_record(body)
        fields["module"] = {(fix["Name"], fix["Version"], fix.get("Module") or "") for fix in record["FixedIn"]}
        fields["CVSS"] = record["CVSS"]
        found[f"{record['NamespaceName']} {record['Name']}"] = fields
    return found
