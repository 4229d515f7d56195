"""The schema: the same however a store came to it, and the same on both databases."""

from __future__ import annotations

import shutil
import sqlite3
from importlib import resources
from pathlib import Path

import psycopg
import pytest
import yoyo

from vulnfeeds.store import applying, migrate, open_store

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name NOT LIKE '%yoyo%' ORDER BY 1, ordinal_position"
)
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '%yoyo%' ORDER BY 1"


def schema(url: str) -> list[tuple[object, ...]]:
    """Return all tables and indexes as the database describes them."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        rows = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%yoyo%' ORDER BY type, name"
        ).fetchall()
        connection.close()
        return rows
    with psycopg.connect(url) as server:
        return server.execute(COLUMNS).fetchall() + server.execute(INDEXES).fetchall()


def columns(url: str) -> dict[str, list[str]]:
    """Return the names of the columns of each table."""
    if not url.startswith("sqlite"):
        found: dict[str, list[str]] = {}
        with psycopg.connect(url) as server:
            for table, column, *_ in server.execute(COLUMNS):
                found.setdefault(table, []).append(column)
        return found
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    tables = [name for kind, name, _ in schema(url) if kind == "table" and not str(name).startswith("sqlite_")]
    found = {str(name): [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in tables}
    connection.close()
    return found


def test_a_migrated_store_equals_a_fresh_one(store_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Brought up migration by migration, with an opening after each, the schema is that of a fresh store."""
    dialect = "sqlite" if store_url.startswith("sqlite") else "postgres"
    names = migrate.names(dialect)
    for count in range(1, len(names) + 1):
        folder = tmp_path / f"first-{count}"
        folder.mkdir()
        with resources.as_file(resources.files(migrate.PACKAGE) / dialect) as shipped:
            for name in names[:count]:
                shutil.copy(shipped / f"{name}.sql", folder)
        apply(store_url, dialect, folder)
    store = open_store(store_url, migrate=False)
    assert store.schema_version() == names[-1]
    store.close()
    migrated = schema(store_url)
    clear(store_url, dialect)
    open_store(store_url).close()
    assert schema(store_url) == migrated


def test_both_databases_have_the_same_tables(sqlite_url: str, postgres_url: str) -> None:
    """Tables and their columns, in order, are named alike."""
    for url in (sqlite_url, postgres_url):
        open_store(url).close()
    assert columns(sqlite_url) == columns(postgres_url)
    assert migrate.names("sqlite") == migrate.names("postgres")


def test_a_broken_migration_leaves_nothing(store_url: str, tmp_path: Path) -> None:
    """When the second statement fails, the first one is gone too, and the migration is not noted."""
    open_store(store_url).close()
    before = schema(store_url)
    dialect = "sqlite" if store_url.startswith("sqlite") else "postgres"
    (tmp_path / "0002-broken.sql").write_text("CREATE TABLE half (id BIGINT);\n\nCREATE TABLE half (id BIGINT);\n")
    with pytest.raises((sqlite3.Error, psycopg.Error), match="already exists"):
        apply(store_url, dialect, tmp_path)
    assert schema(store_url) == before
    open_store(store_url, migrate=False).close()


def apply(url: str, dialect: str, folder: Path) -> None:
    with applying.backend(url.removeprefix("sqlite:///"), dialect) as backend:
        backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))


def clear(url: str, dialect: str) -> None:
    if dialect == "sqlite":
        path = Path(url.removeprefix("sqlite:///"))
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    else:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("DROP SCHEMA public CASCADE")
            server.execute("CREATE SCHEMA public")
