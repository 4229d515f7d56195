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


def left_out(context: Context, groups: Iterable[Group]) -> dict[Group, str]:
    """Return why the settings leave out those of the driver's groups that they do."""
    reasons = {(feed, name): context.selection.absence(name) for feed, name in groups}
    return {group: reason for group, reason in reasons.items() if reason}


def freezes(
    driver: Driver, context: Context, reported: Iterable[Group], groups: dict[Group, bool]
) -> tuple[frozenset[Group], frozenset[Group]]:
    """Return the groups to freeze and those to mark alive again, given the driver's groups as `own` returns them.

    A group that the settings leave out is frozen. That upstream stopped publishing one only a FULL driver knows: it
    neither covered nor skipped nor reported it.
    """
    alive = context.covered.union(reported)
    awake = {group for group, is_frozen in groups.items() if not is_frozen} - alive
    gone = awake if driver.mode is Mode.FULL else awake & left_out(context, awake).keys()
    frozen = gone - context.skipped.keys()
    return frozenset(frozen), frozenset(alive.intersection(group for group, is_frozen in groups.items() if is_frozen))
