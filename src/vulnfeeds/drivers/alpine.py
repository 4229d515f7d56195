"""Alpine: fixes from secdb per release, and the rejections of the security team.

Upstream has one small file per release and repository, found through the index pages, so that a new release needs no
change here. A group is one release; a release is read only when one of its files, or the rejections, changed.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec

from vulnfeeds.drivers.formats import secdb
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.fetch.interface import Limits, forget
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import NOT_AFFECTED, FixedIn, OSRecord, Vulnerability, sort_fixes

FEED: Final = "vulnerabilities"
SECDB: Final = "https://secdb.alpinelinux.org/"
REJECTIONS: Final = "https://gitlab.alpinelinux.org/alpine/security/security-rejections/-/raw/master/"
REPOSITORIES: Final = ("main", "community")
LINK: Final = "http://cve.mitre.org/cgi-bin/cvename.cgi?name="

_RELEASE = re.compile(r"(?:v([0-9]{1,4}\.[0-9]{1,4})|(edge))/?")
_MOST_RELEASES: Final = 500
_LINK = re.compile(r"<a\s[^<>]*", re.IGNORECASE)
_HREF = re.compile(r"""(?<![\w-])href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_PAGE_LIMITS: Final = Limits(max_bytes=4 << 20)
_FILE_LIMITS: Final = Limits(max_bytes=16 << 20)
"""Documents are read whole; the largest ones stay below a tenth of this."""
_FILE = re.compile(r"([a-z][a-z0-9_-]{0,39})\.(json|yaml)")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_FETCHED = "fetched.json"


class AlpineSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver alpine."""

    releases: tuple[Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,4}\.[0-9]{1,4}|edge)$")], ...] = ()
    """Releases that are asked for besides those that the index lists."""
    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""


class _Fetched(msgspec.Struct):
    """What the last fetch left in the workspace, for `parse`."""

    releases: dict[str, list[str]]
    """Files of each release that was had whole, relative to the workspace."""
    digests: dict[str, str]
    """Digest over everything that a release's records are made of."""
    unavailable: dict[str, str]
    """Releases that could not be had, and why."""
    rejections: list[str]
    rejected: dict[str, int]
    """How many rejections each file of them has."""


class AlpineDriver(Driver):
    """Feed vulnerabilities, groups alpine:3.18, alpine:edge, ... from secdb.alpinelinux.org."""

    name = "alpine"
    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (SECDB, REJECTIONS)
    Settings: ClassVar[type[DriverSettings]] = AlpineSettings

    settings: AlpineSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring every release's files; a release that cannot be had whole is left out, unless none can."""
        releases = self._releases(context)
        fetched = _Fetched(releases={}, digests={}, unavailable={}, rejections=[], rejected={})
        marks = self._rejections(context, fetched)
        failure: UpstreamError | None = None
        for done, release in enumerate(releases):
            context.report("fetch", done, len(releases))
            try:
                files = self._release(context, release)
            except UpstreamError as error:
                failure = error
                fetched.unavailable[release] = str(error)
                continue
            fetched.releases[release] = list(files)
            fetched.digests[release] = _digest({**files, **marks})
        if failure is not None and not fetched.releases:
            raise failure
        (context.workspace / _FETCHED).write_bytes(msgspec.json.encode(fetched))
        return self._checkpoint(context, fetched)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every release that changed since the last run that published."""
        fetched = msgspec.json.decode((context.workspace / _FETCHED).read_bytes(), type=_Fetched)
        published = _published(context)
        rejected = sorted(
            {
                (package, cve.upper())
                for name in fetched.rejections
                for package, cve in secdb.read_lists(context.workspace / name)
                if _is_cve(context, cve)
            }
        )
        for release, reason in fetched.unavailable.items():
            context.skip(FEED, f"alpine:{release}", reason)
        for done, (release, files) in enumerate(fetched.releases.items()):
            context.report("parse", done, len(fetched.releases))
            group = f"alpine:{release}"
            if published.get(release) == fetched.digests[release]:
                context.skip(FEED, group, "unchanged")
                continue
            fixes = self._fixes(context, [context.workspace / name for name in files], rejected)
            for cve in sorted(fixes):
                yield _record(group, cve, fixes[cve])
            context.cover(FEED, group)

    # --- fetching ---------------------------------------------------------------------------------------------

    def _releases(self, context: Context) -> list[str]:
        """Return the releases that the index lists and the settings want, oldest first, edge last."""
        links = _links(context, SECDB, context.workspace / "index.html")
        found = {match[1] or match[2] for link in links if (match := _RELEASE.fullmatch(link))}
        if not found:
            raise ParseError(SECDB, "the index lists no release")
        if len(found) > _MOST_RELEASES:
            raise ParseError(SECDB, f"the index lists {len(found)} releases; {_MOST_RELEASES} are plausible")
        found.update(self.settings.releases)
        served = [release for release in found if self.settings.serves(f"alpine:{release}")]
        return sorted(
            served, key=lambda name: [int(part) for part in name.split(".")] if name != "edge" else [1 << 30]
        )

    def _release(self, context: Context, release: str) -> dict[str, str]:
        """Bring all files of a release; return sha256 by path relative to the workspace."""
        folder = release if release == "edge" else f"v{release}"
        url = f"{SECDB}{folder}/"
        files: dict[str, str] = {}
        for repository, suffix in self._listed(context, url, folder, release).items():
            name = f"{folder}/{repository}.{suffix}"
            kind = "json" if suffix == "json" else "text"
            target = context.workspace / name
            brought = context.fetcher.download(f"{SECDB}{name}", target, limits=_FILE_LIMITS, expect=(kind,))
            files[name] = brought.sha256
        return files

    def _listed(self, context: Context, url: str, folder: str, release: str) -> dict[str, str]:
        """Return suffix by repository: JSON where the listing has it (it parses 100 times faster), else YAML."""
        wanted = REPOSITORIES[:1] if release == "3.2" else REPOSITORIES
        try:
            links = _links(context, url, context.workspace / folder / "index.html")
        except StatusError as error:
            if error.status != 404:
                raise
            return dict.fromkeys(wanted, "json")
        found: dict[str, str] = {}
        for link in sorted(links, reverse=True):
            if match := _FILE.fullmatch(link):
                found[match[1]] = match[2]
        missing = [name for name in wanted if name not in found]
        if missing:
            forget(context.workspace / folder / "index.html")
            raise UpstreamError(url, f"the index of the release does not list {' and '.join(missing)}")
        return found

    def _rejections(self, context: Context, fetched: _Fetched) -> dict[str, str]:
        """Bring the rejections, or go on with the last copies: releases are worth publishing without them."""
        marks: dict[str, str] = {}
        cursor = context.checkpoint.cursor if context.checkpoint else {}
        before: list[str] = cursor.get("rejections", [])
        counts: dict[str, int] = cursor.get("rejected", {})
        for repository in REPOSITORIES:
            name = f"rejections-{repository}.yaml"
            target = context.workspace / name
            try:
                url = f"{REJECTIONS}{repository}.yaml"
                context.fetcher.download(url, target, limits=_PAGE_LIMITS, expect=("text",))
                fetched.rejected[name] = _count(context, url, target, counts.get(name, 0))
            except UpstreamError as error:
                gone = isinstance(error, StatusError) and error.status == 404
                if name in before and not gone and not target.exists():
                    # Published with the rejections: without them every one of their records would be withdrawn.
                    raise
                kept = "the last copy is used" if target.exists() else "none are applied"
                context.note(f"rejections of {repository} could not be had ({error}); {kept}")
            if target.exists():
                fetched.rejections.append(name)
                fetched.rejected.setdefault(name, counts.get(name, 0))
                marks[name] = hashlib.sha256(target.read_bytes()).hexdigest()
        return marks

    def _checkpoint(self, context: Context, fetched: _Fetched) -> Checkpoint | Unchanged:
        """Return the digests as they will be published; those of releases left out stay as they are."""
        published = _published(context)
        kept = {name: mark for name, mark in published.items() if name in fetched.unavailable}
        digests = {**kept, **fetched.digests}
        if context.checkpoint is not None and digests == published:
            for release, reason in fetched.unavailable.items():
                context.skip(FEED, f"alpine:{release}", reason)
            return UNCHANGED
        return Checkpoint(
            fingerprint=_digest(digests),
            cursor={"releases": digests, "rejections": fetched.rejections, "rejected": fetched.rejected},
        )

    # --- parsing ----------------------------------------------------------------------------------------------

    def _fixes(
        self, context: Context, files: list[Path], rejected: list[tuple[str, str]]
    ) -> dict[str, set[tuple[str, str]]]:
        """Return (package, version) by CVE of one release, rejections applied."""
        refused = set(rejected)
        fixes: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for path in files:
            for package, version, cve in secdb.read(
                path, on_duplicate=lambda key: context.unknown("key given twice", key)
            ):
                if _CVE.fullmatch(cve) is None:
                    context.unknown("id", cve)
                    cve = cve.upper() if _CVE.fullmatch(cve.upper()) else cve
                if (package, cve) not in refused:
                    fixes[cve].add((package, version))
        if not fixes:
            raise ParseError(str(files[0].parent.name), "no fixes in any repository of the release")
        for package, cve in rejected:
            fixes[cve].add((package, NOT_AFFECTED))
        if not self.settings.not_affected:
            kept = {cve: {pair for pair in pairs if pair[1] != NOT_AFFECTED} for cve, pairs in fixes.items()}
            return {cve: pairs for cve, pairs in kept.items() if pairs}
        return fixes


def _links(context: Context, url: str, target: Path) -> list[str]:
    """Return the links of an index page, relative to it."""
    context.fetcher.download(url, target, limits=_PAGE_LIMITS, expect=("html",))
    # Not by the standard library's HTML parser: its time grows with the square of some broken pages.
    tags = _LINK.findall(target.read_text("utf-8", errors="replace"))
    found = [unescape("".join(href.groups(""))) for tag in tags if (href := _HREF.search(tag))]
    return [link.removeprefix(url).removeprefix("./") for link in found]


def _is_cve(context: Context, rejected: str) -> bool:
    """Tell whether a rejected id is one; others are counted, and make no record of their own."""
    if _CVE.fullmatch(rejected.upper()) is None:
        context.unknown("rejected id", rejected)
        return False
    return True


def _count(context: Context, url: str, path: Path, before: int) -> int:
    """Return how many rejections a file has; a file of lines that is cut short is as good a file as a whole one.

    Raises ParseError when it has clearly fewer than `before`: what was rejected would be affected again.
    """
    found = sum(1 for _ in secdb.read_lists(path))
    if before - found > max(1, before // 10) and not context.forced:
        raise ParseError(url, f"has {found} rejections, {before} at the last run; a forced run takes it as it is")
    if not path.read_bytes().endswith(b"\n"):
        context.note(f"{url} ends within a line, so it may be cut short")
        forget(path)
    return found


def _published(context: Context) -> dict[str, str]:
    """Return the digest of each release that the last run published; empty when all must be read again."""
    if context.forced or context.checkpoint is None:
        return {}
    found: dict[str, str] = context.checkpoint.cursor.get("releases", {})
    return found


def _digest(marks: dict[str, str]) -> str:
    text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _record(group: str, cve: str, pairs: set[tuple[str, str]]) -> Record:
    fixes = [
        FixedIn(name=package, namespace_name=group, version=version, version_format="apk")
        for package, version in pairs
    ]
    body = Vulnerability(
        name=cve, namespace_name=group, severity="Unknown", link=f"{LINK}{cve}", fixed_in=sort_fixes(fixes)
    )
    return Record(feed=FEED, group=group, key=cve, body=OSRecord(body), takes_severity=True)
