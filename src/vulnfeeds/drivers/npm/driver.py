"""npm: feed packages, group npm, for a list of packages: each document is asked for when it changed, or is old."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final
from urllib.parse import quote

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments, Wanted, bring
from vulnfeeds.drivers.npm import changes, documents
from vulnfeeds.drivers.npm.settings import NPMSettings
from vulnfeeds.drivers.wanted import names_of
from vulnfeeds.errors import LimitError, ParseError, UpstreamError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records import packages
from vulnfeeds.records.record import Record

NAME: Final = re.compile(r"(?:@[A-Za-z0-9._~!'()*-]+/)?[A-Za-z0-9._~!'()*-]{1,214}")
FORM: Final = "npm 1"
"""Raised when the kept form of a document changes: all are asked for again."""

_KEPT: Final = "packages.sqlite"
_SINCE: Final = "since"
_AT_ONCE: Final = 4
_HOUR: Final = 3600.0
_FULL: Final = {"Accept": "application/json"}
_SHORT: Final = {"Accept": "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"}


class NPMDriver(Driver):
    """Feed packages, group npm: the packages of a list, from npm's registry or one of its kind."""

    name = "npm"
    feeds = (packages.FEED,)
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = NPMSettings

    settings: NPMSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self._registry, self._replica = (self.settings.address(name) for name in ("registry", "replica"))
        self.upstreams = tuple(f"{url}/" for url in (self._registry, self._replica) if url)  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Follow the changes, and bring the documents of the list that are due."""
        if not self._registry:
            raise UpstreamError("driver.npm.registry", "is not set, and the settings of npm name none either")
        names = names_of(self.settings.only, self.settings.packages, "npm", NAME)
        if not names:
            raise UpstreamError("driver.npm", "a list of packages is needed: set only or packages")
        with KeptDocuments(context.workspace / _KEPT, FORM) as kept:
            for name in set(kept.names()) - names:
                kept.drop(name)
            if self._replica:
                self._follow(context, kept, names)
            kept.commit()
            # Without a replica a document's age is all that there is to go by.
            due = 0.0 if self._replica else context.now() - self.settings.refresh_hours * _HOUR
            wanted = [
                Wanted(name, f"{self._registry}/{quote(name, safe='@')}", "", may_be_gone=True)
                for name in sorted(names)
                if context.forced or (known := kept.find(name)) is None or known.asked <= due
            ]
            bring(context, kept, wanted, documents.read, at_once=_AT_ONCE, ask=lambda want: self._ask(context, want))
            if missing := sorted(name for name in names if kept.find(name) is None):
                context.note(f"{len(missing)} packages are not there: {', '.join(missing)}")
            fingerprint = kept.fingerprint()
        if context.checkpoint and context.checkpoint.fingerprint == fingerprint and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield each package that is kept."""
        done = 0
        with KeptDocuments(context.workspace / _KEPT, FORM) as kept:
            for _, body in kept.bodies():
                done += 1
                yield packages.record(packages.NPM, msgspec.json.decode(body, type=packages.NPMPackage))
        if not done:
            raise ParseError(_KEPT, "no package of the list is there")
        context.cover(packages.FEED, packages.NPM)

    def _follow(self, context: Context, kept: KeptDocuments, names: frozenset[str]) -> None:
        """Make the documents due that changed; the position is kept together with that."""
        before = kept.get_mark(_SINCE)
        if not before:
            # What changes while the documents come is behind this position.
            kept.set_mark(_SINCE, str(changes.position(context, self._replica)))
            return
        try:
            since = changes.follow(
                context, self._replica, int(before), lambda name: kept.age(name) if name in names else None
            )
        except changes.RestartedError:
            context.note("the stream of changes began anew: every package of the list is asked for again")
            since = changes.position(context, self._replica)
            for name in names:
                kept.age(name)
        kept.set_mark(_SINCE, str(since))

    def _ask(self, context: Context, want: Wanted) -> bytes:
        limits = Limits(max_bytes=self.settings.max_document_mb << 20, max_seconds=600.0)
        if not self.settings.abbreviated:
            try:
                return context.fetcher.get_json(want.url, headers=_FULL, limits=limits)
            except LimitError as error:
                context.note(f"{want.name}: the short document is asked for instead: {error.reason}")
        return context.fetcher.get_json(want.url, headers=_SHORT, limits=limits)
