"""From vunnel's results to records: what each schema says, in the typed bodies that every driver makes.

Distributions' records come through as they are, but for what clients could not take: a missing `Metadata`, fixes
without order, a fix that is given for each architecture. Two schemas are ours already (GitHub's advisories, KEV).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.vunnel import advisories, schemas
from vulnfeeds.drivers.vunnel.naming import Naming
from vulnfeeds.drivers.vunnel.results import Result
from vulnfeeds.errors import ParseError, RecordError
from vulnfeeds.records import kev, wire
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import SCALE, Severity
from vulnfeeds.records.vulnerability import (
    CVSS,
    NO_FIX,
    Advisory,
    Available,
    FixedIn,
    Metrics,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

VULNERABILITIES: Final = "vulnerabilities"
GITHUB: Final = "github"
KEV: Final = "kev"
FEEDS: Final = (VULNERABILITIES, GITHUB, KEV)

_KEV_GROUP: Final = "kev:known-exploited"
_CVE: Final = "CVE-"
_NO_VERSION: Final = (None, "", "None")
"""What vunnel writes where an advisory names no version that fixes."""


def records(context: Context, naming: Naming, result: Result) -> Iterator[Record]:
    """Yield the records of a result: one, or one for each group of an OSV document that is for several.

    Raises ParseError, naming the result, when its item does not have its schema's shape.
    """
    yield from _MAKERS[result.schema](context, naming, result)


# --- os ---------------------------------------------------------------------------------------------------------


class _Summary(msgspec.Struct, rename=wire.ADVISORY):
    id: str
    link: str | None = None


class _VendorAdvisory(msgspec.Struct, rename=wire.VENDOR_ADVISORY):
    no_advisory: bool = False
    advisory_summary: list[_Summary] | None = None


class _Fix(msgspec.Struct, rename=wire.FIXED_IN):
    name: str
    version: str
    version_format: str
    namespace_name: str | None = None
    vendor_advisory: _VendorAdvisory | None = None
    module: str | None = None
    vulnerable_range: str | None = None
    arch: str | None = None
    available: dict[str, Any] | None = None
    """`Date` and `Kind`; vunnel's rhel writes both in small letters."""


class _Metrics(msgspec.Struct):
    base_score: float
    base_severity: str | None = None
    exploitability_score: float | None = None
    impact_score: float | None = None


class _CVSS(msgspec.Struct):
    version: str
    vector_string: str
    base_metrics: _Metrics
    status: str | None = None


class _Vulnerability(msgspec.Struct, rename=wire.VULNERABILITY):
    name: str
    namespace_name: str
    severity: str | None
    fixed_in: list[_Fix] | None
    link: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    cvss: list[_CVSS] | None = None


class _OS(msgspec.Struct, rename={"vulnerability": wire.WRAPPER}):
    vulnerability: _Vulnerability


_os: Final = msgspec.json.Decoder(_OS)


def _of_os(context: Context, naming: Naming, result: Result) -> Iterator[Record]:
    said = _decoded(_os, result).vulnerability
    group = naming.group(said.namespace_name, result.place)
    severity = _severity(context, said.severity)
    body = Vulnerability(
        name=said.name,
        namespace_name=group,
        severity=severity,
        link=said.link or "",
        fixed_in=_fixes(context, naming, said, result.place),
        description=said.description or "",
        metadata=said.metadata or {},
        cvss=tuple(_vector(given) for given in said.cvss) if said.cvss else msgspec.UNSET,
    )
    taking = severity == "Unknown" and said.name.startswith(_CVE)
    yield Record(feed=VULNERABILITIES, group=group, key=said.name, body=OSRecord(body), takes_severity=taking)


def _severity(context: Context, word: str | None) -> Severity:
    for known in SCALE:
        if word == known:
            return known
    context.unknown("Severity", word)
    return "Unknown"


def _fixes(context: Context, naming: Naming, said: _Vulnerability, place: str) -> tuple[FixedIn, ...]:
    by_key: dict[tuple[str, str, str], list[FixedIn]] = defaultdict(list)
    for given in said.fixed_in or []:
        fix = _fix(given, naming.group(given.namespace_name or said.namespace_name, place))
        by_key[fix.name, fix.version, fix.module].append(fix)
    return sort_fixes([fixes[0] if len(fixes) == 1 else _merged(context, fixes) for fixes in by_key.values()])


def _fix(given: _Fix, group: str) -> FixedIn:
    vendor = given.vendor_advisory or _VendorAdvisory()
    cited = tuple(Advisory(id=summary.id, link=summary.link or "") for summary in vendor.advisory_summary or [])
    when = {name.lower(): value for name, value in (given.available or {}).items()}
    day, kind = when.get("date"), when.get("kind")
    return FixedIn(
        name=given.name,
        namespace_name=group,
        # vunnel copies Echo's empty `fixed_version`, which means that there is no fix.
        version=given.version or NO_FIX,
        version_format=given.version_format,
        vendor_advisory=VendorAdvisory(no_advisory=vendor.no_advisory, advisory_summary=cited),
        module=given.module or "",
        vulnerable_range=given.vulnerable_range or "",
        arch=given.arch or "",
        available=Available(date=day, kind=str(kind or "")) if isinstance(day, str) and day else None,
    )


def _merged(context: Context, fixes: list[FixedIn]) -> FixedIn:
    """Return one fix for those of a package and version that differ in what clients do not tell apart.

    What only one of several architectures or ranges says would be wrong for the others, so it is left out.
    """
    first = fixes[0]
    if len({fix.arch for fix in fixes}) > 1:
        first = replace(first, arch="")
    if len({fix.vulnerable_range for fix in fixes}) > 1:
        context.unknown("several VulnerableRange of one package and version", first.name)
        first = replace(first, vulnerable_range="")
    return first


def _vector(given: _CVSS) -> CVSS:
    metrics = given.base_metrics
    return CVSS(
        base_metrics=Metrics(
            base_score=metrics.base_score,
            base_severity=metrics.base_severity or "",
            exploitability_score=metrics.exploitability_score or 0.0,
            impact_score=metrics.impact_score or 0.0,
        ),
        status=given.status or "",
        vector_string=given.vector_string,
        version=given.version,
    )


# --- github, kev, osv -----------------------------------------------------------------------------------------------


class _GitHub(msgspec.Struct, rename={"advisory": "Advisory"}):
    advisory: dict[str, Any]


_github: Final = msgspec.json.Decoder(_GitHub)
_object: Final = msgspec.json.Decoder(dict[str, Any])


def _of_github(context: Context, naming: Naming, result: Result) -> Iterator[Record]:
    """Yield the advisory as it is: its shape is that of our feed; only names of groups change."""
    advisory = _decoded(_github, result).advisory
    given, key = advisory.get("namespace"), advisory.get("ghsaId")
    if not isinstance(given, str) or not isinstance(key, str):
        raise ParseError(result.place, "an advisory needs the texts `namespace` and `ghsaId`")
    group = naming.group(given, result.place)
    fixes = _named(advisory.get("FixedIn") or [], given, group)
    body = {"Advisory": {"withdrawn": None, **advisory, "namespace": group, "FixedIn": fixes}}
    yield Record(feed=GITHUB, group=group, key=key, body=body)


def _named(fixes: list[Any], given: str, group: str) -> list[Any]:
    """Return fixes with our name of the group, those of one package and range once.

    GitHub has advisories that say a range twice (GHSA-7fhm-mqm4-2wp7: acorn >= 7.0.0 < 7.1.1); clients refuse that.
    What is no fix is left for the contract to refuse.
    """
    kept: dict[str, Any] = {}
    for number, fix in enumerate(fixes):
        if not isinstance(fix, dict):
            kept[f"{number}"] = fix
            continue
        ours = {**fix, "namespace": group} if fix.get("namespace") == given else fix
        key = f"{fix.get('name')} {fix.get('range')}"
        if key not in kept or kept[key].get("identifier") in _NO_VERSION:
            kept[key] = ours
    return list(kept.values())


def _of_kev(context: Context, naming: Naming, result: Result) -> Iterator[Record]:
    item = _decoded(_object, result)
    try:
        known = kev.view(item)
    except RecordError as error:
        raise ParseError(result.place, str(error)) from error
    yield Record(feed=KEV, group=naming.group(_KEV_GROUP, result.place), key=known.cve_id, body=item)


def _of_osv(context: Context, naming: Naming, result: Result) -> Iterator[Record]:
    yield from advisories.records(context, naming, bytes(result.item), result.place)


def _decoded(decoder: Any, result: Result) -> Any:
    try:
        return decoder.decode(result.item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(result.place, str(error)) from error


_MAKERS: Final[dict[str, Callable[[Context, Naming, Result], Iterator[Record]]]] = {
    schemas.OS: _of_os,
    schemas.GITHUB: _of_github,
    schemas.KEV: _of_kev,
    schemas.OSV: _of_osv,
}
