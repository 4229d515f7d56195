"""The real service as real processes: `vulnfeeds sync`, `vulnfeeds serve`, `vulnfeeds up`, each ended as an operator
or a power cut would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vulnfeeds.store import open_store
from vulnfeeds.store.interface import QuarantineRow, Store
from vulnfeeds.testing.client import FEEDS, StrictClient

ALL_FEEDS = (*FEEDS, "nvd", "kev")
"""Feeds of the real client and ours that it has no class for."""
DRIVERS = "alpine,debian,kev,nvddb,nvdv2"
SYNC_FAILED = 5
"""Exit code of `vulnfeeds sync` when a driver failed."""
PATIENCE = 60.0
"""Seconds after which something that should have come is taken for missing; never waited out when all is well."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(held: Callable[[], Any], what: str) -> Any:
    """Ask until something is true and return it; fail after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := held():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {PATIENCE:g} s")


class Service:
    """One installation: a home folder, a store, and the processes that work on them. A context manager.

    `settings` are those of the environment, such as SINCE_MARGIN_SECONDS=0. Coverage of its processes is measured
    when it is `covered`: it takes a third of their time, and the parts' own tests have been through the same code.
    """

    def __init__(self, home: Path, store_url: str, mirror: str, *, covered: bool = False, **settings: object) -> None:
        self.home = home
        self.store_url = store_url
        self.port = free_port()
        ours = {
            "HOME": home / "home",
            "STORE": store_url,
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "UPSTREAM_MIRROR": mirror,
            "DRIVERS": DRIVERS,
            # Faults that can pass are tried again at once: the waits are the fetcher's own tests' business.
            "FETCH__ATTEMPTS": 2,
            "FETCH__BACKOFF_FIRST_SECONDS": 0.01,
            "FETCH__THROTTLED_SECONDS": 0.01,
            **settings,
        }
        left_out = ("VULNFEEDS_",) if covered else ("VULNFEEDS_", "COVERAGE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self._environment = {**inherited, **{f"VULNFEEDS_{name}": str(value) for name, value in ours.items()}}
        self._log = home / "service.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

    @property
    def feeds_url(self) -> str:
        """What an operator writes into the policy engine's settings."""
        return f"http://127.0.0.1:{self.port}/v1/feeds"

    def log(self) -> str:
        """Return what all processes have said so far."""
        return self._log.read_text() if self._log.exists() else ""

    # --- processes ------------------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "vulnfeeds", *arguments],
                env=self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def run(self, *arguments: str) -> int:
        """Run a command to its end and return its exit code."""
        return self.start(*arguments).wait()

    def sync(self, *drivers: str) -> None:
        """Run drivers (all that are on when none is named), which must succeed."""
        code = self.run("sync", *drivers)
        assert code == 0, f"vulnfeeds sync ended with {code}:\n{self.log()[-4000:]}"

    def serve(self, *command: str) -> subprocess.Popen[bytes]:
        """Start `vulnfeeds serve`, or the command given, and wait until it answers."""
        process = self.start(*(command or ("serve",)))

        def answers() -> bool:
            assert process.poll() is None, f"the service ended:\n{self.log()[-4000:]}"
            with contextlib.suppress(urllib.error.URLError, OSError):
                return self.get("/health") is not None
            return False

        wait_until(answers, "an answer to /health")
        return process

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """End a process as the kernel does when memory is short: at once, without a word."""
        process.kill()
        process.wait(PATIENCE)

    # --- what is to be seen from outside ----------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """Return the JSON at a path of the API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def tasks(self, **terms: str) -> list[dict[str, Any]]:
        """Return tasks with their results, newest first."""
        filters = ",".join(f"{name}={value}" for name, value in terms.items())
        return list(self.get(f"/v1/tasks?details=true{f'&filter={filters}' if filters else ''}"))

    def last_run(self, driver: str) -> dict[str, Any]:
        """Return the newest task of a driver."""
        return self.tasks(task_type="DriverExecutionTask", driver_id=driver)[0]

    def client(self, **options: Any) -> StrictClient:
        """Return the strict client of this service, whose database lies in the home folder."""
        return StrictClient(self.feeds_url, self.home / "client.sqlite", **options)

    # --- what lies in the store -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store beside the running service."""
        store = open_store(self.store_url)
        try:
            yield store
        finally:
            store.close()

    def records(self, *feeds: str) -> Iterator[tuple[str, str, str, bytes]]:
        """Yield (feed, group, key, body) of all current records of some feeds (all when none is named)."""
        for feed, group, key, body, _ in self._current(feeds):
            yield feed, group, key, body

    def withdrawn(self) -> list[tuple[str, str, str]]:
        """Return (feed, group, key) of the records that are withdrawn."""
        return [(feed, group, key) for feed, group, key, _, gone in self._current(()) if gone]

    def _current(self, feeds: tuple[str, ...]) -> Iterator[tuple[str, str, str, bytes, bool]]:
        with self.store() as store:
            for row in store.groups():
                if not feeds or row.feed in feeds:
                    for key, body, gone in store.changes(row.feed, row.name, 0, row.sequence):
                        yield row.feed, row.name, key, body, gone

    def positions(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return (generation, sequence) of each group: equal means that nothing was published."""
        with self.store() as store:
            return {(row.feed, row.name): (row.generation, row.sequence) for row in store.groups()}

    def quarantined(self) -> list[QuarantineRow]:
        """Return what is in quarantine."""
        with self.store() as store:
            return store.quarantined()
