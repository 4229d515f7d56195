"""Echo: fixes of the packages that Echo rebuilds for Debian, from one JSON document.

    {package: {CVE, GHSA or TEMP id: {fixed_version: "3.6.16", severity: "high"}}}

Both keys may be missing: no fix yet, no severity. Upstream sorts by package, records are by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from sys import intern
from typing import ClassVar, Final, NamedTuple

import msgspec

from vulnfeeds.drivers.formats import rows
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.rolling import FEED, KINDS, RollingSettings, common_page
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest, of_word
from vulnfeeds.records.vulnerability import NO_FIX, NOT_AFFECTED, FixedIn, OSRecord, Vulnerability, sort_fixes

ADDRESS: Final = "https://advisory.echohq.com/data.json"
GROUP: Final = "echo:rolling"
_FILE: Final = "data.json"
_LIMITS: Final = Limits(max_bytes=512 << 20)
_TEMPORARY: Final = "TEMP-"
_REPORTED: Final = 1000
"""Vulnerabilities between two reports of progress."""


class _Said(msgspec.Struct):
    fixed_version: str | None = None
    severity: str | None = None


class _State(NamedTuple):
    package: str
    version: str
    severity: str


class EchoDriver(Driver):
    """Feed vulnerabilities, group echo:rolling, from advisory.echohq.com."""

    name = "echo"
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (ADDRESS,)
    Settings: ClassVar[type[DriverSettings]] = RollingSettings

    settings: RollingSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document."""
        brought = context.fetcher.download(ADDRESS, context.workspace / _FILE, limits=_LIMITS, expect=("json",))
        if context.checkpoint and context.checkpoint.fingerprint == brought.sha256 and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=brought.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record for each id; ids that are only temporary have none."""
        states: dict[str, list[_State]] = defaultdict(list)
        for package, said in rows.read_packages(context.workspace / _FILE, _Said):
            for word, state in said.items():
                if not word.startswith(_TEMPORARY):
                    version = (state.fixed_version or "").strip() or NO_FIX
                    states[word].append(_State(package, intern(version), intern(state.severity or "")))
        if not states:
            raise ParseError(_FILE, "no vulnerability in the document")
        for done, word in enumerate(sorted(states)):
            if done % _REPORTED == 0:
                context.report("parse", done, len(states))
            found = states[word]
            if not self.settings.not_affected:
                found = [state for state in found if state.version != NOT_AFFECTED]
            if found:
                yield _record(context, word, found)
        context.cover(FEED, GROUP)


def _record(context: Context, word: str, states: list[_State]) -> Record:
    if word.partition("-")[0] not in KINDS:
        context.unknown("kind of id", word)
    severity = highest([_severity(context, state.severity) for state in states])
    fixes = [
        FixedIn(name=state.package, namespace_name=GROUP, version=state.version, version_format="dpkg")
        for state in states
    ]
    body = Vulnerability(
        name=word,
        namespace_name=GROUP,
        severity=severity,
        link=common_page(word),
        fixed_in=sort_fixes(fixes),
    )
    takes = severity == "Unknown" and word.startswith("CVE-")
    return Record(feed=FEED, group=GROUP, key=word, body=OSRecord(body), takes_severity=takes)


def _severity(context: Context, word: str) -> Severity:
    found = of_word(word)
    if found == "Unknown" and word.lower() not in ("", "unknown"):
        context.unknown("severity", word)
    return found
