"""Which update takes the place of which, product by product, as all months together tell it. Pure.

Each update names those that it supersedes, so the newest ones are found by walking the other way. Two tracks can
stand side by side (a monthly rollup and a security-only update); they have a newest update each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from vulnfeeds.errors import ParseError

LONGEST: Final = 3000
"""Most updates that are reached from one; ten years of a product have about 300."""

_Edges = dict[str, set[str]]


class Supersedence:
    """The updates of one product."""

    def __init__(self, product: str) -> None:
        self._product = product
        self._older: _Edges = defaultdict(set)
        self._newer: _Edges = defaultdict(set)
        self._reached: dict[tuple[str, bool], frozenset[str]] = {}

    def add(self, kb: str, supersedes: Iterable[str]) -> None:
        """Say that an update takes the place of others."""
        for older in supersedes:
            self._older[kb].add(older)
            self._newer[older].add(kb)

    def before(self, kb: str) -> frozenset[str]:
        """Return all updates that this one supersedes, directly or not. Raises ParseError above LONGEST."""
        return self._walk(kb, forward=False)

    def after(self, kb: str) -> frozenset[str]:
        """Return all updates that supersede this one, directly or not. Raises ParseError above LONGEST."""
        return self._walk(kb, forward=True)

    def latest(self, kb: str) -> frozenset[str]:
        """Return the updates that nothing supersedes and that stand for this one; itself when it is newest.

        Where updates supersede each other in a circle, that of the greatest number is taken for the newest.
        """
        after = self.after(kb)
        ends = frozenset(newer for newer in after if not self._newer.get(newer))
        return ends or frozenset({max((kb, *after), key=number)})

    def _walk(self, kb: str, *, forward: bool) -> frozenset[str]:
        known = self._reached.get((kb, forward))
        if known is not None:
            return known
        edges = self._newer if forward else self._older
        seen: set[str] = set()
        waiting = [kb]
        while waiting:
            for other in edges.get(waiting.pop(), ()):
                if other not in seen and other != kb:
                    seen.add(other)
                    waiting.append(other)
            if len(seen) > LONGEST:
                raise ParseError(f"product {self._product} update {kb}", f"a chain of more than {LONGEST} updates")
        found = frozenset(seen)
        self._reached[kb, forward] = found
        return found


def number(kb: str) -> tuple[int, str]:
    """Return what updates are sorted by: their numbers rise with time."""
    return len(kb), kb
