"""Debian: records per release from the security tracker, with the advisories that announced each fix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from vulnfeeds.drivers.debian import advisories, releases
from vulnfeeds.drivers.debian.tracker import Issue, State, Tracker
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
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

FEED: Final = "vulnerabilities"
TRACKER: Final = "https://security-tracker.debian.org/tracker/data/json"
ADVISORIES: Final = "https://salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/DSA/list"
LINK: Final = "https://security-tracker.debian.org/tracker/"

URGENCIES: Final[dict[str, Severity]] = {
    "unimportant": "Negligible",
    "low": "Low",
    "medium": "Medium",
    "high": "High",
    "not yet assigned": "Unknown",
    "end-of-life": "Unknown",
    "": "Unknown",
}
"""Severity by the tracker's word for urgency; two stars behind a word change nothing."""

ALWAYS_UNKNOWN: Final = frozenset({"CVE-2020-35525", "CVE-2020-35527", "CVE-2023-4863", "CVE-2023-44487"})
"""CVEs whose urgency in the tracker is known to be wrong; neither it nor NVD's severity is served."""

_TRACKER_FILE = "tracker.json"
_LIST_FILE = "DSA-list.txt"
_REPORTED: Final = 1000
"""CVEs between two reports of progress."""
_MOST_TAKEN_BACK: Final = 100
"""One in so many advisories may leave the list from one run to the next."""
_TRACKER_LIMITS: Final = Limits(max_bytes=1 << 30)
_LIST_LIMITS: Final = Limits(max_bytes=32 << 20)


class DebianSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver debian."""

    releases: dict[str, str] = msgspec.field(default_factory=dict)
    """Version by codename, over the built-in table; an empty version leaves a release out."""
    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""
    descriptions: bool = True
    """Serve the tracker's description of the CVE; the original service left it empty."""


class DebianDriver(Driver):
    """Feed vulnerabilities, groups debian:12, debian:unstable, ... from the security tracker."""

    name = "debian"
    feeds = (FEED,)
    depends_on = ("nvdv2", "eol")
    takes_severities = True
    upstreams = (TRACKER, ADVISORIES)
    Settings: ClassVar[type[DriverSettings]] = DebianSettings

    settings: DebianSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the tracker and the list of advisories; a record needs both, so neither alone is enough."""
        context.report("fetch", 0, 2)
        tracker = context.fetcher.download(
            TRACKER, context.workspace / _TRACKER_FILE, limits=_TRACKER_LIMITS, expect=("json",)
        )
        context.report("fetch", 1, 2)
        listed = context.fetcher.download(
            ADVISORIES, context.workspace / _LIST_FILE, limits=_LIST_LIMITS, expect=("text",)
        )
        fingerprint = hashlib.sha256(f"{tracker.sha256} {listed.sha256}".encode()).hexdigest()
        published = context.checkpoint if not context.forced else None
        if published is not None and published.fingerprint == fingerprint:
            return UNCHANGED
        with listed.path.open(encoding="utf-8", errors="replace") as lines:
            number = advisories.count(lines)
        before = context.checkpoint.cursor.get("advisories", 0) if context.checkpoint else 0
        if number < before:
            said = f"the list of advisories got shorter: {number}, {before} at the last run"
            # One is taken back at times; more are lost only where the list is cut: it ends with the oldest ones.
            if before - number > max(1, before // _MOST_TAKEN_BACK) and not context.forced:
                raise ParseError(ADVISORIES, f"{said}; a forced run takes it as it is")
            context.note(said)
        return Checkpoint(fingerprint=fingerprint, cursor={"advisories": number})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each CVE in turn, one for each release that is affected."""
        with (context.workspace / _LIST_FILE).open(encoding="utf-8", errors="replace") as lines:
            index = advisories.read(lines, _LIST_FILE, lambda line: context.unknown("line of the DSA list", line))
        tracker = Tracker()
        tracker.read(context.workspace / _TRACKER_FILE, context)
        groups = self._groups(context, tracker.codenames)
        for done, issue in enumerate(tracker.issues()):
            if done % _REPORTED == 0:
                context.report("parse", done, tracker.amount)
            for codename, group in groups.items():
                states = issue.states.get(codename)
                if states and not self.settings.not_affected:
                    states = [state for state in states if state.fixed_version != NOT_AFFECTED]
                if states:
                    yield self._record(context, group, codename, issue, states, index)
        for group in groups.values():
            context.cover(FEED, group)

    def _groups(self, context: Context, codenames: list[str]) -> dict[str, str]:
        """Return group by codename; a codename without a version is counted, and noted.

        A release gets its number from Debian years before it is out, but the tracker does not say it. Until it is out
        no host has that number either, so that no client looks for the group.
        """
        versions = releases.table(self.settings.releases)
        if missing := [name for name in codenames if name not in versions and name not in self.settings.releases]:
            new = releases.from_eol(missing, context.published)
            versions |= {codename: number for codename, number in new.items() if number not in versions.values()}
            for codename in missing:
                if codename not in versions:
                    context.unknown("release", codename)
                    context.note(
                        f"release {codename[:40]!r} is not served: neither the built-in table nor feed eol has its "
                        "number; setting releases of driver debian can name it"
                    )
        groups = {codename: f"debian:{versions[codename]}" for codename in codenames if codename in versions}
        return {codename: group for codename, group in groups.items() if self.settings.serves(group)}

    def _record(
        self,
        context: Context,
        group: str,
        codename: str,
        issue: Issue,
        states: list[State],
        index: advisories.Index,
    ) -> Record:
        severity = highest([_severity(context, state.urgency) for state in states])
        distrusted = issue.cve in ALWAYS_UNKNOWN
        body = Vulnerability(
            name=issue.cve,
            namespace_name=group,
            severity="Unknown" if distrusted else severity,
            link=f"{LINK}{issue.cve}",
            fixed_in=sort_fixes(
                [_fix(group, state, index.get((codename, issue.cve, state.package), ())) for state in states]
            ),
            description=issue.description if self.settings.descriptions else "",
        )
        takes = severity == "Unknown" and not distrusted
        return Record(feed=FEED, group=group, key=issue.cve, body=OSRecord(body), takes_severity=takes)


def _severity(context: Context, urgency: str) -> Severity:
    word = urgency.rstrip("*")
    if word not in URGENCIES:
        context.unknown("urgency", urgency)
        return "Unknown"
    return URGENCIES[word]


def _fix(group: str, state: State, published: tuple[Advisory, ...]) -> FixedIn:
    version = state.fixed_version or NO_FIX
    if version == NOT_AFFECTED:
        vendor = VendorAdvisory()
    else:
        vendor = VendorAdvisory(no_advisory=state.nodsa and not published, advisory_summary=published)
    return FixedIn(
        name=state.package, namespace_name=group, version=version, version_format="dpkg", vendor_advisory=vendor
    )
