"""Example Linux: one JSON document that lists what was fixed in which release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import of_word
from vulnfeeds.records.vulnerability import FixedIn, OSRecord, Vulnerability, sort_fixes

ADVISORIES = "https://security.example.org/advisories.json"


# What we need of upstream's document. Fields that are not named here may come and go.
class _Fix(msgspec.Struct):
    release: str
    package: str
    version: str | None = None


class _Advisory(msgspec.Struct):
    cve: str
    severity: str
    fixes: list[_Fix]
    summary: str = ""


class _Document(msgspec.Struct):
    advisories: list[_Advisory]


class ExampleSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver example; they appear in the configuration under its name."""

    summaries: bool = True
    """Serve upstream's summaries as descriptions."""


class ExampleDriver(Driver):
    """Feed vulnerabilities, groups example:1, example:2, ... from security.example.org."""

    name = "example"
    feeds = ("vulnerabilities",)
    upstreams = (ADVISORIES,)
    Settings: ClassVar[type[DriverSettings]] = ExampleSettings

    settings: ExampleSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document; nothing is parsed while its bytes are those of the last run that published."""
        download = context.fetcher.download(ADVISORIES, context.workspace / "advisories.json", expect=("json",))
        if context.checkpoint and context.checkpoint.fingerprint == download.sha256 and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record for each release that an advisory names."""
        try:
            document = msgspec.json.decode((context.workspace / "advisories.json").read_bytes(), type=_Document)
        except msgspec.DecodeError as error:
            raise ParseError("advisories.json", str(error)) from error
        if not document.advisories:
            raise ParseError("advisories.json", "no advisories in the document")
        for advisory in document.advisories:
            if of_word(advisory.severity) == "Unknown":
                context.unknown("severity", advisory.severity)
            releases: dict[str, list[_Fix]] = defaultdict(list)
            for fix in advisory.fixes:
                releases[fix.release].append(fix)
            for release, fixes in releases.items():
                # Whatever of this group is not reported in this run is withdrawn.
                context.cover("vulnerabilities", f"example:{release}")
                yield self._record(f"example:{release}", advisory, fixes)

    def _record(self, group: str, advisory: _Advisory, fixes: list[_Fix]) -> Record:
        fixed_in = [
            FixedIn(name=fix.package, namespace_name=group, version=fix.version or "None", version_format="dpkg")
            for fix in fixes
        ]
        body = Vulnerability(
            name=advisory.cve,
            namespace_name=group,
            severity=of_word(advisory.severity),
            link=f"https://security.example.org/{advisory.cve}",
            fixed_in=sort_fixes(fixed_in),
            description=advisory.summary if self.settings.summaries else "",
        )
        return Record(feed="vulnerabilities", group=group, key=advisory.cve, body=OSRecord(body))
