"""What tasks must be: one run of a driver at a time, an end for each, none left running by the dead."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from vulnfeeds.errors import DriverBusyError
from vulnfeeds.store import ownership
from vulnfeeds.store.interface import QuarantineRow, TaskFilter
from vulnfeeds.testing.storing.scene import FEED, GROUP, NOON, Scene, SceneFixture

_RUN = "DriverExecutionTask"
_CYCLE = "FeedSyncTask"
_ABORTED = {"error": "task aborted due to service restart"}


class TasksSuite(SceneFixture):
    """Tests of tasks and of the quarantine."""

    def test_a_task_from_start_to_end(self, scene: Scene) -> None:
        """It is running from the start, shows progress, and ends once with a result."""
        store = scene.store
        cycle = store.open_task(_CYCLE)
        run = store.open_task(_RUN, driver="alpine", feed=FEED, parent=cycle)
        assert (cycle, run) == (1, 2)
        store.progress(run, {"phase": "parse", "done": 7})
        task = store.tasks(TaskFilter(task_id=run))[0]
        assert (task.task_type, task.status, task.started_at, task.ended_at) == (_RUN, "running", NOON, None)
        assert (task.driver_id, task.feed_id, task.parent_task_id, task.result) == ("alpine", FEED, cycle, None)
        assert task.progress == {"phase": "parse", "done": 7}
        end = scene.clock.move(minutes=5)
        assert store.close_task(run, "failed", {"error": "x \0 é"})
        assert not store.close_task(run, "completed", {})
        assert not store.close_task(99, "completed", {})
        task = store.children(cycle)[0]
        assert (task.status, task.ended_at, task.result) == ("failed", end, {"error": "x \0 é"})
        store.progress(run, {"phase": "late"})
        assert store.tasks(TaskFilter(task_id=run))[0].progress == {"phase": "parse", "done": 7}

    def test_tasks_are_found_by_any_mix_of_terms(self, scene: Scene) -> None:
        """All terms must hold; newest first; the limit keeps the newest."""
        store = scene.store
        for number in range(1, 9):
            parent = store.open_task(_CYCLE)
            run = store.open_task(_RUN, driver=f"d{number % 2}", feed=f"f{number % 3}", parent=parent)
            if number < 7:
                store.close_task(run, "completed" if number % 2 else "failed", {})
        everything = [task.task_id for task in store.tasks(TaskFilter())]
        assert everything == list(range(16, 0, -1))

        def ids(limit: int | None = None, **terms: Any) -> list[int]:
            return [task.task_id for task in store.tasks(TaskFilter(**terms), limit=limit)]

        assert ids(task_type=_RUN, status="running") == [16, 14]
        assert ids(driver_id="d1") == [14, 10, 6, 2]
        assert ids(driver_id="d1", feed_id="f1") == [14, 2]
        assert ids(after_id=3, before_id=6) == [5, 4]
        assert ids(task_id=4, status="failed") == [4]
        assert ids(task_id=4, status="completed") == []
        assert ids(limit=2, task_type=_CYCLE) == [15, 13]
        assert ids(limit=0) == []
        assert [task.task_id for task in store.children(3)] == [4]
        assert store.children(999) == []

    def test_one_run_of_a_driver_at_a_time(self, scene: Scene) -> None:
        """A second one is refused until the first ends, from this process or another; others run beside it."""
        store = scene.store
        run = store.open_task(_RUN, driver="alpine")
        for other in (store, scene.another_store()):
            with pytest.raises(DriverBusyError, match="alpine"):
                other.open_task(_RUN, driver="alpine")
        store.open_task(_RUN, driver="debian")
        store.open_task(_CYCLE)
        store.open_task(_CYCLE)
        store.close_task(run, "completed", {})
        store.open_task(_RUN, driver="alpine")

    def test_of_many_that_open_at_once_one_runs(self, scene: Scene) -> None:
        """Stores that open a driver's task at the same moment: one gets it, the others get DriverBusyError."""
        stores = [scene.another_store() for _ in range(6)]
        barrier = threading.Barrier(len(stores))
        outcomes: list[str] = []

        def run(place: int) -> None:
            barrier.wait(30)
            try:
                stores[place].open_task(_RUN, driver="alpine")
                outcomes.append("open")
            except DriverBusyError:
                outcomes.append("busy")

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(outcomes) == ["busy"] * 5 + ["open"]

    def test_tasks_of_a_dead_process_are_failed(self, scene: Scene) -> None:
        """Their end stays unknown; those of living processes go on, and the driver can run again."""
        dead = scene.another_store(dead_owner())
        cycle = dead.open_task(_CYCLE)
        run = dead.open_task(_RUN, driver="alpine", parent=cycle)
        mine = scene.store.open_task(_RUN, driver="debian")
        assert scene.store.abort_orphans() == [cycle, run]
        assert scene.store.abort_orphans() == []
        task = scene.store.tasks(TaskFilter(task_id=run))[0]
        assert (task.status, task.result, task.ended_at) == ("failed", _ABORTED, None)
        assert scene.store.tasks(TaskFilter(task_id=mine))[0].status == "running"
        scene.store.open_task(_RUN, driver="alpine")

    def test_a_dead_process_does_not_keep_its_driver(self, scene: Scene) -> None:
        """Opening a driver's task fails the orphan by the way."""
        orphan = scene.another_store(dead_owner()).open_task(_RUN, driver="alpine")
        scene.store.open_task(_RUN, driver="alpine")
        assert scene.store.tasks(TaskFilter(task_id=orphan))[0].result == _ABORTED

    def test_an_owner_elsewhere_lives_as_long_as_it_beats(self, scene: Scene) -> None:
        """On another host only the beat tells: within a minute of the last one the task is left alone."""
        elsewhere = scene.another_store("elsewhere.example:1:x")
        run = elsewhere.open_task(_RUN, driver="alpine")
        scene.clock.move(seconds=59)
        assert scene.store.abort_orphans() == []
        elsewhere.beat([run])
        scene.clock.move(seconds=59)
        elsewhere.progress(run, {})
        scene.clock.move(seconds=59)
        elsewhere.beat([])
        with pytest.raises(DriverBusyError):
            scene.store.open_task(_RUN, driver="alpine")
        scene.clock.move(seconds=2)
        assert scene.store.abort_orphans() == [run]

    def test_quarantine_keeps_what_was_refused(self, scene: Scene) -> None:
        """Records and runs, newest first, with bodies only when one is asked for by its id."""
        rows = [_refused("a", b"\x00\xff{"), _refused("b", None), _refused(None, b"{}", kind="run", driver="kev")]
        ids = scene.store.quarantine(rows)
        listed = scene.store.quarantined()
        assert [row.id for row in listed] == ids[::-1]
        assert {row.body for row in listed} == {None}
        assert [row.key for row in scene.store.quarantined(driver="debian")] == ["b", "a"]
        one = scene.store.quarantined(id=ids[0])[0]
        assert (one.key, one.body, one.created_at, one.reason) == ("a", b"\x00\xff{", NOON, "no name")
        assert scene.store.quarantined(id=ids[0], driver="kev") == []
        assert scene.store.drop_quarantined([ids[0], ids[2], 999]) == 2
        assert [row.id for row in scene.store.quarantined()] == [ids[1]]
        assert scene.store.drop_quarantined([]) == 0

    def test_quarantine_takes_text_that_no_database_takes(self, scene: Scene) -> None:
        """U+0000 and lone surrogates, often the very reason of the refusal, do not stop it."""
        scene.store.quarantine([_refused("a\0b\ud800", b"x", reason="\0")])
        row = scene.store.quarantined()[0]
        assert (row.key, row.reason) == ("a\ufffdb?", "\ufffd")

    def test_a_record_that_is_refused_again_has_one_row(self, scene: Scene) -> None:
        """The newer row takes the older one's place; other keys, groups and drivers keep theirs."""
        first = scene.store.quarantine([_refused("a", b"1"), _refused("b", b"1"), _refused("a", b"1", driver="x")])
        second = scene.store.quarantine([_refused("a", b"2")])
        assert [row.id for row in scene.store.quarantined()] == [second[0], first[2], first[1]]


def dead_owner() -> str:
    """Return the owner string of a process that has ended."""
    code = "from vulnfeeds.store.ownership import this_process; print(this_process())"
    owner = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    assert ownership.is_gone(owner)
    return owner


def _refused(
    key: str | None, raw: bytes | None, *, kind: str = "record", driver: str = "debian", reason: str = "no name"
) -> QuarantineRow:
    feed, group = (None, None) if key is None else (FEED, GROUP)
    return QuarantineRow(0, kind, driver, 1, reason, NOON, feed, group, key, raw)
