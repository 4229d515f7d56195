"""The severity scale: words, bands and order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.records import severity
from vulnfeeds.records.severity import SCALE, Severity

SEVERITIES = st.sampled_from(SCALE)


@pytest.mark.parametrize(
    ("score", "band"),
    [(0.0, "Low"), (3.9, "Low"), (4.0, "Medium"), (6.9, "Medium"), (7.0, "High"), (10.0, "High")],
)
def test_bands_of_cvss_2_are_the_originals(score: float, band: Severity) -> None:
    """Measured on its recorded groups."""
    assert severity.of_cvss2(score) == band


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.0, "Negligible"),
        (0.1, "Low"),
        (3.9, "Low"),
        (4.0, "Medium"),
        (6.9, "Medium"),
        (7.0, "High"),
        (8.9, "High"),
        (9.0, "Critical"),
        (10.0, "Critical"),
    ],
)
def test_bands_of_cvss_3_are_those_of_its_specification(score: float, band: Severity) -> None:
    """CVSS 4 has the same ones."""
    assert severity.of_cvss3(score) == band


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("MODERATE", "Medium"), (" Important ", "High"), ("none", "Negligible"), ("", "Unknown"), (None, "Unknown")],
)
def test_vendors_words_are_understood(word: str | None, meaning: Severity) -> None:
    """In any case; what we do not know is Unknown."""
    assert severity.of_word(word) == meaning


@given(st.text())
def test_every_word_gives_a_severity_of_the_scale(word: str) -> None:
    """The client's database takes no other."""
    assert severity.of_word(word) in SCALE


@given(st.lists(SEVERITIES))
def test_the_highest_is_at_least_every_one(found: list[Severity]) -> None:
    """Of none it is Unknown."""
    highest = severity.highest(found)
    assert all(SCALE.index(highest) >= SCALE.index(each) for each in found)
    assert highest in found or (highest == "Unknown" and not found)
