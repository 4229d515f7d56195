"""SQLite behind the store's seam: one file in WAL mode, readers beside one writer."""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from vulnfeeds.errors import StoreError, StoreUnavailableError
from vulnfeeds.store import migrate
from vulnfeeds.store.database import PATIENCE, BusyError, DuplicateRowError, Params, Row, Session

_LIST: Final = re.compile(r"IN \(:(\w+)\[\]\)")
_READER_PATIENCE: Final = 30.0
_IDLE_CONNECTIONS: Final = 8
_PRAGMAS: Final = (
    # Takes effect on a new file only. Bodies of 0.3 to 4 KB: larger pages save overflow chains.
    "PRAGMA page_size=8192",
    "PRAGMA journal_mode=WAL",
    # In WAL mode a power cut may lose the last commits, never tear one; a lost publish is repeated by the next run.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
    # A first load grows the log to its own size; do not keep that on disk.
    "PRAGMA journal_size_limit=4194304",
)


class SQLiteDatabase:
    """One SQLite file at `path`, which is created when it is not there (its folder is not).

    Raises StoreUnavailableError when the file cannot be opened or is no database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._peeking = threading.Lock()
        self._peeker: sqlite3.Connection | None = None
        self._closed = False
        if not path.parent.is_dir():
            raise StoreUnavailableError(f"{self.location}: the folder {path.parent} does not exist")
        if path.is_dir():
            raise StoreUnavailableError(f"{self.location}: is a folder, not a file")
        with _translated(self.location):
            self._give_back(self._take())

    @property
    def location(self) -> str:
        """The file's address."""
        return f"sqlite:///{self._path}"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a snapshot."""
        with _translated(self.location), self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield SQLiteSession(connection, self.location)
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self, *, patience: float = PATIENCE) -> Iterator[Session]:
        """Open a transaction; writers of this process take turns, those of others are waited for."""
        if not self._turn.acquire(timeout=patience):
            raise BusyError(f"{self.location}: another thread has been writing for {patience:g} seconds")
        try:
            with _translated(self.location), self._connection() as connection:
                connection.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield SQLiteSession(connection, self.location)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    connection.execute(f"PRAGMA busy_timeout={int(_READER_PATIENCE * 1000)}")
        finally:
            self._turn.release()

    def peek(self, statement: str) -> Row | None:
        """Run a query on a connection that never waits: a reader needs no lock that a writer holds."""
        if not self._peeking.acquire(blocking=False):
            return None
        try:
            if self._peeker is None:
                if self._closed:
                    return None
                # Without patience: what is locked is not waited for.
                self._peeker = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
                self._peeker.execute("PRAGMA query_only=ON")
            row: Row | None = self._peeker.execute(statement).fetchone()
            return row
        except sqlite3.Error:
            return None
        finally:
            self._peeking.release()

    def applied_migrations(self) -> list[str]:
        """Return what the database remembers."""
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
        with self.read() as session:
            if session.row(there, {"name": migrate.TABLE}) is None:
                return []
            return [name for (name,) in session.rows(migrate.APPLIED)]

    def known_migrations(self) -> list[str]:
        """Return what ships for SQLite."""
        return migrate.names("sqlite")

    def apply_migrations(self) -> None:
        """Apply what is missing, one process at a time."""
        from vulnfeeds.store import applying

        # The folder is locked, not the file: closing any other handle of the file would drop SQLite's own locks.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            with _translated(self.location):
                applying.to_sqlite(str(self._path))
        finally:
            os.close(folder)

    def size(self) -> int:
        """Return the bytes of the file and its log."""
        total = 0
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += Path(f"{self._path}{suffix}").stat().st_size
        return total

    def close(self) -> None:
        """Close idle connections now, and those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._peeking:
            if self._peeker is not None:
                self._peeker.close()
                self._peeker = None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreUnavailableError(f"{self.location}: the store is closed")
            if self._idle:
                return self._idle.pop()
        connection = sqlite3.connect(
            self._path, timeout=_READER_PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and not connection.in_transaction and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


class SQLiteSession:
    """One transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection, location: str) -> None:
        self._connection = connection
        self._location = location

    def run(self, statement: str, params: Params | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(statement, params).rowcount

    def insert(self, statement: str, params: Params) -> int:
        """Insert one row and return its id."""
        return int(self._execute(statement, params).lastrowid or 0)

    def many(self, statement: str, params: Iterable[Params]) -> None:
        """Run a statement once for each set of parameters."""
        with _translated(self._location):
            self._connection.executemany(statement, params)

    def row(self, statement: str, params: Params | None = None) -> Row | None:
        """Return the first row, or None."""
        with _translated(self._location):
            row: Row | None = self._execute(statement, params).fetchone()
            return row

    def rows(self, statement: str, params: Params | None = None) -> list[Row]:
        """Return all rows."""
        with _translated(self._location):
            return self._execute(statement, params).fetchall()

    def stream(self, statement: str, params: Params | None = None) -> Iterator[Row]:
        """Yield rows as SQLite steps to them."""
        with _translated(self._location), closing(self._execute(statement, params)) as cursor:
            yield from cursor

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert many rows by one prepared statement."""
        marks = ", ".join("?" * len(columns))
        with _translated(self._location):
            self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def _execute(self, statement: str, params: Params | None) -> sqlite3.Cursor:
        values: dict[str, Any] = {
            name: json.dumps(value) if isinstance(value, list) else value for name, value in (params or {}).items()
        }
        with _translated(self._location):
            return self._connection.execute(_LIST.sub(r"IN (SELECT value FROM json_each(:\1))", statement), values)


@contextmanager
def _translated(location: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise DuplicateRowError(f"{location}: {error}") from error
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        if "locked" in str(error) or "busy" in str(error):
            raise BusyError(f"{location}: another process is writing ({error})") from error
        raise StoreUnavailableError(f"{location}: {error}") from error
    except (sqlite3.Error, UnicodeEncodeError) as error:
        raise StoreError(f"{location}: {error}") from error
