"""The one list of drivers: ours in the order of the documentation, then those of installed packages.

A package adds a driver by an entry point: group `vulnfeeds.drivers`, value `module:Class`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from vulnfeeds.drivers.interface import Driver
from vulnfeeds.errors import SettingsError

ENTRY_POINTS: Final = "vulnfeeds.drivers"
"""Entry-point group in which other packages name their drivers."""

OURS: Final[dict[str, str]] = {
    "alpine": "vulnfeeds.drivers.alpine:AlpineDriver",
    "debian": "vulnfeeds.drivers.debian.driver:DebianDriver",
    "nvdv2": "vulnfeeds.drivers.nvd.nvdv2:NVDv2Driver",
    "nvddb": "vulnfeeds.drivers.nvd.nvddb:NVDDBDriver",
    "kev": "vulnfeeds.drivers.kev:KEVDriver",
    "epss": "vulnfeeds.drivers.epss:EPSSDriver",
    "eol": "vulnfeeds.drivers.eol:EOLDriver",
    "wolfi": "vulnfeeds.drivers.rolling:WolfiDriver",
    "chainguard": "vulnfeeds.drivers.rolling:ChainguardDriver",
    "minimos": "vulnfeeds.drivers.rolling:MinimOSDriver",
    "secureos": "vulnfeeds.drivers.secureos:SecureOSDriver",
    "alma": "vulnfeeds.drivers.alma:AlmaDriver",
    "rocky": "vulnfeeds.drivers.rocky:RockyDriver",
    "echo": "vulnfeeds.drivers.echo:EchoDriver",
    "ol": "vulnfeeds.drivers.ol:OracleDriver",
    "mariner": "vulnfeeds.drivers.mariner:MarinerDriver",
    "sles": "vulnfeeds.drivers.sles:SLESDriver",
    "rhel": "vulnfeeds.drivers.redhat.rhel:RHELDriver",
    "centos": "vulnfeeds.drivers.redhat.centos:CentOSDriver",
    "ubuntu": "vulnfeeds.drivers.ubuntu.driver:UbuntuDriver",
    "amzn": "vulnfeeds.drivers.amzn.driver:AmznDriver",
    "arch": "vulnfeeds.drivers.arch:ArchDriver",
    "photon": "vulnfeeds.drivers.photon:PhotonDriver",
    "fedora": "vulnfeeds.drivers.fedora:FedoraDriver",
    "vunnel": "vulnfeeds.drivers.vunnel.driver:VunnelDriver",
    "github": "vulnfeeds.drivers.github.driver:GitHubDriver",
    "osv": "vulnfeeds.drivers.osv.driver:OSVDriver",
    "gem": "vulnfeeds.drivers.gem.driver:GemDriver",
    "npm": "vulnfeeds.drivers.npm.driver:NPMDriver",
    "msrc": "vulnfeeds.drivers.msrc.driver:MSRCDriver",
}
"""Where each driver of ours is, by name; the process of a run imports its own one only."""


def load_drivers(found: Iterable[EntryPoint] | None = None) -> dict[str, type[Driver]]:
    """Return all drivers by name; `found` stands in for the installed packages' entry points.

    Raises SettingsError when an entry point cannot be loaded, is no driver, or takes a name that is in use.
    """
    drivers = {name: _load(_own(name)) for name in OURS}
    points = entry_points(group=ENTRY_POINTS) if found is None else found
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        driver = _load(point)
        if driver.name in drivers:
            first = drivers[driver.name]
            raise SettingsError(f"driver {driver.name!r} is defined by both {_place(first)} and {_place(driver)}")
        drivers[driver.name] = driver
    return drivers


def load_driver(name: str) -> type[Driver]:
    """Return one driver, importing no other one of ours. Raises SettingsError as `load_drivers` does."""
    if name in OURS:
        return _load(_own(name))
    drivers = load_drivers()
    if name not in drivers:
        raise SettingsError(f"no driver {name!r}; there are {', '.join(drivers)}")
    return drivers[name]


def _own(name: str) -> EntryPoint:
    return EntryPoint(name, OURS[name], ENTRY_POINTS)


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
