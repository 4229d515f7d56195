"""A cycle on a real store: order, isolation, what its task says, and how it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sync import children, scripted
from tests.sync.test_run import script, versions
from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, Unchanged
from vulnfeeds.errors import StoreError
from vulnfeeds.publish.grypedb.errors import ArchiveError
from vulnfeeds.records.record import Record
from vulnfeeds.store.interface import Store, TaskFilter
from vulnfeeds.store.opening import SQLStore, open_store
from vulnfeeds.sync.cycle import CycleResult, next_ready, run_cycle
from vulnfeeds.sync.worker import ABORTED, RunOutcome, supervise

Behave = Callable[[int], RunOutcome]


def driver(called: str, *depends: str) -> Driver:
    """Return a driver of that name; it is never fetched or parsed here."""

    class Named(Driver):
        name = called
        feeds = (f"feed-{called}",)
        depends_on = depends

        def fetch(self, context: Context) -> Checkpoint | Unchanged:
            """Not called."""
            raise AssertionError

        def parse(self, context: Context) -> Iterator[Record]:
            """Not called."""
            raise AssertionError

    return Named()


class Runs:
    """Ends runs as each driver's behaviour says, and notes when they began and ended."""

    def __init__(self, store: Store, **behaviours: Behave) -> None:
        self._store = store
        self._behaviours = behaviours
        self.log: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, driver: Driver, task_id: int, forced: bool) -> RunOutcome:
        """Be `start_run`."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.log.append(f"+{driver.name}{'!' if forced else ''}")
        try:
            return self._behaviours.get(driver.name, self.complete)(task_id)
        finally:
            with self._lock:
                self._now -= 1
                self.log.append(f"-{driver.name}")

    def complete(self, task_id: int) -> RunOutcome:
        """End well."""
        return self._end(task_id, "completed", {"changes": {}})

    def fail(self, task_id: int) -> RunOutcome:
        """End badly."""
        return self._end(task_id, "failed", {"error": "bad"})

    def _end(self, task_id: int, status: str, result: dict[str, Any]) -> RunOutcome:
        self._store.close_task(task_id, status, result)
        return RunOutcome(status, result, 0.1, 1.0)


def slowly(behave: Behave, seconds: float = 0.3) -> Behave:
    """Return a behaviour that takes a while."""

    def wait(task_id: int) -> RunOutcome:
        time.sleep(seconds)
        return behave(task_id)

    return wait


def broken(task_id: int) -> RunOutcome:
    """Fail in the supervising thread itself."""
    raise OSError("no more processes")


def test_a_cycle_tells_what_became_of_each_driver(store: SQLStore) -> None:
    """It is completed even though drivers failed; its runs are sub-tasks with their feeds."""
    runs = Runs(store)
    runs = Runs(store, bad=runs.fail, broken=broken)
    names = ["bad", "broken", "good"]
    ended = run_cycle(store, [driver(name) for name in names], runs, disabled=["off"])
    assert (ended.status, ended.completed, ended.failed) == ("completed", ("good",), ("bad", "broken"))
    [cycle] = store.tasks(TaskFilter(task_type="FeedSyncTask"))
    assert (cycle.status, cycle.feed_id, cycle.driver_id) == ("completed", None, None)
    assert cycle.result == {
        "completed_drivers": ["good"],
        "failed_drivers": ["bad", "broken"],
        "skipped_drivers": ["off"],
        "skipped_reasons": {"off": "disabled"},
    }
    subs = {task.driver_id: task for task in store.children(cycle.task_id)}
    assert {name: task.status for name, task in subs.items()} == {
        "bad": "failed",
        "broken": "failed",
        "good": "completed",
    }
    assert subs["good"].feed_id == "feed-good"
    assert subs["broken"].result is not None
    assert subs["broken"].result["error"] == "OSError: no more processes"


class Last:
    """A last run of a cycle that is due or not, and ends as a behaviour says."""

    name = "database"
    feed = "feed-database"

    def __init__(self, due: Callable[[], bool], behave: Behave) -> None:
        self.is_due = due
        self.start = behave


def test_the_last_run_comes_when_all_drivers_have_ended(store: SQLStore) -> None:
    """Whatever became of them; it is a task of the cycle like theirs."""
    runs = Runs(store)
    runs = Runs(store, bad=runs.fail, slow=slowly(runs.complete, 0.1))
    seen: list[str] = []

    def last(task_id: int) -> RunOutcome:
        seen.extend(runs.log)
        return runs.complete(task_id)

    ended = run_cycle(store, [driver("bad"), driver("slow")], runs, final=Last(lambda: True, last))
    assert {"-bad", "-slow"} <= set(seen)
    assert (ended.completed, ended.failed) == (("database", "slow"), ("bad",))
    (task,) = [task for task in store.children(ended.task_id) if task.driver_id == "database"]
    assert (task.status, task.feed_id) == ("completed", "feed-database")


def test_a_last_run_that_is_not_due_is_no_task(sqlite_store: SQLStore) -> None:
    """Nothing changed, so there is nothing to tell."""
    runs = Runs(sqlite_store)
    ended = run_cycle(sqlite_store, [driver("good")], runs, final=Last(lambda: False, broken))
    assert (ended.completed, ended.failed) == (("good",), ())


@pytest.mark.parametrize("where", ["asked", "spoilt", "started"])
def test_a_last_run_that_fails_leaves_the_cycle_as_it_is(sqlite_store: SQLStore, where: str) -> None:
    """It is one failure of the cycle, with its reason."""

    def asked() -> bool:
        if where == "asked":
            raise StoreError("the store is gone")
        if where == "spoilt":
            raise ArchiveError("archives.json cannot be read")
        return True

    ended = run_cycle(sqlite_store, [driver("good")], Runs(sqlite_store), final=Last(asked, broken))
    assert (ended.status, ended.completed, ended.failed) == ("completed", ("good",), ("database",))
    reasons = {
        "asked": "the store is gone",
        "spoilt": "archives.json cannot be read",
        "started": "no more processes",
    }
    assert reasons[where] in ended.outcomes["database"].result["error"]


def test_a_stopped_cycle_has_no_last_run(sqlite_store: SQLStore) -> None:
    """A service that ends builds nothing more."""
    stop = threading.Event()
    stop.set()
    ended = run_cycle(sqlite_store, [], Runs(sqlite_store), stop=stop, final=Last(lambda: True, broken))
    assert ended.outcomes == {}


def test_independent_drivers_run_in_parallel_up_to_the_workers(sqlite_store: SQLStore) -> None:
    """Two at a time here."""
    both = threading.Barrier(2, timeout=10)
    runs = Runs(sqlite_store)

    def meet(task_id: int) -> RunOutcome:
        both.wait()
        return runs.complete(task_id)

    runs = Runs(sqlite_store, a=meet, b=meet)
    ended = run_cycle(sqlite_store, [driver(name) for name in "abcd"], runs, workers=2)
    assert ended.completed == ("a", "b", "c", "d")
    assert runs.most == 2


@pytest.mark.parametrize("outcome", ["complete", "fail"])
def test_a_driver_waits_for_those_that_it_reads(sqlite_store: SQLStore, outcome: str) -> None:
    """Whatever becomes of them; others use the time."""
    runs = Runs(sqlite_store)
    runs = Runs(sqlite_store, nvdv2=slowly(getattr(runs, outcome)))
    run_cycle(sqlite_store, [driver("alpine", "nvdv2"), driver("kev"), driver("nvdv2")], runs, workers=3)
    assert runs.log.index("-kev") < runs.log.index("-nvdv2") < runs.log.index("+alpine")


def test_patience_with_a_dependency_ends(sqlite_store: SQLStore) -> None:
    """Then the driver goes on with what the store holds."""
    runs = Runs(sqlite_store)
    runs = Runs(sqlite_store, nvdv2=slowly(runs.complete, 1.0))
    run_cycle(sqlite_store, [driver("nvdv2"), driver("alpine", "nvdv2")], runs, patience_seconds=0.1)
    assert runs.log.index("+alpine") < runs.log.index("-nvdv2")


def test_drivers_that_wait_for_each_other_run_all_the_same(sqlite_store: SQLStore) -> None:
    """One after the other."""
    runs = Runs(sqlite_store)
    ended = run_cycle(sqlite_store, [driver("a", "b"), driver("b", "a")], runs)
    assert ended.completed == ("a", "b")


def test_only_some_drivers_and_forced(sqlite_store: SQLStore) -> None:
    """As `vulnfeeds sync alpine --force` asks; what they depend on is not waited for then."""
    runs = Runs(sqlite_store)
    run_cycle(sqlite_store, [driver("nvdv2"), driver("alpine", "nvdv2")], runs, only=["alpine"], forced=True)
    assert runs.log == ["+alpine!", "-alpine"]


def test_a_driver_that_runs_elsewhere_is_skipped(store: SQLStore) -> None:
    """With the reason in the result."""
    store.open_task("DriverExecutionTask", driver="busy")
    ended = run_cycle(store, [driver("busy"), driver("good")], Runs(store))
    assert (ended.completed, list(ended.skipped)) == (("good",), ["busy"])
    assert "is being run by task" in ended.result["skipped_reasons"]["busy"]


def test_tasks_that_a_dead_service_left_are_ended_first(sqlite_store: SQLStore, sqlite_url: str) -> None:
    """So that their drivers are not taken for busy."""
    dead = open_store(sqlite_url, owner="another-host:1:x", clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    left = dead.open_task("DriverExecutionTask", driver="kev")
    dead.close()
    ended = run_cycle(sqlite_store, [driver("kev")], Runs(sqlite_store))
    assert ended.completed == ("kev",)
    assert sqlite_store.tasks(TaskFilter(task_id=left))[0].status == "failed"


def test_a_stop_ends_the_cycle_in_order(sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path) -> None:
    """What runs is ended, what waits does not start, and every task says that the service stopped."""
    stop = threading.Event()
    store = sqlite_store

    def start(run: Driver, task_id: int, forced: bool) -> RunOutcome:
        order = {"do": "hang", "home": str(tmp_path)}
        return supervise(
            children.enter,
            order,
            store=store,
            task_id=task_id,
            deadline_seconds=60,
            memory_mb=512,
            on_progress=lambda said: stop.set(),
            stop=stop,
        )

    ended = run_cycle(store, [driver("a"), driver("b", "a")], start, stop=stop)
    assert (ended.status, ended.failed, ended.skipped) == ("failed", ("a",), {"b": ABORTED})
    for task in store.tasks(TaskFilter()):
        assert task.status == "failed"
        assert task.result is not None
        assert task.result["error"] == ABORTED


def test_a_cycle_of_processes(store: SQLStore, store_url: str, tmp_path: Path) -> None:
    """NVD first, then what takes its severities from it; a crash next to them harms nobody."""
    scripted.write_script(tmp_path, "nvd", {"CVE-2024-0001": ["High", 5.0]})
    scripted.write_script(tmp_path, "scripted", script([1], severity="Unknown"))

    class After(scripted.Scripted):
        depends_on = ("nvdv2",)

    def start(run: Driver, task_id: int, forced: bool) -> RunOutcome:
        order = {
            "do": "exit" if run.name == "crash" else "run",
            "url": store_url,
            "owner": store.owner,
            "home": str(tmp_path),
            "driver": run.name,
            "task_id": task_id,
        }
        return supervise(children.enter, order, store=store, task_id=task_id, deadline_seconds=60, memory_mb=1024)

    ended: CycleResult = run_cycle(store, [After(), driver("crash"), scripted.ScriptedNVD()], start)
    assert (ended.completed, ended.failed) == (("nvdv2", "scripted"), ("crash",))
    assert versions(store) == {"CVE-2024-0001": "1.0"}
    version = store.record("vulnerabilities", "test:1", "CVE-2024-0001")
    assert version is not None
    assert b'"Severity":"High"' in version.body


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.sets(NAMES), min_size=1))
def test_every_driver_gets_its_turn(graph: dict[str, set[str]]) -> None:
    """Whatever depends on whatever, even on itself or on drivers that are not there."""
    waiting = [driver(name, *sorted(depends)) for name, depends in graph.items()]
    done: list[str] = []
    while waiting:
        ready = next_ready(waiting, [])
        assert ready is not None
        waiting.remove(ready)
        done.append(ready.name)
    assert sorted(done) == sorted(graph)


@given(st.lists(NAMES, unique=True, min_size=2), st.data())
def test_dependencies_come_first(names: list[str], data: st.DataObject) -> None:
    """When no driver depends on itself by detours."""
    graph = {
        name: data.draw(st.sets(st.sampled_from(names[:place]))) if place else set()
        for place, name in enumerate(names)
    }
    waiting = [driver(name, *sorted(graph[name])) for name in data.draw(st.permutations(names))]
    done: set[str] = set()
    while waiting:
        ready = next_ready(waiting, [])
        assert ready is not None
        assert graph[ready.name] <= done
        waiting.remove(ready)
        done.add(ready.name)


def test_nothing_is_ready_while_all_wait_for_what_runs() -> None:
    """Until that is not awaited any more."""
    waiting = [driver("alpine", "nvdv2")]
    assert next_ready(waiting, ["nvdv2"]) is None
    assert next_ready(waiting, []) is waiting[0]


def test_no_patience_is_lost_while_a_dependency_has_not_begun() -> None:
    """It goes first, however long others kept it waiting."""
    waiting = [driver("alpine", "nvdv2"), driver("nvdv2")]
    ready = next_ready(waiting, [])
    assert ready is not None
    assert ready.name == "nvdv2"
