"""What NVD says of each CVE's severity, kept beside its records so that other drivers' records can take it."""

from __future__ import annotations

from typing import Final

from vulnfeeds.records.record import Score
from vulnfeeds.store.database import Session

_COLUMNS: Final = ("cve", "newest", "cvss2_score", "cvss2_vector", "changed")


def write(session: Session, scored: list[tuple[str, Score | None, int]]) -> None:
    """Keep the scores of (CVE, score, number); a score that stays the same keeps the number of its last change."""
    held = {
        cve: score
        for cve, *score in session.rows(
            "SELECT cve, newest, cvss2_score, cvss2_vector FROM scores WHERE cve IN (:cves[])",
            {"cves": [cve for cve, _, _ in scored]},
        )
    }
    added = []
    changed = []
    for cve, score, number in scored:
        values = [None, None, None] if score is None else [score.newest, score.cvss2_score, score.cvss2_vector]
        if cve in held:
            if held[cve] != values:
                changed.append({"cve": cve, "number": number} | dict(zip(_COLUMNS[1:4], values, strict=True)))
        elif score is not None:
            added.append((cve, *values, number))
    session.load("scores", _COLUMNS, added)
    session.many(
        "UPDATE scores SET newest = :newest, cvss2_score = :cvss2_score, cvss2_vector = :cvss2_vector,"
        " changed = :number WHERE cve = :cve",
        changed,
    )
