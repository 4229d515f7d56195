"""Drivers of distributions that publish OVAL against vunnel and against what the original service served."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.drivers.driver_runs import bodies
from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Side, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.formats import oval
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.mariner import MarinerDriver
from vulnfeeds.drivers.ol import OracleDriver
from vulnfeeds.drivers.sles import SLESDriver
from vulnfeeds.records.record import Record
from vulnfeeds.testing.driver_suite import NOW, NothingPublished

ORACLE = "ol"
MARINER = "mariner"
SLES = "sles"
LEAP: Final = {"opensuse-release": 0}
"""Release package of openSUSE Leap, whose documents have the form of SUSE's own."""
LEAP_DOCUMENTS: Final = {"opensuse.leap.15.3.xml.gz": "15", "opensuse.leap.micro.5.3.xml.xz": "5"}

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
    ("ol:5 ELSA-2015-0046", "mariner:1.0 CVE-1999-0150", "sles:15.3 CVE-2004-2771"),
    "vunnel writes `Module: null`, or an empty text, `Available: null`; here there is no such key",
    "either",
    "clients do not read it",
    lambda found: found.ours < found.theirs <= found.ours | {"Module", "VulnerableRange", "Available"},
)
GATHERED = DifferenceClass(
    "several packages of one CVE",
    (
        *("package", "fixed version", "version format", "group of a fix", "description", "will not fix", "severity"),
        *("range of a fix", "date", "keys of a fix"),
    ),
    ("mariner:1.0 CVE-2018-25032",),
    "upstream has one definition for each CVE and package; of those of the same CVE vunnel keeps the last one only",
    "ours",
    "vunnel loses the other packages: of `mariner:1.0 CVE-2018-25032` it has zlib and lacks eight more",
    lambda found: set(found.their_record["fixed version"]) < set(found.our_record["fixed version"]),
)
BLANKS = DifferenceClass(
    "a blank in a version",
    ("fixed version", "will not fix", "range of a fix"),
    ("mariner:3.0 CVE-2023-39323",),
    "upstream writes `0: 1.20.10-1.azl3`; vunnel keeps the blank, here it is taken out",
    "ours",
    "no client can read a version with a blank in it",
    lambda found: repr(found.theirs).replace("0: ", "0:") == repr(found.ours),
)
NOT_GIVEN = DifferenceClass(
    "a document that vunnel was not given",
    (RECORD,),
    ("mariner:2.0 CVE-2022-3736",),
    "the recorded run of vunnel had the documents of 1.0 and 3.0 only",
    "both",
    holds=lambda found: found.theirs is None and found.ours["group"] == "mariner:2.0",
)
BELOW = DifferenceClass(
    "packages below a signature",
    (RECORD, "package", "fixed version", "version format", "group of a fix", "will not fix", "keys of a fix"),
    ("sles:15.3 CVE-2006-7246",),
    "openSUSE writes each package as criteria of their own, with its signature; vunnel reads them where there is one "
    "package only and drops the others",
    "ours",
    "SUSE's own documents have no such criteria, so that there it makes no difference",
    lambda found: (
        found.theirs is None or set(found.their_record["fixed version"]) < set(found.our_record["fixed version"])
    ),
)


def side(bodies: Iterable[dict[str, Any]]) -> Side:
    """Return the fields of records by "group name", with those that only newer records have."""
    records = list(bodies)
    sides = os_fields.side(records)
    for body, fields in zip(records, sides.values(), strict=True):
        fixes = body["Vulnerability"]["FixedIn"]
        fields["architecture"] = {(fix["Name"], fix["Version"], fix["Arch"]) for fix in fixes if fix.get("Arch")}
        if "CVSS" in body["Vulnerability"]:
            fields["CVSS"] = sorted(
                (each["vector_string"], each["base_metrics"]["base_score"]) for each in body["Vulnerability"]["CVSS"]
            )
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
    return [compare(MARINER, "vunnel 0.44", ours, vunnel, [LISTED, NULLS, NOT_GIVEN, GATHERED, BLANKS])]


def run_sles(world: World) -> list[Agreement]:
    """Return the comparison of what driver sles makes of openSUSE's documents; there are none of SUSE's at hand."""
    ours = side(bodies(list(_leap(world))).values())
    vunnel = side(documents.vunnel(world.shared, "sles"))
    return [compare(SLES, "vunnel 0.44", ours, vunnel, [NULLS, BELOW])]


def _leap(world: World) -> Iterator[Record]:
    context = Context(fetcher=None, workspace=world.folder, published=NothingPublished(), now=lambda: NOW)  # type: ignore[arg-type]
    for name, major in LEAP_DOCUMENTS.items():
        path = Path(shutil.copy(world.shared / "upstream" / "data" / "sles" / name, world.folder))
        with oval.opened(path, lambda definition: definition.title) as document:
            for cve, definitions in document.records():
                yield from SLESDriver().records(context, document, cve, definitions, LEAP, major)
    assert context.unknown_values == {}
