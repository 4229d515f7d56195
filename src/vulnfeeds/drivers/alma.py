"""AlmaLinux: its advisories as OSV, from the branch archive of github.com/AlmaLinux/osv-database.

    osv-database-master/advisories/almalinux9/ALSA-2024:0106.json

An advisory that is for several releases lies in the folder of each, and names the packages of all. A group is one
release folder, so that a release comes with its folder and never in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from vulnfeeds.drivers.formats import errata, osv
from vulnfeeds.drivers.formats.errata import FEED, ErrataSettings
from vulnfeeds.drivers.formats.osv import OSVRecord
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record

ARCHIVE: Final = "https://github.com/AlmaLinux/osv-database/archive/refs/heads/master.tar.gz"
REDIRECTED: Final = "https://codeload.github.com/AlmaLinux/osv-database/"
PAGES: Final = "https://errata.almalinux.org/"

FORGOTTEN: Final[dict[str, dict[str, str]]] = {
    "ALSA-2019:3706": {"lua-libs": "lua"},
    "ALSA-2020:5487": {"pacemaker-libs": "pacemaker"},
    "ALSA-2021:4386": {"libgcc": "gcc"},
    "ALSA-2021:4393": {"cups-libs": "cups"},
    "ALSA-2021:4489": {"rpm-build-libs": "rpm-build"},
    "ALSA-2021:4587": {"libgcc": "gcc"},
    "ALSA-2022:0368": {"rpm-build-libs": "rpm-build"},
    "ALSA-2022:7928": {"device-mapper-multipath-libs": "device-mapper-multipath"},
}
"""Library packages that upstream left out of an advisory, with the package whose version is theirs."""

_FILE: Final = "osv-database.tar.gz"
_LIMITS: Final = Limits(max_bytes=512 << 20)
_ARCHIVE_LIMITS: Final = ArchiveLimits(max_members=1_000_000, max_member_bytes=osv.MAX_BYTES)
_MEMBER: Final = re.compile(r"(?:[^/]+/)?advisories/almalinux(\d{1,3})/([^/]+)\.json")
_ECOSYSTEM: Final = re.compile(r"AlmaLinux:(\d{1,3})")
_REPORTED: Final = 500
"""Advisories between two reports of progress."""


class AlmaDriver(Driver):
    """Feed vulnerabilities, groups alma:8, alma:9, ... from AlmaLinux' OSV database."""

    name = "alma"
    feeds = (FEED,)
    upstreams = (ARCHIVE, REDIRECTED)
    Settings: ClassVar[type[DriverSettings]] = ErrataSettings

    settings: ErrataSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the archive."""
        brought = context.fetcher.download(ARCHIVE, context.workspace / _FILE, limits=_LIMITS, expect=("gzip",))
        if context.checkpoint and context.checkpoint.fingerprint == brought.sha256 and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=brought.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory in turn, one for each release of its own."""
        path = context.workspace / _FILE
        files = {release: names for release, names in _files(path).items() if self.settings.wants(release)}
        total = sum(map(len, files.values()))
        if not total:
            raise ParseError(ARCHIVE, "no advisory of any release that is served")
        homeless: set[tuple[str, str]] = set()
        for done, (release, advisory) in enumerate(_advisories(path, set(files))):
            if done % _REPORTED == 0:
                context.report("parse", done, total)
            if not errata.is_served(advisory, self.settings):
                continue
            for named in _releases(context, advisory):
                if named != release:
                    # Its own folder has it, unless upstream forgot the copy there.
                    if advisory.id in files.get(named, {advisory.id}) or (named, advisory.id) in homeless:
                        continue
                    homeless.add((named, advisory.id))
                made = errata.record(
                    context,
                    advisory,
                    f"alma:{named}",
                    ecosystems=(f"AlmaLinux:{named}",),
                    link=f"{PAGES}{named}/{advisory.id.replace(':', '-')}.html",
                    forgotten=FORGOTTEN.get(advisory.id),
                )
                if made is not None:
                    yield made
        for release in files:
            context.cover(FEED, f"alma:{release}")


def _files(path: Path) -> dict[str, set[str]]:
    """Return the ids of the advisories in the folder of each release, by the names of their files."""
    found: dict[str, set[str]] = {}

    def keep(name: str) -> bool:
        if match := _MEMBER.fullmatch(name):
            found.setdefault(match[1], set()).add(match[2])
        return False

    for _ in members(path, wanted=keep, limits=_ARCHIVE_LIMITS, url=ARCHIVE):
        raise AssertionError("nothing is wanted")
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def _advisories(path: Path, releases: set[str]) -> Iterator[tuple[str, OSVRecord]]:
    """Yield (release of the folder, advisory)."""

    def wanted(name: str) -> bool:
        match = _MEMBER.fullmatch(name)
        return match is not None and match[1] in releases

    for name, advisory in osv.read_archive(path, wanted=wanted, limits=_ARCHIVE_LIMITS, url=ARCHIVE):
        match = _MEMBER.fullmatch(name)
        if match is None or match[2] != advisory.id:
            raise ParseError(name, f"is about {advisory.id[:80]!r}")
        yield match[1], advisory


def _releases(context: Context, advisory: OSVRecord) -> list[str]:
    """Return the releases of which an advisory names packages, in the order of appearance; others are counted."""
    found: dict[str, None] = {}
    for ecosystem in dict.fromkeys(item.package.ecosystem for item in advisory.affected if item.package is not None):
        if match := _ECOSYSTEM.fullmatch(ecosystem):
            found[match[1]] = None
        else:
            context.unknown("ecosystem", ecosystem)
    return list(found)
