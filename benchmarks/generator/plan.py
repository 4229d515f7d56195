"""What is made: how many of what, what each day changes, and the chances that everything else is drawn from. Pure."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Final

from xxhash import xxh3_64_intdigest

FIRST_DAY: Final = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
"""Moment of day 1; each day follows 24 hours later."""

REVISED, REMOVED, ADDED = 0.80, 0.05, 0.15
"""How a day's changes fall: content changed, record gone (of the NVD: rejected), record new."""

_NUMBERS: Final = struct.Struct("<QQQQ")
_ALL: Final = float(1 << 64)


class Kind(IntEnum):
    """What is numbered; the number of a kind goes into every chance."""

    NVD = 1
    ALPINE = 2
    DEBIAN = 3
    KEV = 4
    UBUNTU = 5
    GITHUB = 6
    SLES = 20
    OL = 21
    MARINER = 22
    REDHAT = 23
    AMZN = 24
    WOLFI = 30
    CHAINGUARD = 31
    MINIMOS = 32
    SECUREOS = 33
    ECHO = 34
    ALMA = 35
    ROCKY = 36
    PHOTON = 37
    ARCH = 38
    FEDORA = 39
    OSV = 50


AMOUNTS: Final = {
    Kind.NVD: 340_000,
    Kind.ALPINE: 3_600,
    Kind.DEBIAN: 50_000,
    Kind.KEV: 1_404,
    Kind.UBUNTU: 100_000,
    Kind.GITHUB: 25_000,
    Kind.SLES: 15_000,
    Kind.OL: 9_000,
    Kind.MARINER: 20_000,
    Kind.REDHAT: 36_000,
    Kind.AMZN: 6_000,
    Kind.WOLFI: 20_000,
    Kind.CHAINGUARD: 30_000,
    Kind.MINIMOS: 15_000,
    Kind.SECUREOS: 2_000,
    Kind.ECHO: 20_000,
    Kind.ALMA: 6_000,
    Kind.ROCKY: 3_000,
    Kind.PHOTON: 30_000,
    Kind.ARCH: 2_548,
    Kind.FEDORA: 15_000,
    Kind.OSV: 25_000,
}
"""At scale 1. Alpine's are fixes, each of which stands in the releases from its own on: 100,000 over 40 releases.
Of the rolling distributions and Echo they are vulnerabilities, of AlmaLinux, Rocky and Fedora advisories, of Photon
CVEs of one release, of OSV documents, of Arch groups of vulnerabilities."""


@dataclass(frozen=True)
class State:
    """What became of one record until the plan's day."""

    revision: int
    """How often it changed."""
    touched: int
    """Day on which it came, changed or went; 1 for what was there from the beginning."""
    removed: bool


@dataclass(frozen=True)
class Plan:
    """The arguments of a generation."""

    scale: float = 1.0
    day: int = 1
    change: float = 0.01
    """Part of the records that each day after the first changes, removes or adds."""
    seed: int = 1

    @cached_property
    def amounts(self) -> dict[Kind, int]:
        """Records of each kind on day 1."""
        return {kind: max(20, round(amount * self.scale)) for kind, amount in AMOUNTS.items()}

    def total(self, kind: Kind, day: int | None = None) -> int:
        """Return how many numbers of a kind are used up to a day, removed ones included."""
        return self.amounts[kind] + self._added(kind) * ((day or self.day) - 1)

    def numbers(self, kind: Kind) -> Iterator[tuple[int, State]]:
        """Yield all numbers of a kind in order, with what became of each."""
        for number in range(self.total(kind)):
            yield number, self.state(kind, number)

    def state(self, kind: Kind, number: int) -> State:
        """Return what became of one record until the plan's day."""
        revision, touched, came = 0, 1, 1
        if number >= self.amounts[kind]:
            came = touched = 2 + (number - self.amounts[kind]) // self._added(kind)
        for day in range(came + 1, self.day + 1):
            chance = self.chance(kind, number, day)
            if chance < REMOVED * self.change:
                return State(revision, day, removed=True)
            if chance < (REMOVED + REVISED) * self.change:
                revision, touched = revision + 1, day
        return State(revision, touched, removed=False)

    def chance(self, kind: Kind, number: int, salt: int) -> float:
        """Return a number in [0, 1) that depends on the seed and the arguments only."""
        return self._hash(kind, number, salt) / _ALL

    def random(self, kind: Kind, number: int, salt: int = 0) -> random.Random:
        """Return a generator of chances for one record."""
        return random.Random(self._hash(kind, number, salt + (1 << 32)))

    def moment(self, day: int) -> datetime:
        """Return when upstream made the documents of a day."""
        return FIRST_DAY + timedelta(days=day - 1)

    def _added(self, kind: Kind) -> int:
        return max(1, round(self.amounts[kind] * self.change * ADDED)) if self.change else 0

    def _hash(self, kind: Kind, number: int, salt: int) -> int:
        return xxh3_64_intdigest(_NUMBERS.pack(self.seed, kind, number, salt))
