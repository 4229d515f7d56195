"""Vulnerable names of a record: exact names as they are, ranges as the versions in them that we know of.

Clients compare product and version for equality, so a range says nothing to them until it is a list of versions.
Known are the versions that any current record names for the product: in an exact name or as a bound. A range gives
its inclusive bounds and the newest `limit` of the known versions within; nothing when none is known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Final

import msgspec

from vulnfeeds.drivers.nvd import items
from vulnfeeds.drivers.nvd.versions import Place, place
from vulnfeeds.records import cpe, nvd

_ORDERED_PRODUCTS: Final = 8192
"""Products whose versions are kept in order; most have a handful, the largest some thousand."""


Ranged = nvd.CPEMatch | items.CPEMatch
"""What has the four bounds of a range."""


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """A range of versions; None where it is open. Versions are escaped as in a CPE 2.3 string."""

    low: str | None
    low_included: bool
    high: str | None
    high_included: bool

    @classmethod
    def of(cls, name: cpe.Name | None, match: Ranged) -> Bounds | None:
        """Return the range that a match stands for; None when it names one version, or all of them."""
        if name is None or name.version != "*":
            return None
        low = match.version_start_including or match.version_start_excluding
        high = match.version_end_including or match.version_end_excluding
        if not low and not high:
            return None
        return cls(low, bool(match.version_start_including), high, bool(match.version_end_including))

    def covers(self, version: str) -> bool:
        """Tell whether a version lies within; False for what has no place in the order."""
        where = place(version)
        if where is None:
            return False
        ends = self._places()
        if ends is None:
            return False
        low, high = ends
        after = low is None or low < where or (self.low_included and low == where)
        return after and (high is None or where < high or (self.high_included and where == high))

    def choose(self, places: list[Place], versions: list[str], limit: int) -> list[str]:
        """Return the newest `limit` of versions within; `places` are theirs, in ascending order."""
        ends = self._places()
        if ends is None:
            return []
        low, high = ends
        begin, end = 0, len(places)
        if low is not None:
            begin = (bisect_left if self.low_included else bisect_right)(places, low)
        if high is not None:
            end = (bisect_right if self.high_included else bisect_left)(places, high)
        return versions[max(begin, end - limit) : end] if end > begin else []

    def _places(self) -> tuple[Place | None, Place | None] | None:
        low = place(self.low) if self.low else None
        high = place(self.high) if self.high else None
        # A bound that we cannot read leaves nothing that is sure to lie within.
        return None if (self.low and low is None) or (self.high and high is None) else (low, high)


class Expansion:
    """Finds the vulnerable names of records; `versions` gives the known versions of a product."""

    def __init__(self, versions: Callable[[str], list[str]], limit: int) -> None:
        self._limit = limit

        @lru_cache(maxsize=_ORDERED_PRODUCTS)
        def ordered(product: str) -> tuple[list[Place], list[str]]:
            # Versions at one place (2.0, 2.0.0) need an order of their own for the choice to be the same every time.
            known = sorted(version for version in versions(product) if cpe.fits(version))
            found = [(where, version) for version in known if (where := place(version)) is not None]
            found.sort(key=itemgetter(0))
            return [where for where, _ in found], [version for _, version in found]

        self._ordered = ordered

    def complete(self, record: nvd.NVDRecord) -> nvd.NVDRecord:
        """Return the record with its vulnerable names, sorted, each once."""
        names: set[str] = set()
        for match, vulnerable in nvd.leaves(record.configurations.nodes):
            if vulnerable:
                names.update(self._names(match))
        return msgspec.structs.replace(record, vulnerable_cpes=tuple(sorted(names)))

    def _names(self, match: nvd.CPEMatch) -> list[str]:
        name = cpe.parse(match.cpe)
        bounds = Bounds.of(name, match)
        if bounds is None or name is None:
            return [match.cpe]
        places, versions = self._ordered(name.product)
        chosen = bounds.choose(places, versions, self._limit)
        for bound, included in ((bounds.low, bounds.low_included), (bounds.high, bounds.high_included)):
            if bound and included and cpe.fits(bound):
                chosen.append(bound)
        return [name.with_version(version) for version in chosen]
