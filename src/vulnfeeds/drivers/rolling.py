"""Distributions of apk packages without releases, each with one secdb document: Wolfi, Chainguard, MinimOS.

The document names which version of which package fixes which vulnerabilities, CVEs and others. A record is one
vulnerability in the only group, NAME:rolling.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from vulnfeeds.drivers.formats import secdb
from vulnfeeds.drivers.formats.secdb import Fix, Fixed
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import NOT_AFFECTED, FixedIn, OSRecord, Vulnerability, sort_fixes

FEED: Final = "vulnerabilities"
KINDS: Final = frozenset({"CVE", "GHSA", "GO", "CGA", "PYSEC", "RUSTSEC"})
"""First words of ids that are known; ids of others are served, too, and counted."""
CVE_PAGE: Final = "https://www.cve.org/CVERecord?id="
GHSA_PAGE: Final = "https://github.com/advisories/"
OSV_PAGE: Final = "https://osv.dev/vulnerability/"

LIMITS: Final = Limits(max_bytes=secdb.MAX_BYTES)
_FILE: Final = "security.json"
_REPORTED: Final = 1000
"""Vulnerabilities between two reports of progress."""


class RollingSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of a driver of this form."""

    not_affected: bool = True
    """Serve fixes with version "0": the package was never affected, whatever NVD says."""


class RollingDriver(Driver):
    """A distribution with one secdb document. Subclasses say where it is and where a vulnerability's page is."""

    feeds = (FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    Settings: ClassVar[type[DriverSettings]] = RollingSettings
    file: ClassVar[str] = _FILE
    """Name of the document in the workspace."""

    settings: RollingSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document."""
        path = context.workspace / self.file
        brought = context.fetcher.download(self.upstreams[0], path, limits=LIMITS, expect=("json",))
        if context.checkpoint and context.checkpoint.fingerprint == brought.sha256 and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=brought.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record for each id."""
        group = f"{self.name}:rolling"
        empty = True
        for done, (word, fixes) in enumerate(secdb.by_id(self._fixes(context, context.workspace / self.file))):
            empty = False
            if done % _REPORTED == 0:
                context.report("parse", done)
            if word.partition("-")[0] not in KINDS:
                context.unknown("kind of id", word)
            if not self.settings.not_affected:
                fixes = [fix for fix in fixes if fix.version != NOT_AFFECTED]
            if fixes:
                yield self._record(group, word, fixes)
        if empty:
            raise ParseError(self.file, "no fix in the document")
        context.cover(FEED, group)

    @abstractmethod
    def link(self, word: str) -> str:
        """Return the page of a vulnerability by its id."""

    def ranges(self, fixes: list[Fixed]) -> dict[Fixed, str]:
        """Return, for fixes of one id that do not fix everything older, the range that they are for."""
        return {}

    def _fixes(self, context: Context, path: Path) -> Iterator[Fix]:
        for fix in secdb.read(path, prefixes=("",), on_duplicate=lambda key: context.unknown("key given twice", key)):
            yield fix._replace(id=fix.id.upper()) if fix.id.startswith("cve-") else fix

    def _record(self, group: str, word: str, fixes: list[Fixed]) -> Record:
        ranges = self.ranges(fixes)
        fixed_in = [
            FixedIn(
                name=fix.package,
                namespace_name=group,
                version=fix.version,
                version_format="apk",
                vulnerable_range=ranges.get(fix, "") if ranges else "",
            )
            for fix in fixes
        ]
        body = Vulnerability(
            name=word,
            namespace_name=group,
            severity="Unknown",
            link=self.link(word),
            fixed_in=sort_fixes(fixed_in),
        )
        return Record(feed=FEED, group=group, key=word, body=OSRecord(body), takes_severity=word.startswith("CVE-"))


class WolfiDriver(RollingDriver):
    """Feed vulnerabilities, group wolfi:rolling, from packages.wolfi.dev."""

    name = "wolfi"
    upstreams = ("https://packages.wolfi.dev/os/security.json",)

    def link(self, word: str) -> str:
        """Return the page at Chainguard, who make Wolfi."""
        return f"https://images.chainguard.dev/security/{word}"


class ChainguardDriver(RollingDriver):
    """Feed vulnerabilities, group chainguard:rolling, from packages.cgr.dev."""

    name = "chainguard"
    upstreams = ("https://packages.cgr.dev/chainguard/security.json",)

    def link(self, word: str) -> str:
        """Return the page at Chainguard."""
        return f"https://images.chainguard.dev/security/{word}"


class MinimOSDriver(RollingDriver):
    """Feed vulnerabilities, group minimos:rolling, from packages.mini.dev."""

    name = "minimos"
    upstreams = ("https://packages.mini.dev/advisories/secdb/security.json",)

    def link(self, word: str) -> str:
        """Return the page of whoever gave the id: MinimOS has none."""
        return common_page(word)


def common_page(word: str) -> str:
    """Return the page of a vulnerability at cve.org or GitHub by its id, else at osv.dev."""
    page = {"CVE": CVE_PAGE, "GHSA": GHSA_PAGE}.get(word.partition("-")[0], OSV_PAGE)
    return f"{page}{word}"
