"""Until when the systems of a database are supported: records of feed `eol` as dates on rows of `operating_systems`.

A client warns of a host whose system's day has passed. It looks at the very row of the host's own version, without
aliases, so every row of a system gets its dates: for RHEL, those of the major release on all minor ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from vulnfeeds.publish.grypedb.systems import Home, System
from vulnfeeds.records import eol
from vulnfeeds.records.lifecycle import Support, lifecycle, support

ORIGIN: Final = "eol"

cycle: Final = msgspec.json.Decoder(eol.Cycle).decode
"""Read a record's body. Raises msgspec.ValidationError."""


class Lifecycles:
    """The release cycles that systems of a database are of."""

    def __init__(self, homes: Iterable[tuple[str, Home]]) -> None:
        """Take the groups of feed `vulnerabilities`, and where each one's records go."""
        self._homes = [(found, home) for group, home in homes if (found := lifecycle("vulnerabilities", group))]
        self._wanted = frozenset(key for found, _ in self._homes for key in found.keys)
        self._cycles: dict[str, eol.Cycle] = {}

    def take(self, cycle: eol.Cycle) -> None:
        """Keep a cycle, if a system is of it."""
        key = eol.key(cycle.product, cycle.name)
        if key in self._wanted:
            self._cycles[key] = cycle

    def ends(self) -> Iterator[tuple[System, Support]]:
        """Yield what is known of each system."""
        for found, home in self._homes:
            cycle = next((self._cycles[key] for key in found.keys if key in self._cycles), None)
            if cycle is not None:
                for system in home.systems:
                    yield system, support(cycle, extended=found.extended)
