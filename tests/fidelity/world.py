"""Runs the drivers as the service does, on the replay or on documents laid out in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import Replay
from tests.drivers.driver_runs import Upstreams, bodies
from tests.drivers.nvd.nvd_runs import Feed
from tests.end_to_end.service import Service
from vulnfeeds.drivers.interface import Driver

Body = dict[str, Any]


@dataclass(frozen=True)
class World:
    """The documents, a replay of them, and a folder for what the drivers keep."""

    shared: Path
    replay: Replay
    folder: Path

    def served(self, driver: type[Driver], day: int, secrets: dict[str, str] | None = None) -> list[Body]:
        """Return the records that a new installation of a driver makes of a day's documents, before any NVD."""
        self.replay.day(day)
        workspace = self.folder / f"{driver.name}-{day}-{len(secrets or ())}"
        records, context = Upstreams(driver, self.replay.address, workspace, secrets).run()
        assert context.skipped == {}, context.skipped
        return list(bodies(records).values())

    def nvd(self, name: str, **settings: Any) -> Feed:
        """Return driver nvdv2 of the replay, with published records of its own."""
        return Feed(self.folder / f"nvdv2-{name}", self.replay.address, **settings)

    def synced(self, name: str, upstream: Path, drivers: str, **settings: object) -> Iterator[tuple[str, Body]]:
        """Sync drivers in processes of their own from a folder of documents; yield (feed, record) of the store."""
        home = self.folder / f"home of {name}"
        home.mkdir(parents=True)
        url = f"sqlite:///{home / 'store.sqlite'}"
        with Service(home, url, str(upstream), DRIVERS=drivers, **settings) as service:
            service.sync()
            for feed, _, _, body in service.records():
                yield feed, json.loads(body)
