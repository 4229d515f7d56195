"""Fixtures of the tests of fetching: a simulated upstream and a clock that moves only by waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_time import FakeTime

from vulnfeeds.testing.upstream import UpstreamSimulator


@pytest.fixture
def upstream() -> Iterator[UpstreamSimulator]:
    """Upstreams on the loopback address, without documents."""
    with UpstreamSimulator() as simulator:
        yield simulator


@pytest.fixture
def fake_time() -> FakeTime:
    """A clock that moves only when somebody waits."""
    return FakeTime()
