"""Drivers of distributions that publish OVAL against vunnel and against what the original service served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Side, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.mariner import MarinerDriver
from vulnfeeds.drivers.ol import OracleDriver

ORACLE = "ol"
MARINER = "mariner"

LISTED = replace(
    os_fields.EMPTY_CVSS, examples=("ol:5 ELSA-2015-0046", "ol:8 ELSA-2019-0968", "mariner:1.0 CVE-1999-0150")
)


def _only_flavours(found: Difference) -> bool:
    if found.ours is None:
        return found.theirs["package"] == set()
    return found.theirs is None and found.ours["group"].endswith("+ksplice")


APART = DifferenceClass(
    "builds for Ksplice",
    (RECORD,),
    ("ol:7 ELSA-2019-4753", "ol:7+ksplice ELSA-2019-4753"),
    "vunnel drops the fixes of Ksplice builds and keeps an empty record; here they are records of `ol:7+ksplice`",
    "ours",
    "an empty record matches nothing, and whoever runs such builds learns of their fixes",
    _only_flavours,
)
DATED = DifferenceClass(
    "date of a fix",
    ("keys of a fix",),
    ("ol:8 ELSA-2019-0968",),
    "here the date of the advisory is the date of the fix; the original had none",
    "ours",
    "it says more; clients of the feed do not read it",
    lambda found: found.ours - found.theirs == {"Available"} and found.theirs < found.ours,
)
DESCRIBED = DifferenceClass(
    "a description",
    ("description",),
    ("ol:8 ELSA-2019-0968",),
    "the original left it empty",
    "ours",
    "`descriptions: false` gives the original's",
    lambda found: found.theirs == "",
)
ARCHES = DifferenceClass(
    "versions by architecture",
    ("architecture", "keys of a fix"),
    ("ol:7 ELSA-2018-2731",),
    "where a package has other versions on other architectures, vunnel 0.44 gives all versions and does not say so",
    "ours",
    "a reader who knows the architecture can tell which version counts",
    lambda found: bool(found.our_record["architecture"]) and not found.their_record["architecture"],
)
REBUILT = DifferenceClass(
    "names of module packages",
    ("package", "fixed version", "version format", "group of a fix"),
    ("ol:8 ELSA-2019-0975",),
    "the rebuilt document says `container-tools:ol8::buildah`, Oracle's own `buildah` and, apart, its module",
    "theirs",
    "both of us read the document at hand as it is",
    lambda found: "::" in str(found.ours) and str(found.ours).count("::") == str(found.ours).count(":ol8::"),
)
SECURE = DifferenceClass(
    "secure links",
    ("link", "other metadata"),
    ("ol:7 ELSA-2018-0012",),
    "Oracle wrote `http:` into this advisory in 2021",
    "both",
    "each as Oracle had it on its day",
    lambda found: str(found.ours).replace("https:", "http:") == str(found.theirs),
)
NULLS = DifferenceClass(
    "keys without a value",
    ("keys of a fix",),
    ("ol:5 ELSA-2015-0046", "mariner:1.0 CVE-1999-0150"),
    "vunnel writes `Module: null`, or an empty text, `Available: null`; here there is no such key",
    "either",
    "clients do not read it",
    lambda found: found.ours < found.theirs <= found.ours | {"Module", "VulnerableRange", "Available"},
)
GATHERED = DifferenceClass(
    "several packages of one CVE",
    (
        *("package", "fixed version", "version format", "group of a fix", "description", "will not fix", "severity"),
        *("affected versions", "date", "keys of a fix"),
    ),
    ("mariner:1.0 CVE-2018-25032",),
    "upstream has one definition for each CVE and package; of those of the same CVE vunnel keeps the last one only",
    "ours",
    "vunnel loses the other packages: of `mariner:1.0 CVE-2018-25032` it has zlib and lacks eight more",
    lambda found: set(found.their_record["fixed version"]) < set(found.our_record["fixed version"]),
)
NOT_GIVEN = DifferenceClass(
    "a document that vunnel was not given",
    (RECORD,),
    ("mariner:2.0 CVE-2022-3736",),
    "the recorded run of vunnel had the documents of 1.0 and 3.0 only",
    "both",
    holds=lambda found: found.theirs is None and found.ours["group"] == "mariner:2.0",
)


def side(bodies: Iterable[dict[str, Any]]) -> Side:
    """Return the fields of records by "group name", with those that only newer records have."""
    records = list(bodies)
    sides = os_fields.side(records)
    for body, fields in zip(records, sides.values(), strict=True):
        fixes = body["Vulnerability"]["FixedIn"]
        for name, key in (("module", "Module"), ("architecture", "Arch"), ("affected versions", "VulnerableRange")):
            fields[name] = {(fix["Name"], fix["Version"], fix[key]) for fix in fixes if fix.get(key)}
        dates = [fix["Available"]["Date"] for fix in fixes if fix.get("Available")]
        if dates:
            fields["date"] = set(dates)
    return sides


def run_oracle(world: World) -> list[Agreement]:
    """Return the comparisons of driver ol."""
    ours = side(world.served(OracleDriver, 1))
    vunnel = side(documents.vunnel(world.shared, "oracle"))
    recorded = [f"pairs/vulnerabilities/ol_{release}.json" for release in (5, 6, 7, 8)]
    original = side(documents.pages(world.shared, documents.PAIRS, *recorded))
    met = {key: record for key, record in original.items() if key in ours}
    return [
        compare(ORACLE, "vunnel 0.44", ours, vunnel, [LISTED, APART, ARCHES, NULLS]),
        compare(
            ORACLE,
            "original of 2021-04",
            {key: record for key, record in ours.items() if key in met},
            met,
            [LISTED, DATED, DESCRIBED, SECURE, REBUILT],
        ),
    ]


def run_mariner(world: World) -> list[Agreement]:
    """Return the comparisons of driver mariner."""
    ours = side(world.served(MarinerDriver, 1))
    vunnel = side(documents.vunnel(world.shared, "mariner"))
    return [compare(MARINER, "vunnel 0.44", ours, vunnel, [LISTED, NULLS, NOT_GIVEN, GATHERED])]
