"""OSV documents among vunnel's results: records of the distribution, or language, that their ecosystem names.

{"id": "BIT-apache-2020-11984", "aliases": ["CVE-2020-11984"], "affected": [{
  "package": {"ecosystem": "Bitnami", "name": "apache"}, "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/..."}],
  "ranges": [{"type": "SEMVER", "events": [{"introduced": "2.4.32"}, {"fixed": "2.4.44"}]}]}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from cvss import CVSS3, CVSS4
from cvss.exceptions import CVSSError

from vulnfeeds.drivers.formats import errata, osv
from vulnfeeds.drivers.formats.osv import Affected, OSVRecord
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.vunnel.naming import Naming
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest, of_cvss3
from vulnfeeds.records.vulnerability import NO_FIX, Available, FixedIn, OSRecord, Vulnerability, sort_fixes

LINK: Final = "https://osv.dev/vulnerability/"
ROLLING: Final = "rolling"
"""Release of what has no releases."""


class Ecosystem(NamedTuple):
    """What an ecosystem of OSV is to us."""

    family: str
    """What its groups begin with."""
    version_format: str


ECOSYSTEMS: Final = {
    "AlmaLinux": Ecosystem("alma", "rpm"),
    "Rocky Linux": Ecosystem("rocky", "rpm"),
    "Bitnami": Ecosystem("bitnami", "semver"),
    "Go": Ecosystem("go", "semver"),
    "Chainguard": Ecosystem("chainguard", "apk"),
    "Wolfi": Ecosystem("wolfi", "apk"),
}
"""Ecosystem by the part of its name before the release (`AlmaLinux:9`)."""


def records(context: Context, naming: Naming, data: bytes, place: str) -> Iterator[Record]:
    """Yield the records of a document, one for each group that it names packages of; void ones give none.

    Ecosystems that are not known are counted. Raises ParseError, naming the place, for another shape.
    """
    document = osv.decode(data, place)
    if document.withdrawn:
        return
    for name, (ecosystem, release) in _ecosystems(context, document).items():
        group = naming.group(f"{ecosystem.family}:{release}", place)
        if ecosystem.version_format == "rpm":
            link = f"{LINK}{document.id}"
            made = errata.record(context, document, group, ecosystems=(name,), link=link)
        else:
            made = _record(context, document, group, name, ecosystem.version_format)
        if made is not None:
            yield made


def _ecosystems(context: Context, document: OSVRecord) -> dict[str, tuple[Ecosystem, str]]:
    found: dict[str, tuple[Ecosystem, str]] = {}
    for package in filter(None, (affected.package for affected in document.affected)):
        base, _, release = package.ecosystem.partition(":")
        if base in ECOSYSTEMS:
            found[package.ecosystem] = (ECOSYSTEMS[base], release or ROLLING)
        else:
            context.unknown("ecosystem", package.ecosystem)
    return found


def _record(context: Context, document: OSVRecord, group: str, name: str, version_format: str) -> Record | None:
    ours = [affected for affected in document.affected if affected.package and affected.package.ecosystem == name]
    fixes = [fix for affected in ours for fix in _fixes(context, document, affected, group, version_format)]
    if not fixes:
        return None
    vectors = [*document.severity, *(each for affected in ours for each in affected.severity)]
    severity = highest([_band(context, each.type, each.score) for each in vectors])
    body = Vulnerability(
        name=document.id,
        namespace_name=group,
        severity=severity,
        link=f"{LINK}{document.id}",
        fixed_in=sort_fixes(fixes),
        description=document.details or document.summary,
        metadata=_metadata(document),
    )
    taking = severity == "Unknown" and document.id.startswith("CVE-")
    return Record(feed=errata.FEED, group=group, key=document.id, body=OSRecord(body), takes_severity=taking)


def _fixes(
    context: Context, document: OSVRecord, affected: Affected, group: str, version_format: str
) -> Iterator[FixedIn]:
    package = affected.package
    spans = osv.spans_of(affected)
    if package is None or not spans:
        context.unknown("package without versions", f"{document.id} {package.name if package else ''}")
        return
    available = Available(date=document.published[:10]) if document.published else None
    for span in spans:
        yield FixedIn(
            name=package.name,
            namespace_name=group,
            version=span.fixed or NO_FIX,
            version_format=version_format,
            vulnerable_range=osv.constraint(span),
            available=available if span.fixed is not None else None,
        )


def _band(context: Context, kind: str, vector: str) -> Severity:
    try:
        if kind == "CVSS_V3":
            return of_cvss3(float(CVSS3(vector).base_score))
        if kind == "CVSS_V4":
            return of_cvss3(float(CVSS4(vector).base_score))
    except CVSSError:
        context.unknown(kind, vector)
    return "Unknown"


def _metadata(document: OSVRecord) -> dict[str, Any]:
    named = [{"Name": cve, "Link": f"{errata.CVE_PAGE}{cve}"} for cve in errata.cves(document)]
    dates = {"Issued": document.published[:10], "Updated": document.modified[:10]}
    return {"CVE": named, "RefId": document.id, **{name: day for name, day in dates.items() if day}}
