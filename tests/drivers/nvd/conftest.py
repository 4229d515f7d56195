"""Fixtures of the NVD tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.nvd_runs import NVD, Feed
from vulnfeeds.testing.driver_suite import NOW
from vulnfeeds.testing.upstream import UpstreamSimulator

MakeFeed = Callable[..., Feed]


@pytest.fixture
def nvd() -> Iterator[NVD]:
    """An NVD with the sample's items, as API and as feed files."""
    newest = {item["cve"]["id"]: item for item in [*sample.YEAR, *sample.MODIFIED]}
    with UpstreamSimulator() as upstream:
        made = NVD(upstream, copy.deepcopy(list(newest.values())))
        made.feed_file("2024", sample.YEAR, "2024-08-26T03:00:01")
        made.feed_file("modified", sample.MODIFIED, "2024-08-29T06:00:02")
        yield made


@pytest.fixture
def feed(nvd: NVD, tmp_path: Path) -> MakeFeed:
    """Make a driver that asks that NVD at the time of the sample."""

    def make(name: str = "one", **settings: Any) -> Feed:
        made = Feed(tmp_path / name, nvd.upstream.address, **settings)
        made.now = NOW
        return made

    return make


@pytest.fixture
def replayed(replay: Any, tmp_path: Path) -> MakeFeed:
    """Make a driver that asks the replay, by the clock."""

    def make(name: str, **settings: Any) -> Feed:
        return Feed(tmp_path / name, replay.address, **settings)

    return make
