"""An open store, once on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import open_store


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """An empty store on SQLite, for what does not depend on the database."""
    opened = open_store(sqlite_url)
    yield opened
    opened.close()
