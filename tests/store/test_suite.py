"""Both stores keep the contract."""

from __future__ import annotations

from vulnfeeds.testing.store_suite import StoreSuite


class TestStore(StoreSuite):
    """The conformance suite, on SQLite and on PostgreSQL."""
