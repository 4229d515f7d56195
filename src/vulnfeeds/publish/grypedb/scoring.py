"""What follows from a CVSS vector: the band that people read and the scores of its parts. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

_HIGH = 7.0
_MEDIUM = 4.0


class Scores(NamedTuple):
    """Scores of a vector; those of its parts are 0.0 for CVSS 4, which has none."""

    base: float
    exploitability: float
    impact: float
    band: str
    """Critical, High, Medium, Low or Negligible."""


# Hundreds of thousands of records share a few thousand vectors.
@lru_cache(maxsize=16384)
def scores(vector: str, version: str) -> Scores | None:
    """Return the scores of a vector; None for one that is malformed."""
    try:
        if version.startswith("4"):
            four = CVSS4(vector)
            return Scores(float(four.base_score), 0.0, 0.0, _band(float(four.base_score)))
        if version.startswith("3"):
            three = CVSS3(vector)
            base = float(three.base_score)
            return Scores(base, round(float(three.esc), 1), round(float(three.isc), 1), _band(base))
        two = CVSS2(vector)
        base = float(two.base_score)
        band = "High" if base >= _HIGH else "Medium" if base >= _MEDIUM else "Low"
        return Scores(base, 0.0, 0.0, band)
    except CVSSError:
        return None


def _band(base: float) -> str:
    if base == 0:
        return "Negligible"
    return "Critical" if base >= 9 else "High" if base >= _HIGH else "Medium" if base >= _MEDIUM else "Low"
