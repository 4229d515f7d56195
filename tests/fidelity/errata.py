"""Drivers alma and rocky against vunnel, which passes OSV documents on, with modules and forgotten packages added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.drivers.driver_runs import archive_members
from tests.fidelity import documents
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import Body, World
from vulnfeeds.drivers.alma import AlmaDriver
from vulnfeeds.drivers.rocky import RockyDriver


def _is_no_module(found: Difference) -> bool:
    """Tell whether they name a module for packages that are not built as modules, and all else is equal."""
    return all(
        module is not None and ".module" not in version for _, version, module in found.theirs - found.ours
    ) and {(name, version) for name, version, _ in found.theirs} == {
        (name, version) for name, version, _ in found.ours
    }


def _unnamed(found: Difference) -> bool:
    return {module for _, _, module in found.theirs} == {None} and "SA-" not in found.key


NOT_SECURITY = DifferenceClass(
    "advisories about no vulnerability",
    (RECORD,),
    ("alma:8 ALBA-2019:0973",),
    "vunnel passes bug fix and enhancement advisories (`ALBA`, `ALEA`) on; here they are left out unless they name a "
    "CVE",
    "ours",
    "a client shows every record as a vulnerability; `all_advisories: true` serves them",
    lambda found: found.ours is None and found.key[7:11] in ("ALBA", "ALEA") and not found.theirs["CVE"],
)
NO_MODULE = DifferenceClass(
    "a version taken for a module",
    ("module",),
    ("alma:8 ALSA-2024:10281",),
    "vunnel takes any colon in the summary for a module (`kernel:4.18.0`); here the package must be built as one",
    "ours",
    "its release would hold `module`",
    _is_no_module,
)
UNNAMED = DifferenceClass(
    "module of an advisory without a severity",
    ("module",),
    ("alma:8 ALBA-2021:4604",),
    "vunnel looks for the module as the second word only; summaries of bug fixes (`httpd:2.4 bug fix update`) begin "
    "with it",
    "ours",
    holds=_unnamed,
)


PAGES = "upstream/data/rocky/errata-pages-2019-2022.tar.xz"
SEVERITIES = {
    "SEVERITY_LOW": "Low",
    "SEVERITY_MODERATE": "Medium",
    "SEVERITY_IMPORTANT": "High",
    "SEVERITY_CRITICAL": "Critical",
}
OF_ROCKY = DifferenceClass(
    "module",
    ("module",),
    ("rocky:9 RLSA-2024:3671",),
    "vunnel passes Rocky's documents on without looking for a module; here it is taken from the summary",
    "ours",
    "the summary says `ruby:3.3`, and the package is built as a module",
    lambda found: {module for _, _, module in found.theirs} == {None},
)


def run_rocky(world: World) -> list[Agreement]:
    """Return all comparisons of rocky: vunnel has three records, Rocky's list of errata says severities by itself."""
    ours = {_key(body): _ours(body) for body in world.served(RockyDriver, 1)}
    items = list(documents.vunnel(world.shared, "rocky-fixture"))
    theirs = {
        key: fields
        for release in ("8", "9")
        for key, fields in _side(items, f"Rocky Linux:{release}", f"rocky:{release}").items()
    }
    listed = {
        f"rocky:{product.split()[2]} {erratum['name']}": {
            "severity": SEVERITIES[erratum["severity"]],
            "CVE": {cve["name"] for cve in erratum["cves"]},
            "issued": erratum["publishedAt"][:10],
        }
        for _, data in archive_members(world.shared / PAGES)
        for erratum in documents.json_of(data)["advisories"]
        for product in erratum["rpms"]
    }
    return [
        compare("rocky", "vunnel 0.44", {key: ours[key] for key in theirs.keys() & ours.keys()}, theirs, [OF_ROCKY]),
        compare("rocky", "Rocky's errata", {key: ours[key] for key in listed.keys() & ours.keys()}, listed, []),
    ]


def run(world: World) -> list[Agreement]:
    """Return all comparisons of alma."""
    theirs = _side(documents.vunnel(world.shared, "alma"), "AlmaLinux:8", "alma:8")
    return [
        compare(
            "alma",
            f"vunnel 0.44, day {day}",
            {_key(body): _ours(body) for body in world.served(AlmaDriver, day)},
            theirs,
            (NOT_SECURITY, NO_MODULE, UNNAMED),
        )
        for day in (1, 2)
    ]


def _side(items: Iterable[dict[str, Any]], ecosystem: str, group: str) -> Side:
    return {
        f"{group} {item['id']}": _theirs(item, ecosystem)
        for item in items
        if any(affected["package"]["ecosystem"] == ecosystem for affected in item["affected"])
    }


def _key(body: Body) -> str:
    record = body["Vulnerability"]
    return f"{record['NamespaceName']} {record['Name']}"


def _ours(body: Body) -> Fields:
    record = body["Vulnerability"]
    fixes = record["FixedIn"]
    return {
        "id": record["Name"],
        "CVE": {cve["Name"] for cve in record["Metadata"]["CVE"]},
        "issued": record["Metadata"]["Issued"],
        "updated": record["Metadata"]["Updated"],
        "description": record["Description"],
        "link": record["Link"],
        "severity": record["Severity"],
        "package": {fix["Name"] for fix in fixes},
        "fixed version": {(fix["Name"], fix["Version"]) for fix in fixes},
        "range of a fix": {fix.get("VulnerableRange") for fix in fixes},
        "module": {(fix["Name"], fix["Version"], fix.get("Module")) for fix in fixes},
        "date of a fix": {(fix["Version"], fix["Available"]["Date"]) for fix in fixes},
    }


def _theirs(item: dict[str, Any], ecosystem: str) -> Fields:
    fixes = [
        (affected["package"]["name"], event["fixed"], affected.get("ecosystem_specific", {}).get("rpm_modularity"))
        for affected in item["affected"]
        if affected["package"]["ecosystem"] == ecosystem
        for span in affected["ranges"]
        for event in span["events"]
        if "fixed" in event
    ]
    release = ecosystem.rpartition(":")[2]
    pages = (f"errata.almalinux.org/{release}/", "errata.rockylinux.org/")
    own = [link["url"] for link in item["references"] if any(page in link["url"] for page in pages)]
    dated = {
        (fix["version"], fix["date"])
        for affected in item["affected"]
        if affected["package"]["ecosystem"] == ecosystem
        for span in affected["ranges"]
        for fix in span.get("database_specific", {}).get("anchore", {}).get("fixes", [])
    }
    return {
        "id": item["id"],
        "CVE": set(item["related"]),
        "issued": item["published"][:10],
        "updated": item["modified"][:10],
        "description": item["details"],
        "package": {name for name, _, _ in fixes},
        "fixed version": {(name, version) for name, version, _ in fixes},
        "range of a fix": {None},
        "module": set(fixes),
        **({"link": own[0]} if own else {}),
        **({"date of a fix": dated} if dated else {}),
    }
