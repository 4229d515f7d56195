"""GitHub: feed github, one group for each ecosystem, from the API with a token or from an archive without one.

`fetch` brings either up to date and leaves a note of which one it was; `parse` reads that one. Every run reports
every advisory, so that one that left an ecosystem is withdrawn there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal

import msgspec

from vulnfeeds.drivers.github import database, walk
from vulnfeeds.drivers.github.advisory import Advisory, records
from vulnfeeds.drivers.github.api import ADDRESS as API
from vulnfeeds.drivers.github.api import AdvisoryAPI
from vulnfeeds.drivers.github.database import ARCHIVE, REDIRECTED
from vulnfeeds.drivers.github.ecosystems import ECOSYSTEMS, FEED
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.errors import ParseError, SettingsError, StatusError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records import github
from vulnfeeds.records.record import Record

TOKEN: Final = "GITHUB_TOKEN"  # noqa: S105 (its name)

_KEPT: Final = "advisories.sqlite"
_FILE: Final = "advisory-database.tar.gz"
_SOURCE: Final = "source.json"
_LIMITS: Final = Limits(max_bytes=2 << 30)
_REPORTED: Final = 500
_DAY: Final = 86400.0
_REFUSALS: Final = {
    401: f"GitHub does not take the token in {TOKEN}: it is wrong, expired or revoked",
    404: "the API is not there",
    405: "the API cannot be asked here",
}
"""What statuses mean that say: not with this token, or not here. The rest can pass; the walk goes on where it was."""
_MALWARE: Final = b'"Classification":"MALWARE"'

Source = Literal["api", "archive"]


class GitHubSettings(DriverSettings, frozen=True, kw_only=True):
    """Where GitHub's advisories come from."""

    source: Literal["auto", "api", "archive"] = "auto"
    """`api`: the API, which needs a token (`github_token`); `archive`: the archive of the advisory database, which
    needs none and knows no malware; `auto`: the API with a token, the archive without one or when it is refused."""
    overlap_seconds: float = 7200.0
    """How far a walk of the API reaches back before the last update that the walk before it met, so that what GitHub
    shows late loses nothing."""
    whole_days: float = 30.0
    """Days after which the API is asked for everything again, which shows advisories that are gone without having
    been withdrawn. 0: only when a run is forced."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense, with the name of the setting."""
        for name in ("overlap_seconds", "whole_days"):
            if getattr(self, name) < 0:
                raise SettingsError(f"driver.github.{name} must not be negative, but is {getattr(self, name)}")


class GitHubDriver(Driver):
    """Feed github: the advisories that GitHub reviewed, in one group for each ecosystem."""

    name = "github"
    feeds = (FEED,)
    upstreams = (API, ARCHIVE, REDIRECTED)
    Settings: ClassVar[type[DriverSettings]] = GitHubSettings

    settings: GitHubSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Walk the API, or bring the archive."""
        source, mark = self._bring(context)
        (context.workspace / _SOURCE).write_bytes(msgspec.json.encode(source))
        fingerprint = f"{source} {mark}"
        if context.checkpoint and context.checkpoint.fingerprint == fingerprint and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory in turn; besides the archive's, those of malware that is published."""
        try:
            source = msgspec.json.decode((context.workspace / _SOURCE).read_bytes(), type=Source)
        except (OSError, msgspec.MsgspecError) as error:
            raise ParseError(_SOURCE, f"nothing was fetched: {error}") from error
        found = _kept(context) if source == "api" else database.advisories(context.workspace / _FILE)
        names: set[str] = set()
        for advisory in found:
            if len(names) % _REPORTED == 0:
                context.report("parse", len(names))
            names.add(advisory.id)
            yield from records(context, advisory)
        if not names:
            raise ParseError(source, "no advisory")
        if source == "archive":
            yield from _published_malware(context, names)
        for ecosystem in ECOSYSTEMS:
            context.cover(FEED, ecosystem.group)

    def _bring(self, context: Context) -> tuple[Source, str]:
        """Return where the advisories come from, and a mark of all that they say."""
        token = context.secrets.get(TOKEN, "")
        if self.settings.source == "api" and not token:
            raise StatusError(API, 401, f"the API needs a token: set {TOKEN}, or driver.github.source to auto")
        if token and self.settings.source != "archive":
            try:
                return "api", self._walk(context, token)
            except StatusError as error:
                if error.status not in _REFUSALS:
                    raise
                refused = StatusError(API, error.status, _REFUSALS[error.status])
                if self.settings.source == "api":
                    raise refused from error
                context.note(f"{refused}; the archive of the database is read instead, which knows no malware")
        brought = context.fetcher.download(ARCHIVE, context.workspace / _FILE, limits=_LIMITS, expect=("gzip",))
        return "archive", brought.sha256

    def _walk(self, context: Context, token: str) -> str:
        with KeptDocuments(context.workspace / _KEPT, walk.FORM) as kept:
            age = context.now() - walk.state_of(kept).whole_at
            due = 0 < self.settings.whole_days * _DAY <= age
            walker = walk.Walker(context, kept, AdvisoryAPI(context.fetcher, token))
            try:
                walker.walk(whole=context.forced or due, overlap=timedelta(seconds=self.settings.overlap_seconds))
            finally:
                # What a page that failed had put already comes again.
                kept.rollback()
            return kept.fingerprint()


def _kept(context: Context) -> Iterator[Advisory]:
    with KeptDocuments(context.workspace / _KEPT, walk.FORM) as kept:
        for name, body in kept.bodies():
            try:
                yield msgspec.json.decode(body, type=Advisory)
            except msgspec.MsgspecError as error:
                raise ParseError(f"{_KEPT} {name}", str(error)) from error


def _published_malware(context: Context, known: Container[str]) -> Iterator[Record]:
    """Yield again the published records of malware that are not among `known`: the archive does not tell of any."""
    for ecosystem in ECOSYSTEMS:
        upto = context.published.sequence(FEED, ecosystem.group)
        for key, body, withdrawn in context.published.changes(FEED, ecosystem.group, 0, upto):
            if withdrawn or key in known or _MALWARE not in body:
                continue
            record: dict[str, Any] = msgspec.json.decode(body)
            if record["Advisory"]["Classification"] == github.MALWARE:
                yield Record(FEED, ecosystem.group, key, record)
