"""Fixtures of the drivers' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import Upstreams
from vulnfeeds.drivers.interface import Driver


@pytest.fixture
def upstreams(replay: Any, tmp_path: Path) -> Callable[[type[Driver]], Upstreams]:
    """Make a driver that asks the replay."""

    def make(driver: type[Driver]) -> Upstreams:
        return Upstreams(driver, replay.address, tmp_path / driver.name)

    return make
