"""The guard: thresholds hold exactly at their edges, and the text has the numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.drivers.interface import DriverSettings, Mode
from vulnfeeds.errors import GuardError
from vulnfeeds.sync.guard import GroupCounts, RunCounts, check

SETTINGS = DriverSettings()


def run(mode: Mode = Mode.FULL, reported: int = 5000, **facts: Any) -> RunCounts:
    """Return a run's counts; facts of GroupCounts make one group of them."""
    of_run = {name: facts.pop(name) for name in ("quarantined", "skipped_groups", "remade") if name in facts}
    groups = [GroupCounts("vulnerabilities", "debian:12", **facts)] if facts else []
    return RunCounts(mode=mode, reported=reported, groups=groups, **of_run)


PASSES: list[dict[str, Any]] = [
    {"live": 1000, "deleted": 200},
    {"live": 100, "deleted": 50},
    {"live": 50, "created": 10_000},
    {"live": 100, "created": 400},
    {"live": 1000, "updated": 1000},
    {"live": 10_000, "updated": 9000},
    {"live": 10_000, "updated": 10_000, "remade": True},
    {"live": 10_000, "rescored": 10_000},
    {"live": 0, "first": True, "created": 40_000},
    {"reported": 30, "quarantined": 20},
    {"reported": 9900, "quarantined": 100},
    {"reported": 0, "skipped_groups": 1},
    {"mode": Mode.DELTA, "reported": 0},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"live": 1000, "deleted": 201}, "debian:12: 201 of 1000 records withdrawn (max_shrink 0.2)"),
    ({"live": 51, "deleted": 51}, "debian:12: 51 of 51 records withdrawn (max_shrink 0.2)"),
    ({"live": 100, "created": 401}, "debian:12: grows from 100 to 501 records (max_growth 5)"),
    ({"live": 1100, "updated": 1001}, "debian:12: 1001 of 1100 records updated (max_updated 0.9)"),
    ({"live": 1000, "deleted": 900, "remade": True}, "debian:12: 900 of 1000 records withdrawn (max_shrink 0.2)"),
    ({"reported": 100, "quarantined": 21}, "21 of 121 records are refused (max_quarantined 0.01)"),
    ({"reported": 0}, "the run reports no record at all (0 refused)"),
    ({"reported": 0, "quarantined": 3}, "the run reports no record at all (3 refused)"),
]


@pytest.mark.parametrize("facts", PASSES)
def test_runs_within_the_thresholds_pass(facts: dict[str, Any]) -> None:
    """At a threshold is within it; floors protect small groups; a first publish has nothing to compare with."""
    check(run(**facts), SETTINGS)


@pytest.mark.parametrize(("facts", "text"), REFUSED)
def test_runs_beyond_a_threshold_are_refused_with_the_numbers(facts: dict[str, Any], text: str) -> None:
    """The error says group, numbers and threshold."""
    with pytest.raises(GuardError) as refused:
        check(run(**facts), SETTINGS)
    assert str(refused.value) == text


def test_every_group_beyond_a_threshold_is_named() -> None:
    """One text for the whole run, so that an operator sees all of it at once."""
    groups = [GroupCounts("vulnerabilities", f"alpine:3.{n}", live=100, deleted=60) for n in range(3)]
    with pytest.raises(GuardError, match=r"alpine:3\.0: .*; alpine:3\.1: .*; alpine:3\.2: "):
        check(RunCounts(mode=Mode.FULL, reported=1, groups=groups), SETTINGS)


def test_thresholds_are_the_drivers_own() -> None:
    """A driver whose upstream moves more may say so."""
    check(run(live=1000, deleted=900), DriverSettings(max_shrink=0.95))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_first_publish_passes_whatever_it_brings(created: int, updated: int, deleted: int) -> None:
    """Only the absolute checks apply to a group that was never published."""
    check(run(first=True, created=created, updated=updated, deleted=deleted), SETTINGS)
