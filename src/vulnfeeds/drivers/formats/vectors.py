"""CVSS vectors as vendors publish them, with the scores that follow from those of CVSS 3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cvss import CVSS3
from cvss.exceptions import CVSSError

from vulnfeeds.drivers.interface import Context
from vulnfeeds.records import github
from vulnfeeds.records.vulnerability import CVSS, Metrics

NO_STATUS: Final = "N/A"
"""What stands as the status of a score where upstream says nothing of it."""

_VECTOR: Final = re.compile(r"CVSS:([34]\.\d)/[A-Za-z:/]+")


def listed(context: Context, texts: Iterable[str]) -> tuple[github.Vector, ...]:
    """Return the vectors of CVSS 3 and 4 among texts, sorted, each once; other texts are counted."""
    found: set[github.Vector] = set()
    for text in texts:
        # GHSA-c2fv-2fmj-9xrx: CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H/
        vector = text.rstrip("/")
        if match := _VECTOR.fullmatch(vector):
            found.add(github.Vector(match[1], vector))
        else:
            context.unknown("CVSS vector", text)
    return tuple(sorted(found))


def newest(context: Context, vectors: tuple[github.Vector, ...]) -> CVSS | None:
    """Return the scores of the newest CVSS 3 vector that has any; None when there is none."""
    for vector in reversed(vectors):
        if vector.version.startswith("3."):
            try:
                return scored(vector.vector, status=NO_STATUS)
            except ValueError:
                context.unknown("CVSS vector", vector.vector)
    return None


@lru_cache(maxsize=8192)
def scored(vector: str, *, base_score: str = "", status: str = "") -> CVSS:
    """Return a vector with its scores; `base_score` is the vendor's own, computed where it gives none.

    Raises ValueError for a vector that is none of CVSS 3, and for a score that is not between 0 and 10.
    """
    try:
        parsed = CVSS3(vector)
    except CVSSError as error:
        raise ValueError(str(error)) from error
    base = float(base_score) if base_score else float(parsed.base_score)
    if not 0 <= base <= 10:
        raise ValueError(f"{base_score} is no score")
    return CVSS(
        base_metrics=Metrics(
            base_score=base,
            base_severity=parsed.severities()[0],
            exploitability_score=_rounded(parsed.esc),
            impact_score=_rounded(parsed.isc),
        ),
        status=status,
        vector_string=vector,
        version=f"3.{parsed.minor_version}",
    )


def _rounded(score: object) -> float:
    return max(0.0, round(float(str(score)), 1))
