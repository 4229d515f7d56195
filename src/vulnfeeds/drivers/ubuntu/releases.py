"""Which releases of Ubuntu are served, and what the parts of the tracker's and the archives' names mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from vulnfeeds.records.codenames import UBUNTU

ESM: Final = "+esm"
"""What the name of a release's group for Ubuntu Pro ends with."""

NO_RELEASES: Final = frozenset({"upstream", "devel", "product", "snap"})
"""Names that stand where the tracker has codenames, and are no release."""

_SUBPROJECTS: Final = frozenset({"esm", "esm-infra", "esm-apps", "esm-infra-legacy"})
"""Parts of Ubuntu Pro whose fixes go to the group for it; others (fips, realtime, ...) have packages of their own."""


class Channel(NamedTuple):
    """A release as it comes without (`esm` false) or with Ubuntu Pro."""

    codename: str
    esm: bool


def channel(name: str) -> Channel | None:
    """Return what "xenial", "esm-infra/xenial" or "trusty/esm" names; None for what is no part of ours."""
    first, slash, second = name.partition("/")
    if not slash:
        return Channel(first, False)
    if first in _SUBPROJECTS:
        return Channel(second, True)
    return Channel(first, True) if second == "esm" else None


def release_of(group: str) -> str:
    """Return the version that a group's name is made of, without what Ubuntu Pro adds."""
    return group.removesuffix(ESM)


def table(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the table with a setting's additions; an empty version takes a release out."""
    return {codename: version for codename, version in {**UBUNTU, **overrides}.items() if version}
