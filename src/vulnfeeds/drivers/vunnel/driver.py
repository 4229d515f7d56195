"""vunnel: any source of it that we lack, run as a program or read from what one left.

    [driver.vunnel.sources.photon]
    program = "/opt/vunnel/bin/vunnel"

A source is had or not, and read or not, for itself. One that could not be had, or whose results are not whole, leaves
its groups as they are, and so does one whose results are those of the last run that published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.sources import Sources
from vulnfeeds.drivers.vunnel import making, results, taking
from vulnfeeds.drivers.vunnel.naming import Naming
from vulnfeeds.drivers.vunnel.settings import VunnelSettings
from vulnfeeds.drivers.vunnel.workspace import Workspace
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record

_REPORTED: Final = 1000
"""Results between two reports of progress."""


class VunnelDriver(Driver):
    """Groups of any source that vunnel has and we lack; off until the settings name one."""

    name = "vunnel"
    feeds = making.FEEDS
    depends_on = ("nvdv2",)
    takes_severities = True
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = VunnelSettings

    settings: VunnelSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.upstreams = self.settings.addresses  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the results of each source, verified; the error of the first when none can be had."""
        chosen = self.settings.sources
        if not chosen:
            raise ParseError("driver.vunnel.sources", "the settings name no source, so there is nothing to read")
        return Sources(context, chosen).fetch(lambda name: taking.take(context, name, chosen[name]))

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each source whose results are new."""
        sources = Sources(context, self.settings.sources)
        owners = sources.owners()
        for name, folder in sources.news():
            for record in self._records(context, name, folder):
                if (owner := owners.setdefault((record.feed, record.group), name)) != name:
                    place = f"driver.vunnel.sources.{name}"
                    raise ParseError(place, f"fills group {record.group}, which {owner} fills already")
                yield record
            own = [group for group, owner in owners.items() if owner == name]
            if not own:
                raise ParseError(name, "no result of the source says anything that can be served")
            sources.filled(name, own)

    def _records(self, context: Context, name: str, folder: Path) -> Iterator[Record]:
        naming = Naming(self.settings.sources[name])
        for done, result in enumerate(results.read(Workspace(folder, name, name), name)):
            if done % _REPORTED == 0:
                context.report(f"parse {name}", done)
            yield from making.records(context, naming, result)
