"""Ubuntu: records per release from Canonical's OSV and VEX archives, and from the CVE tracker for other releases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from msgspec.structs import replace

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.ubuntu import gathering
from vulnfeeds.drivers.ubuntu.gathering import FEED, OSV, OSV_URL, TRACKER_URL, VEX_URL, UbuntuSettings
from vulnfeeds.drivers.ubuntu.issues import Issue, RemarksByCVE, State
from vulnfeeds.drivers.ubuntu.vex_archive import WILL_NOT_FIX
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest
from vulnfeeds.records.vulnerability import (
    NO_FIX,
    NOT_AFFECTED,
    Advisory,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

LINK: Final = "https://ubuntu.com/security/"
NOTICES: Final = "https://ubuntu.com/security/notices/"

PRIORITIES: Final[dict[str, Severity]] = {
    "negligible": "Negligible",
    "low": "Low",
    "medium": "Medium",
    "high": "High",
    "critical": "Critical",
    "untriaged": "Unknown",
    "": "Unknown",
}
"""Severity by the security team's word for priority."""

_REPORTED: Final = 1000
"""CVEs between two reports of progress."""


class UbuntuDriver(Driver):
    """Feed vulnerabilities, groups ubuntu:22.04, ubuntu:22.04+esm, ... from Canonical and the CVE tracker."""

    name = "ubuntu"
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (OSV_URL, VEX_URL, TRACKER_URL)
    Settings: ClassVar[type[DriverSettings]] = UbuntuSettings

    settings: UbuntuSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the archives, and write down in short what those say that changed."""
        return gathering.Gathering(context, self.settings).run()

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each CVE in turn, one for each release."""
        todo = gathering.gathered(context.workspace)
        for group, reason in todo.skipped.items():
            context.skip(FEED, f"ubuntu:{group}", reason)
        for source, groups in todo.groups.items():
            served = {group: f"ubuntu:{group}" for group in groups}
            completed = _Completion(context) if source == OSV else None
            for done, issue in enumerate(gathering.issues(context.workspace, source)):
                if done % _REPORTED == 0:
                    context.report(f"parse {source}", done)
                states = completed.states(issue) if completed else issue.states
                yield from self._records(context, issue, states, served)
            for group in served.values():
                context.cover(FEED, group)

    def _records(
        self, context: Context, issue: Issue, states: Iterable[State], served: dict[str, str]
    ) -> Iterator[Record]:
        by_group: dict[str, list[State]] = defaultdict(list)
        for state in states:
            if state.group in served and (self.settings.not_affected or state.version != NOT_AFFECTED):
                by_group[state.group].append(state)
        for name, found in by_group.items():
            yield self._record(context, served[name], issue, found)

    def _record(self, context: Context, group: str, issue: Issue, states: list[State]) -> Record:
        affecting = [state for state in states if state.version != NOT_AFFECTED] or states
        severity = highest([_severity(context, state.priority) for state in affecting])
        body = Vulnerability(
            name=issue.cve,
            namespace_name=group,
            severity=severity,
            link=f"{LINK}{issue.cve}",
            fixed_in=sort_fixes([_fix(group, state) for state in states]),
            description=issue.description if self.settings.descriptions else "",
        )
        taking = severity == "Unknown"
        return Record(feed=FEED, group=group, key=issue.cve, body=OSRecord(body), takes_severity=taking)


class _Completion:
    """What VEX and the notices add to the issues of OSV."""

    def __init__(self, context: Context) -> None:
        self._notices = RemarksByCVE(gathering.notices(context.workspace))
        self._statements = RemarksByCVE(gathering.statements(context.workspace))

    def states(self, issue: Issue) -> Iterator[State]:
        """Yield the states with notices, those that stay unfixed marked, and those of what was never affected."""
        announced: dict[tuple[str, str], list[str]] = defaultdict(list)
        for group, package, notice in self._notices.of(issue.cve):
            announced[group, package].append(notice)
        said = {(group, package): meaning for group, package, meaning in self._statements.of(issue.cve)}
        known: set[tuple[str, str]] = set()
        for state in issue.states:
            place = (state.group, state.package)
            known.add(place)
            if state.version != NO_FIX:
                yield replace(state, advisories=announced[place]) if place in announced else state
            else:
                yield replace(state, no_advisory=True) if said.get(place) == WILL_NOT_FIX else state
        for place, meaning in said.items():
            if meaning == NOT_AFFECTED and place not in known:
                yield State(*place, NOT_AFFECTED)


def _severity(context: Context, priority: str) -> Severity:
    word = priority.lower()
    if word not in PRIORITIES:
        context.unknown("priority", priority)
        return "Unknown"
    return PRIORITIES[word]


def _fix(group: str, state: State) -> FixedIn:
    cited = tuple(Advisory(id=notice, link=f"{NOTICES}{notice}") for notice in sorted(state.advisories))
    vendor = VendorAdvisory(no_advisory=state.no_advisory, advisory_summary=cited)
    return FixedIn(
        name=state.package,
        namespace_name=group,
        version=state.version,
        version_format="dpkg",
        vendor_advisory=vendor,
    )
