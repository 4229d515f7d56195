"""When a cycle is due, and in which order its drivers are started."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sync.scripted import Scripted
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.sync.schedule import longest_first, seconds_until_due

TIMES = st.floats(0, 1e10)


@pytest.mark.parametrize(
    ("now", "last", "wait"),
    [(1000, None, 0), (1000, 1000, 100), (1060, 1000, 40), (1100, 1000, 0), (9000, 1000, 0), (500, 1000, 100)],
    ids=["never", "just now", "partly", "due", "overdue", "clock set back"],
)
def test_a_cycle_is_due_so_long_after_the_last_one_began(now: float, last: float | None, wait: float) -> None:
    """A missed one is made up for at once."""
    assert seconds_until_due(now, last, 100) == wait


@given(TIMES, st.none() | TIMES, st.floats(1, 1e6))
def test_the_wait_is_never_negative_and_never_longer_than_the_interval(
    now: float, last: float | None, every: float
) -> None:
    """Whatever the clock does."""
    assert 0 <= seconds_until_due(now, last, every) <= every


def driver(called: str, *depends: str) -> Driver:
    """Return a driver of that name, of which only the name and what it waits for are read."""

    class Named(Scripted):
        name = called
        depends_on = depends

    return Named()


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        ({}, ["nvdv2", "alpine", "kev", "ubuntu"]),
        ({"nvdv2": 9, "ubuntu": 70, "kev": 80}, ["kev", "nvdv2", "ubuntu", "alpine"]),
        ({"nvdv2": 9, "ubuntu": 72, "kev": 80}, ["nvdv2", "kev", "ubuntu", "alpine"]),
    ],
    ids=["never ran", "alone the longest", "longest with what waits for it"],
)
def test_the_longest_way_to_the_end_begins_first(seconds: dict[str, float], order: list[str]) -> None:
    """A run counts with the longest of those that wait for it; before the first cycle nothing is known."""
    drivers = [driver("alpine", "nvdv2"), driver("kev"), driver("nvdv2"), driver("ubuntu", "nvdv2")]
    assert [found.name for found in longest_first(drivers, seconds)] == order


def test_drivers_that_wait_for_each_other_have_an_order() -> None:
    """So have those that wait for themselves, or for a driver that is off."""
    drivers = [driver("one", "two", "off"), driver("two", "one"), driver("three", "three")]
    assert [found.name for found in longest_first(drivers, {"three": 3, "two": 1})] == ["three", "one", "two"]
