"""When the next cycle is due, and in which order its drivers are started. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vulnfeeds.drivers.interface import Driver


def seconds_until_due(now: float, last_started: float | None, every: float) -> float:
    """Return how long to wait before the next cycle starts; 0.0 when it is due.

    All in seconds, times since the epoch. `last_started` is when the last cycle began, whether it was ours or an
    earlier process's; None when there was none. A cycle that took longer than `every` is followed at once. A clock
    that was set back makes the last start lie in the future: the wait is never longer than `every`.
    """
    if last_started is None:
        return 0.0
    return min(max(last_started + every - now, 0.0), every)


def longest_first(drivers: Sequence[Driver], seconds: Mapping[str, float]) -> list[Driver]:
    """Return drivers in the order in which to start them, so that no long one is left alone at the end of a cycle.

    First comes the one whose run takes longest together with the longest of those that wait for it, and of equal ones
    the one that more wait for. `seconds` says how long each may take; a driver that is not in it never ran.
    """
    waiting: dict[str, list[str]] = {driver.name: [] for driver in drivers}
    for driver in drivers:
        for name in driver.depends_on:
            waiting.get(name, []).append(driver.name)

    def until_end(name: str, before: frozenset[str]) -> float:
        # Drivers may wait for each other: whoever was counted is not counted again.
        after = [until_end(other, before | {name}) for other in waiting[name] if other not in before | {name}]
        return seconds.get(name, 0.0) + max(after, default=0.0)

    return sorted(drivers, key=lambda driver: (-until_end(driver.name, frozenset()), -len(waiting[driver.name])))
