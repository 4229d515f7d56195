"""When a cycle is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.sync.schedule import seconds_until_due

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
