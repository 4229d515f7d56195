"""Opening a store by its address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from vulnfeeds.errors import SettingsError
from vulnfeeds.store import moments, ownership, paging
from vulnfeeds.store.comparing import Comparing
from vulnfeeds.store.database import Database
from vulnfeeds.store.finding import Finding
from vulnfeeds.store.indexing import Indexing
from vulnfeeds.store.migrate import bring_up_to_date
from vulnfeeds.store.publishing import Publishing
from vulnfeeds.store.quarantining import Quarantining
from vulnfeeds.store.reading import Reading
from vulnfeeds.store.sqlite import SQLiteDatabase
from vulnfeeds.store.tasks import Tasks
from vulnfeeds.store.upkeep import Upkeep

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")


class SQLStore(Reading, Comparing, Publishing, Finding, Indexing, Tasks, Quarantining, Upkeep):
    """The store, on whichever database; see `vulnfeeds.store.interface.Store` for what each method means."""


def open_store(
    url: str,
    *,
    clock: Callable[[], datetime] = moments.utc_now,
    owner: str | None = None,
    migrate: bool = True,
    page_sizes: paging.Sizes = paging.SIZES,
) -> SQLStore:
    """Open the store at `sqlite:///PATH` or `postgresql://...` and bring its schema up to date.

    PATH is taken as it is written: absolute with a slash of its own (`sqlite:////var/lib/x`), relative without.
    `owner` is whom tasks belong to: this process when None; a process that publishes for another one gives that one's
    `store.owner`. With `migrate` false an older schema is refused instead of changed. `page_sizes` holds for
    pages that are cut from now on.

    Raises SettingsError for an address that makes no sense, StoreUnavailableError when nothing can be opened there,
    and StoreVersionError when what is there was written by a newer version.
    """
    database = _database(url)
    try:
        bring_up_to_date(database, migrate=migrate)
    except BaseException:
        database.close()
        raise
    return SQLStore(database, clock=clock, owner=owner or ownership.this_process(), sizes=page_sizes)


def _database(url: str) -> Database:
    if url.startswith(_SQLITE):
        path = url.removeprefix(_SQLITE)
        if not path or path.endswith("/") or path.startswith(":memory:"):
            raise SettingsError(
                f"store address {url!r} names no file: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return SQLiteDatabase(Path(path))
    if url.startswith("sqlite:"):
        raise SettingsError(f"store address {url!r} needs three slashes and a path: sqlite:///path/to/file")
    if url.startswith(_POSTGRES):
        from vulnfeeds.store.postgres import PostgresDatabase

        return PostgresDatabase(url)
    scheme = url.partition(":")[0]
    raise SettingsError(f"store address begins with {scheme!r}; it can be sqlite:///PATH or postgresql://...")
