"""PostgreSQL behind the store's seam: psycopg 3, a pool of connections, COPY for bulk loads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from vulnfeeds.errors import ConflictError, SettingsError, StoreError, StoreUnavailableError
from vulnfeeds.store import migrate
from vulnfeeds.store.database import PATIENCE, BusyError, DuplicateRowError, Params, Row, Session

_Connection = psycopg.Connection[Row]
_LIST: Final = re.compile(r"IN \(:(\w+)\[\]\)")
_PARAMETER: Final = re.compile(r"(?<!:):(\w+)")
_CONNECT_SECONDS: Final = 10
_MOST_CONNECTIONS: Final = 10
_STREAM_ROWS: Final = 2000
_MIGRATION_LOCK: Final = 0x76756C6E66656564
"""Key of the advisory lock that whoever changes the schema holds: "vulnfeed" in ASCII."""
_numbers = itertools.count()
_CONNECTION: Final = {
    "connect_timeout": str(_CONNECT_SECONDS),
    "application_name": "vulnfeeds",
    "client_encoding": "UTF8",
    # A server that vanished without a word is noticed within a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class PostgresDatabase:
    """A PostgreSQL database, in the schema that the address leads to.

    Raises SettingsError when the address cannot be read, StoreUnavailableError when the server does not answer.
    """

    def __init__(self, url: str) -> None:
        given = _parameters(url)
        added = {name: value for name, value in _CONNECTION.items() if name not in given}
        self._conninfo = make_conninfo(url, **added)
        where = ":".join(str(given[part]) for part in ("host", "port") if part in given)
        self._location = f"postgresql://{where}/{given.get('dbname', '')}"
        with _translated(self.location), psycopg.connect(self._conninfo) as connection:
            encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreUnavailableError(f"{self.location}: the database's encoding is {encoding}, it must be UTF8")
        self._pool: ConnectionPool[_Connection] = ConnectionPool(
            self._conninfo,
            connection_class=psycopg.Connection[Row],
            kwargs={"autocommit": True},
            min_size=0,
            max_size=_MOST_CONNECTIONS,
            timeout=_CONNECT_SECONDS + 5,
            # A connection that a restart of the server broke is replaced instead of handed out.
            check=ConnectionPool.check_connection,
            open=True,
        )

    @property
    def location(self) -> str:
        """The server and the database, without user and password."""
        return self._location

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a snapshot."""
        with _translated(self.location), self._connection() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield PostgresSession(connection, self.location)
            finally:
                _roll_back(connection)

    @contextmanager
    def write(self, *, patience: float = PATIENCE) -> Iterator[Session]:
        """Open a transaction; rows that another one changes are waited for."""
        with _translated(self.location), self._connection() as connection:
            connection.execute("BEGIN")
            try:
                connection.execute(f"SET LOCAL lock_timeout = {max(1, int(patience * 1000))}".encode())
                yield PostgresSession(connection, self.location)
                connection.commit()
            finally:
                _roll_back(connection)

    def peek(self, statement: str) -> Row | None:
        """Return None: a server is always waited for."""
        return None

    def applied_migrations(self) -> list[str]:
        """Return what the database remembers."""
        with self.read() as session:
            if session.row("SELECT 1 WHERE to_regclass(:name) IS NOT NULL", {"name": migrate.TABLE}) is None:
                return []
            return [name for (name,) in session.rows(migrate.APPLIED)]

    def known_migrations(self) -> list[str]:
        """Return what ships for PostgreSQL."""
        return migrate.names("postgres")

    def apply_migrations(self) -> None:
        """Apply what is missing, one process at a time."""
        from vulnfeeds.store import applying

        with _translated(self.location), psycopg.connect(self._conninfo, autocommit=True) as connection:
            # Held by the connection: it ends with this process, however that ends.
            connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
            applying.to_postgres(self._conninfo)

    def size(self) -> int:
        """Return the bytes of the store's tables and their indexes."""
        with self.read() as session:
            row = session.row(
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
                " WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class"
                " WHERE oid = to_regclass('feed_groups'))"
            )
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        with self._pool.connection() as connection:
            yield connection


class PostgresSession:
    """One transaction on one connection."""

    def __init__(self, connection: _Connection, location: str) -> None:
        self._connection = connection
        self._location = location

    def run(self, statement: str, params: Params | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        with _translated(self._location), self._execute(statement, params) as cursor:
            return cursor.rowcount

    def insert(self, statement: str, params: Params) -> int:
        """Insert one row and return its id."""
        with _translated(self._location), self._execute(f"{statement} RETURNING id", params) as cursor:
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def many(self, statement: str, params: Iterable[Params]) -> None:
        """Run a statement once for each set of parameters, without waiting for each answer."""
        with _translated(self._location), self._connection.cursor() as cursor:
            cursor.executemany(_query(statement), params)

    def row(self, statement: str, params: Params | None = None) -> Row | None:
        """Return the first row, or None."""
        with _translated(self._location), self._execute(statement, params) as cursor:
            return cursor.fetchone()

    def rows(self, statement: str, params: Params | None = None) -> list[Row]:
        """Return all rows."""
        with _translated(self._location), self._execute(statement, params) as cursor:
            return cursor.fetchall()

    def stream(self, statement: str, params: Params | None = None) -> Iterator[Row]:
        """Yield rows through a cursor on the server."""
        with _translated(self._location), self._connection.cursor(name=f"stream_{next(_numbers)}") as cursor:
            cursor.itersize = _STREAM_ROWS
            cursor.execute(_query(statement), params, binary=True)
            yield from cursor

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert many rows by COPY."""
        target = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with _translated(self._location), self._connection.cursor() as cursor, cursor.copy(target) as copy:
            for row in rows:
                copy.write_row(row)

    def _execute(self, statement: str, params: Params | None) -> psycopg.Cursor[Row]:
        # Binary answers: a body as text would be twice as long.
        return self._connection.cursor(binary=True).execute(_query(statement), params)


@lru_cache(512)
def _query(statement: str) -> LiteralString:
    """Return a statement of the seam as psycopg wants it."""
    listed = _LIST.sub(r"= ANY(:\1)", statement)
    return _PARAMETER.sub(r"%(\1)s", listed)


def _roll_back(connection: _Connection) -> None:
    # A connection that is lost has nothing to roll back, and the pool drops it.
    if not connection.closed:
        connection.rollback()


def _first_line(error: Exception) -> Any:
    return str(error).strip().partition("\n")[0]


@contextmanager
def _translated(location: str) -> Iterator[None]:
    try:
        yield
    except (errors.UniqueViolation, errors.CardinalityViolation) as error:
        raise DuplicateRowError(f"{location}: {_first_line(error)}") from error
    except (errors.DeadlockDetected, errors.SerializationFailure) as error:
        raise ConflictError(f"{location}: {_first_line(error)}") from error
    except errors.LockNotAvailable as error:
        raise BusyError(f"{location}: another process is writing ({_first_line(error)})") from error
    except PoolClosed as error:
        raise StoreUnavailableError(f"{location}: the store is closed") from error
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, errors.InsufficientPrivilege) as error:
        raise StoreUnavailableError(f"{location}: {_first_line(error)}") from error
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise StoreError(f"{location}: {_first_line(error)}") from error


def _parameters(url: str) -> dict[str, Any]:
    """Return the parameters of an address; SettingsError, without what may be the password, when it is wrong."""
    with suppress(psycopg.Error):
        given = conninfo_to_dict(url)
        if str(given.get("port", "1")).replace(",", "").isdecimal():
            return given
    raise SettingsError(
        "the store's address is no PostgreSQL address: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
        "with special characters in user and password percent-encoded"
    )
