"""The severity scale of every feed, and where a CVSS score falls on it. Pure."""

from __future__ import annotations

from typing import Final, Literal, get_args

Severity = Literal["Unknown", "Negligible", "Low", "Medium", "High", "Critical"]

SCALE: Final[tuple[Severity, ...]] = get_args(Severity)
"""From least to most severe; the client's database refuses any other word."""

_RANK: Final = {name: rank for rank, name in enumerate(SCALE)}
_WORDS: Final[dict[str, Severity]] = {
    "none": "Negligible",
    "negligible": "Negligible",
    "low": "Low",
    "medium": "Medium",
    "moderate": "Medium",
    "high": "High",
    "important": "High",
    "critical": "Critical",
}


def highest(severities: list[Severity]) -> Severity:
    """Return the most severe of them; Unknown when there is none."""
    if len(severities) == 1:
        return severities[0]
    return max(severities, key=_RANK.__getitem__, default="Unknown")


def of_word(word: str | None) -> Severity:
    """Return the severity that a vendor's word means; Unknown when we do not know the word."""
    return _WORDS.get((word or "").strip().lower(), "Unknown")


def of_cvss2(score: float) -> Severity:
    """Return the band of a CVSS 2 base score: Low below 4, Medium below 7, else High.

    The bands of the original service, measured on its recorded Alpine groups.
    """
    if score < 4:
        return "Low"
    return "Medium" if score < 7 else "High"


def of_cvss3(score: float) -> Severity:
    """Return the band of a CVSS 3 or 4 base score (first.org qualitative scale)."""
    if score <= 0:
        return "Negligible"
    if score < 4:
        return "Low"
    if score < 7:
        return "Medium"
    return "High" if score < 9 else "Critical"
