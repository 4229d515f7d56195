"""Drivers alma, rocky, echo and those of rolling distributions on the replay: amounts, days, and faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.drivers.driver_runs import Upstreams, bodies
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.registry import load_driver
from vulnfeeds.errors import UpstreamError

EXPECTED = {
    "alma": {"alma:8": 2043},
    "rocky": {"rocky:8": 666, "rocky:9": 100},
    "wolfi": {"wolfi:rolling": 59},
    "chainguard": {"chainguard:rolling": 189},
    "minimos": {"minimos:rolling": 59},
    "secureos": {"secureos:rolling": 17},
    "echo": {"echo:rolling": 25},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_days_and_faults(name: str, replay: Any, upstreams: Callable[[type[Driver]], Upstreams]) -> None:
    """Day 1 whole; day 2, on which these upstreams are the same, nothing; and no fault is taken for a document."""
    driver = load_driver(name)
    run = upstreams(driver)
    records, context = run.run()
    assert Counter(group for group, _ in bodies(records)) == EXPECTED[name]
    assert context.covered == {("vulnerabilities", group) for group in EXPECTED[name]}
    assert (context.unknown_values, context.notes, context.skipped) == ({}, [], {})
    replay.day(2)
    assert run.run()[0] == []
    run.checkpoint = None
    address = driver.upstreams[0].removeprefix("https://")
    for fault in ("status:503", "truncate", "html", "empty"):
        replay.clear()
        replay.fault(f"{fault}:{address}")
        if driver.name == "alma" and fault == "truncate":
            # The archive is sent by the host that upstream redirects to.
            replay.fault("truncate:codeload.github.com")
        for file in run.workspace.glob("*.validators.json"):
            file.unlink()
        with pytest.raises(UpstreamError):
            run.run()
    replay.clear()
    again, _ = run.run()
    assert bodies(again) == bodies(records)
