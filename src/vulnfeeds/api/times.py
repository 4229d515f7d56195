"""Times as answers show them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def show(moment: datetime) -> str:
    """Return a time the way the original service wrote it: `2018-02-14T20:00:32.955063+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
