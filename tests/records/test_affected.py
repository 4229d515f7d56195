"""Whether a version is affected: by each format's own order, and "nobody can tell" rather than a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.records.affected import affects
from vulnfeeds.records.outline import Fix


@pytest.mark.parametrize(
    ("format_", "fixed", "older", "newer"),
    [
        ("dpkg", "1.1.1n-0+deb11u4", "1.1.1n-0+deb11u4~bpo1", "1:0.1"),
        ("rpm", "1:1.1.1k-9.el8_7", "1.2-1", "1:1.1.1k-12.el8"),
        ("apk", "1.1.1t-r10", "1.1.1t_rc1-r0", "1.1.1t-r11"),
        ("alpm", "2.0-1", "2.0rc1-1", "1:1.0-1"),
        ("python", "2.0", "2.0rc1", "2.0.post1"),
        ("java", "2.0", "2.0-beta", "2.0.1"),
        ("npm", "2.0.0", "2.0.0-rc.1", "2.0.1"),
        ("gem", "2.0", "2.0.pre", "2.0.1"),
    ],
)
def test_older_versions_are_affected(format_: str, fixed: str, older: str, newer: str) -> None:
    """What comes before the fix in the format's order is affected; the fix itself and what comes after are not."""
    fix = Fix("p", "fixed", fixed, format_)
    assert [affects(fix, version) for version in (older, fixed, newer)] == [True, False, False]


@pytest.mark.parametrize(("status", "answer"), [("unfixed", True), ("will_not_fix", True), ("not_affected", False)])
def test_without_a_fix_every_version_is_alike(status: str, answer: bool) -> None:
    """No fix: all are affected; never affected: none is."""
    assert affects(Fix("p", status, None, "rpm"), "1") is answer  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ranges", "affected", "free"),
    [
        (">= 1.0.0 < 1.5.0 || = 2.0.0", ["1.0.0", "1.4.9", "2.0.0"], ["0.9.0", "1.5.0", "2.0.1"]),
        (">=1.0.0, <1.5.0", ["1.2.3"], ["1.5.0"]),
        ("< 3.0.0", ["0.0.1"], ["3.0.0"]),
    ],
)
def test_ranges_say_more_than_the_fix(ranges: str, affected: list[str], free: list[str]) -> None:
    """Bounds by space or comma, alternatives by `||`."""
    fix = Fix("p", "fixed", "9.9.9", "npm", ranges)
    assert {affects(fix, version) for version in affected} == {True}
    assert {affects(fix, version) for version in free} == {False}


@pytest.mark.parametrize(
    ("fix", "version"),
    [
        (Fix("p", "fixed", "1.0", "swift"), "0.9"),
        (Fix("p", "fixed", "1.0.0", "npm"), "not a version"),
        (Fix("p", "fixed", "1.0.0", "npm", "~> 1"), "1.0.0"),
        (Fix("p", "fixed", "1.0.0", "npm", ">= 1 or so"), "1.0.0"),
        (Fix("p", "fixed", "1.0", "rpm"), "1" * 300),
    ],
)
def test_what_cannot_be_told_is_not_guessed(fix: Fix, version: str) -> None:
    """An order that we do not know, a version or a range that cannot be read."""
    assert affects(fix, version) is None


@given(
    st.sampled_from(
        ["dpkg", "rpm", "apk", "alpm", "npm", "python", "java", "gem", "go", "nuget", "composer", "rust"]
    ),
    st.text(max_size=30),
    st.text(max_size=30),
    st.text("<>= ,|1.a", max_size=20),
)
def test_no_text_breaks_it(format_: str, bound: str, version: str, ranges: str) -> None:
    """Whatever upstream and client write, the answer is yes, no or nobody can tell."""
    assert affects(Fix("p", "fixed", bound, format_, ranges), version) in (True, False, None)
