"""Records of feed `vulnerabilities` as rows of a Grype database. Pure.

FixedIn {"Name": "bash", "Version": "5.2-1", "VersionFormat": "dpkg"}  ->  < 5.2-1, state fixed
Version "None"  ->  every version, not-fixed (wont-fix where NoAdvisory says so)
Version "0"     ->  a row of its own that says: not affected
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import constraints
from vulnfeeds.publish.grypedb.blobs import (
    Available,
    Detail,
    Fix,
    PackageBlob,
    Qualifiers,
    Range,
    Reference,
    Severity,
    Vector,
    Version,
    VulnerabilityBlob,
)
from vulnfeeds.publish.grypedb.rows import Package, Vulnerability
from vulnfeeds.publish.grypedb.systems import Home, System
from vulnfeeds.records.vulnerability import NO_FIX, NOT_AFFECTED, FixedIn, OSRecord
from vulnfeeds.records.vulnerability import Vulnerability as OSVulnerability

ADVISORY: Final = "advisory"
"""Tag of a reference that is an advisory for a fix."""
ALMA: Final = "alma"
"""Clients look for disclosures of AlmaLinux in the rows of RHEL, and here for what AlmaLinux fixed."""

# Amazon writes one advisory for each kernel series: ALASKERNEL-5.4-2023-048 is about 5.4 alone.
_SERIES: Final = re.compile(r"ALASKERNEL-([^-]+)-[^-]+-[^-]+")
_ERRATA: Final = "https://access.redhat.com/errata/"


_decoder: Final = msgspec.json.Decoder(OSRecord)


def rows(body: bytes, home: Home) -> Vulnerability:
    """Return what a record becomes, without the packages whose versions clients could not read."""
    record = _decoder.decode(body).vulnerability
    cves = _cves(record.metadata)
    names = tuple(name for name, _ in cves)
    left_out: list[str] = []
    return Vulnerability(
        name=record.name,
        origin=home.distribution.origin,
        published=record.metadata.get("Issued") or "",
        modified=record.metadata.get("Updated") or "",
        blob=VulnerabilityBlob(
            id=record.name,
            description=record.description.strip(),
            refs=_references(record.link, cves),
            aliases=names,
            severities=_severities(record),
        ),
        packages=tuple(_packages(record, names, home, left_out)),
        left_out=tuple(left_out),
    )


def _references(link: str, cves: list[tuple[str, str]]) -> tuple[Reference, ...]:
    # The first one is what people are shown as the record's source; without it, clients expect none at all.
    if not link.strip():
        return ()
    links = dict.fromkeys([link.strip(), *(other for _, other in cves if other)])
    return tuple(Reference(url) for url in links)


def _cves(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the CVEs that an advisory is about, with the link of each ("" where there is none)."""
    named = ({"Name": cve} if isinstance(cve, str) else cve for cve in metadata.get("CVE") or ())
    return [(cve["Name"], cve.get("Link") or "") for cve in named if cve.get("Name")]


def _severities(record: OSVulnerability) -> tuple[Severity, ...]:
    vectors = record.cvss if record.cvss is not msgspec.UNSET else ()
    scored = tuple(
        Severity(scheme="CVSS", value=Vector(cvss.vector_string, cvss.version), rank=2) for cvss in vectors
    )
    if record.severity == "Unknown":
        return scored
    return (Severity(scheme="CHMLN", value=record.severity.lower(), rank=1), *scored)


def _packages(record: OSVulnerability, cves: tuple[str, ...], home: Home, left_out: list[str]) -> Iterator[Package]:
    """Yield a package for each name, module, format and architecture: one blob says all of it."""
    groups: dict[tuple[str, str, str, str], list[FixedIn]] = {}
    for fix in record.fixed_in:
        groups.setdefault((fix.name, fix.module, fix.version_format, fix.arch), []).append(fix)
    make = _fixed_by_alma if home.distribution.origin == ALMA else _affected
    for key in sorted(groups):
        try:
            packages = list(make(record.name, groups[key], cves, home))
        except RecordError as error:
            left_out.append(f"{key[0]}: {error}")
        else:
            yield from packages


def _affected(name: str, fixes: list[FixedIn], cves: tuple[str, ...], home: Home) -> Iterator[Package]:
    package, ecosystem = fixes[0].name, home.distribution.ecosystem
    # Clients of distributions with apk know "not affected" from a layer of their own.
    if ecosystem != "apk" and all(fix.version == NOT_AFFECTED for fix in fixes):
        blob = PackageBlob(cves=cves, ranges=(Range(Version(fixes[0].version_format), Fix(state="not-affected")),))
        yield Package(package, ecosystem, blob, home.systems, unaffected=True)
        return
    ranges = tuple(_range(name, fix) for fix in fixes)
    qualifiers = _qualifiers(fixes[0])
    for systems, own in _by_minor(name, fixes, ranges, home.systems):
        yield Package(package, ecosystem, PackageBlob(cves, qualifiers, own), systems)


def _by_minor(
    name: str, fixes: list[FixedIn], ranges: tuple[Range, ...], systems: tuple[System, ...]
) -> Iterator[tuple[tuple[System, ...], tuple[Range, ...]]]:
    """Yield the systems that share ranges: minor releases of RHEL whose stream has a fix of its own stand alone.

    Where a fix covers several upstream versions (`vulnerable_range`), one version for a minor release would say too
    much, so all take the common ranges.
    """
    own: dict[str, tuple[Range, ...]] = {}
    if len(systems) > 1 and not any(fix.vulnerable_range for fix in fixes):
        for fix in fixes:
            for build in fix.advisories:
                if build.minor is not None:
                    reference = Reference(f"{_ERRATA}{build.advisory}", build.advisory, (ADVISORY,))
                    detail = Detail(_available(fix), (reference,) if build.advisory else ())
                    version = Version(fix.version_format, _below(name, build.version, fix.version_format))
                    own[str(build.minor)] = (Range(version, Fix(build.version, "fixed", _filled(detail))),)
    yield tuple(system for system in systems if system.minor not in own), ranges
    for system in systems:
        if system.minor in own:
            yield (system,), own[system.minor]


def _range(name: str, fix: FixedIn) -> Range:
    if fix.vulnerable_range:
        constraint = constraints.check(fix.vulnerable_range, fix.version_format)
    elif fix.version == NO_FIX:
        constraint = ""
    else:
        constraint = _below(name, fix.version, fix.version_format)
    return Range(Version(fix.version_format, constraint), _fix(fix))


def _below(name: str, version: str, version_format: str) -> str:
    series = _SERIES.fullmatch(name)
    constraint = f">= {series[1]}, < {version}" if series else f"< {version}"
    return constraints.check(constraint, version_format)


def _fix(fix: FixedIn) -> Fix:
    advisory = fix.vendor_advisory
    links = {summary.link: summary.id for summary in advisory.advisory_summary if summary.link} if advisory else {}
    detail = _filled(Detail(_available(fix), tuple(Reference(url, name, (ADVISORY,)) for url, name in links.items())))
    if fix.version != NO_FIX:
        return Fix(fix.version, "fixed", detail)
    return Fix("", "wont-fix" if advisory and advisory.no_advisory else "not-fixed", detail)


def _available(fix: FixedIn) -> Available | None:
    return Available(fix.available.date, fix.available.kind) if fix.available else None


def _filled(detail: Detail) -> Detail | None:
    return detail if detail.available or detail.references else None


def _qualifiers(fix: FixedIn) -> Qualifiers | None:
    # A package of rpm without this word matches advisories for any module.
    if fix.version_format != "rpm":
        return None
    return Qualifiers(rpm_modularity=fix.module, architecture=fix.arch)


def _fixed_by_alma(name: str, fixes: list[FixedIn], cves: tuple[str, ...], home: Home) -> Iterator[Package]:
    ranges = tuple(
        Range(Version("rpm", constraints.check(f">= {fix.version}", "rpm")), _fix(fix))
        for fix in fixes
        if fix.version not in (NO_FIX, NOT_AFFECTED)
    )
    if ranges:
        module = fixes[0].module
        qualifiers = Qualifiers(rpm_modularity=module) if module else None
        yield Package(
            fixes[0].name, home.distribution.ecosystem, PackageBlob(cves, qualifiers, ranges), home.systems, True
        )
