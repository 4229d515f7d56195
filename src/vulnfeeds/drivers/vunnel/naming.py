"""Which group of ours a group of vunnel's becomes. Pure.

A store knows one driver for a group, so two that fill the same one would withdraw each other's records. Names whose
family is that of a driver of ours get a prefix unless the settings say otherwise.
"""

from __future__ import annotations

import re
from typing import Final

from vulnfeeds.drivers.registry import OURS
from vulnfeeds.drivers.vunnel.settings import SourceSettings
from vulnfeeds.errors import ParseError

_GROUP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,127}")


class Naming:
    """The groups of one source."""

    def __init__(self, settings: SourceSettings) -> None:
        self._prefix = settings.prefix
        self._rename = settings.rename
        self._known: dict[str, str] = {}

    def group(self, given: str, place: str) -> str:
        """Return our name of a group. Raises ParseError, naming the place, for a text that cannot be one."""
        if given not in self._known:
            made = self._make(given)
            if not _GROUP.fullmatch(made):
                raise ParseError(place, f"{given[:80]!r} cannot be the name of a group")
            self._known[given] = made
        return self._known[given]

    def _make(self, given: str) -> str:
        if given in self._rename:
            return self._rename[given]
        family, colon, rest = given.partition(":")
        if family in self._rename:
            return f"{self._rename[family]}{colon}{rest}"
        return f"{self._prefix}{given}" if family in OURS else given
