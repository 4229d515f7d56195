"""The campaign and the year of cycles in short: every kind of step once or twice, some days instead of a year."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest
from benchmarks.campaign import steps, upstream
from benchmarks.campaign.__main__ import campaign
from benchmarks.campaign.readers import DeltaClient, LawBrokenError, Walk
from benchmarks.campaign.world import MARGINS, Saved

from benchmarks import endurance

pytestmark = pytest.mark.timeout(300)
SECONDS = 30.0
"""After which a campaign ends early on a machine that is very slow."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a database server of another user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-campaign-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize(("store", "seed"), [("sqlite", 1), ("postgres", 2)])
def test_no_law_breaks_whatever_happens(store: str, seed: int, folder: Path) -> None:
    """Every kind of step, in the seed's order: kills, restarts, clock steps, full disk, a store that goes.

    On SQLite the campaign stops half way and goes on, as it does with --resume. These seeds step clocks by
    up to three hours each way.
    """
    until = time.monotonic() + SECONDS
    saved = Saved(seed=seed, store=store)
    every = sum(steps.SHORT.values())
    if store == "sqlite":
        campaign(folder, saved, until=until, last_step=every // 2, short=True)
        saved = msgspec.json.decode((folder / "campaign.json").read_bytes(), type=Saved)
    counts = campaign(folder, saved, until=until, last_step=every, short=True)
    assert counts["generations"] >= 3
    assert saved.margin == max(MARGINS)


def test_the_same_seed_gives_the_same_steps() -> None:
    """The order of a lap depends on seed and lap only, and every kind of step is in it."""
    lap = steps.deck(steps.WEIGHTS, 5, 0)
    assert lap == steps.deck(steps.WEIGHTS, 5, 0)
    assert lap != steps.deck(steps.WEIGHTS, 5, 1)
    assert set(lap) == set(steps.WEIGHTS) == set(steps.SHORT)


def test_the_judges_see_what_is_wrong() -> None:
    """A walk that lacks a record, has a wrong one or mixes generations is found out, and so is a lost change."""
    states: dict[int, upstream.State] = {1: {"a": "1", "b": "1"}, 2: {"a": "2", "b": "2"}}
    for got, undisturbed in (
        ({"a": "1"}, True),
        ({"a": "1", "b": "2"}, True),
        ({"a": "1"}, False),
        ({"a": "3"}, False),
    ):
        walk = Walk("group", 1, encoding="gzip", limit=None)
        walk.got.update(got)
        walk.undisturbed = undisturbed
        with pytest.raises(LawBrokenError):
            walk.judge(states)
    mixed = Walk("group", 1, encoding="gzip", limit=None)
    mixed.got.update({"a": "1", "b": "2"})
    mixed.undisturbed = False
    mixed.judge(states)


def test_the_judge_of_deltas_sees_what_is_wrong() -> None:
    """A client that was in sync must be so again; a first sync that outlived its generation may mix, not miss."""
    states: dict[int, upstream.State] = {1: {"a": "1", "b": "1"}, 2: {"a": "2", "b": "2"}}
    client = DeltaClient("group", 10, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    client.begin(1)
    client.state = {"a": "1", "b": "2"}
    with pytest.raises(LawBrokenError):
        client.judge(states)
    client.undisturbed = False
    client.judge(states)
    for wrong in ({"a": "1"}, {"a": "3", "b": "2"}):
        client.state = dict(wrong)
        with pytest.raises(LawBrokenError):
            client.judge(states)
    client.since = "2026-01-01"
    client.begin(2)
    client.undisturbed = False
    client.state = {"a": "2", "b": "1"}
    with pytest.raises(LawBrokenError):
        client.judge(states)


def test_the_model_withdraws_what_a_full_driver_does_not_name() -> None:
    """FULL takes away what is missing, DELTA leaves it."""
    before: upstream.States = {"g": {"a": "1", "b": "1"}}
    assert upstream.after("alpha", {"g": {"a": "2"}}, before) == {"g": {"a": "2", "b": None}}
    assert upstream.after("beta", {"g": {"a": "2"}}, before) == {"g": {"a": "2", "b": "1"}}


def test_cycles_leave_nothing_growing(tmp_path: Path) -> None:
    """Some days of cycles with the default retention: generations and page files stay at a day's worth."""
    points = endurance.live(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}", cycles=36, seed=2, points=3)
    assert [point.cycles for point in points] == [12, 24, 36]
    last, day = points[-1], points[1]
    assert last.pages <= endurance.BOUND * day.pages
    assert last.rows["pages"] <= endurance.BOUND * day.rows["pages"]


def test_a_bound_that_does_not_hold_is_told() -> None:
    """A figure that grew by half from the second to the last quarter is named."""

    def point(cycles: int, memory: int) -> endurance.Point:
        rows = dict.fromkeys(endurance.TABLES, 10)
        return endurance.Point(cycles, 100, 1, 50, rows, 5, 500, 900, memory, 0.1)

    points = [point(number, 100 + 10 * number) for number in range(12)]
    assert [line.partition(":")[0] for line in endurance.broken_bounds(points)] == ["memory"]


def test_pruned_space_is_used_again_and_vacuum_gives_it_back(tmp_path: Path) -> None:
    """As the documentation says: the file does not shrink by itself, does not grow either, and VACUUM shrinks it."""
    file = tmp_path / "store.sqlite"
    year = endurance.Year(tmp_path, f"sqlite:///{file}", 1, documents=False)
    rng = Random(1)

    def replace_all() -> None:
        for versions in year.script.values():
            versions.update({key: f"{rng.random()}-r0" for key in versions})
        upstream.write_script(tmp_path / "upstream", "alpha", year.script)
        year.cycle(4)

    def size() -> int:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.stat().st_size

    try:
        sizes = []
        for _ in range(6):
            replace_all()
            year.forget_all()
            sizes.append(size())
        assert max(sizes[2:]) <= 1.1 * sizes[1]
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("VACUUM")
        assert size() < 0.8 * sizes[-1]
        replace_all()
    finally:
        year.store.close()
