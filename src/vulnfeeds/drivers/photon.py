"""Photon OS: CVEs by release, from the metadata that Broadcom publishes for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec

from vulnfeeds.drivers.documents import Documents
from vulnfeeds.drivers.formats import rows
from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import of_cvss3
from vulnfeeds.records.vulnerability import (
    NO_FIX,
    NOT_AFFECTED,
    FixedIn,
    OSRecord,
    VendorAdvisory,
    Vulnerability,
    sort_fixes,
)

FEED: Final = "vulnerabilities"
METADATA: Final = "https://packages.broadcom.com/photon/photon_cve_metadata/"
VERSIONS: Final = f"{METADATA}photon_versions.json"
LINK: Final = "https://www.cve.org/CVERecord?id="

_LIMITS: Final = Limits(max_bytes=256 << 20)
_MOST_RELEASES: Final = 200
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_NOT_AFFECTED = "Not Affected"
_STATUSES = frozenset({"", "Fixed", _NOT_AFFECTED})
_NONE = frozenset({"", "NA"})


class PhotonSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver photon."""

    releases: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")], ...] = ()
    """Releases that are asked for besides those that upstream lists."""
    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""


class _Versions(msgspec.Struct):
    branches: list[str]


class _Row(msgspec.Struct):
    cve_id: str
    pkg: str
    res_ver: str | None
    cve_score: float | str | None = None
    status: str = ""


class _Issue(msgspec.Struct):
    """A CVE in one release."""

    score: float = 0.0
    fixes: set[tuple[str, str]] = msgspec.field(default_factory=set)
    """(package, version)"""


class PhotonDriver(Driver):
    """Feed vulnerabilities, groups photon:4.0, photon:5.0, ... from packages.broadcom.com."""

    name = "photon"
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (METADATA,)
    Settings: ClassVar[type[DriverSettings]] = PhotonSettings

    settings: PhotonSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document of each release; one that cannot be had is left out, unless none can."""
        addresses = {release: (f"{METADATA}{_name(release)}",) for release in self._releases(context)}
        return Documents(context, FEED).fetch(addresses, limits=_LIMITS, expect=("json",))

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every release that changed since the last run that published."""
        documents = Documents(context, FEED)
        for release, path in documents.changed():
            group = f"photon:{release}"
            # The document is sorted by package, records are by CVE: two short texts are kept of each row until then.
            issues = self._issues(context, path)
            for cve in sorted(issues):
                if issues[cve].fixes:
                    yield _record(group, cve, issues[cve])
            documents.read(release, [group])

    def _releases(self, context: Context) -> list[str]:
        """Return the releases that upstream lists and the settings want, oldest first."""
        brought = context.fetcher.download(
            VERSIONS, context.workspace / "photon_versions.json", limits=_LIMITS, expect=("json",)
        )
        try:
            listed = set(msgspec.json.decode(brought.path.read_bytes(), type=_Versions).branches)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ParseError(VERSIONS, str(error)) from error
        if not listed or len(listed) > _MOST_RELEASES:
            raise ParseError(VERSIONS, f"{len(listed)} releases; between 1 and {_MOST_RELEASES} are plausible")
        for release in listed:
            if not _RELEASE.fullmatch(release):
                context.unknown("release", release)
        told = {release for release in listed if _RELEASE.fullmatch(release)}.union(self.settings.releases)
        found = [release for release in told if self.settings.serves(f"photon:{release}")]
        return sorted(found, key=lambda release: [int(part) for part in release.split(".")])

    def _issues(self, context: Context, path: Path) -> dict[str, _Issue]:
        issues: dict[str, _Issue] = {}
        for row in rows.read(path, _Row):
            if not _CVE.fullmatch(row.cve_id):
                # Of identifiers of others (BDSA-2025-0719) only the kind: there are thousands.
                context.unknown("id", row.cve_id if row.cve_id.startswith("CVE-") else row.cve_id.partition("-")[0])
                continue
            if row.status not in _STATUSES:
                context.unknown("status", row.status)
            issue = issues.setdefault(row.cve_id, _Issue())
            issue.score = max(issue.score, _score(context, row.cve_score))
            if row.status != _NOT_AFFECTED:
                version = row.res_ver or ""
                issue.fixes.add((row.pkg, NO_FIX if version in _NONE else version))
            elif self.settings.not_affected:
                issue.fixes.add((row.pkg, NOT_AFFECTED))
        if not issues:
            raise ParseError(path.name, "no CVE in the document")
        return issues


def _record(group: str, cve: str, issue: _Issue) -> Record:
    fixes = [
        FixedIn(
            name=package,
            namespace_name=group,
            version=version,
            version_format="rpm",
            vendor_advisory=VendorAdvisory(),
        )
        for package, version in issue.fixes
    ]
    body = Vulnerability(
        name=cve,
        namespace_name=group,
        severity=of_cvss3(issue.score) if issue.score else "Unknown",
        link=f"{LINK}{cve}",
        fixed_in=sort_fixes(fixes),
    )
    return Record(feed=FEED, group=group, key=cve, body=OSRecord(body), takes_severity=not issue.score)


def _score(context: Context, said: float | str | None) -> float:
    """Return a score from 0 to 10; 0 when there is none, and for what is no score."""
    try:
        score = float(said or 0)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 10:
        if str(said) not in _NONE:
            context.unknown("score", said)
        return 0.0
    return score


def _name(release: str) -> str:
    return f"cve_data_photon{release}.json"
