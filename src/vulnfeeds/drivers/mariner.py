"""CBL-Mariner and Azure Linux: Microsoft's OVAL documents, one for each release.

A definition is one CVE in one package; a record is one CVE in all packages of a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from vulnfeeds.drivers.documents import Documents
from vulnfeeds.drivers.formats import oval
from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest
from vulnfeeds.records.vulnerability import (
    NO_FIX,
    Available,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

FEED: Final = "vulnerabilities"
FOLDER: Final = "https://raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main/"
KINDS: Final = ("xml", "gzip", "bzip2", "xz")
RELEASES: Final[dict[str, str]] = {
    "1.0": "cbl-mariner-1.0-oval.xml",
    "2.0": "cbl-mariner-2.0-oval.xml",
    "3.0": "azurelinux-3.0-oval.xml",
}
"""Document by release."""
FIRST_UNKNOWN: Final = 4
"""Major version of the release after those; from there on names are tried."""
_MOST_UNKNOWN: Final = 10

SEVERITIES: Final[dict[str, Severity]] = {
    "low": "Low",
    "medium": "Medium",
    "moderate": "Medium",
    "high": "High",
    "important": "High",
    "critical": "Critical",
}
"""Severity by the document's word, in whatever case."""

_NOT_APPLICABLE: Final = "not applicable"
_PATCHABLE: Final = frozenset({"true", "false", _NOT_APPLICABLE})
_SIGNS: Final = {
    "greater than or equal": ">=",
    "greater than": ">",
    "less than or equal": "<=",
    "less than": "<",
}
"""Signs of what a state asks of a version, in the order in which a range is written."""
_BELOW: Final = "<"
_LIMITS: Final = Limits(max_bytes=512 << 20)


class MarinerSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver mariner."""

    releases: dict[str, str] = msgspec.field(default_factory=dict)
    """Document by release, over the built-in table (`"4.0"`: `azurelinux-4.0-oval.xml`); empty leaves one out."""
    descriptions: bool = True
    """Serve the definition's description."""


class MarinerDriver(Driver):
    """Feed vulnerabilities, groups mariner:2.0, mariner:3.0, ... from Microsoft's OVAL documents."""

    name = "mariner"
    version = 2
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (FOLDER,)
    Settings: ClassVar[type[DriverSettings]] = MarinerSettings

    settings: MarinerSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document of every release; one that cannot be had is left out, unless none can."""
        table = {**RELEASES, **_next_releases(context), **self.settings.releases}
        served = [release for release in table if self.settings.serves(f"mariner:{release}")]
        addresses = {release: (f"{FOLDER}{table[release]}",) for release in served if table[release]}
        return Documents(context, FEED).fetch(addresses, limits=_LIMITS, expect=KINDS)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every release whose document changed since the last run that published."""
        documents = Documents(context, FEED)
        for release, path in documents.changed():
            group = f"mariner:{release}"
            with oval.opened(path, lambda definition: _key(context, definition)) as document:
                if not document.keys:
                    raise ParseError(path.name, "no definition that applies")
                for cve, definitions in document.records():
                    yield self._record(context, document, group, cve, definitions)
            documents.read(release, [group])

    def _record(
        self, context: Context, document: oval.Document, group: str, cve: str, definitions: list[oval.Definition]
    ) -> Record:
        fixes = [fix for definition in definitions for fix in _fixes(context, document, group, definition)]
        severity = highest([_severity(context, definition.facts.get("severity", "")) for definition in definitions])
        texts = dict.fromkeys(definition.description for definition in definitions if definition.description)
        reference = definitions[0].references[0]
        body = Vulnerability(
            name=cve,
            namespace_name=group,
            severity=severity,
            link=reference.url or f"https://nvd.nist.gov/vuln/detail/{cve}",
            fixed_in=sort_fixes(_merged(fixes)),
            description="\n".join(texts) if self.settings.descriptions else "",
        )
        return Record(feed=FEED, group=group, key=cve, body=OSRecord(body), takes_severity=severity == "Unknown")


def _next_releases(context: Context) -> dict[str, str]:
    """Return document by release of those that came after the ones that we know.

    Nothing lists the documents, so the next name is asked for until there is none.
    """
    before = context.checkpoint.cursor.get("documents", {}) if context.checkpoint else {}
    found: dict[str, str] = {}
    for major in range(FIRST_UNKNOWN, FIRST_UNKNOWN + _MOST_UNKNOWN):
        release = f"{major}.0"
        name = f"azurelinux-{release}-oval.xml"
        try:
            context.fetcher.download(f"{FOLDER}{name}", context.workspace / name, limits=_LIMITS, expect=KINDS)
        except UpstreamError as error:
            if isinstance(error, StatusError) and error.status == 404:
                break
            if release not in before:
                context.note(f"whether there is a release {release} is not known: {error}")
                break
        found[release] = name
    return found


def _key(context: Context, definition: oval.Definition) -> str | None:
    """Return the CVE of a definition; None when the CVE does not apply."""
    patchable = definition.facts.get("patchable", "").lower()
    if patchable not in _PATCHABLE:
        context.unknown("patchable", patchable)
    if patchable == _NOT_APPLICABLE:
        return None
    if not definition.references or not definition.references[0].id:
        raise ParseError(definition.id, "the definition refers to no CVE")
    return definition.references[0].id


def _fixes(context: Context, document: oval.Document, group: str, definition: oval.Definition) -> Iterator[FixedIn]:
    """Yield a fix for each way in which the definition can hold; all of a way's criterions are about one package."""
    date = definition.facts.get("advisory_date", "")[:10]
    place = f"{document.name} {definition.id}"
    for way in oval.ways(definition.criteria, lambda criterion: criterion, place):
        packages: set[str] = set()
        limits: list[tuple[str, str]] = []
        for criterion in way:
            test = document.test(criterion.test)
            evr = test.condition("evr") if test else None
            sign = _SIGNS.get(evr.operation) if evr else None
            if test is None or evr is None or sign is None or criterion.negate:
                context.unknown("test of a criterion", "missing" if test is None else "not of a version")
                # A fix without a version goes to quarantine with its record, and the record of the last run stays.
                yield _fix(group, criterion.comment or criterion.test, "", "", date)
                break
            packages.add(test.package)
            limits.append((sign, oval.with_epoch(evr.value)))
        else:
            if len(packages) == 1:
                version = next((version for sign, version in limits if sign == _BELOW), NO_FIX)
                signs = list(_SIGNS.values())
                limits.sort(key=lambda limit: signs.index(limit[0]))
                affected = ", ".join(f"{sign} {version}" for sign, version in limits)
                yield _fix(group, packages.pop(), version, affected, date)
            else:
                context.unknown("packages of a definition", len(packages))
                yield _fix(group, definition.id, "", "", date)


def _fix(group: str, package: str, version: str, affected: str, date: str) -> FixedIn:
    return FixedIn(
        name=package,
        namespace_name=group,
        version=version,
        version_format="rpm",
        vendor_advisory=VendorAdvisory(),
        vulnerable_range=affected,
        available=Available(date) if date and version not in ("", NO_FIX) else None,
    )


def _merged(fixes: list[FixedIn]) -> list[FixedIn]:
    """Return fixes with one for each package and version: its ranges are put together, as either of them counts."""
    found: dict[tuple[str, str], FixedIn] = {}
    for fix in fixes:
        pair = (fix.name, fix.version)
        first = found.setdefault(pair, fix)
        if first.vulnerable_range != fix.vulnerable_range:
            ranges = [*first.vulnerable_range.split(" || "), fix.vulnerable_range]
            joined = " || ".join(dict.fromkeys(ranges))
            found[pair] = msgspec.structs.replace(first, vulnerable_range=joined)
    return list(found.values())


def _severity(context: Context, word: str) -> Severity:
    if word and word.lower() not in SEVERITIES:
        context.unknown("severity", word)
    return SEVERITIES.get(word.lower(), "Unknown")
