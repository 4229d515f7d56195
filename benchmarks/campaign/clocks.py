"""Clocks that the campaign steps while processes read them: offsets in a file, in seconds, by the name of a party."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

SERVER: Final = "server"
WRITER: Final = "writer"


class SteppedClock:
    """The time of one party: this machine's, and what the file says that it is off by now."""

    def __init__(self, file: Path, party: str) -> None:
        self._file = file
        self._party = party

    def offset(self) -> float:
        """Return how many seconds the party's clock is ahead."""
        return float(json.loads(self._file.read_bytes())[self._party])

    def __call__(self) -> datetime:
        """Return the party's time."""
        return datetime.now(UTC) + timedelta(seconds=self.offset())

    def seconds(self) -> float:
        """Return the party's time in seconds since the epoch."""
        return time.time() + self.offset()


def step(file: Path, offsets: dict[str, float]) -> None:
    """Set all clocks at once."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(offsets))
    fresh.replace(file)
