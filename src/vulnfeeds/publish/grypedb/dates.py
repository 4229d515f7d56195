"""Moments as a Grype database writes them: `2024-07-03 10:00:00+00:00`, in UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=16384)
def text(moment: str) -> str | None:
    """Return an ISO 8601 date or time as a column holds it; None for an empty or unreadable one."""
    try:
        return column(datetime.fromisoformat(moment)) if moment else None
    except ValueError:
        return None


def column(moment: datetime) -> str:
    """Return a moment as a column holds it, to the second; one without a zone is in UTC."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%d %H:%M:%S+00:00")
