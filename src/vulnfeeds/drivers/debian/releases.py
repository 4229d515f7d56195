"""Which version a Debian release has: the one table, for groups and for people who ask, and what feed `eol` adds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Published
from vulnfeeds.records import eol

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


PRODUCT: Final = "debian"
"""Name of Debian in feed eol."""
_VERSION: Final = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


def from_eol(codenames: Collection[str], published: Published) -> dict[str, str]:
    """Return version by codename of those releases that feed `eol` knows; it lists a release when it is out."""
    found: dict[str, str] = {}
    upto = published.sequence(eol.FEED, eol.GROUP)
    for key, body, withdrawn in published.changes(eol.FEED, eol.GROUP, 0, upto):
        if withdrawn or not key.startswith(eol.key(PRODUCT, "")):
            continue
        with suppress(msgspec.MsgspecError):
            cycle = msgspec.json.decode(body, type=eol.Cycle)
            codename = (cycle.codename or "").lower()
            if codename in codenames and _VERSION.fullmatch(cycle.name):
                found[codename] = cycle.name
    return found
