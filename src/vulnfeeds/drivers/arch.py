"""Arch Linux: groups of vulnerabilities (AVG) from the security tracker, with the advisories that announced them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from vulnfeeds.drivers.formats import rows
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, of_word
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
GROUP: Final = "arch:rolling"
SITE: Final = "https://security.archlinux.org/"
TRACKER: Final = f"{SITE}all.json"
CVE_LINK: Final = "https://nvd.nist.gov/vuln/detail/"

_FILE = "all.json"
_LIMITS: Final = Limits(max_bytes=256 << 20)
_NOT_AFFECTED = "Not affected"
_STATUSES = frozenset({"Fixed", "Testing", "Vulnerable", "Unknown", _NOT_AFFECTED})


class ArchSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver arch."""

    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""


class _AVG(msgspec.Struct):
    name: str
    packages: list[str]
    status: str
    severity: str
    fixed: str | None
    issues: list[str]
    advisories: list[str] = []
    type: str = ""


class ArchDriver(Driver):
    """Feed vulnerabilities, group arch:rolling, from security.archlinux.org."""

    name = "arch"
    feeds = (FEED,)
    upstreams = (TRACKER,)
    Settings: ClassVar[type[DriverSettings]] = ArchSettings

    settings: ArchSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the tracker's list; unchanged when its bytes are those that were last published."""
        download = context.fetcher.download(TRACKER, context.workspace / _FILE, limits=_LIMITS, expect=("json",))
        published = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if download.sha256 == published else Checkpoint(fingerprint=download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record for each group of vulnerabilities."""
        seen: set[str] = set()
        for done, avg in enumerate(rows.read(context.workspace / _FILE, _AVG)):
            if done % 1000 == 0:
                context.report("parse", done)
            if not avg.name or not avg.packages:
                raise ParseError(
                    f"{_FILE} $[{done}]", f"{avg.name or 'a group of vulnerabilities'} has no name or package"
                )
            if avg.name in seen:
                context.unknown("group of vulnerabilities given twice", avg.name)
                continue
            seen.add(avg.name)
            if avg.status not in _STATUSES:
                context.unknown("status", avg.status)
            if avg.status != _NOT_AFFECTED or self.settings.not_affected:
                yield Record(feed=FEED, group=GROUP, key=avg.name, body=OSRecord(_body(context, avg)))
        context.cover(FEED, GROUP)


def _body(context: Context, avg: _AVG) -> Vulnerability:
    if avg.status == _NOT_AFFECTED:
        version, vendor = NOT_AFFECTED, VendorAdvisory()
    else:
        cited = tuple(Advisory(id=name, link=f"{SITE}{name}") for name in sorted(set(avg.advisories)))
        version, vendor = avg.fixed or NO_FIX, VendorAdvisory(advisory_summary=cited)
    fixes = [
        FixedIn(name=package, namespace_name=GROUP, version=version, version_format="pacman", vendor_advisory=vendor)
        for package in avg.packages
    ]
    return Vulnerability(
        name=avg.name,
        namespace_name=GROUP,
        severity=_severity(context, avg.severity),
        link=f"{SITE}{avg.name}",
        fixed_in=sort_fixes(fixes),
        description=avg.type,
        metadata={"CVE": [{"Name": cve, "Link": f"{CVE_LINK}{cve}"} for cve in sorted(set(avg.issues))]},
    )


def _severity(context: Context, word: str) -> Severity:
    severity = of_word(word)
    if severity == "Unknown" and word != "Unknown":
        context.unknown("severity", word)
    return severity
