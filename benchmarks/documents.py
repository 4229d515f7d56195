"""Real drivers over generated documents in true form that change from day to day, for a year of cycles.

The NVD only grows, as it does. The others go through some days and back again, so that what they hold is bounded:
records change, go and come back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.generate import generate
from benchmarks.generator.plan import Plan
from vulnfeeds.drivers.alpine import AlpineDriver
from vulnfeeds.drivers.debian.driver import DebianDriver
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.kev import KEVDriver
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.drivers.nvd.plan import NVDv2Settings
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings

DAYS: Final = 10
"""After which those that go back and forth turn round."""
SCALE: Final = 0.002
CHANGE: Final = 0.02
"""Part of their records that a day changes; of the NVD half of it, so that a year less than doubles it."""
DRIVERS: Final[dict[str, Callable[[], Driver]]] = {
    "nvdv2": lambda: NVDv2Driver(NVDv2Settings(source="feeds")),
    "alpine": AlpineDriver,
    "debian": DebianDriver,
    "kev": KEVDriver,
}


class Documents:
    """The documents of one day, in a folder in the place of all upstreams."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed

    def write(self, day: int) -> None:
        """Make it this day, counted from 1."""
        generate(Plan(scale=SCALE, day=day, change=CHANGE / 2, seed=self._seed), self._folder, ["nvd"])
        step = (day - 1) % (2 * DAYS)
        there = 1 + min(step, 2 * DAYS - step)
        rest = Plan(scale=SCALE, day=there, change=CHANGE, seed=self._seed)
        generate(rest, self._folder, ["alpine", "debian", "kev"])

    def fetcher(self, driver: Driver) -> HTTPFetcher:
        """Return the real fetcher of a driver."""
        return HTTPFetcher(FetchSettings(), UpstreamMap(str(self._folder), {}), driver.upstreams)
