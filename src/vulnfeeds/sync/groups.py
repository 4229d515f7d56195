"""A driver's groups: which it has, which a run covered, which upstream stopped publishing."""

from __future__ import annotations

from collections.abc import Iterable, Set

from vulnfeeds.drivers.interface import Context, Driver, Mode
from vulnfeeds.store.interface import Store

Group = tuple[str, str]
"""(feed, name)."""


def own(store: Store, driver: Driver) -> dict[Group, bool]:
    """Return the driver's groups in the store, and of each whether it is frozen."""
    rows = (row for feed in driver.feeds for row in store.groups(feed))
    return {(row.feed, row.name): row.frozen_at is not None for row in rows if row.driver == driver.name}


def covered(context: Context) -> Set[Group]:
    """Return the groups that the run reported wholly; one that it also skipped is not among them."""
    return context.covered - context.skipped.keys()


def freezes(
    driver: Driver, context: Context, reported: Iterable[Group], groups: dict[Group, bool]
) -> tuple[frozenset[Group], frozenset[Group]]:
    """Return the groups to freeze and those to mark alive again, given the driver's groups as `own` returns them.

    Only a FULL driver knows that upstream stopped publishing a group: it neither covered nor skipped nor reported it.
    """
    if driver.mode is not Mode.FULL:
        return frozenset(), frozenset()
    alive = context.covered.union(reported)
    frozen = {group for group, is_frozen in groups.items() if not is_frozen} - alive - context.skipped.keys()
    return frozenset(frozen), frozenset(alive.intersection(group for group, is_frozen in groups.items() if is_frozen))
