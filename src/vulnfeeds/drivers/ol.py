"""Oracle Linux: the advisories (ELSA) of each release, from Oracle's OVAL documents.

One document holds all advisories of all releases, or one each year. A record is one advisory in one release. Builds
for Ksplice and FIPS have versions that cannot be compared with those of ordinary builds, so they have own groups.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple

import msgspec

from vulnfeeds.drivers.formats import oval
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, StatusError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity
from vulnfeeds.records.vulnerability import Available, FixedIn, OSRecord, Vulnerability, sort_fixes

FEED: Final = "vulnerabilities"
FOLDER: Final = "https://linux.oracle.com/security/oval/"
KINDS: Final = ("bzip2", "gzip", "xz", "xml")
FIRST_YEAR: Final = 2007
"""Of Oracle's first advisory."""

SEVERITIES: Final[dict[str, Severity]] = {
    "n/a": "Negligible",
    "low": "Low",
    "moderate": "Medium",
    "important": "High",
    "critical": "Critical",
}
"""Severity by the word of an advisory, in whatever case."""

Flavour = Literal["fips", "ksplice"]
_FLAVOURS: Final[tuple[tuple[re.Pattern[str], Flavour], ...]] = (
    (re.compile(r"[._]ksplice\d*(?:[._]|$)"), "ksplice"),
    (re.compile(r"[._]fips(?:[._]|$)"), "fips"),
)
_LIMITS: Final = Limits(max_bytes=1 << 30)
_FETCHED: Final = "fetched.json"
_ID: Final = re.compile(r"ELSA-\d{4}-\d+(?:-\d+)?")
_RELEASE: Final = re.compile(r"Oracle Linux (\d+)(?: is installed)?")
_ARCH: Final = re.compile(r"Oracle Linux arch is (\S+)")
_MODULE: Final = re.compile(r"Module (\S+) is enabled")
_EARLIER: Final = re.compile(r"(\S+) is earlier than (\S+)")
_SAYS_NOTHING: Final = re.compile(r" is (?:signed with|ksplice-based)")
"""Who signed a package says nothing of its version, and a Ksplice build is known by its release."""


class OracleSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver ol."""

    since_year: int = 0
    """Read the documents of single years from this one on, not the one of all years; 0: that one."""
    flavours: tuple[Flavour, ...] = ("fips", "ksplice")
    """Builds that are served, each in groups of its own (ol:8+fips); those that are not named are left out."""
    descriptions: bool = True
    """Serve the advisory's description (a list of changes); the original service left it empty."""


class _Fix(NamedTuple):
    """An older version of this package is affected; an empty version: upstream does not say which."""

    package: str
    version: str


class _Said(NamedTuple):
    """What a criterion says of the place where a fix is for."""

    kind: Literal["release", "arch", "module"]
    value: str


class OracleDriver(Driver):
    """Feed vulnerabilities, groups ol:7, ol:8, ol:8+fips, ... from Oracle's OVAL documents."""

    name = "ol"
    feeds = (FEED,)
    upstreams = (FOLDER,)
    Settings: ClassVar[type[DriverSettings]] = OracleSettings

    settings: OracleSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document of all years, or those of the years that the settings ask for."""
        marks: dict[str, str] = {}
        names = self._names(context)
        this_year = f"com.oracle.elsa-{datetime.fromtimestamp(context.now(), UTC).year}.xml.bz2"
        for done, name in enumerate(names):
            context.report("fetch", done, len(names))
            try:
                brought = context.fetcher.download(
                    f"{FOLDER}{name}", context.workspace / name, limits=_LIMITS, expect=KINDS
                )
            except StatusError as error:
                if error.status != 404 or name != this_year or len(names) == 1:
                    raise
                # The first advisory of a year may be days away.
                context.note(f"{name} is not there yet")
                continue
            marks[name] = brought.sha256
        text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        (context.workspace / _FETCHED).write_bytes(msgspec.json.encode(sorted(marks)))
        if context.checkpoint and context.checkpoint.fingerprint == fingerprint and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory in turn, one for each release that it is for."""
        names = msgspec.json.decode((context.workspace / _FETCHED).read_bytes(), type=list[str])
        groups: set[str] = set()
        seen: set[str] = set()
        for name in names:
            with oval.opened(context.workspace / name, _key) as document:
                for done, (key, definitions) in enumerate(document.records()):
                    if done % 500 == 0:
                        context.report("parse", done, document.keys)
                    if key in seen:
                        context.unknown("advisory of two years", key)
                        continue
                    seen.add(key)
                    newest = max(definitions, key=lambda definition: definition.version)
                    for record in self._records(context, document, key, newest):
                        groups.add(record.group)
                        yield record
        for group in sorted(groups):
            context.cover(FEED, group)

    def _names(self, context: Context) -> list[str]:
        if not self.settings.since_year:
            return ["com.oracle.elsa-all.xml.bz2"]
        now = datetime.fromtimestamp(context.now(), UTC).year
        first = min(max(self.settings.since_year, FIRST_YEAR), now)
        return [f"com.oracle.elsa-{year}.xml.bz2" for year in range(first, now + 1)]

    def _records(
        self, context: Context, document: oval.Document, key: str, definition: oval.Definition
    ) -> Iterator[Record]:
        """Yield an advisory's record for each group in which it fixes something."""
        fixes: dict[str, dict[_Fix, dict[str, set[str]]]] = defaultdict(dict)
        for release, module, arch, fix in self._fixes(context, document, definition):
            flavour = _flavour(fix.version)
            if flavour and flavour not in self.settings.flavours:
                continue
            group = f"ol:{release}+{flavour}" if flavour else f"ol:{release}"
            fixes[group].setdefault(fix, {}).setdefault(module, set()).add(arch)
        for group in sorted(fixes):
            yield self._record(context, group, key, definition, fixes[group])

    def _fixes(
        self, context: Context, document: oval.Document, definition: oval.Definition
    ) -> Iterator[tuple[str, str, str, _Fix]]:
        """Yield (release, module, architecture, fix) for each package that the criteria speak of."""
        place = f"{document.name} {definition.id}"
        listed = [match[1] for name in definition.platforms if (match := _RELEASE.fullmatch(name))]
        found = False
        for way in oval.ways(definition.criteria, lambda criterion: _read(context, document, criterion), place):
            said = {part.kind: part.value for part in way if isinstance(part, _Said)}
            releases = [said["release"]] if "release" in said else listed
            for fix in [part for part in way if isinstance(part, _Fix)]:
                found = True
                for release in releases:
                    yield release, said.get("module", ""), said.get("arch", ""), fix
        if not found:
            context.unknown("advisory without a package", definition.title[:40])

    def _record(
        self,
        context: Context,
        group: str,
        key: str,
        definition: oval.Definition,
        fixes: dict[_Fix, dict[str, set[str]]],
    ) -> Record:
        issued = definition.facts.get("issued", "")
        available = Available(issued) if issued else None
        differing = _differing(fixes)
        made = [
            FixedIn(
                name=fix.package,
                namespace_name=group,
                version=fix.version,
                version_format="rpm",
                # A client knows a fix by name and version: where modules share both, none can be named.
                module=next(iter(modules)) if len(modules) == 1 else "",
                arch=",".join(sorted(set().union(*modules.values()) - {""})) if fix.package in differing else "",
                available=available,
            )
            for fix, modules in fixes.items()
        ]
        advisory = definition.reference("elsa")
        link = advisory.url if advisory else f"https://linux.oracle.com/errata/{key}.html"
        cves = [{"Name": cve.text, "Link": cve.attributes.get("href", "")} for cve in definition.cves if cve.text]
        metadata: dict[str, Any] = {"Issued": issued, "RefId": advisory.id if advisory else key}
        body = Vulnerability(
            name=key,
            namespace_name=group,
            severity=_severity(context, definition.facts.get("severity", "")),
            link=link,
            fixed_in=sort_fixes(made),
            description=definition.description if self.settings.descriptions else "",
            metadata=metadata | ({"CVE": cves} if cves else {}),
        )
        return Record(feed=FEED, group=group, key=key, body=OSRecord(body))


def _key(definition: oval.Definition) -> str:
    """Return the advisory's id, which its title begins with. Raises ParseError when there is none."""
    match = _ID.match(definition.title)
    if match is None:
        raise ParseError(definition.id, f"title {definition.title[:80]!r} does not begin with the id of an advisory")
    return match[0]


def _read(context: Context, document: oval.Document, criterion: oval.Criterion) -> _Said | _Fix | None:
    """Return what a criterion says; what it says of a package is told by its test, else by its comment."""
    comment = criterion.comment
    if _SAYS_NOTHING.search(comment):
        return None
    if match := _RELEASE.fullmatch(comment):
        return _Said("release", match[1])
    if match := _ARCH.fullmatch(comment):
        return _Said("arch", match[1])
    if match := _MODULE.fullmatch(comment):
        return _Said("module", match[1])
    test = document.test(criterion.test)
    evr = test.condition("evr") if test else None
    if test and evr and evr.operation == "less than" and not criterion.negate:
        return _Fix(test.package, oval.with_epoch(evr.value))
    if test and evr is None:
        context.unknown("criterion", comment)
        return None
    context.unknown("test of a criterion", "missing" if test is None else "not of an older version")
    if (match := _EARLIER.fullmatch(comment)) and not criterion.negate:
        return _Fix(match[1], oval.with_epoch(match[2]))
    # A fix without a version goes to quarantine with its record, and the record of the last run stays.
    return _Fix(comment or criterion.test, "")


def _flavour(version: str) -> Flavour | None:
    release = version.rpartition("-")[2]
    return next((flavour for pattern, flavour in _FLAVOURS if pattern.search(release)), None)


def _differing(fixes: dict[_Fix, dict[str, set[str]]]) -> set[str]:
    """Return the packages whose versions in a module are others on another architecture."""
    versions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fix, modules in fixes.items():
        for module in modules:
            versions[fix.package, module].add(fix.version)
    return {package for (package, _), found in versions.items() if len(found) > 1}


def _severity(context: Context, word: str) -> Severity:
    if word.lower() not in SEVERITIES:
        context.unknown("severity", word)
        return "Unknown"
    return SEVERITIES[word.lower()]
