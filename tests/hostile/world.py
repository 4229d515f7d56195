"""A driver, its upstream under our thumb, and a store that holds good data: what a hostile case is tried on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.hostile import good
from vulnfeeds.drivers.nvd.api import ADDRESS as API
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute
from vulnfeeds.testing.upstream import UpstreamSimulator

QUICK = FetchSettings(
    connect_seconds=2,
    read_seconds=0.5,
    attempts=2,
    backoff_first_seconds=0.01,
    throttled_seconds=0.01,
    max_seconds=20,
    max_bytes=24 << 20,
    min_bytes_per_second=1000,
    rate_window_seconds=0.5,
)
"""As patient as the service, in a hundredth of the time; no driver of the cases has larger documents."""


class World:
    """One driver with upstream, store and home folder; a context manager that holds the good data."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = name
        self.make, self._documents = good.DRIVERS[name]
        self._is_new = not (home / "store.sqlite").exists()
        self.upstream = UpstreamSimulator()
        self.store: Store = open_store(f"sqlite:///{home / 'store.sqlite'}")
        self.items: list[dict[str, Any]] = []
        """What NVD's API has for any window."""
        self.answer: bytes | None = None
        """What NVD's API answers instead."""

    def __enter__(self) -> World:
        self.restore(good.COUNT)
        if self._is_new:
            result = self.run()
            assert result.status == "completed", result
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
        self.upstream.close()

    def restore(self, count: int) -> None:
        """Make the upstream good, with so many records."""
        self.upstream.heal()
        self.put(self._documents(count))
        self.items, self.answer = [], None
        if self.name == "nvdv2 by API":
            self.upstream.serve(API, self._page)
            if count > good.COUNT:
                self.items = [good.nvd_item(good.cve(number)) for number in range(good.COUNT, count)]

    def put(self, documents: good.Documents) -> None:
        """Publish documents."""
        for url, body in documents.items():
            self.upstream.put(url, body)

    def run(self) -> RunResult:
        """Run the driver once as the service does, but in this process."""
        driver = self.make()
        task_id = self.store.open_task("DriverExecutionTask", driver=driver.name, feed=driver.feeds[0])
        with self.upstream.fetcher(QUICK, allowed=driver.upstreams) as fetcher:
            return execute(
                driver, store=self.store, fetcher=fetcher, home=self.home, task_id=task_id, clock=lambda: good.NOW
            )

    def served(self) -> dict[str, Any]:
        """Return all that readers can see, and the checkpoint."""
        seen: dict[str, Any] = {"checkpoint": self.store.checkpoint(self.make().name)}
        for row in self.store.groups():
            seen[row.name] = (
                row,
                self.store.slice(row.feed, row.name, as_of=row.sequence, first_key="", before_key=None),
            )
        return seen

    def records(self) -> dict[str, Any]:
        """Return the records that readers can see."""
        return {name: value[1] for name, value in self.served().items() if name != "checkpoint"}

    def _page(self, url: str) -> bytes | None:
        if self.answer is not None:
            return self.answer
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        start, size = int(query["startIndex"]), int(query["resultsPerPage"])
        page = good.nvd_document(self.items[start : start + size])
        return json.dumps({**page, "startIndex": start, "totalResults": len(self.items)}).encode()


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Give a list that holds, after the block, by how many MB this process's memory grew at most within it."""
    grown: list[float] = []
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    yield grown
    grown.append(_status("VmHWM") - before)


def _status(name: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)
