"""Yoyo migrations, applied so that a kill at any instant leaves whole migrations behind.

Yoyo by itself applies a migration in one transaction, notes it in another, and locks by a row that a killed process
leaves behind. Both databases can change their schema inside a transaction, so here a migration and its note commit
together, and the engines give a lock that ends with its process.

Imported only when there is something to apply: yoyo takes a tenth of a second to import.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import yoyo
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.backends.core.sqlite3 import SQLiteBackend
from yoyo.connections import DatabaseURI

from vulnfeeds.store import migrate


class _Whole:
    """What both backends do differently from yoyo's own."""

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        """Do nothing: the engine holds a lock around all of it."""
        yield

    def apply_one(self: Any, migration: Any, force: bool = False, mark: bool = True) -> None:
        """Apply a migration and note it in the same transaction."""
        self.ensure_internal_schema_updated()
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.mark_one(migration, log=False)


class _SQLite(_Whole, SQLiteBackend):  # type: ignore[misc]
    def connect(self, dburi: DatabaseURI) -> Any:
        """Open the file as it is named; yoyo's own way breaks on names with `?` or `%`."""
        return self.driver.connect(
            dburi.database, timeout=60, isolation_level=None, detect_types=self.driver.PARSE_DECLTYPES
        )


class _PostgreSQL(_Whole, PostgresqlPsycopgBackend):  # type: ignore[misc]
    def connect(self, dburi: DatabaseURI) -> Any:
        """Open the address as psycopg reads it."""
        return self.driver.connect(dburi.database, autocommit=True)


def to_sqlite(path: str) -> None:
    """Apply what is missing to the SQLite file; the caller holds the lock. Raises the driver's exceptions."""
    _apply(path, "sqlite")


def to_postgres(conninfo: str) -> None:
    """Apply what is missing to the PostgreSQL database; the caller holds the lock. Raises the driver's exceptions."""
    _apply(conninfo, "postgres")


def backend(target: str, dialect: str) -> Any:
    """Return yoyo's backend for a file or an address; a context manager that closes its connection."""
    made = _SQLite if dialect == "sqlite" else _PostgreSQL
    return made(DatabaseURI(dialect, None, None, None, None, target, {}), migrate.TABLE)


def _apply(target: str, dialect: str) -> None:
    with resources.as_file(resources.files(migrate.PACKAGE) / dialect) as folder, backend(target, dialect) as opened:
        opened.apply_migrations(opened.to_apply(yoyo.read_migrations(str(folder))))
