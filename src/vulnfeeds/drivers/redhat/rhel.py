"""Driver rhel: records per CVE and release, from the security data API and the advisories, or the VEX archive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from vulnfeeds.drivers.formats.csaf_archive import CSAFArchive
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.redhat import advisories, hydra, making, vex
from vulnfeeds.drivers.redhat.issues import Issue
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record

PREFIX: Final = "rhel:"
_REPORTED: Final = 500
"""CVEs between two reports of progress."""


class RHELSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver rhel."""

    exclude: tuple[str, ...] = ("3", "4")
    """Groups that are left out although `include` names them; by default those of releases without errata."""
    source: Literal["hydra", "vex"] = "hydra"
    """Where the states of CVEs come from: the security data API, one request for each CVE that changed, with the CSAF
    advisories; or the VEX archive, one download for all."""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    """Most documents that are asked for at the same time; `fetch.per_host` bounds it, too."""
    refresh_days: Annotated[float, msgspec.Meta(ge=0)] = 4.0
    """A document of the security data API is asked for again after half to all of so many days although the list
    shows no change: the list does not show every one. 0: never."""
    not_affected: bool = True
    """Serve fixes with version "0": Red Hat says that the package is not affected."""


class RHELDriver(Driver):
    """Feed vulnerabilities, groups rhel:9, rhel:8.6+eus, rhel:7+els, ... from Red Hat's data API or VEX archive."""

    name = "rhel"
    version = 2
    feeds = (making.FEED,)
    depends_on = ("nvdv2",)
    takes_severities = True
    upstreams = (hydra.BASE, advisories.BASE, vex.BASE)
    Settings: ClassVar[type[DriverSettings]] = RHELSettings

    settings: RHELSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the documents that changed; what is kept of all of them is the state that a run publishes."""
        at_once = self.settings.concurrency
        if self.settings.source == "vex":
            with _kept_vex(context) as kept:
                CSAFArchive(context, vex.BASE, vex.KIND, _folder(context, "vex")).sync(
                    kept, vex.Reducer(context), at_once=at_once
                )
                marks = kept.fingerprint()
        else:
            with _kept_advisories(context) as kept:
                CSAFArchive(context, advisories.BASE, advisories.KIND, _folder(context, "advisories")).sync(
                    kept, advisories.Reducer(context), at_once=at_once
                )
                marks = kept.fingerprint()
            with _kept_hydra(context) as kept:
                hydra.Hydra(context, kept, refresh_days=self.settings.refresh_days).sync(at_once=at_once)
                marks += kept.fingerprint()
        fingerprint = hashlib.sha256(f"{self.settings.source} {marks}".encode()).hexdigest()
        if context.checkpoint is not None and not context.forced and context.checkpoint.fingerprint == fingerprint:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each CVE in turn, one for each release that anything is known of."""
        groups: set[str] = set()
        for issue in self._vex(context) if self.settings.source == "vex" else self._hydra(context):
            for record in making.records(issue, context, prefix=PREFIX, not_affected=self.settings.not_affected):
                groups.add(record.group)
                yield record
        if not groups:
            raise ParseError(self.name, "no document says anything of any release")
        for group in sorted(groups):
            context.cover(making.FEED, group)

    def _hydra(self, context: Context) -> Iterator[Issue]:
        lost: list[str] = []
        with _kept_advisories(context) as texts, _kept_hydra(context) as kept:
            known = advisories.Advisories(texts)
            total = kept.amount()
            for done, (_, body) in enumerate(kept.bodies()):
                if done % _REPORTED == 0:
                    context.report("parse", done, total)
                issue, without = hydra.issue(body, known, context)
                lost += without
                yield issue
        if lost:
            shown = ", ".join(sorted(set(lost))[:5])
            context.note(f"{len(lost)} fixes name no package version, and no advisory at hand does: {shown}, ...")

    def _vex(self, context: Context) -> Iterator[Issue]:
        decoder = msgspec.msgpack.Decoder(Issue)
        with _kept_vex(context) as kept:
            total = kept.amount()
            for done, (_, body) in enumerate(kept.bodies()):
                if done % _REPORTED == 0:
                    context.report("parse", done, total)
                yield decoder.decode(body)


def _folder(context: Context, name: str) -> Path:
    return context.workspace / name


def _kept_hydra(context: Context) -> KeptDocuments:
    return KeptDocuments(context.workspace / "hydra.sqlite", hydra.FORM)


def _kept_advisories(context: Context) -> KeptDocuments:
    return KeptDocuments(context.workspace / "advisories.sqlite", advisories.FORM)


def _kept_vex(context: Context) -> KeptDocuments:
    return KeptDocuments(context.workspace / "vex.sqlite", vex.FORM)
