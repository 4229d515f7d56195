"""The seam between the store and a database: transactions, statements, bulk loads. Two engines stand behind it.

Statements are written once, in the SQL that both understand, with parameters as `:name`. A list parameter is written
`column IN (:name[])`. Neither engine sees another's exceptions outside its own module: everything that comes out of a
Database or Session is a StoreError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from vulnfeeds.errors import StoreError, StoreUnavailableError

Row = tuple[Any, ...]
Params = Mapping[str, Any]

PATIENCE: Final = 60.0
"""Seconds that a writer waits for its turn unless it says otherwise."""


class BusyError(StoreUnavailableError):
    """Another writer held the store for longer than the caller would wait."""


class DuplicateRowError(StoreError):
    """A row that must be there once would be there twice."""


class Session(Protocol):
    """One transaction. Not to be used by two threads at once."""

    def run(self, statement: str, params: Params | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def insert(self, statement: str, params: Params) -> int:
        """Run an INSERT of one row into a table with a generated `id` and return that id."""
        ...

    def many(self, statement: str, params: Iterable[Params]) -> None:
        """Run a statement once for each set of parameters."""

    def row(self, statement: str, params: Params | None = None) -> Row | None:
        """Return the first row, or None."""
        ...

    def rows(self, statement: str, params: Params | None = None) -> list[Row]:
        """Return all rows."""
        ...

    def stream(self, statement: str, params: Params | None = None) -> Iterator[Row]:
        """Yield rows without holding all of them; other statements may run meanwhile."""
        ...

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert many rows the fastest way that the database has."""


class Database(Protocol):
    """A database that can be read in snapshots and written in transactions, by several threads."""

    @property
    def location(self) -> str:
        """Where it is, without secrets: for messages."""
        ...

    def read(self) -> AbstractContextManager[Session]:
        """Open a snapshot: all statements inside see the same state."""
        ...

    def write(self, *, patience: float = PATIENCE) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end of the block and rolls back when the block raises.

        Raises BusyError when another writer does not end within `patience` seconds.
        """
        ...

    def peek(self, statement: str) -> Row | None:
        """Return the first row of a query, of the state as it is now, if that takes microseconds and no waiting.

        None when it would take more, and where it always does. Raises nothing.
        """
        ...

    def applied_migrations(self) -> list[str]:
        """Return the names of the migrations in the database, oldest first; none when it is empty."""
        ...

    def apply_migrations(self) -> None:
        """Bring the schema up to date; safe when several processes try at once or one dies on the way."""

    def known_migrations(self) -> list[str]:
        """Return the names of the migrations that this version brings, oldest first."""
        ...

    def size(self) -> int:
        """Return the bytes on disk."""
        ...

    def close(self) -> None:
        """Release all connections."""
