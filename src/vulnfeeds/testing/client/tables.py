"""Where the client keeps what it got: SQLite tables in the manner of the policy engine's database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.testing.client.mapping import Mapped
from vulnfeeds.testing.client.pages import Named

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS feeds (
  name TEXT PRIMARY KEY, description TEXT, access_tier INTEGER);
CREATE TABLE IF NOT EXISTS feed_groups (
  feed_name TEXT NOT NULL, name TEXT NOT NULL, description TEXT, access_tier INTEGER, last_sync TEXT,
  PRIMARY KEY (feed_name, name));
CREATE TABLE IF NOT EXISTS vulnerability (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('Unknown', 'Negligible', 'Low', 'Medium', 'High', 'Critical')),
  description TEXT, link TEXT, metadata_json TEXT, cvss2_score REAL, cvss2_vectors TEXT,
  PRIMARY KEY (feed_name, namespace_name, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fixed_artifact (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, vulnerability_id TEXT NOT NULL,
  name TEXT NOT NULL, version TEXT NOT NULL, version_format TEXT NOT NULL, epochless_version TEXT NOT NULL,
  vendor_no_advisory INTEGER NOT NULL, fix_metadata TEXT NOT NULL,
  PRIMARY KEY (feed_name, namespace_name, vulnerability_id, name, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nvdv2_vulnerability (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('Unknown', 'Negligible', 'Low', 'Medium', 'High', 'Critical')),
  description TEXT, cvss_v2 TEXT, cvss_v3 TEXT, link TEXT, external_references TEXT,
  PRIMARY KEY (feed_name, namespace_name, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cpe (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, vulnerability_id TEXT NOT NULL,
  part TEXT, vendor TEXT, product TEXT, version TEXT, "update" TEXT, edition TEXT, language TEXT, sw_edition TEXT,
  target_sw TEXT, target_hw TEXT, other TEXT,
  PRIMARY KEY (feed_name, namespace_name, vulnerability_id, part, vendor, product, version, "update", edition,
    language, sw_edition, target_sw, target_hw, other)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS package (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  latest TEXT, content TEXT NOT NULL,
  PRIMARY KEY (feed_name, namespace_name, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS opaque_record (
  feed_name TEXT NOT NULL, namespace_name TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  content TEXT NOT NULL,
  PRIMARY KEY (feed_name, namespace_name, id)) WITHOUT ROWID;
"""
_CHILDREN: Final = {"vulnerability": "fixed_artifact", "nvdv2_vulnerability": "cpe"}
_COLUMNS: Final = {
    "vulnerability": 6,
    "fixed_artifact": 6,
    "nvdv2_vulnerability": 6,
    "cpe": 11,
    "package": 2,
    "opaque_record": 1,
}
"""Columns of each table after those of its key (and digest), as many as `Mapped` gives."""
_PARENTS: Final = tuple(name for name in _COLUMNS if name not in _CHILDREN.values())
_BELONGS: Final = "feed_name = ? AND namespace_name = ?"


class Kept(msgspec.Struct, frozen=True):
    """A record as it lies in the tables."""

    row: tuple[Any, ...]
    children: tuple[tuple[Any, ...], ...]
    digest: bytes
    """Of the whole body."""


class Tables:
    """The client's database. Nothing is committed but by `commit`."""

    def __init__(self, database: Path | str) -> None:
        self._db = sqlite3.connect(str(database), isolation_level=None, check_same_thread=False)
        # The client can always sync again, so it need not outlive the machine.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def begin(self) -> None:
        """Begin a transaction."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        """Keep what was written since `begin`."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Drop what was written since `begin`."""
        self._db.execute("ROLLBACK")

    def put_feed(self, feed: Named) -> None:
        """Write what a listing says of a feed."""
        self._db.execute(
            "INSERT OR REPLACE INTO feeds VALUES (?, ?, ?)", (feed.name, feed.description, feed.access_tier)
        )

    def put_group(self, feed: str, group: Named) -> None:
        """Write what a listing says of a group; its last sync stays."""
        self._db.execute(
            "INSERT INTO feed_groups (feed_name, name, description, access_tier) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET description = excluded.description, access_tier = excluded.access_tier",
            (feed, group.name, group.description, group.access_tier),
        )

    def groups(self, feed: str) -> list[str]:
        """Return all groups ever listed: one that vanished from the listing is still asked for."""
        rows = self._db.execute("SELECT name FROM feed_groups WHERE feed_name = ? ORDER BY name", (feed,))
        return [name for (name,) in rows]

    def last_sync(self, feed: str, group: str) -> datetime | None:
        """Return when the last complete download of a group began, naive UTC."""
        found = self._db.execute("SELECT last_sync FROM feed_groups WHERE feed_name = ? AND name = ?", (feed, group))
        row = found.fetchone()
        return datetime.fromisoformat(row[0]) if row and row[0] else None

    def put_last_sync(self, feed: str, group: str, at: datetime) -> None:
        """Write when the download that is now complete began, naive UTC."""
        where = "WHERE feed_name = ? AND name = ?"
        self._db.execute(f"UPDATE feed_groups SET last_sync = ? {where}", (at.isoformat(), feed, group))  # noqa: S608

    def clear(self, feed: str, group: str) -> None:
        """Delete all rows of a group."""
        for table in _COLUMNS:
            self._db.execute(f"DELETE FROM {table} WHERE {_BELONGS}", (feed, group))  # noqa: S608

    def upsert(self, feed: str, group: str, record: Mapped) -> bool:
        """Write a record and replace its children; return whether it is new."""
        key = (feed, group, record.id)
        fresh = self._db.execute(
            f"DELETE FROM {record.table} WHERE {_BELONGS} AND id = ?",  # noqa: S608
            key,
        ).rowcount == 0  # fmt: skip
        self._insert(record.table, [(*key, record.digest, *record.row)])
        if child := _CHILDREN.get(record.table):
            if not fresh:
                self._db.execute(f"DELETE FROM {child} WHERE {_BELONGS} AND vulnerability_id = ?", key)  # noqa: S608
            self._insert(child, [(*key, *values) for values in record.children])
        return fresh

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608

    def kept(self, feed: str, group: str, table: str, record_id: str) -> Kept | None:
        """Return a record as it lies here."""
        key = (feed, group, record_id)
        row = self._db.execute(f"SELECT * FROM {table} WHERE {_BELONGS} AND id = ?", key).fetchone()  # noqa: S608
        if row is None:
            return None
        children: list[tuple[Any, ...]] = []
        if child := _CHILDREN.get(table):
            query = f"SELECT * FROM {child} WHERE {_BELONGS} AND vulnerability_id = ?"  # noqa: S608
            children = sorted(found[3:] for found in self._db.execute(query, key))
        return Kept(row[4:], tuple(children), row[3])

    def ids(self, feed: str, group: str) -> set[str]:
        """Return the ids of all records of a group."""
        found: set[str] = set()
        for table in _PARENTS:
            query = f"SELECT id FROM {table} WHERE {_BELONGS}"  # noqa: S608
            with closing(self._db.execute(query, (feed, group))) as rows:
                found.update(name for (name,) in rows)
        return found
