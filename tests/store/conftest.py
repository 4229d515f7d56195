"""Opens the store under test, and closes it whatever the test did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime

import pytest

from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Store
from vulnfeeds.testing.store_suite import Factory


@pytest.fixture
def factory(store_url: str) -> Iterator[Factory]:
    """Opens the same database each time, once on SQLite and once on PostgreSQL."""
    with ExitStack() as stores:

        def opened(*, clock: Callable[[], datetime], owner: str | None = None) -> Store:
            return stores.enter_context(closing(open_store(store_url, clock=clock, owner=owner)))

        yield opened
