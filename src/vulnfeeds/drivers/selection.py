"""Which releases of a distribution a driver serves: settings that drivers of distributions share."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from vulnfeeds.drivers.interface import DriverSettings


class ReleaseSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of a driver that serves the releases that its upstream has."""

    include: tuple[str, ...] = ("*",)
    """Releases that are served, by name or pattern (`8`, `15.*`)."""
    exclude: tuple[str, ...] = ()
    """Releases that are not served although `include` names them."""

    def serves(self, release: str) -> bool:
        """Tell whether a release is wanted; a group that no longer is, is frozen."""
        return _serves(release, self.include, self.exclude)


@lru_cache(maxsize=1024)
def _serves(release: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Tell it; it is asked for every package of every record."""
    return any(fnmatchcase(release, name) for name in include) and not any(
        fnmatchcase(release, name) for name in exclude
    )
