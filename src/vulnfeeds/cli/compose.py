"""Puts the parts together: settings, store, fetcher, drivers, pages. Nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vulnfeeds.config import Registry, Settings, find_file, load
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.errors import SettingsError
from vulnfeeds.fetch.hosts import reached
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import SQLStore

if TYPE_CHECKING:
    # The process of a run comes through here and needs no command line.
    from vulnfeeds.cli.options import Options

NVD_API: Final = "services.nvd.nist.gov"
NVD_SECONDS_WITHOUT_KEY: Final = 6.0
NVD_SECONDS_WITH_KEY: Final = 0.6
"""NVD's published limits: 5 requests in 30 seconds, 50 with a key."""


def settings_file(options: Options) -> Path | None:
    """Return the settings file that these options lead to."""
    return options.config or find_file(os.environ)


def read_settings(options: Options) -> tuple[Settings, Registry]:
    """Return the settings of this process and the drivers that there are. Raises SettingsError."""
    registry = load_drivers()
    settings = load(settings_file(options), os.environ, registry, options.flags())
    upstream_map(settings)
    return paced(settings), registry


def paced(settings: Settings) -> Settings:
    """Return the settings with NVD's own pace, unless one is set."""
    if NVD_API in settings.fetch.pace:
        return settings
    seconds = NVD_SECONDS_WITH_KEY if settings.nvd_api_key else NVD_SECONDS_WITHOUT_KEY
    fetch = msgspec.structs.replace(settings.fetch, pace={**settings.fetch.pace, NVD_API: seconds})
    return msgspec.structs.replace(settings, fetch=fetch)


def upstream_map(settings: Settings) -> UpstreamMap:
    """Return where each upstream's addresses lead. Raises SettingsError for a mirror that cannot be one."""
    return UpstreamMap(settings.upstream_mirror or "", settings.upstreams)


def sample_upstream() -> Path:
    """Return the folder mirror that ships with the package."""
    return Path(str(files("vulnfeeds") / "sample" / "upstream"))


def of_sample(settings: Settings, flags: dict[str, Any]) -> Settings:
    """Return the settings for the sample upstream: a data folder and store of its own, this machine only.

    What the options of the command line say stays; the store of the settings file must not get sample records.
    """
    home = settings.home if flags.get("home") else settings.home / "sample"
    return msgspec.structs.replace(
        settings,
        home=home,
        store=settings.store if flags.get("store") else "",
        host=settings.host if flags.get("host") else "127.0.0.1",
        upstream_mirror=str(sample_upstream()),
        upstreams={},
        api_only=False,
    )


def build_driver(settings: Settings, registry: Registry, name: str) -> Driver:
    """Return a driver with its settings. Raises SettingsError when there is none of that name."""
    if name not in registry:
        raise SettingsError(f"no driver {name!r}; there are {', '.join(registry)}")
    return registry[name](settings.driver[name])


def prepare_home(settings: Settings) -> Path:
    """Return the data folder, made if need be. Raises SettingsError when that is not possible."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"home: {settings.home} cannot be made: {error.strerror}") from error
    if not os.access(settings.home, os.W_OK | os.X_OK):
        raise SettingsError(f"home: {settings.home} cannot be written to by user {os.getuid()}")
    return settings.home


def list_hosts(settings: Settings, registry: Registry, *, include_off: bool) -> list[dict[str, Any]]:
    """Return a row for each upstream URL of the drivers: its host, its driver and where the settings lead it."""
    chosen = [name for name in registry if include_off or name in settings.drivers]
    upstreams = [(name, build_driver(settings, registry, name).upstreams) for name in chosen]
    rows = [
        {**msgspec.structs.asdict(row), "on": row.driver in settings.drivers}
        for row in reached(upstreams, upstream_map(settings))
    ]
    return sorted(rows, key=lambda row: (row["host"], row["driver"], row["url"]))


@contextmanager
def open_reader(options: Options) -> Iterator[Store]:
    """Open the store that the options lead to, for looking; close it at the end.

    Looking does not bring the tables of a store up to date: the service on it may be of the older version.
    """
    settings, _ = read_settings(options)
    file = settings.store_url.removeprefix("sqlite:///")
    is_new = file != settings.store_url and not Path(file).exists()
    with open_writer(settings, migrate=is_new) as store:
        yield store


@contextmanager
def open_writer(settings: Settings, *, migrate: bool = True, owner: str | None = None) -> Iterator[SQLStore]:
    """Open the store of the settings; close it at the end.

    `migrate` brings its tables up to date; `owner` is whom tasks belong to, this process when None.
    """
    if not settings.store:
        prepare_home(settings)
    store = open_store(settings.store_url, migrate=migrate, owner=owner)
    try:
        yield store
    finally:
        store.close()
