"""What a peek tells on SQLite, where it is there to spare readers a thread."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vulnfeeds.store import Store, open_store

PUBLISH = """
import sys
from tests.api.filling import os_record, publish
from vulnfeeds.store import open_store
store = open_store(sys.argv[1])
publish(store, "vulnerabilities", "g", {"k": os_record("g", "k", sys.argv[2])})
store.close()
"""


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    """An empty store on SQLite."""
    with closing(open_store(sqlite_url)) as opened:
        yield opened


def publish_elsewhere(url: str, text: str) -> None:
    """Publish from another process."""
    subprocess.run([sys.executable, "-c", PUBLISH, url, text], check=True)


def test_what_another_process_published_shows_at_once(store: Store, sqlite_url: str) -> None:
    """The revision is told, and is another one after each publish of another process."""
    seen = [store.peek_revision()]
    for text in ("one", "two"):
        publish_elsewhere(sqlite_url, text)
        seen.append(store.peek_revision())
        assert seen[-1] == store.revision()
    assert None not in seen
    assert len(set(seen)) == 3


def test_a_writer_is_not_waited_for(store: Store, sqlite_url: str) -> None:
    """While another connection holds the writer's lock the last revision is told as before."""
    with closing(sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///")), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.peek_revision() == 0
        other.execute("ROLLBACK")
    assert store.peek_revision() == 0


def test_a_peek_leaves_nothing_open(store: Store, sqlite_url: str) -> None:
    """It holds no snapshot: after it the log can be emptied to the last byte."""
    publish_elsewhere(sqlite_url, "one")
    assert store.peek_revision() is not None
    with closing(sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///")), isolation_level=None)) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
