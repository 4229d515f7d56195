"""What the process of a run does. It imports the parts of a run and nothing of the command line: it starts often."""

from __future__ import annotations

import logging
import time

import msgspec

from vulnfeeds.cli import logs
from vulnfeeds.cli.compose import open_writer, upstream_map
from vulnfeeds.config import Settings
from vulnfeeds.drivers.registry import load_driver
from vulnfeeds.errors import StoreError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.store.opening import SQLStore
from vulnfeeds.sync.indexing import catch_up
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.reporting import DownloadRelay, Tell
from vulnfeeds.sync.run import execute

_log = logging.getLogger("vulnfeeds.index")


class RunOrder(msgspec.Struct, frozen=True):
    """What the process of a run is told."""

    settings: Settings
    """With the settings of its own driver only: those of others would bring their modules along."""
    driver: str
    task_id: int
    forced: bool
    owner: str
    """Whom the task belongs to: the process that supervises the run."""
    log_level: str


def enter_run(order: RunOrder, tell: Tell) -> RunResult:
    """Do one run, in a process of its own: with a store, a fetcher and a driver built from the settings."""
    settings = order.settings
    logs.set_up(order.log_level)
    driver = load_driver(order.driver)(settings.driver[order.driver])
    downloads = DownloadRelay()
    with (
        open_writer(settings, migrate=False, owner=order.owner) as store,
        HTTPFetcher(settings.fetch, upstream_map(settings), driver.upstreams, progress=downloads) as fetcher,
    ):
        result = execute(
            driver,
            store=store,
            fetcher=fetcher,
            home=settings.home,
            task_id=order.task_id,
            clock=time.time,
            severity_source=settings.severity_source,
            secrets=settings.secrets,
            forced=order.forced,
            progress=tell,
            downloads=downloads,
        )
        _index(store, order.driver)
        return result


def _index(store: SQLStore, driver: str) -> None:
    """Take what the run published into the index; what cannot be done now is done after the next run or cycle."""
    try:
        catch_up(store, driver=driver)
    except StoreError as error:
        _log.warning("index not up to date", extra={"driver": driver, "error": str(error)})
