"""Driver centos: records per advisory (RHSA) and release, for old clients that look for CentOS by itself.

CentOS rebuilt RHEL, so Red Hat's advisories say what is fixed there. Clients of today look into the groups of rhel;
this driver is off unless a setting names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec

from vulnfeeds.drivers.formats.csaf_archive import CSAFArchive
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.redhat import advisories, making, packages
from vulnfeeds.drivers.redhat.advisories import Advisory, Fix
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import Advisory as Cited
from vulnfeeds.records.vulnerability import Available, FixedIn, OSRecord, VendorAdvisory, Vulnerability, sort_fixes

PREFIX: Final = "centos:"
_AT_ONCE: Final = 4


class CentOSSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver centos."""

    exclude: tuple[str, ...] = ("3", "4")
    """Groups that are left out although `include` names them."""


class CentOSDriver(Driver):
    """Feed vulnerabilities, groups centos:7, centos:8, ... derived from the advisories of Red Hat."""

    name = "centos"
    feeds = (making.FEED,)
    default_on = False
    upstreams = (advisories.BASE,)
    Settings: ClassVar[type[DriverSettings]] = CentOSSettings

    settings: CentOSSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the advisories that changed."""
        with _kept(context) as kept:
            CSAFArchive(context, advisories.BASE, advisories.KIND, context.workspace / "advisories").sync(
                kept, advisories.Reducer(context), at_once=_AT_ONCE
            )
            fingerprint = kept.fingerprint()
        if context.checkpoint is not None and not context.forced and context.checkpoint.fingerprint == fingerprint:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory, one for each release that it fixes something in."""
        decoder = msgspec.msgpack.Decoder(Advisory)
        groups: set[str] = set()
        with _kept(context) as kept:
            for _, body in kept.bodies():
                for record in _records(decoder.decode(body), context):
                    groups.add(record.group)
                    yield record
        if not groups:
            raise ParseError(self.name, "no advisory is about any release")
        for group in sorted(groups):
            context.cover(making.FEED, group)


def _kept(context: Context) -> KeptDocuments:
    return KeptDocuments(context.workspace / "advisories.sqlite", advisories.FORM)


def _records(advisory: Advisory, context: Context) -> Iterator[Record]:
    fixes: dict[str, list[Fix]] = defaultdict(list)
    for fix in advisory.fixes:
        if making.is_base(fix.release) and not fix.source:
            fixes[fix.release].append(fix)
    link = f"{advisories.LINK}{advisory.id}"
    for release in sorted(fixes):
        group = f"{PREFIX}{release}"
        metadata: dict[str, Any] = {
            "Issued": advisory.issued,
            "Updated": advisory.updated,
            "RefId": advisory.id,
            "CVE": [
                {"Name": cve, "Link": f"{making.LINK}{cve}", **_cvss2(advisory, cve)}
                for cve in sorted(advisory.cves)
                if advisory.fixes_of(cve, release)
            ],
        }
        body = Vulnerability(
            name=advisory.id,
            namespace_name=group,
            severity=making.severity(advisory.severity, context),
            link=link,
            fixed_in=sort_fixes(list(_fixed_in(group, fixes[release], advisory, link))),
            metadata=metadata,
        )
        yield Record(feed=making.FEED, group=group, key=advisory.id, body=OSRecord(body))


def _cvss2(advisory: Advisory, cve: str) -> dict[str, str]:
    return {"cvss2": advisory.cvss2[cve]} if cve in advisory.cvss2 else {}


def _fixed_in(group: str, fixes: list[Fix], advisory: Advisory, link: str) -> Iterator[FixedIn]:
    versions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for fix in fixes:
        versions[fix.package, fix.module].append(fix.version)
    for (package, module), published in versions.items():
        yield FixedIn(
            name=package,
            namespace_name=group,
            version=packages.newest(published),
            version_format=making.FORMAT,
            vendor_advisory=VendorAdvisory(advisory_summary=(Cited(id=advisory.id, link=link),)),
            module=module,
            available=Available(advisory.issued),
        )
