"""The guard: does a run change its groups more than an upstream plausibly does? Pure.

A shrunken or garbled upstream looks like a great change. Thresholds are the driver's settings; below the floors a
rate says nothing. The first publish of a group has nothing to compare with, so it gets the absolute checks only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import DriverSettings, Mode
from vulnfeeds.errors import GuardError

SHRINK_FLOOR: Final = 50
"""A group may always lose this many records."""
GROWTH_FLOOR: Final = 50
"""Groups up to this size may grow by any factor."""
UPDATE_FLOOR: Final = 1000
"""A group may always have this many records updated."""
QUARANTINE_FLOOR: Final = 20
"""A run may always have this many records refused."""


class GroupCounts(msgspec.Struct):
    """What one run does to one group."""

    feed: str
    group: str
    live: int = 0
    """Records before the run, withdrawn ones left out."""
    first: bool = False
    """The group was never published."""
    created: int = 0
    updated: int = 0
    """Records whose content changed; those re-made for new severities only are in `rescored`."""
    rescored: int = 0
    deleted: int = 0

    @property
    def touched(self) -> bool:
        """Return whether the run changes the group at all."""
        return bool(self.created or self.updated or self.rescored or self.deleted)


class RunCounts(msgspec.Struct):
    """What one run found."""

    mode: Mode
    reported: int = 0
    """Records that the driver gave and that were taken."""
    quarantined: int = 0
    skipped_groups: int = 0
    remade: bool = False
    """The driver's version or settings changed, so that every record may."""
    groups: list[GroupCounts] = []


def check(run: RunCounts, settings: DriverSettings) -> None:
    """Pass a run within the thresholds; raise GuardError with the numbers of every group that is beyond them."""
    found = [*_run(run, settings)]
    for counts in run.groups:
        found += _group(counts, settings, remade=run.remade)
    if found:
        raise GuardError("; ".join(found))


def _run(run: RunCounts, settings: DriverSettings) -> Iterable[str]:
    if run.mode is Mode.FULL and run.reported == 0 and run.skipped_groups == 0:
        yield f"the run reports no record at all ({run.quarantined} refused)"
    total = run.reported + run.quarantined
    if run.quarantined > max(QUARANTINE_FLOOR, settings.max_quarantined * total):
        yield f"{run.quarantined} of {total} records are refused (max_quarantined {settings.max_quarantined:g})"


def _group(counts: GroupCounts, settings: DriverSettings, *, remade: bool) -> Iterable[str]:
    if counts.first:
        return
    live = counts.live
    if counts.deleted > max(SHRINK_FLOOR, settings.max_shrink * live):
        yield f"{counts.group}: {counts.deleted} of {live} records withdrawn (max_shrink {settings.max_shrink:g})"
    after = live + counts.created - counts.deleted
    if live > GROWTH_FLOOR and after > settings.max_growth * live:
        yield f"{counts.group}: grows from {live} to {after} records (max_growth {settings.max_growth:g})"
    if not remade and counts.updated > max(UPDATE_FLOOR, settings.max_updated * live):
        yield f"{counts.group}: {counts.updated} of {live} records updated (max_updated {settings.max_updated:g})"
