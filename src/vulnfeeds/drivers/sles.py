"""SUSE Linux Enterprise Server: the CVEs of each service pack, from SUSE's OVAL documents.

There is one document for each major version, found in the index. A record is one CVE in one service pack.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import unescape
from typing import ClassVar, Final, NamedTuple

from vulnfeeds.drivers.documents import Documents
from vulnfeeds.drivers.formats import oval, vectors
from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, StatusError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest
from vulnfeeds.records.vulnerability import (
    CVSS,
    NO_FIX,
    NOT_AFFECTED,
    Available,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

FEED: Final = "vulnerabilities"
FOLDER: Final = "https://ftp.suse.com/pub/projects/security/oval/"
KINDS: Final = ("gzip", "bzip2", "xz", "xml")
KNOWN_MAJORS: Final = (11, 12, 15, 16)
"""Major versions that are asked for where there is no index; documents of older ones have another form."""
SUFFIXES: Final = (".gz", ".bz2", ".xz", "")
"""Forms of a document, the one that is read fastest first."""

PRODUCTS: Final[Mapping[str, int]] = {"sles-release": 0, "sles-ltss-release": 1}
"""Release packages of the product, in lower case: what a lower number says of a package goes before."""
MODULES: Final = "sle-module-"
"""How release packages of the product's modules begin: they are part of it."""

SEVERITIES: Final[dict[str, Severity]] = {
    "low": "Low",
    "moderate": "Medium",
    "medium": "Medium",
    "important": "High",
    "high": "High",
    "critical": "Critical",
}
"""Severity by the document's word, in whatever case."""

_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,}")
_DOCUMENT: Final = re.compile(r"suse\.linux\.enterprise\.server\.(\d{1,3})(-affected)?\.xml(\.gz|\.bz2|\.xz)?")
_LINK: Final = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']([^"'<>]*)["']""", re.IGNORECASE)
_SERVER: Final = re.compile(r"SUSE Linux Enterprise Server (\d+(?:\.\d+)?)(?: SP(\d+))?(-LTSS)? is installed")
_PLATFORM: Final = re.compile(r"\S+ .* is installed")
_STATED: Final = re.compile(r"(\S+) is (not )?affected")
_PAGE_LIMITS: Final = Limits(max_bytes=8 << 20)
_LIMITS: Final = Limits(max_bytes=1 << 30)


class SLESSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver sles."""

    unfixed: bool = True
    """Read the documents that also have what is not fixed yet (-affected), where there are any."""
    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""
    descriptions: bool = True
    """Serve the definition's description."""


class _Release(NamedTuple):
    """A service pack in which something is affected; `rank` tells how much that says (see PRODUCTS)."""

    version: str
    rank: int


class _Fix(NamedTuple):
    """A package and the version that fixes; an empty one: upstream does not say which."""

    package: str
    version: str


_Fixes = dict[str, dict[str, dict[int, set[str]]]]
"""Versions by service pack, package and rank."""


class SLESDriver(Driver):
    """Feed vulnerabilities, groups sles:12.5, sles:15.4, ... from SUSE's OVAL documents."""

    name = "sles"
    version = 2
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (FOLDER,)
    Settings: ClassVar[type[DriverSettings]] = SLESSettings

    settings: SLESSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document of every major version; one that cannot be had is left out, unless none can."""
        return Documents(context, FEED).fetch(self._addresses(context), limits=_LIMITS, expect=KINDS)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every document that changed since the last run that published."""
        documents = Documents(context, FEED)
        for major, path in documents.changed():
            groups: set[str] = set()
            with oval.opened(path, lambda definition: _key(context, definition)) as document:
                for cve, definitions in document.records():
                    for record in self.records(context, document, cve, definitions, PRODUCTS, major):
                        groups.add(record.group)
                        yield record
            if not groups:
                raise ParseError(path.name, f"no CVE of any service pack of {major}")
            documents.read(major, sorted(groups))

    def records(
        self,
        context: Context,
        document: oval.Document,
        cve: str,
        definitions: list[oval.Definition],
        products: Mapping[str, int],
        major: str,
    ) -> Iterator[Record]:
        """Yield the records of a CVE, one for each service pack of the major version that it affects."""
        fixes: _Fixes = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))

        def read(criterion: oval.Criterion) -> _Release | _Fix | bool | None:
            said = _read(context, document, products, criterion)
            # Left out here, a release is not combined with every fix first.
            return False if isinstance(said, _Release) and not self._is_wanted(said.version, major) else said

        for definition in definitions:
            for way in oval.ways(definition.criteria, read, f"{document.name} {definition.id}"):
                for release in way:
                    if isinstance(release, _Release):
                        for fix in way:
                            if isinstance(fix, _Fix):
                                fixes[release.version][fix.package][release.rank].add(fix.version)
        cvss = _cvss(context, cve, definitions) if fixes else ()
        for version in sorted(fixes):
            record = self._record(context, f"sles:{version}", cve, definitions, fixes[version], cvss)
            if record is not None:
                yield record

    def _is_wanted(self, version: str, major: str) -> bool:
        return version.partition(".")[0] == major and self.settings.serves(version)

    def _record(
        self,
        context: Context,
        group: str,
        cve: str,
        definitions: list[oval.Definition],
        packages: Mapping[str, Mapping[int, set[str]]],
        cvss: tuple[CVSS, ...],
    ) -> Record | None:
        issued = definitions[0].facts.get("issued", "")
        made = []
        for package, ranked in packages.items():
            versions = ranked[min(ranked)]
            for version in versions:
                # One branch of the criteria may know of a fix where another one says "not affected".
                if version == NOT_AFFECTED and (len(versions) > 1 or not self.settings.not_affected):
                    continue
                dated = issued and version not in ("", NO_FIX, NOT_AFFECTED)
                made.append(
                    FixedIn(
                        name=package,
                        namespace_name=group,
                        version=version,
                        version_format="rpm",
                        vendor_advisory=VendorAdvisory(),
                        available=Available(issued) if dated else None,
                    )
                )
        if not made:
            return None
        severity = highest([_severity(context, definition.facts.get("severity", "")) for definition in definitions])
        link = definitions[0].reference("SUSE CVE")
        body = Vulnerability(
            name=cve,
            namespace_name=group,
            severity=severity,
            link=link.url if link else f"https://www.suse.com/security/cve/{cve}",
            fixed_in=sort_fixes(made),
            description=definitions[0].description if self.settings.descriptions else "",
            cvss=cvss,
        )
        takes = severity == "Unknown"
        return Record(feed=FEED, group=group, key=cve, body=OSRecord(body), takes_severity=takes)

    def _addresses(self, context: Context) -> dict[str, tuple[str, ...]]:
        """Return the addresses of each major version's document, those to be tried first at the front."""
        wanted = ("-affected", "") if self.settings.unfixed else ("",)
        listed = self._listed(context)
        majors = sorted({major for major, _, _ in listed}) if listed else list(KNOWN_MAJORS)
        addresses: dict[str, tuple[str, ...]] = {}
        for major in majors:
            there = [
                (variant, suffix)
                for variant in wanted
                for suffix in SUFFIXES
                if not listed or (major, variant, suffix) in listed
            ]
            if listed:
                # The other variant is no stand-in for one that is listed: what it lacks would be withdrawn.
                there = [(variant, suffix) for variant, suffix in there if variant == there[0][0]]
            if there and major >= KNOWN_MAJORS[0]:
                addresses[str(major)] = tuple(
                    f"{FOLDER}suse.linux.enterprise.server.{major}{variant}.xml{suffix}" for variant, suffix in there
                )
        if not addresses:
            raise ParseError(FOLDER, "the index lists no document of a server")
        return addresses

    def _listed(self, context: Context) -> set[tuple[int, str, str]]:
        """Return (major, variant, suffix) of the documents that the index lists; none where there is no index."""
        target = context.workspace / "index.html"
        try:
            context.fetcher.download(FOLDER, target, limits=_PAGE_LIMITS, expect=("html",))
        except StatusError as error:
            if error.status != 404:
                raise
            context.note("there is no index; documents are asked for by name")
            return set()
        links = [unescape(link) for link in _LINK.findall(target.read_text("utf-8", errors="replace"))]
        found = [_DOCUMENT.fullmatch(link.removeprefix(FOLDER).removeprefix("./")) for link in links]
        listed = {(int(match[1]), match[2] or "", match[3] or "") for match in found if match}
        if not listed:
            raise ParseError(FOLDER, "the index lists no document of a server")
        return listed


def _key(context: Context, definition: oval.Definition) -> str | None:
    """Return the CVE of a definition; a title that is none is counted."""
    if _CVE.fullmatch(definition.title) is None:
        context.unknown("title", definition.title)
        return None
    return definition.title


def _read(
    context: Context, document: oval.Document, products: Mapping[str, int], criterion: oval.Criterion
) -> _Release | _Fix | bool | None:
    """Return what a criterion says: where, or which version; None for nothing, False for what is not served."""
    comment = criterion.comment
    if " is signed with " in comment:
        return None
    test = document.test(criterion.test)
    if test is None:
        return _of_comment(context, comment, criterion.test)
    if release := test.condition("version"):
        if release.value == "0":
            return _Fix(test.package, NOT_AFFECTED)
        package = test.package.lower()
        rank = products.get(package, 0 if package.startswith(MODULES) and products is PRODUCTS else None)
        return False if rank is None else _Release(release.value, rank)
    evr = test.condition("evr")
    if evr is None or criterion.negate:
        context.unknown("criterion", comment)
        return False
    if evr.operation == "less than":
        return _Fix(test.package, oval.with_epoch(evr.value))
    # "Any version at all" is said of what has no fix. The rest is of live patches: this very kernel, without the
    # patch that mends it while it runs. No version of a package says that.
    return _Fix(test.package, NO_FIX) if evr.operation == "greater than" else False


def _of_comment(context: Context, comment: str, reference: str) -> _Release | _Fix | bool:
    """Return what a criterion says whose test leads nowhere."""
    if match := _SERVER.fullmatch(comment):
        return _Release(f"{match[1]}.{match[2]}" if match[2] else match[1], 1 if match[3] else 0)
    if _PLATFORM.fullmatch(comment):
        return False
    context.unknown("test of a criterion", "missing")
    if match := _STATED.fullmatch(comment):
        return _Fix(match[1], NOT_AFFECTED if match[2] else NO_FIX)
    # A fix without a version goes to quarantine with its record, and the record of the last run stays.
    return _Fix(comment or reference, "")


def _severity(context: Context, word: str) -> Severity:
    if word and word.lower() not in SEVERITIES:
        context.unknown("severity", word)
    return SEVERITIES.get(word.lower(), "Unknown")


def _cvss(context: Context, cve: str, definitions: list[oval.Definition]) -> tuple[CVSS, ...]:
    """Return SUSE's own vectors of a CVE, each once.

    `<cve cvss3="7.8/CVSS:3.1/AV:L/...">CVE-2024-0001 at SUSE</cve>`, the score in front or not, "at SUSE" or not;
    beside it may stand what the NVD says ("at NVD").
    """
    said = {
        cited.attributes["cvss3"]
        for definition in definitions
        for cited in definition.cves
        if cited.attributes.get("cvss3") and cited.text.split() in ([cve], [cve, "at", "SUSE"])
    }
    found = []
    for text in sorted(said):
        score, _, vector = ("", "", text) if text.startswith("CVSS:") else text.partition("/")
        try:
            found.append(vectors.scored(vector, base_score=score))
        except ValueError:
            context.unknown("CVSS 3 vector", text)
    return tuple(found)
