"""Brings the sources into the workspace, and decides which of them are read and which release is whose.

A release is OSV's as soon as OSV carries it, and stays so: when OSV drops it, its group is frozen as it is, since the
tracker says less of a release at its end of life. All other releases are the tracker's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, DriverSettings, Unchanged
from vulnfeeds.drivers.ubuntu import osv_archive, releases, tracker, vex_archive
from vulnfeeds.drivers.ubuntu.issues import Issue, Packed, Remarks
from vulnfeeds.drivers.ubuntu.releases import ESM, release_of
from vulnfeeds.errors import UpstreamError
from vulnfeeds.fetch.interface import Limits, forget

OSV_URL: Final = "https://security-metadata.canonical.com/osv/osv-all.tar.xz"
VEX_URL: Final = "https://security-metadata.canonical.com/vex/vex-all.tar.xz"
TRACKER_URL: Final = "https://git.launchpad.net/ubuntu-cve-tracker/snapshot/ubuntu-cve-tracker-master.tar.gz"
FEED: Final = "vulnerabilities"

OSV: Final = "osv"
TRACKER: Final = "tracker"

_LIMITS: Final = Limits(max_bytes=1 << 30)
_CARRIED: Final = "carried.json"
_GATHERED: Final = "gathered.json"
_REPORTED: Final = 1000
"""CVEs between two reports of progress."""


class UbuntuSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver ubuntu."""

    sources: Literal["both", "osv", "tracker"] = "both"
    """`osv`: Canonical's OSV and VEX archives; `tracker`: the CVE tracker; `both`: OSV, and the tracker for
    releases that OSV does not carry."""
    checkout: str = ""
    """Folder with a checkout of the CVE tracker, read instead of its archive."""
    releases: dict[str, str] = msgspec.field(default_factory=dict)
    """Version by codename, over the built-in table; an empty version leaves a release out of the tracker."""
    exclude: tuple[str, ...] = ("?.*", "10.*", "11.*")
    """Groups that are left out although `include` names them; by default all before 12.04, as in the original."""
    esm: bool = True
    """Serve groups such as `ubuntu:16.04+esm`: the fixes that come with Ubuntu Pro only."""
    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""
    descriptions: bool = True
    """Serve the description of the CVE; the original service left it empty."""


class Mark(msgspec.Struct):
    """What a published run read of one source."""

    digest: str
    groups: list[str]
    """Versions of its releases, with "+esm" behind those of Ubuntu Pro."""


class Gathered(msgspec.Struct):
    """What `parse` is to do."""

    groups: dict[str, list[str]]
    """Groups of each source that is read, as in Mark."""
    skipped: dict[str, str]
    """Groups that stay as they are, and why."""


class Gathering:
    """One run's way through the sources."""

    def __init__(self, context: Context, settings: UbuntuSettings) -> None:
        self._context = context
        self._settings = settings
        self._wanted = cache(self._wants)
        self._last = _marks(context.checkpoint)
        self._failures: dict[str, UpstreamError] = {}

    def run(self) -> Checkpoint | Unchanged:
        """Bring all sources; read those that changed since the last run that published.

        Raises the UpstreamError of a source that could not be had when there is no other, or when it is OSV and
        never could: the tracker must not take its releases. Raises ParseError for documents of another shape.
        """
        names = [OSV, TRACKER] if self._settings.sources == "both" else [self._settings.sources]
        digests: dict[str, str] = {}
        for done, name in enumerate(names):
            self._context.report("fetch", done, len(names))
            try:
                digests[name] = self._download(name)
            except UpstreamError as error:
                self._without(name, error)
        new = {name: digest for name, digest in digests.items() if self._is_new(name, digest)}
        groups: dict[str, list[str]] = {}
        for name in new:
            try:
                groups[name] = self._read(name)
            except UpstreamError as error:
                self._without(name, error)
        if self._failures.keys() >= set(names):
            raise next(iter(self._failures.values()))
        if not self._settings.esm:
            groups = {
                name: [group for group in found if group == release_of(group)] for name, found in groups.items()
            }
        marks = {name: Mark(digests[name], found) for name, found in groups.items()}
        carried = {release for found in groups.values() for release in map(release_of, found)}
        skipped: dict[str, str] = {}
        for name in names:
            if name in groups or name not in self._last:
                continue
            kept = [group for group in self._last[name].groups if release_of(group) not in carried]
            marks[name] = Mark(self._last[name].digest, kept)
            skipped |= dict.fromkeys(kept, str(self._failures.get(name, "unchanged")))
        if not groups:
            for group, reason in skipped.items():
                if reason != "unchanged":
                    self._context.skip(FEED, f"ubuntu:{group}", reason)
            return UNCHANGED
        (self._context.workspace / _GATHERED).write_bytes(msgspec.json.encode(Gathered(groups, skipped)))
        fingerprint = hashlib.sha256(" ".join(marks[name].digest for name in sorted(marks)).encode()).hexdigest()
        return Checkpoint(fingerprint=fingerprint, cursor=msgspec.to_builtins(marks))

    def _without(self, name: str, error: UpstreamError) -> None:
        """Go on without a source where the others are worth publishing alone; else raise its error."""
        self._failures[name] = error
        if name not in self._last:
            if name == OSV:
                raise error
            self._context.note(f"the {name} could not be had ({error}); releases that only it has are missing")

    def _is_new(self, name: str, digest: str) -> bool:
        return self._context.forced or name not in self._last or self._last[name].digest != digest

    def _download(self, name: str) -> str:
        """Bring a source; return a digest over everything that its records are made of."""
        if name == OSV:
            return _digest(self._archive(OSV_URL, "xz") + self._archive(VEX_URL, "xz"))
        if self._settings.checkout:
            return _digest(tracker.mark_of_checkout(Path(self._settings.checkout)))
        return self._archive(TRACKER_URL, "gzip")

    def _wants(self, version: str) -> bool:
        """Tell whether a release is served, with or without what Ubuntu Pro adds."""
        serves = self._settings.serves
        return serves(f"ubuntu:{version}") or (self._settings.esm and serves(f"ubuntu:{version}{ESM}"))

    def _archive(self, url: str, kind: str) -> str:
        target = self._context.workspace / _name(url)
        return self._context.fetcher.download(url, target, limits=_LIMITS, expect=(kind,)).sha256

    def _read(self, name: str) -> list[str]:
        """Write down the issues of a source; return the groups, as in Mark. What is broken is asked for anew."""
        try:
            return self._read_osv() if name == OSV else self._read_tracker()
        except UpstreamError:
            for url in (OSV_URL, VEX_URL) if name == OSV else (TRACKER_URL,):
                forget(self._context.workspace / _name(url))
            raise

    def _read_osv(self) -> list[str]:
        """Write down the issues of the archives; return the groups, as in Mark."""
        workspace = self._context.workspace
        reader = osv_archive.Reader(self._wanted, self._context.unknown)
        groups = self._write(OSV, reader.issues(workspace / _name(OSV_URL)))
        with notices(workspace).rewritten() as append:
            for remarks in reader.notices():
                append(remarks)
        # Not what only notices speak of: they go on naming releases that have ended.
        found = {version: reader.codenames.get(version, "") for version in map(release_of, groups)}
        (workspace / _CARRIED).write_bytes(msgspec.json.encode({**_carried(workspace), **found}))
        vex = workspace / _name(VEX_URL)
        with statements(workspace).rewritten() as append:
            for remarks in vex_archive.read(vex, self._versions(), self._wanted, self._context.unknown):
                append(remarks)
        return groups

    def _read_tracker(self) -> list[str]:
        """Write down the issues of the tracker; return the groups, as in Mark."""
        others = _carried(self._context.workspace) if self._settings.sources == "both" else {}
        reader = tracker.Reader(
            self._versions(), lambda version: version not in others and self._wanted(version), self._context.unknown
        )
        if self._settings.checkout:
            return self._write(TRACKER, reader.issues(tracker.files_of_checkout(Path(self._settings.checkout))))
        archive = self._context.workspace / _name(TRACKER_URL)
        return self._write(TRACKER, reader.issues(tracker.files_of_archive(archive)))

    def _write(self, source: str, found: Iterable[Issue]) -> list[str]:
        seen: set[str] = set()
        groups: set[str] = set()
        with issues(self._context.workspace, source).rewritten() as append:
            for issue in found:
                if issue.cve in seen:
                    self._context.unknown("CVE given twice", issue.cve)
                    continue
                if len(seen) % _REPORTED == 0:
                    self._context.report(f"read {source}", len(seen))
                seen.add(issue.cve)
                groups.update(state.group for state in issue.states)
                append(issue)
        return sorted(groups)

    def _versions(self) -> dict[str, str]:
        """Return version by codename: the built-in table, what OSV says besides, and the settings over both."""
        told = {codename: version for version, codename in _carried(self._context.workspace).items() if codename}
        return releases.table({**told, **self._settings.releases})


def issues(workspace: Path, source: str) -> Packed[Issue]:
    """Return what was read of a source."""
    return Packed(workspace / f"{source}.issues", Issue)


def notices(workspace: Path) -> Packed[Remarks]:
    """Return which notices (USN) announced fixes."""
    return Packed(workspace / "osv.notices", Remarks)


def statements(workspace: Path) -> Packed[Remarks]:
    """Return what VEX says: WILL_NOT_FIX or NOT_AFFECTED."""
    return Packed(workspace / "vex.statements", Remarks)


def gathered(workspace: Path) -> Gathered:
    """Return what the last fetch left for `parse` to do."""
    return msgspec.json.decode((workspace / _GATHERED).read_bytes(), type=Gathered)


def _marks(checkpoint: Checkpoint | None) -> dict[str, Mark]:
    return msgspec.convert(checkpoint.cursor, dict[str, Mark]) if checkpoint else {}


def _carried(workspace: Path) -> dict[str, str]:
    """Return codename by version of the releases that OSV ever carried here; "" where it did not say."""
    path = workspace / _CARRIED
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
