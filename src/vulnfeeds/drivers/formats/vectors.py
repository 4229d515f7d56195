"""CVSS 3 vectors as vendors publish them, with the scores that follow from them."""

from __future__ import annotations

from functools import lru_cache

from cvss import CVSS3
from cvss.exceptions import CVSSError

from vulnfeeds.records.vulnerability import CVSS, Metrics


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
