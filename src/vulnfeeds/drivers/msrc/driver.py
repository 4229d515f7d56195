"""msrc: Microsoft's security updates month by month, as one group of vulnerabilities for each product.

A month is asked for when the list says that it was revised. Which updates take the place of which is told by all
months together, so all records are made anew when one month changed; those that say the same are not written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.msrc import making, months
from vulnfeeds.errors import ParseError
from vulnfeeds.records import microsoft
from vulnfeeds.records.record import Record

# fmt: off
BUILT_IN: Final = frozenset(
    {
        "10378", "10379", "10483", "10543", "10729", "10735", "10788", "10789", "10816", "10852", "10853",
        "10855", "10951", "10952", "11453", "11454", "11466", "11497", "11498", "11499", "11563", "11568",
        "11569", "11570", "11571", "11572", "11583", "11644", "11645", "11646", "11647", "11712", "11713",
        "11714", "11715", "11766", "11767", "11768", "11769", "11801", "11802", "11803", "11896", "11897",
        "11898", "11923", "11924", "11926", "11927", "11929", "11930", "11931",
    }
)
# fmt: on
"""Products that are served without being named: the 33 of the original service, and those of Windows until 2022."""
ALL: Final = "*"

_KEPT: Final = "months.db"
_REPORTED: Final = 500
"""Vulnerabilities between two reports of progress."""


class MSRCSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver msrc."""

    max_updated: float = 1.0
    """Largest part of a group's records that one run may update (guard); each month brings other updates."""
    whitelist: tuple[Annotated[str, msgspec.Meta(pattern=r"^(\*|[0-9A-Za-z.-]{1,40})$")], ...] = ()
    """Numbers of products that are served besides the built-in ones of Windows (`12130`: .NET 7.0). `*`: all."""


class MSRCDriver(Driver):
    """Feed microsoft, groups msrc:products, msrc:11568, msrc:11571, ... from Microsoft's monthly CVRF documents."""

    name = "msrc"
    feeds = (microsoft.FEED,)
    default_on = False
    upstreams = (months.API,)
    Settings: ClassVar[type[DriverSettings]] = MSRCSettings

    settings: MSRCSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the months that were revised; unchanged when all that is read of them is as it was published."""
        with self._kept(context) as kept:
            months.gather(context, kept)
            fingerprint = kept.fingerprint()
        published = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if fingerprint == published else Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the vulnerabilities of each product that is served, then the products."""
        with self._kept(context) as kept:
            served = {name: product for name, product in months.products(kept).items() if self._serves(name)}
            updates = making.Updates()
            for said in months.sayings(kept):
                updates.add(said, served.__contains__)
            found: set[str] = set()
            for number, said in enumerate(making.merged(months.sayings(kept))):
                if number % _REPORTED == 0:
                    context.report("parse", number)
                for record in making.records(said, served, updates):
                    found.add(record.group)
                    yield record
        if not found:
            raise ParseError("driver.msrc.whitelist", "no month says anything of a product that is served")
        for product in served.values():
            yield Record(feed=microsoft.FEED, group=microsoft.PRODUCTS, key=product.id, body=product)
        for group in (microsoft.PRODUCTS, *sorted(found)):
            context.cover(microsoft.FEED, group)

    def _serves(self, product: str) -> bool:
        return product in BUILT_IN or product in self.settings.whitelist or ALL in self.settings.whitelist

    @staticmethod
    def _kept(context: Context) -> KeptDocuments:
        return KeptDocuments(context.workspace / _KEPT, months.FORM)
