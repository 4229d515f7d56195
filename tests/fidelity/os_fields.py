"""What is compared of distributions' records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fidelity.agreement import Agreement, DifferenceClass, Fields, Side, compare


def of_record(body: dict[str, Any]) -> Fields:
    """Return the fields of a record; a key that it lacks gives no field."""
    record = body["Vulnerability"]
    fixes = record.get("FixedIn", [])
    fields: Fields = {
        "keys": set(record),
        "keys of a fix": {name for fix in fixes for name in fix},
        "id": record["Name"],
        "group": record["NamespaceName"],
        "severity": record["Severity"],
        "link": record["Link"],
        "package": {fix["Name"] for fix in fixes},
        "fixed version": sorted((fix["Name"], fix["Version"]) for fix in fixes),
        "version format": {(fix["Name"], fix["VersionFormat"]) for fix in fixes},
        "group of a fix": {(fix["Name"], fix["NamespaceName"]) for fix in fixes},
    }
    if "Description" in record:
        fields["description"] = record["Description"]
    if any("VendorAdvisory" in fix for fix in fixes):
        said = [(fix["Name"], fix["Version"], fix["VendorAdvisory"]) for fix in fixes]
        fields["will not fix"] = {(name, version, advisory["NoAdvisory"]) for name, version, advisory in said}
        fields["advisory"] = {
            (name, version, cited["ID"], cited["Link"])
            for name, version, advisory in said
            for cited in advisory.get("AdvisorySummary", ())
        }
    for key, name in (("VulnerableRange", "range of a fix"), ("Module", "module")):
        if any(key in fix for fix in fixes):
            fields[name] = {(fix["Name"], fix["Version"], fix.get(key)) for fix in fixes}
    dates = {fix["Available"]["Date"] for fix in fixes if fix.get("Available")}
    if dates:
        fields["date"] = dates
    if "NVD" in record.get("Metadata", {}):
        score = record["Metadata"]["NVD"]["CVSSv2"]
        fields["NVD score"], fields["NVD vector"] = score["Score"], score["Vectors"]
    fields["other metadata"] = {name: value for name, value in record.get("Metadata", {}).items() if name != "NVD"}
    return fields


EMPTY_CVSS = DifferenceClass(
    "list of CVSS",
    ("keys",),
    ("alpine:3.10 CVE-2009-3895", "alpine:3.10 CVE-2018-1000845", "debian:10 CVE-2004-2462"),
    "vunnel and the original of 2021 add a list `CVSS`, always empty; the original of 2020 had none",
    "either",
    "clients do not read it",
    lambda found: found.theirs - found.ours == {"CVSS"} and found.ours < found.theirs,
)


def side(bodies: Iterable[dict[str, Any]]) -> Side:
    """Return the fields of records by "group CVE"."""
    return {
        f"{body['Vulnerability']['NamespaceName']} {body['Vulnerability']['Name']}": of_record(body)
        for body in bodies
    }


def form(bodies: Iterable[dict[str, Any]]) -> set[str]:
    """Return the keys that any of the records has, as paths with the type of their value."""
    found: set[str] = set()
    for body in bodies:
        _walk("", body.get("Vulnerability", body), found)
    return found


def compare_forms(driver: str, against: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> Agreement:
    """Compare the keys of records: whatever key their records have, ours have it with a value of the same type."""
    old = form(theirs)
    return compare(driver, against, {path: {} for path in form(ours) & old}, {path: {} for path in old}, ())


def _walk(path: str, value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        found.update(f"{path}.{name}: {_kind(inner)}".lstrip(".") for name, inner in value.items())
        for name, inner in value.items():
            _walk(f"{path}.{name}", inner, found)
    elif isinstance(value, list):
        for inner in value:
            _walk(f"{path}[]", inner, found)


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
