"""What an issue becomes: a record for each release that it says anything of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from cvss.exceptions import CVSSError

from vulnfeeds.drivers.formats import cvss3
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.redhat import packages
from vulnfeeds.drivers.redhat.advisories import LINK as ADVISORY_LINK
from vulnfeeds.drivers.redhat.issues import BASE, Issue, Kind, State
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity
from vulnfeeds.records.vulnerability import (
    CVSS,
    NO_FIX,
    NOT_AFFECTED,
    Advisory,
    Available,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

FEED: Final = "vulnerabilities"
FORMAT: Final = "rpm"
LINK: Final = "https://access.redhat.com/security/cve/"

SEVERITIES: Final[dict[str, Severity]] = {
    "critical": "Critical",
    "important": "High",
    "moderate": "Medium",
    "low": "Low",
    "none": "Unknown",
    "unknown": "Unknown",
    "": "Unknown",
}
"""Severity by Red Hat's word, in small letters."""

_UNFIXED: Final = (Kind.AFFECTED, Kind.WILL_NOT_FIX, Kind.OUT_OF_SUPPORT)
"""What prevails over a fix of the same package: first the first."""
_REFUSING: Final = (Kind.WILL_NOT_FIX, Kind.OUT_OF_SUPPORT)

Part = tuple[str, str]
"""A package and its module."""


def severity(word: str, context: Context) -> Severity:
    """Return the severity that Red Hat's word means; a word that we do not know is counted."""
    known = SEVERITIES.get(word.lower())
    if known is None:
        context.unknown("severity", word)
    return known or "Unknown"


def records(issue: Issue, context: Context, *, prefix: str, not_affected: bool) -> Iterator[Record]:
    """Yield the records of an issue by release; `prefix` begins the groups' names ("rhel:")."""
    rated = severity(issue.severity, context)
    cvss = _cvss(issue, context)
    releases = _settled(issue.states)
    _infer(releases)
    for release in sorted(releases):
        parts = [state for state in releases[release].values() if not_affected or state.kind is not Kind.NOT_AFFECTED]
        if release.endswith("+els") or not parts:
            continue
        group = f"{prefix}{release}"
        body = Vulnerability(
            name=issue.cve,
            namespace_name=group,
            severity=rated,
            link=f"{LINK}{issue.cve}",
            fixed_in=sort_fixes([_fix(group, state) for state in parts]),
            description=issue.description,
            cvss=cvss,
        )
        yield Record(feed=FEED, group=group, key=issue.cve, body=OSRecord(body), takes_severity=rated == "Unknown")


def _settled(states: list[State]) -> dict[str, dict[Part, State]]:
    """Return the one state of each package by release.

    No fix prevails over a fix (a partial one), a fix over "not affected", the newest fix over the others.
    """
    said: dict[str, dict[Part, list[State]]] = defaultdict(lambda: defaultdict(list))
    for state in states:
        said[state.release][state.package, state.module].append(state)
    return {
        release: {part: _prevailing(of_part) for part, of_part in parts.items()} for release, parts in said.items()
    }


def _prevailing(states: list[State]) -> State:
    if len(states) == 1:
        return states[0]
    for kind in _UNFIXED:
        for state in states:
            if state.kind is kind:
                return state
    fixes = [state for state in states if state.kind is Kind.FIXED]
    if not fixes:
        return states[0]
    version = packages.newest([state.version for state in fixes])
    return next(state for state in fixes if state.version == version)


def _infer(releases: dict[str, dict[Part, State]]) -> None:
    """Say of a release that it gets no fix where only its extended life cycle got one, and nothing else is known."""
    for release in [name for name in releases if name.endswith("+els")]:
        base = releases.setdefault(release.removesuffix("+els"), {})
        known = {package for package, _ in base}
        for (package, module), state in releases[release].items():
            if state.kind is Kind.FIXED and package not in known:
                base[package, module] = State(state.release, package, module, Kind.OUT_OF_SUPPORT)


def _fix(group: str, state: State) -> FixedIn:
    if state.kind is Kind.FIXED:
        cited = (Advisory(id=state.advisory, link=f"{ADVISORY_LINK}{state.advisory}"),) if state.advisory else ()
        version, vendor = state.version, VendorAdvisory(advisory_summary=cited)
    elif state.kind is Kind.NOT_AFFECTED:
        version, vendor = NOT_AFFECTED, VendorAdvisory()
    else:
        version, vendor = NO_FIX, VendorAdvisory(no_advisory=state.kind in _REFUSING)
    return FixedIn(
        name=state.package,
        namespace_name=group,
        version=version,
        version_format=FORMAT,
        vendor_advisory=vendor,
        module=state.module,
        available=Available(state.date) if state.date else None,
    )


def _cvss(issue: Issue, context: Context) -> tuple[CVSS, ...]:
    if not issue.vector or not issue.base_score:
        return ()
    try:
        return (cvss3.scored(issue.vector, issue.vector_status, float(issue.base_score)),)
    except (CVSSError, ValueError):
        context.unknown("CVSS 3 vector", f"{issue.vector} {issue.base_score}")
        return ()


def is_base(release: str) -> bool:
    """Tell whether a release is none of the extended ones."""
    return BASE.fullmatch(release) is not None
