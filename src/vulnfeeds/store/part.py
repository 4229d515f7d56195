"""What every part of the store stands on: a database, a clock, an owner, and the bodies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from vulnfeeds.store import moments, paging
from vulnfeeds.store.bodies import Bodies
from vulnfeeds.store.database import Database


class Part:
    """Holds what the parts share; `owner` names the process that this store's tasks belong to."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime], owner: str, sizes: paging.Sizes) -> None:
        self.owner = owner
        self._database = database
        self._clock = clock
        self._sizes = sizes
        self._bodies = Bodies(database)

    def _now(self) -> int:
        return moments.to_micros(self._clock())
