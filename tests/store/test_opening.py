"""Opening: good addresses, bad addresses, what is in the way, and stores of other versions."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from vulnfeeds.errors import SettingsError, StoreUnavailableError, StoreVersionError
from vulnfeeds.store import open_store
from vulnfeeds.store.migrate import TABLE


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vulnfeeds.sqlite",
        "/var/lib/vulnfeeds.sqlite",
        "mysql://localhost/x",
        "sqlite:",
        "sqlite://x",
        "sqlite:///",
        "sqlite:///folder/",
        "sqlite:///:memory:",
        "postgresql://user:p/ss@host/x",
        "postgresql://host:port/x",
        "postgresql://host/x?nonsense=1",
    ],
)
def test_an_address_that_means_nothing_is_a_settings_error(url: str) -> None:
    """The text says what an address looks like, and never repeats a password."""
    with pytest.raises(SettingsError, match="store") as caught:
        open_store(url)
    assert "p/ss" not in str(caught.value)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    """Characters that mean something in URLs and in SQLite's own names are taken as they are."""
    path = tmp_path / "a ?b=c#d%20é:.sqlite"
    open_store(f"sqlite:///{path}").close()
    assert path.is_file()


def test_a_relative_path_begins_at_the_current_folder(tmp_path: Path) -> None:
    """Without a slash of its own the path is relative."""
    code = "from vulnfeeds.store import open_store; open_store('sqlite:///here.sqlite').close()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert (tmp_path / "here.sqlite").is_file()


def test_what_is_not_a_database_is_refused_untouched(tmp_path: Path) -> None:
    """A file of something else is named in the error and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a database, but long enough to look at " * 50)
    with pytest.raises(StoreUnavailableError, match=r"notes\.txt.*not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"not a database")


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    """A folder where the file should be, and a folder that is missing, are told apart."""
    with pytest.raises(StoreUnavailableError, match="is a folder"):
        open_store(f"sqlite:///{tmp_path}")
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        open_store(f"sqlite:///{tmp_path / 'missing' / 'x.sqlite'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """No permission is a StoreUnavailableError that names the file."""
    path = tmp_path / "x.sqlite"
    open_store(f"sqlite:///{path}").close()
    path.chmod(0)
    with pytest.raises(StoreUnavailableError, match=r"x\.sqlite"):
        open_store(f"sqlite:///{path}")


def test_a_file_cut_short_is_unavailable(tmp_path: Path) -> None:
    """A damaged database is refused with its name."""
    path = tmp_path / "x.sqlite"
    open_store(f"sqlite:///{path}").close()
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(StoreUnavailableError, match=r"x\.sqlite"):
        open_store(f"sqlite:///{path}")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """A refused connection says where, without the password."""
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1") as caught:
        open_store("postgresql://me:secret@127.0.0.1:1/x?connect_timeout=2")
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_unavailable(postgres_url: str) -> None:
    """The server answers, but has no such database."""
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        open_store(postgres_url.replace("/test_", "/missing_"))


def test_a_server_that_restarts_is_used_again(postgres_url: str) -> None:
    """Connections that were cut are replaced: the next question is answered."""
    store = open_store(postgres_url)
    store.feeds()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert store.feeds() == []
    store.close()


def test_a_store_of_a_newer_version_is_refused(store_url: str) -> None:
    """A migration that we do not know means a newer version: the error names it and what to do."""
    open_store(store_url).close()
    execute(store_url, f"UPDATE {TABLE} SET migration_id = '9999-later' WHERE migration_id LIKE '0001%'")
    with pytest.raises(StoreVersionError, match=r"newer version.*9999-later"):
        open_store(store_url)


def test_an_older_schema_is_changed_only_when_asked(store_url: str) -> None:
    """With migrate=False a schema that lacks something is refused, an up to date one is opened."""
    with pytest.raises(StoreVersionError, match="not up to date"):
        open_store(store_url, migrate=False)
    open_store(store_url).close()
    open_store(store_url, migrate=False).close()


def execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(statement)
        connection.commit()
        connection.close()
    else:
        with psycopg.connect(url) as server:
            server.execute(statement.encode())
