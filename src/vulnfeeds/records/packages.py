"""Records of feed `packages`: which packages a registry of a language has, and in which versions.

    {"left-pad": {"name": "left-pad", "versions": ["1.2.0", "1.3.0"], "latest": "1.3.0", ...}}

A record's body has one key, the package's name, which is the record's own key, too. Lists are sorted: an upstream
that tells the same in another order changes nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from vulnfeeds.records.record import Record

FEED: Final = "packages"
NPM: Final = "npm"
GEM: Final = "gem"
"""The feed's groups."""


class NPMPackage(msgspec.Struct, frozen=True):
    """A package of npm's registry."""

    name: str
    versions: tuple[str, ...] = ()
    latest: str | None = None
    """The version that the tag `latest` names."""
    origins: tuple[str, ...] = ()
    """Its author, or those who maintain it."""
    lics: tuple[str, ...] = ()
    """Its licences, as it words them."""
    sourcepkg: str | None = None
    """Address of its source."""


class GemPackage(msgspec.Struct, frozen=True):
    """A Ruby gem."""

    name: str
    versions: tuple[str, ...] = ()
    latest: str | None = None
    """The newest version that is no preliminary one."""
    authors: tuple[str, ...] = ()
    """Each wording of its authors in any version."""
    licenses: tuple[str, ...] = ()
    id: str | UnsetType = UNSET
    """Its number in the registry's database, in digits; not sent when it is not known."""


def record(group: str, package: NPMPackage | GemPackage) -> Record:
    """Return the record of a package."""
    return Record(feed=FEED, group=group, key=package.name, body={package.name: package})
