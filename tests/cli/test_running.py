"""What is due at a start, and what a run is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vulnfeeds.cli.compose import of_sample, paced, upstream_map
from vulnfeeds.cli.progress import Watcher
from vulnfeeds.cli.running import Cycles
from vulnfeeds.config import Settings, load
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.errors import SettingsError
from vulnfeeds.store import open_store
from vulnfeeds.store.opening import SQLStore

START = datetime(2026, 3, 12, 8, tzinfo=UTC)
EVERY = 7200.0


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at START."""
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[SQLStore]:
    """A store on either database, at the clock's time."""
    opened = open_store(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def cycles(store: SQLStore, tmp_path: Path) -> Cycles:
    """Cycles of two drivers."""
    settings = settings_of(tmp_path, VULNFEEDS_DRIVERS="kev,alpine")
    return Cycles(settings, load_drivers(), store, Watcher(), threading.Event())


def settings_of(home: Path, **environ: str) -> Settings:
    return load(None, {"VULNFEEDS_HOME": str(home), **environ}, load_drivers())


def run(store: SQLStore, driver: str, status: str = "completed") -> None:
    """Leave a task as a run does that ended at once."""
    store.close_task(store.open_task("DriverExecutionTask", driver=driver), status, {})


def test_everything_is_due_at_first(cycles: Cycles) -> None:
    """A store in which nothing ran yet has all drivers due."""
    assert sorted(cycles.due(START.timestamp())) == ["alpine", "kev"]
    assert cycles.seconds_until_due(START.timestamp()) == 0


def test_only_what_did_not_complete_is_due_after_a_restart(cycles: Cycles, store: SQLStore, clock: Clock) -> None:
    """A driver that completed lately can wait; one that failed is due at once."""
    run(store, "kev")
    run(store, "alpine", "failed")
    clock.now = START + timedelta(seconds=60)
    assert cycles.due(clock.now.timestamp()) == ["alpine"]
    run(store, "alpine")
    assert cycles.due(clock.now.timestamp()) == []
    assert cycles.seconds_until_due(clock.now.timestamp()) == EVERY - 60


def test_what_completed_long_ago_is_due_again(cycles: Cycles, store: SQLStore) -> None:
    """After `driver_sync` seconds a driver is due; a clock that was set back delays it no longer than that."""
    run(store, "kev")
    run(store, "alpine")
    assert sorted(cycles.due(START.timestamp() + EVERY)) == ["alpine", "kev"]
    assert cycles.seconds_until_due(START.timestamp() - 10 * EVERY) == EVERY


def test_nvd_is_paced_unless_told_otherwise(tmp_path: Path) -> None:
    """NVD's limits hold without a setting; a pace of one's own wins."""
    api = "services.nvd.nist.gov"
    assert paced(settings_of(tmp_path)).fetch.pace[api] == 6.0
    assert paced(settings_of(tmp_path, NVD_API_KEY="k")).fetch.pace[api] == 0.6
    assert paced(settings_of(tmp_path, VULNFEEDS_FETCH__PACE=f"{api}=1.5")).fetch.pace[api] == 1.5


def test_sample_keeps_to_itself(tmp_path: Path) -> None:
    """The sample takes nothing from the team's settings but what the command line says."""
    team = settings_of(
        tmp_path,
        VULNFEEDS_STORE="postgresql://team/feeds",
        VULNFEEDS_UPSTREAMS="www.cisa.gov=direct",
        VULNFEEDS_API_ONLY="true",
    )
    sample = of_sample(team, {})
    assert (sample.home, sample.store, sample.host) == (tmp_path / "sample", "", "127.0.0.1")
    assert upstream_map(sample).resolve("https://www.cisa.gov/x").file is not None
    assert not sample.api_only
    told = of_sample(team, {"home": tmp_path, "store": team.store, "host": team.host})
    assert (told.home, told.store, told.host) == (team.home, team.store, team.host)


def test_mirror_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    """A mirror of a kind that is not known is a settings error, before anything is asked."""
    with pytest.raises(SettingsError, match="ftp://"):
        upstream_map(settings_of(tmp_path, VULNFEEDS_UPSTREAM_MIRROR="ftp://mirror/"))
