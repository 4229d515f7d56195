"""Time for tests: waiting costs nothing and is written down."""

from __future__ import annotations

from typing import Any


class FakeTime:
    """Seconds that pass only by `sleep`; `waits` holds what was waited for."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def clocks(self) -> dict[str, Any]:
        """Arguments for HTTPFetcher."""
        return {"clock": self.clock, "sleep": self.sleep, "monotonic": self.clock}
