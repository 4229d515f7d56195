"""Which version an Ubuntu release has, and what the parts of the tracker's and the archives' names mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

RELEASES: Final[Mapping[str, str]] = {
    "warty": "4.10",
    "hoary": "5.04",
    "breezy": "5.10",
    "dapper": "6.06",
    "edgy": "6.10",
    "feisty": "7.04",
    "gutsy": "7.10",
    "hardy": "8.04",
    "intrepid": "8.10",
    "jaunty": "9.04",
    "karmic": "9.10",
    "lucid": "10.04",
    "maverick": "10.10",
    "natty": "11.04",
    "oneiric": "11.10",
    "precise": "12.04",
    "quantal": "12.10",
    "raring": "13.04",
    "saucy": "13.10",
    "trusty": "14.04",
    "utopic": "14.10",
    "vivid": "15.04",
    "wily": "15.10",
    "xenial": "16.04",
    "yakkety": "16.10",
    "zesty": "17.04",
    "artful": "17.10",
    "bionic": "18.04",
    "cosmic": "18.10",
    "disco": "19.04",
    "eoan": "19.10",
    "focal": "20.04",
    "groovy": "20.10",
    "hirsute": "21.04",
    "impish": "21.10",
    "jammy": "22.04",
    "kinetic": "22.10",
    "lunar": "23.04",
    "mantic": "23.10",
    "noble": "24.04",
    "oracular": "24.10",
    "plucky": "25.04",
    "questing": "25.10",
    "resolute": "26.04",
}
"""Version by codename."""

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
    return {codename: version for codename, version in {**RELEASES, **overrides}.items() if version}
