"""Driver ubuntu: what the lines of the CVE tracker's files mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.drivers.ubuntu import tracker
from vulnfeeds.drivers.ubuntu.issues import State
from vulnfeeds.records import codenames


def said(*lines: str) -> tuple[list[State], dict[str, int]]:
    """Return the states that lines of a file of the tracker make, and what was unknown."""
    unknown: dict[str, int] = {}

    def count(kind: str, value: object) -> None:
        unknown[f"{kind}={value}"] = unknown.get(f"{kind}={value}", 0) + 1

    reader = tracker.Reader(codenames.UBUNTU, lambda version: version != "6.06", count)
    issue = reader.read("CVE-2020-0001", "\n".join(lines).encode() + b"\n")
    return (issue.states if issue else []), unknown


@pytest.mark.parametrize(
    ("line", "version", "no_advisory"),
    [
        ("xenial_p: released (1.2-3)", "1.2-3", False),
        ("xenial_p: released (1:1.2~rc1-3ubuntu0.1) ", "1:1.2~rc1-3ubuntu0.1", False),
        ("xenial_p: released (1.2-3", "1.2-3", False),
        ("xenial_p: released ((1.2-3))", "1.2-3", False),
        ("xenial_p: released (1.2-3, 1.3-1)", "1.2-3", False),
        ("xenial_p: needed", "None", False),
        ("xenial_p: needs-triage", "None", False),
        ("xenial_p: pending (1.2-3)", "None", False),
        ("xenial_p: deferred (2020-01-01)", "None", False),
        ("xenial_p: ignored", "None", True),
        ("xenial_p: ignored (end of standard support, was needed)", "None", True),
        ("xenial_p: ignored (code-not-compiled)", "0", False),
        ("xenial_p: ignored (uses system libpng)", "0", False),
        ("xenial_p: not-affected (2.0-1)", "0", False),
        ("esm-infra/xenial_p: needed", "None", True),
        ("esm-apps/xenial_p: ignored", "None", True),
        ("xenial/esm_p: DNE (xenial was needed)", "None", True),
        ("xenial/esm_p: DNE (xenial was ignored [abandoned])", "None", True),
        ("xenial/esm_p: DNE (xenial was not-affected [1.2-3])", "0", False),
        ("xenial/esm_p: DNE (xenial was released [1.2-3])", "1.2-3", False),
        ("xenial/esm_p: released [1.2-3]", "1.2-3", False),
        ("xenial/esm_p: not-affected (code not present)", "0", False),
    ],
)
def test_a_line_says_what_becomes_of_a_package(line: str, version: str, no_advisory: bool) -> None:
    """Of a release that has ended, the line of Ubuntu Pro may be all that is left."""
    assert said(line) == ([State("16.04", "p", version, no_advisory)], {})


@pytest.mark.parametrize(
    "line",
    [
        "xenial_p: DNE",
        "xenial/esm_p: DNE",
        "xenial/esm_p: not-affected (1.2-3)",
        "upstream_p: released (9)",
        "devel_p: needed",
        "dapper_p: needed",
        "fips/xenial_p: needed",
        "vivid/stable-phone-overlay_p: needed",
        "product_p: needed",
        " xenial_p: needed",
        "xenial_p: ",
        "Tags_xenial_p: needed",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    """What does not exist, is upstream's, of another product, or of a release that is not wanted."""
    assert said(line) == ([], {})


def test_lines_without_meaning_are_counted() -> None:
    """A new status, a new codename, a fix without a version."""
    states, unknown = said(
        "xenial_p: triaged", "zurg_p: needed", "xenial_q: released", "xenial_r: released (see notes)"
    )
    assert states == []
    assert unknown == {"status=triaged": 1, "release=zurg": 1, "version=": 1, "version=(see notes)": 1}


def test_a_fix_of_ubuntu_pro_stands_beside_the_release() -> None:
    """A version in round brackets is Pro's own; square ones hold that of the release."""
    states, _ = said("trusty_p: ignored (end of standard support)", "trusty/esm_p: released (1.2-3+esm1)")
    assert states == [State("14.04", "p", "None", True), State("14.04+esm", "p", "1.2-3+esm1")]
    states, _ = said("trusty_p: released (1.2-3)", "trusty/esm_p: released [1.2-3]")
    assert states == [State("14.04", "p", "1.2-3")]
    states, _ = said("trusty_p: needs-triage", "trusty/esm_p: not-affected (code not present)")
    assert states == [State("14.04", "p", "0")]


def test_a_package_may_have_a_priority_of_its_own() -> None:
    """It stands above the general one, even when it is lower."""
    states, _ = said("Priority: medium", "Priority_q: low (needs a file)", "xenial_p: needed", "xenial_q: needed")
    assert [(state.package, state.priority) for state in states] == [("p", "medium"), ("q", "low")]


@given(st.binary())
def test_any_file_is_read(content: bytes) -> None:
    """Whatever the tree holds, it is read or means nothing."""
    tracker.Reader(codenames.UBUNTU, lambda _: True, lambda *_: None).read("CVE-2020-0001", content)
