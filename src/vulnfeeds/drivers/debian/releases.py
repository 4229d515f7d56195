"""Which releases of Debian are served, and what feed `eol` adds to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Published
from vulnfeeds.records import eol
from vulnfeeds.records.codenames import DEBIAN


def table(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the table with a setting's additions; an empty version takes a release out."""
    return {codename: version for codename, version in {**DEBIAN, **overrides}.items() if version}


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
