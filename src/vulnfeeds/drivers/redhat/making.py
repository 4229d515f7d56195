"""What an issue becomes: a record for each release that it says anything of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from vulnfeeds.drivers.formats import vectors
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.redhat import packages, streams
from vulnfeeds.drivers.redhat.advisories import LINK as ADVISORY_LINK
from vulnfeeds.drivers.redhat.issues import BASE, Issue, Kind, State, base_of, is_group
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
    said = _said(issue.states)
    releases = {
        release: {part: _prevailing(of_part) for part, of_part in parts.items()} for release, parts in said.items()
    }
    _infer(releases)
    for release in sorted(filter(is_group, releases)):
        parts = [state for state in releases[release].values() if not_affected or state.kind is not Kind.NOT_AFFECTED]
        if not parts:
            continue
        group = f"{prefix}{release}"
        body = Vulnerability(
            name=issue.cve,
            namespace_name=group,
            severity=rated,
            link=f"{LINK}{issue.cve}",
            fixed_in=sort_fixes([_fix(group, state, _by_stream(release, state, said)) for state in parts]),
            description=issue.description,
            cvss=cvss,
        )
        yield Record(feed=FEED, group=group, key=issue.cve, body=OSRecord(body), takes_severity=rated == "Unknown")


def _said(states: list[State]) -> dict[str, dict[Part, list[State]]]:
    """Return what is said of each package by release."""
    said: dict[str, dict[Part, list[State]]] = defaultdict(lambda: defaultdict(list))
    for state in states:
        said[state.release][state.package, state.module].append(state)
    return said


def _by_stream(release: str, state: State, said: dict[str, dict[Part, list[State]]]) -> list[State]:
    """Return the newest fix of each stream of a plain release, those of extended supports too."""
    if state.kind is not Kind.FIXED or not is_base(release):
        return []
    part = state.package, state.module
    return streams.newest_builds(
        fix
        for other, parts in said.items()
        if base_of(other) == release
        for fix in parts.get(part, ())
        if fix.kind is Kind.FIXED
    )


def _prevailing(states: list[State]) -> State:
    """Return the one state that counts for a package in a release.

    No fix prevails over a fix (a partial one), a fix over "not affected", the newest fix over the others.
    """
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


def _fix(group: str, state: State, by_stream: list[State]) -> FixedIn:
    affected = ""
    if state.kind is Kind.FIXED:
        affected = streams.vulnerable_range(by_stream)
        named = {fix.advisory for fix in by_stream if streams.GA in fix.channels} if affected else {state.advisory}
        cited = tuple(Advisory(id=name, link=f"{ADVISORY_LINK}{name}") for name in sorted(named) if name)
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
        vulnerable_range=affected,
        available=Available(state.date) if state.date else None,
        advisories=streams.builds(by_stream),
    )


def _cvss(issue: Issue, context: Context) -> tuple[CVSS, ...]:
    if not issue.vector or not issue.base_score:
        return ()
    try:
        return (vectors.scored(issue.vector, base_score=issue.base_score, status=issue.vector_status),)
    except ValueError:
        context.unknown("CVSS 3 vector", f"{issue.vector} {issue.base_score}")
        return ()


def is_base(release: str) -> bool:
    """Tell whether a release is none of the extended ones."""
    return BASE.fullmatch(release) is not None
