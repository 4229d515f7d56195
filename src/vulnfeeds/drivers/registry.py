"""The one list of drivers: ours in the order of the documentation, then those of installed packages.

A package adds a driver by an entry point: group `vulnfeeds.drivers`, value `module:Class`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from vulnfeeds.drivers.alpine import AlpineDriver
from vulnfeeds.drivers.debian.driver import DebianDriver
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.kev import KEVDriver
from vulnfeeds.drivers.nvd.nvddb import NVDDBDriver
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.errors import SettingsError

ENTRY_POINTS: Final = "vulnfeeds.drivers"
"""Entry-point group in which other packages name their drivers."""

DRIVERS: Final[tuple[type[Driver], ...]] = (AlpineDriver, DebianDriver, NVDv2Driver, NVDDBDriver, KEVDriver)


def load_drivers(found: Iterable[EntryPoint] | None = None) -> dict[str, type[Driver]]:
    """Return all drivers by name; `found` stands in for the installed packages' entry points.

    Raises SettingsError when an entry point cannot be loaded, is no driver, or takes a name that is in use.
    """
    drivers = {driver.name: driver for driver in DRIVERS}
    points = entry_points(group=ENTRY_POINTS) if found is None else found
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        driver = _load(point)
        if driver.name in drivers:
            first = drivers[driver.name]
            raise SettingsError(f"driver {driver.name!r} is defined by both {_place(first)} and {_place(driver)}")
        drivers[driver.name] = driver
    return drivers


def _load(point: EntryPoint) -> type[Driver]:
    try:
        driver = point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"driver {point.name!r} cannot be loaded from {point.value}: {error}") from error
    if not (
        isinstance(driver, type) and issubclass(driver, Driver) and isinstance(getattr(driver, "name", None), str)
    ):
        raise SettingsError(f"driver {point.name!r}: {point.value} is no Driver class with a name")
    return driver


def _place(driver: type[Driver]) -> str:
    return f"{driver.__module__}.{driver.__qualname__}"
