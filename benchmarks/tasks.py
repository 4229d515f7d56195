"""How fast the tasks API answers every filter while the store holds many tasks, on both stores.

python -m benchmarks.tasks [--tasks N] [--rounds N]

The tasks are those of a service that runs cycle after cycle: each with 20 runs, one in 50 failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import free_port, postgres, service_environment
from benchmarks.pages import cpu_seconds, wait_for
from vulnfeeds.store import open_store
from vulnfeeds.store.database import Database

RUNS = 20
MINUTE = 60_000_000
COLUMNS = (
    "task_type", "status", "feed_id", "driver_id", "parent_task_id", "started_at", "ended_at", "result", "progress",
    "owner", "beat_at",
)  # fmt: skip
RESULT = {"changes": {f"group:{number}": {"created": 1, "updated": 20, "deleted": 0} for number in range(12)}}


def main() -> None:
    """Fill a store of each kind, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    table = Table(title=f"GET /v1/tasks with {options.tasks:,} tasks in the store")
    for name in ("query", "store", "tasks", "p50 ms", "p99 ms", "CPU ms"):
        table.add_column(name, justify="left" if name in ("query", "store") else "right")
    with (
        tempfile.TemporaryDirectory(prefix="vulnfeeds-tasks-") as folder,
        postgres(Path(folder) / "server") as server,
    ):
        for name, url in (("SQLite", f"sqlite:///{folder}/store.sqlite"), ("PostgreSQL", server)):
            fill(url, options.tasks)
            with service(Path(folder), url) as (address, process):
                for query in queries(options.tasks):
                    table.add_row(query, name, *ask(f"{address}/v1/tasks?{query}", process, options.rounds))
    Console(width=110).print(table)


def queries(tasks: int) -> list[str]:
    """Return queries with every field of a filter, common and rare values."""
    filters = (
        "", "status=failed", "status=running", "status=completed", "driver_id=driver7", "driver_id=nobody",
        "task_type=FeedSyncTask", "task_type=WorkspaceConfigTask", "task_type=DriverExecutionTask",
        "feed_id=vulnerabilities", "feed_id=kev", "feed_id=nothing", f"task_id>{tasks - 50}", f"task_id<{tasks // 2}",
        f"task_id={tasks // 2}", "driver_id=driver7,status=failed", "feed_id=kev,status=failed",
        "status=failed,task_type=FeedSyncTask", "status=completed,feed_id=nothing",
    )  # fmt: skip
    found = [urlencode({name: value for name, value in (("filter", text), ("limit", 100)) if value}, safe="=<>,")
             for text in filters]  # fmt: skip
    return [*found, "filter=status=failed&limit=1000&details=true", ""]


def fill(url: str, tasks: int) -> None:
    """Write the tasks as the store keeps them, directly: through its own methods it would take long."""
    with contextlib.closing(open_store(url)) as store:
        database: Database = store._database
        with database.write() as session:
            session.load("tasks", COLUMNS, rows(tasks))


def rows(tasks: int) -> Iterator[tuple[object, ...]]:
    """Yield tasks, each cycle with its runs."""
    result = json.dumps(RESULT)
    cycle = 0
    for number in range(1, tasks + 1):
        place = number % (RUNS + 1)
        began = (27_000_000 + number) * MINUTE
        ended = began + MINUTE // 2
        if place == 1:
            cycle = number
            yield "FeedSyncTask", "completed", None, None, None, began, ended, "{}", None, "gone", ended
            continue
        status = "failed" if number % 50 == 0 else "completed"
        feed = "kev" if place == 2 else "vulnerabilities"
        driver = f"driver{place}"
        yield "DriverExecutionTask", status, feed, driver, cycle, began, ended, result, None, "gone", ended


@contextlib.contextmanager
def service(home: Path, url: str) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a store; gives the service's address and its process."""
    port = free_port()
    environment = service_environment(home, "", PORT=port, STORE=url)
    command = [sys.executable, "-m", "vulnfeeds", "serve"]
    with (home / "log").open("ab") as log:
        process = psutil.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(30)


def ask(url: str, process: psutil.Process, rounds: int) -> list[str]:
    """Return how many tasks are in the answer, p50 and p99 of the time, and the service's CPU time for one."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(url, timeout=60) as answer:
        count = len(json.load(answer))
    rounds = max(2, rounds // 10) if count > 1000 else rounds
    spent, times = cpu_seconds(process), []
    for _ in range(rounds):
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        times.append(time.perf_counter() - began)
    spent = cpu_seconds(process) - spent
    times.sort()
    shown = [times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))], spent / rounds]
    return [f"{count:,}", *(f"{value * 1e3:.1f}" for value in shown)]


if __name__ == "__main__":
    main()
