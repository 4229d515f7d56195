"""Supervision of real child processes: whatever a run does, its task ends and nothing of it survives."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sync import children, scripted
from tests.sync.test_run import script, state, versions
from vulnfeeds.store.interface import Store, TaskFilter
from vulnfeeds.store.opening import SQLStore
from vulnfeeds.sync.worker import ABORTED, RunOutcome, supervise


def start(
    store: SQLStore,
    home: Path,
    url: str,
    do: str = "run",
    *,
    order: Any = None,
    task_id: int | None = None,
    **options: Any,
) -> RunOutcome:
    """Supervise a child that does this."""
    if task_id is None:
        task_id = store.open_task("DriverExecutionTask", driver="scripted", feed="vulnerabilities")
    told = {
        "do": do,
        "url": url,
        "owner": store.owner,
        "home": str(home),
        "driver": "scripted",
        "task_id": task_id,
    }
    options = {"deadline_seconds": 60, "memory_mb": 1024, **options}
    return supervise(children.enter, order or told, store=store, task_id=task_id, **options)


def last(store: Store) -> tuple[str, dict[str, Any]]:
    """Return status and result of the newest task."""
    task = store.tasks(TaskFilter())[0]
    assert task.result is not None
    return task.status, task.result


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_that(condition: Any, seconds: float = 20) -> bool:
    """Return whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_child_publishes(store: SQLStore, store_url: str, tmp_path: Path) -> None:
    """As its supervisor's helper; progress comes through, and what it took is in the outcome and the task."""
    scripted.write_script(tmp_path, "scripted", script(range(10)))
    told: list[dict[str, Any]] = []
    outcome = start(store, tmp_path, store_url, on_progress=told.append)
    assert outcome.status == "completed"
    assert outcome.result["changes"] == {"test:1": {"created": 10, "updated": 0, "deleted": 0}}
    assert len(versions(store)) == 10
    assert told[0]["phase"] == "begun"
    assert told[-1]["phase"] == "publish"
    status, result = last(store)
    assert status == "completed"
    assert result["peak_mb"] > 1
    assert result["cpu_seconds"] > 0
    assert outcome.seconds > 0


FAILURES = [
    ("exit", "CrashError", "the run's process ended with exit code 7 and no answer"),
    ("kill", "CrashError", "the run's process was ended by SIGKILL"),
    ("raise", "ValueError", "ValueError: broken"),
    ("hog", "MemoryCeilingError", "the run needed more memory than its driver may (memory_mb)"),
]


@pytest.mark.parametrize(("do", "error_class", "text"), FAILURES)
def test_a_child_that_goes_wrong_leaves_a_failed_task(
    sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path, do: str, error_class: str, text: str
) -> None:
    """With the class and the reason."""
    outcome = start(sqlite_store, tmp_path, sqlite_url, do, memory_mb=512)
    assert (outcome.status, outcome.result["error_class"], outcome.result["error"]) == ("failed", error_class, text)
    status, result = last(sqlite_store)
    assert (status, result["error"]) == ("failed", text)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see a child's memory")
def test_memory_that_no_limit_counts_is_seen(sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path) -> None:
    """The supervisor looks at the resident memory."""
    outcome = start(sqlite_store, tmp_path, sqlite_url, "hog slowly", memory_mb=200)
    assert outcome.result["error_class"] == "MemoryCeilingError"
    assert "its driver may take 200 (memory_mb)" in outcome.result["error"]
    assert outcome.peak_mb > 200


@pytest.mark.parametrize("do", ["hang", "native"])
def test_a_child_that_hangs_is_ended_at_its_deadline(
    sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path, do: str
) -> None:
    """Also in native code that never lets the interpreter go."""
    outcome = start(sqlite_store, tmp_path, sqlite_url, do, deadline_seconds=1.5)
    assert outcome.result["error_class"] == "DeadlineError"
    assert last(sqlite_store)[0] == "failed"


def test_a_child_that_cannot_even_begin_says_why(sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path) -> None:
    """A module that cannot be imported there."""
    outcome = start(sqlite_store, tmp_path, sqlite_url, order=children.Unreadable())
    assert outcome.result["error_class"] == "ModuleNotFoundError"
    assert "no_such_module_anywhere" in outcome.result["error"]
    assert last(sqlite_store) == ("failed", outcome.result)


def test_a_run_that_published_has_completed_whatever_its_process_does_then(
    sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path
) -> None:
    """A process that does not end after its answer is ended."""
    scripted.write_script(tmp_path, "scripted", script(range(10)))
    outcome = start(sqlite_store, tmp_path, sqlite_url, "linger", grace_seconds=0.5)
    assert (outcome.status, last(sqlite_store)[0]) == ("completed", "completed")
    assert len(versions(sqlite_store)) == 10


def test_a_stop_of_the_service_ends_the_run(sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path) -> None:
    """The task says so in the original's words, and what the run had started is gone with it."""
    stop = threading.Event()
    threading.Thread(target=lambda: (await_that((tmp_path / "grandchild").exists), stop.set()), daemon=True).start()
    outcome = start(sqlite_store, tmp_path, sqlite_url, "spawn", stop=stop)
    assert outcome.result["error"] == ABORTED
    assert last(sqlite_store)[1]["error"] == ABORTED
    grandchild = int((tmp_path / "grandchild").read_text())
    assert await_that(lambda: not is_alive(grandchild))


def test_nothing_survives_a_service_that_is_killed(sqlite_store: SQLStore, sqlite_url: str, tmp_path: Path) -> None:
    """Child and grandchild die with it; the next cycle ends its task."""
    service = subprocess.Popen(
        [sys.executable, "-m", "tests.sync.children", sqlite_url, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    try:
        assert await_that(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "child").exists())
        pids = [int((tmp_path / name).read_text()) for name in ("child", "grandchild")]
        assert all(map(is_alive, pids))
    finally:
        service.kill()
        service.wait()
    assert await_that(lambda: not any(map(is_alive, pids)))
    assert len(sqlite_store.abort_orphans()) == 1
    assert last(sqlite_store) == ("failed", {"error": ABORTED})


@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_at_a_random_instant_is_whole_or_nothing(
    store: SQLStore, store_url: str, tmp_path: Path, seed: int
) -> None:
    """Readers see the state before it or the state after it, and the next run finishes the work."""
    scripted.write_script(tmp_path, "scripted", script(range(1000)))
    scripted.run(store, tmp_path)
    before = state(store)
    scripted.write_script(tmp_path, "scripted", script(range(1500), version="2.0", pause=0.0002))
    moment = random.Random(seed).uniform(0.0, 0.9)
    pids: list[int] = []

    def kill_later(said: dict[str, Any]) -> None:
        if "pid" in said:
            pids.append(said["pid"])
            threading.Timer(moment, _kill, args=(said["pid"],)).start()

    outcome = start(store, tmp_path, store_url, on_progress=kill_later)
    _, result = last(store)
    if outcome.status == "failed":
        assert result["error_class"] == "CrashError"
        assert state(store) == before
    else:
        assert len(versions(store)) == 1500
    scripted.run(store, tmp_path)
    assert list(versions(store).values()) == ["2.0"] * 1500
    assert list((tmp_path / "staging").iterdir()) == []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
