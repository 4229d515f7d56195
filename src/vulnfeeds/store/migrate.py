"""Is the schema of a database the one that we know, and what to do when not."""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

from importlib import resources
from typing import Final

from vulnfeeds.errors import StoreVersionError
from vulnfeeds.store.database import Database

PACKAGE: Final = "vulnfeeds.store.migrations"
TABLE: Final = "vulnfeeds_migrations"
"""Where the database remembers what was applied."""
APPLIED: Final = f"SELECT migration_id FROM {TABLE} ORDER BY migration_id"


def names(dialect: str) -> list[str]:
    """Return the names of the migrations that ship for a dialect, oldest first."""
    folder = resources.files(PACKAGE) / dialect
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


def bring_up_to_date(database: Database, *, migrate: bool) -> None:
    """Apply what is missing. Raises StoreVersionError when the database is newer, or older and `migrate` is false."""
    known = database.known_migrations()
    applied = database.applied_migrations()
    unknown = sorted(set(applied) - set(known))
    if unknown:
        raise StoreVersionError(
            f"{database.location} was written by a newer version of Vulnfeeds: it has {', '.join(unknown)}, "
            f"this version knows up to {known[-1]}. Upgrade Vulnfeeds, or name another store."
        )
    missing = [name for name in known if name not in applied]
    if not missing:
        return
    if not migrate:
        raise StoreVersionError(
            f"{database.location} is not up to date: it lacks {', '.join(missing)}. "
            "Any command that opens it for writing brings it up to date."
        )
    database.apply_migrations()
