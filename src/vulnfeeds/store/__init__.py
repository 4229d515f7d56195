"""The truth: numbered versions of records, pages of generations, tasks, checkpoints, quarantine."""

from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import open_store

__all__ = ["Store", "open_store"]
