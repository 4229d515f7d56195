"""Fedora: security updates by release, from the metadata of the repositories of updates.

A repository names the newest build of each package only: an update leaves the document when the next one of the same
package comes. What was published of it stays (DELTA), also in records that a newer update is added to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import msgspec

from vulnfeeds.drivers.formats import updateinfo
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Mode, Unchanged
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.interface import Limits, forget
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, highest, of_word
from vulnfeeds.records.vulnerability import (
    Advisory,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

FEED: Final = "vulnerabilities"
UPDATES: Final = "https://dl.fedoraproject.org/pub/fedora/linux/updates/"
LINK: Final = "https://bodhi.fedoraproject.org/updates/"

_FETCHED = "fetched.json"
_INDEX = "repomd.xml"
_ADVISORIES = "updateinfo"
_INDEX_LIMITS: Final = Limits(max_bytes=8 << 20)
_FILE_LIMITS: Final = Limits(max_bytes=512 << 20)
_MOST_RELEASES: Final = 100
_RELEASE = re.compile(r"""href\s*=\s*["']?(?:\./)?([0-9]{1,3})/["'\s>]""", re.IGNORECASE)
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_UPDATE = re.compile(r"FEDORA-(?!EPEL-)[0-9A-Za-z-]+")
_UNSPECIFIED = frozenset({"", "none", "unspecified"})
_AT_ONCE: Final = 500
"""Published records that are looked at together."""


class FedoraSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver fedora."""

    releases: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,3}$")], ...] = ()
    """Releases that are asked for besides those that upstream lists."""


class _Fetched(msgspec.Struct):
    """What the last fetch left in the workspace, for `parse`."""

    digests: dict[str, str] = {}
    """Sha256 of each release's advisories."""
    unavailable: dict[str, str] = {}
    """Releases that could not be had, and why."""


class _Issue(msgspec.Struct):
    """A CVE, or an update that names none, in one release."""

    severities: list[Severity] = []
    fixes: dict[tuple[str, str], list[str]] = {}
    """Updates that brought a (package, version)."""


class FedoraDriver(Driver):
    """Feed vulnerabilities, groups fedora:42, fedora:43, ... from the repositories of updates."""

    name = "fedora"
    feeds = (FEED,)
    mode = Mode.DELTA
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (UPDATES,)
    Settings: ClassVar[type[DriverSettings]] = FedoraSettings

    settings: FedoraSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the advisories of each release; one that cannot be had is left out, unless none can."""
        fetched = _Fetched()
        published = _published(context)
        failure: UpstreamError | ParseError | None = None
        releases = self._releases(context)
        for done, release in enumerate(releases):
            context.report("fetch", done, len(releases))
            try:
                fetched.digests[release] = _bring(context, release, published.get(release, ""))
            except (UpstreamError, ParseError) as error:
                forget(context.workspace / release / _INDEX)
                forget(context.workspace / release / _ADVISORIES)
                failure = error
                fetched.unavailable[release] = str(error)
        if failure is not None and not fetched.digests:
            raise failure
        (context.workspace / _FETCHED).write_bytes(msgspec.json.encode(fetched))
        kept = {release: mark for release, mark in published.items() if release in fetched.unavailable}
        digests = {**kept, **fetched.digests}
        if context.checkpoint is not None and digests == published:
            for release, reason in fetched.unavailable.items():
                context.skip(FEED, f"fedora:{release}", reason)
            return UNCHANGED
        text = "\n".join(f"{release} {mark}" for release, mark in sorted(digests.items()))
        return Checkpoint(fingerprint=hashlib.sha256(text.encode()).hexdigest(), cursor={"releases": digests})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every release that changed since the last run that published."""
        fetched = msgspec.json.decode((context.workspace / _FETCHED).read_bytes(), type=_Fetched)
        published = _published(context)
        for release, reason in fetched.unavailable.items():
            context.skip(FEED, f"fedora:{release}", reason)
        for done, (release, mark) in enumerate(fetched.digests.items()):
            context.report("parse", done, len(fetched.digests))
            group = f"fedora:{release}"
            if published.get(release) == mark:
                context.skip(FEED, group, "unchanged")
                continue
            issues = _issues(context, release) if mark else {}
            wanted = sorted(issues)
            for first in range(0, len(wanted), _AT_ONCE):
                keys = wanted[first : first + _AT_ONCE]
                before = context.published.bodies(FEED, context.selection.name(group) or group, keys)
                for key in keys:
                    yield _record(group, key, issues[key], before.get(key))

    def _releases(self, context: Context) -> list[str]:
        """Return the releases that upstream lists and the settings want, oldest first."""
        brought = context.fetcher.download(
            UPDATES, context.workspace / "index.html", limits=_INDEX_LIMITS, expect=("html",)
        )
        listed = set(_RELEASE.findall(brought.path.read_text("utf-8", errors="replace")))
        if not listed or len(listed) > _MOST_RELEASES:
            raise ParseError(UPDATES, f"{len(listed)} releases; between 1 and {_MOST_RELEASES} are plausible")
        listed.update(self.settings.releases)
        return sorted((release for release in listed if self.settings.serves(f"fedora:{release}")), key=int)


def _bring(context: Context, release: str, published: str) -> str:
    """Bring the advisories of a release; return their sha256, "" when there are none yet.

    `published` is that of the last run that published. Raises UpstreamError or ParseError when they cannot be had.
    """
    base = f"{UPDATES}{release}/Everything/x86_64/"
    folder = context.workspace / release
    index = context.fetcher.download(
        f"{base}{updateinfo.INDEX}", folder / _INDEX, limits=_INDEX_LIMITS, expect=("xml",)
    )
    location = updateinfo.find(index.path, f"{base}{updateinfo.INDEX}")
    if location is None:
        if published:
            raise ParseError(f"{base}{updateinfo.INDEX}", "the index names no updateinfo, though one was published")
        context.note(f"fedora:{release}: the repository has no advisories yet")
        return ""
    url = f"{base}{location.path}"
    kinds = ("xml", "gzip", "xz", "zstd", "bzip2")
    brought = context.fetcher.download(url, folder / _ADVISORIES, limits=_FILE_LIMITS, expect=kinds)
    updateinfo.verify(brought.path, location, url)
    return brought.sha256


def _issues(context: Context, release: str) -> dict[str, _Issue]:
    """Return what a release's document says by CVE; of each update only names and versions are kept."""
    issues: dict[str, _Issue] = {}
    place = f"fedora:{release} updateinfo.xml"
    empty = True
    for update in updateinfo.read(context.workspace / release / _ADVISORIES, place):
        empty = False
        if update.kind != "security":
            continue
        if not _UPDATE.fullmatch(update.id):
            context.unknown("id", update.id)
            continue
        severity = _severity(context, update.severity)
        builds = {(package.name, package.evr) for package in update.packages if package.arch != "src"}
        if not builds:
            # Of modules, flatpaks and containers: what is in them is no package of the repository.
            context.unknown("update without packages", update.id.rpartition("-")[0])
            continue
        for key in _cves(update) or [update.id]:
            issue = issues.setdefault(key, _Issue([], {}))
            issue.severities.append(severity)
            for build in builds:
                issue.fixes.setdefault(build, []).append(update.id)
    if empty:
        context.note(f"{place} holds no update; the records of the last runs stay")
    return issues


def _cves(update: updateinfo.Update) -> list[str]:
    """Return the CVEs that an update fixes: those of its bugs' titles, else those of its own."""
    found = {cve for reference in update.references for cve in _CVE.findall(reference.title)}
    found.update(reference.id for reference in update.references if _CVE.fullmatch(reference.id))
    return sorted(found or set(_CVE.findall(update.title)))


def _severity(context: Context, word: str) -> Severity:
    if word.lower() in _UNSPECIFIED:
        return "Unknown"
    severity = "Critical" if word.lower() == "urgent" else of_word(word)
    if severity == "Unknown":
        context.unknown("severity", word)
    return severity


def _record(group: str, key: str, issue: _Issue, before: bytes | None) -> Record:
    fixes = [_fix(group, *build, sorted(set(issue.fixes[build]))) for build in issue.fixes]
    if before is not None:
        fixes = _with_earlier(fixes, msgspec.json.decode(before, type=_Before).vulnerability.fixed_in)
    advisories = sorted(cited for updates in issue.fixes.values() for cited in updates)
    severity = highest(issue.severities)
    body = Vulnerability(
        name=key, namespace_name=group, severity=severity, link=f"{LINK}{advisories[0]}", fixed_in=sort_fixes(fixes)
    )
    return Record(feed=FEED, group=group, key=key, body=OSRecord(body), takes_severity=severity == "Unknown")


def _fix(group: str, package: str, version: str, updates: list[str]) -> FixedIn:
    cited = tuple(Advisory(id=name, link=f"{LINK}{name}") for name in updates)
    return FixedIn(
        name=package,
        namespace_name=group,
        version=version,
        version_format="rpm",
        vendor_advisory=VendorAdvisory(advisory_summary=cited),
    )


class _BeforeVulnerability(msgspec.Struct, rename={"fixed_in": "FixedIn"}):
    fixed_in: list[FixedIn]


class _Before(msgspec.Struct, rename={"vulnerability": "Vulnerability"}):
    """The part of a published record that is taken over."""

    vulnerability: _BeforeVulnerability


def _with_earlier(fixes: list[FixedIn], before: list[FixedIn]) -> list[FixedIn]:
    """Return a document's fixes, and those published before by updates that it does not name any more."""
    now: dict[str, set[str]] = {}
    for fix in fixes:
        now.setdefault(fix.name, set()).update(_cited(fix))
    return [*fixes, *(fix for fix in before if not now.get(fix.name, set()) & _cited(fix))]


def _cited(fix: FixedIn) -> set[str]:
    return {advisory.id for advisory in fix.vendor_advisory.advisory_summary} if fix.vendor_advisory else set()


def _published(context: Context) -> dict[str, str]:
    """Return the digest of each release that the last run published; empty when all must be read again."""
    if context.forced or context.checkpoint is None:
        return {}
    found: dict[str, str] = context.checkpoint.cursor.get("releases", {})
    return found
