"""Bringing the index of handles up to date: after a run its driver's groups, after a cycle whatever is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vulnfeeds.store.interface import GroupRow, Lag


class Indexed(Protocol):
    """The part of the store that the index belongs to."""

    def groups(self, feed: str | None = None) -> list[GroupRow]:
        """Return the groups."""
        ...

    def lagging(self) -> list[Lag]:
        """Return the groups of which the index does not hold everything."""
        ...

    def index(self, feed: str, group: str) -> bool:
        """Do one step of a group; say whether another one is to be done."""
        ...


def catch_up(store: Indexed, *, driver: str | None = None, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Index what a driver's groups (all groups when None) lack, step by step; say whether all of it was done.

    What was done stays when it is stopped or killed; the next call goes on from there. Raises StoreError.
    """
    own = None if driver is None else {(row.feed, row.name) for row in store.groups() if row.driver == driver}
    for lag in store.lagging():
        if own is not None and (lag.feed, lag.group) not in own:
            continue
        while True:
            if stopped():
                return False
            if not store.index(lag.feed, lag.group):
                break
    return True
