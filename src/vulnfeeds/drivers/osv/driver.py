"""OSV: language advisories of any source that publishes OSV documents, by settings alone.

    [driver.osv]
    presets = ["bitnami", "govulndb"]

    [driver.osv.sources.lab]
    archive = "https://lab.example.org/advisories.zip"
    ecosystems = { "PyPI" = "python" }

A source is had or not, and read or not, for itself. One that could not be had, or holds a document of another shape,
leaves its groups as they are, and so does one whose documents are those of the last run that published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.osv import making, taking
from vulnfeeds.drivers.osv.making import FEED
from vulnfeeds.drivers.osv.settings import OSVSettings
from vulnfeeds.drivers.sources import Sources
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record

_REPORTED: Final = 500
"""Documents between two reports of progress."""


class OSVDriver(Driver):
    """Feed osv, groups bitnami:bitnami, govulndb:go, ... from archives of OSV documents; off unless it is named."""

    name = "osv"
    feeds = (FEED,)
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = OSVSettings
    upstreams = OSVSettings().addresses

    settings: OSVSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.upstreams = self.settings.addresses  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the documents of each source, all of them readable; the error of the first when none can be had."""
        chosen = self.settings.chosen
        if not chosen:
            raise ParseError("driver.osv.sources", "the settings name no source, so there is nothing to read")
        sources = Sources(context, chosen)
        return sources.fetch(lambda name: taking.take(context, name, chosen[name], sources.mark(name)))

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each source whose documents are new."""
        sources = Sources(context, self.settings.chosen)
        for name, path in sources.news():
            found: dict[tuple[str, str], None] = {}
            for record in self._records(context, name, path):
                found[record.feed, record.group] = None
                yield record
            if not found:
                raise ParseError(name, "no document is about an ecosystem that the settings name")
            # Of an ecosystem that the source knows no more the records are withdrawn.
            sources.filled(name, {*sources.groups(name), *found})

    def _records(self, context: Context, name: str, path: Path) -> Iterator[Record]:
        source = self.settings.chosen[name]
        for done, (place, document) in enumerate(taking.read(path, source)):
            if done % _REPORTED == 0:
                context.report(f"parse {name}", done)
            yield from making.records(context, name, source, document, place)
