"""Which version a Debian release has: the one table, for groups and for people who ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RELEASES: Final[Mapping[str, str]] = {
    "wheezy": "7",
    "jessie": "8",
    "stretch": "9",
    "buster": "10",
    "bullseye": "11",
    "bookworm": "12",
    "trixie": "13",
    "forky": "14",
    "duke": "15",
    "sid": "unstable",
}
"""Version by codename, as groups name it (debian:12, debian:unstable)."""


def table(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the table with a setting's additions; an empty version takes a release out."""
    return {codename: version for codename, version in {**RELEASES, **overrides}.items() if version}
