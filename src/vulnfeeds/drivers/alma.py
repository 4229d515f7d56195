"""AlmaLinux: its advisories as OSV, from the branch archive of github.com/AlmaLinux/osv-database.

    osv-database-master/advisories/almalinux9/ALSA-2024:0106.json

An advisory that is for several releases lies in the folder of each, and names the packages of all. A group is one
release folder, so that a release comes with its folder and never in part.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from vulnfeeds.drivers.formats import errata, osv
from vulnfeeds.drivers.formats.errata import FEED, ErrataSettings, Releases
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

PREFIX: Final = "alma:"
_FILE: Final = "osv-database.tar.gz"
_MEMBERS: Final = "members.json"
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
        wanted, releases = self._members(context, brought.path)
        (context.workspace / _MEMBERS).write_bytes(msgspec.json.encode(wanted))
        return releases.checkpoint(ARCHIVE, brought.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory in turn, one for each release with news that it belongs to."""
        path = context.workspace / _FILE
        changed = Releases(context, PREFIX).changed()
        listed = msgspec.json.decode((context.workspace / _MEMBERS).read_bytes(), type=dict[str, list[str]])
        wanted = {
            name: sorted(changed & set(releases)) for name, releases in listed.items() if changed & set(releases)
        }
        for done, (name, advisory) in enumerate(
            osv.read_archive(path, wanted=wanted.__contains__, limits=_ARCHIVE_LIMITS, url=ARCHIVE)
        ):
            if done % _REPORTED == 0:
                context.report("parse", done, len(wanted))
            if _parts(name)[1] != advisory.id:
                raise ParseError(name, f"is about {advisory.id[:80]!r}")
            if errata.is_served(advisory, self.settings):
                yield from _records(context, advisory, wanted[name])
        for release in sorted(changed):
            context.cover(FEED, f"{PREFIX}{release}")

    def _members(self, context: Context, path: Path) -> tuple[dict[str, list[str]], Releases]:
        """Return the releases of which each member of the archive is read, and their digests.

        An advisory belongs to the release of its folder, and to others that it names and whose folder upstream forgot
        to put a copy into.
        """
        releases = Releases(context, PREFIX)
        members_of: dict[str, list[str]] = {}
        folders: dict[str, set[str]] = {}
        elsewhere: list[tuple[str, str, str, bytes]] = []
        for name, stream in members(path, wanted=_is_advisory, limits=_ARCHIVE_LIMITS, url=ARCHIVE):
            folder, advisory = _parts(name)
            data = stream.read()
            digest = hashlib.sha256(data).digest()
            members_of[name] = [folder]
            folders.setdefault(folder, set()).add(advisory)
            releases.add(folder, advisory, digest)
            for named in _named(osv.head(data, f"{_FILE}: {name}")[1]):
                if named != folder:
                    elsewhere.append((named, advisory, name, digest))
        for named, advisory, name, digest in elsewhere:
            if advisory not in folders.get(named, {advisory}):
                folders[named].add(advisory)
                members_of[name].append(named)
                releases.add(named, advisory, digest)
        return members_of, releases


def _records(context: Context, advisory: OSVRecord, releases: list[str]) -> Iterator[Record]:
    for ecosystem in dict.fromkeys(item.package.ecosystem for item in advisory.affected if item.package is not None):
        if not _ECOSYSTEM.fullmatch(ecosystem):
            context.unknown("ecosystem", ecosystem)
    for release in releases:
        made = errata.record(
            context,
            advisory,
            f"{PREFIX}{release}",
            ecosystems=(f"AlmaLinux:{release}",),
            link=f"{PAGES}{release}/{advisory.id.replace(':', '-')}.html",
            forgotten=FORGOTTEN.get(advisory.id),
        )
        if made is not None:
            yield made


def _is_advisory(name: str) -> bool:
    return _MEMBER.fullmatch(name) is not None


def _parts(name: str) -> tuple[str, str]:
    """Return the release of a member's folder and the advisory that it is named after."""
    match = _MEMBER.fullmatch(name)
    return (match[1], match[2]) if match else ("", "")


def _named(ecosystems: list[str]) -> list[str]:
    return [match[1] for ecosystem in ecosystems if (match := _ECOSYSTEM.fullmatch(ecosystem))]
