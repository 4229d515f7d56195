"""What a person sees of runs under way: live lines on a terminal, log lines when it is none."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from vulnfeeds.sync.cycle import CycleResult
from vulnfeeds.sync.outcome import COMPLETED
from vulnfeeds.sync.worker import RunOutcome

_log = logging.getLogger("vulnfeeds.sync")
_LINE_SECONDS: Final = 30.0
"""Seconds between two lines about one run, where no terminal is."""


class Watcher:
    """Tells how runs go, as log lines. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, float]] = {}

    def cycle_began(self, drivers: list[str]) -> None:
        """Note that a cycle of these drivers begins."""
        _tell(logging.INFO, "cycle started", drivers=",".join(drivers))

    def began(self, driver: str) -> None:
        """Note that a driver's run begins."""
        _tell(logging.INFO, "run started", driver=driver)

    def progressed(self, driver: str, said: dict[str, Any]) -> None:
        """Note how far a run is; told at each new phase, and then every half minute."""
        now, phase = time.monotonic(), str(said.get("phase", ""))
        with self._lock:
            last_phase, last_at = self._told.get(driver, ("", 0.0))
            if phase == last_phase and now - last_at < _LINE_SECONDS:
                return
            self._told[driver] = (phase, now)
        _tell(logging.INFO, "run progressed", driver=driver, **said)

    def ended(self, driver: str, outcome: RunOutcome) -> None:
        """Note how a run ended: the changes, or what went wrong."""
        with self._lock:
            self._told.pop(driver, None)
        if outcome.status != COMPLETED:
            # A bug in a driver is found by its place in the code; an upstream's error names its own place.
            _tell(logging.ERROR, "run failed", driver=driver, **_failure(outcome))
            return
        _tell(logging.INFO, "run completed", driver=driver, **summary(outcome))
        for note in outcome.result.get("notes", ()):
            _tell(logging.WARNING, "run noted", driver=driver, note=note)

    def cycle_ended(self, ended: CycleResult) -> None:
        """Note how a cycle ended."""
        level = logging.WARNING if ended.failed else logging.INFO
        failed = ",".join(ended.failed) or "none"
        _tell(level, "cycle ended", task=ended.task_id, completed=len(ended.completed), failed=failed)

    def close(self) -> None:
        """Stop drawing."""


class LiveWatcher(Watcher):
    """Draws runs under way on a terminal, one line each, and tells the rest as log lines above them."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._drawn = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[driver]:<10}"),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            _Amount(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._lines: dict[str, TaskID] = {}

    def cycle_began(self, drivers: list[str]) -> None:
        """Begin to draw."""
        super().cycle_began(drivers)
        self._drawn.start()

    def began(self, driver: str) -> None:
        """Give a driver's run a line."""
        self._lines[driver] = self._drawn.add_task("starting", driver=driver, total=None, records=0, bytes=0)

    def progressed(self, driver: str, said: dict[str, Any]) -> None:
        """Redraw a run's line."""
        self._drawn.update(
            self._lines[driver],
            description=said.get("phase", ""),
            completed=said.get("done", 0),
            total=said.get("total"),
            records=said.get("records", 0),
            bytes=said.get("bytes", 0),
        )

    def redraw(self) -> None:
        """Draw what is known now, without waiting for the next tenth of a second."""
        self._drawn.refresh()

    def ended(self, driver: str, outcome: RunOutcome) -> None:
        """Take a run's line away and tell how it ended."""
        self._drawn.remove_task(self._lines.pop(driver))
        super().ended(driver, outcome)

    def cycle_ended(self, ended: CycleResult) -> None:
        """Stop drawing until the next cycle."""
        self._drawn.stop()
        super().cycle_ended(ended)

    def close(self) -> None:
        """Stop drawing."""
        self._drawn.stop()


class _Amount(ProgressColumn):
    """How much a run has read."""

    def render(self, task: Task) -> Text:
        parts = []
        if task.fields["bytes"]:
            parts.append(f"{task.fields['bytes'] / 1e6:,.1f} MB")
        if task.fields["records"]:
            parts.append(f"{task.fields['records']:,} records")
        if task.percentage and task.total:
            parts.append(f"{task.percentage:.0f}%")
        return Text("  ".join(parts))


def _tell(level: int, event: str, **facts: Any) -> None:
    # As one value: facts such as `created` have the names of a log record's own attributes.
    _log.log(level, event, extra={"facts": facts})


def summary(outcome: RunOutcome) -> dict[str, Any]:
    """Return what a completed run did, in a few numbers."""
    changes = outcome.result.get("changes", {}).values()
    facts: dict[str, Any] = {
        name: sum(counts.get(name, 0) for counts in changes) for name in ("created", "updated", "deleted")
    }
    if outcome.result.get("unchanged"):
        facts["unchanged"] = "yes"
    if quarantined := outcome.result.get("quarantined"):
        facts["quarantined"] = quarantined
    return {
        **facts,
        "records": outcome.result.get("records", 0),
        "fetched_bytes": outcome.result.get("fetched_bytes", 0),
        "seconds": outcome.seconds,
        "peak_mb": outcome.peak_mb,
    }


def _failure(outcome: RunOutcome) -> dict[str, Any]:
    facts = {"error": outcome.result.get("error", "")}
    if outcome.result.get("error_class", "").endswith("Error") and "://" not in facts["error"]:
        facts["place"] = outcome.result.get("place", "")
    return facts
