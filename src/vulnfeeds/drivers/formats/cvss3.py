"""CVSS 3 vectors and the scores that follow from them.

CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N
"""

from __future__ import annotations

from functools import lru_cache

from cvss import CVSS3

from vulnfeeds.records.vulnerability import CVSS, Metrics


@lru_cache(maxsize=8192)
def scored(vector: str, status: str, base_score: float | None = None) -> CVSS:
    """Return what a vector says; `base_score` is the vendor's own, the vector's when there is none.

    Raises CVSSError for a vector that is none, ValueError for a score that is not from 0 to 10.
    """
    if base_score is not None and not 0 <= base_score <= 10:
        raise ValueError(base_score)
    parsed = CVSS3(vector)
    return CVSS(
        base_metrics=Metrics(
            base_score=float(parsed.base_score) if base_score is None else base_score,
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
