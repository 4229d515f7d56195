"""When the next cycle is due. Pure."""

from __future__ import annotations


def seconds_until_due(now: float, last_started: float | None, every: float) -> float:
    """Return how long to wait before the next cycle starts; 0.0 when it is due.

    All in seconds, times since the epoch. `last_started` is when the last cycle began, whether it was ours or an
    earlier process's; None when there was none. A cycle that took longer than `every` is followed at once. A clock
    that was set back makes the last start lie in the future: the wait is never longer than `every`.
    """
    if last_started is None:
        return 0.0
    return min(max(last_started + every - now, 0.0), every)
