"""The index of products in the workspace: which versions the current records name, and which records have ranges.

A version counts while at least one current record names it, so an index that followed every change equals one that is
built anew from all records, and a whole run after many incremental ones changes nothing.

Crash safety: each version carries the number of the run in which it last came or went. What a run must do is decided
by comparing those numbers with the run number in the checkpoint, so a run that died before it published is made up
for by the next one. Versions that nobody names stay until a checkpoint shows that their going was published.

A new index is filled first: rows are appended as they come, and counted, sorted and indexed once when the first CVE
comes a second time or all have come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.drivers.nvd.expansion import Bounds, Ranged
from vulnfeeds.errors import ParseError
from vulnfeeds.records import cpe

FORM: Final = "1"
"""Raised when the tables change: an index of another form is not used."""

_TABLES: Final = """
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE version (
    product INTEGER NOT NULL, version TEXT NOT NULL, named INTEGER NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (product, version)
) WITHOUT ROWID;
CREATE TABLE cve (
    cve TEXT PRIMARY KEY, modified TEXT NOT NULL, digest BLOB NOT NULL, run INTEGER NOT NULL,
    document INTEGER NOT NULL, position INTEGER NOT NULL, names BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE span (product INTEGER NOT NULL, cve TEXT NOT NULL, bounds BLOB NOT NULL);
CREATE TABLE fresh (product INTEGER NOT NULL, version TEXT NOT NULL);
"""
_IN_ORDER: Final = """
CREATE UNIQUE INDEX product_by_name ON product (name);
INSERT INTO version SELECT product, version, count(*), {run} FROM fresh GROUP BY product, version;
DROP TABLE fresh;
CREATE INDEX span_by_product ON span (product);
CREATE INDEX span_by_cve ON span (cve);
"""
_NAMED: Final = """
INSERT INTO version (product, version, named, run) VALUES (?, ?, 1, ?)
ON CONFLICT (product, version) DO UPDATE
SET run = CASE WHEN named = 0 THEN excluded.run ELSE run END, named = named + 1
"""
_UNNAMED: Final = """
UPDATE version SET run = CASE WHEN named = 1 THEN ?3 ELSE run END, named = named - 1
WHERE product = ?1 AND version = ?2
"""


_BATCH: Final = 2000

Match = tuple[str, Ranged, bool]
"""One test of a configuration: its formatted string, its bounds, and whether what passes is vulnerable."""


class Seen(msgspec.Struct, frozen=True):
    """Where the newest form of a CVE was found."""

    modified: str
    digest: bytes
    """Of the item's bytes: the NVD also changes items without a new modification date."""
    run: int
    document: int
    position: int


class ProductIndex:
    """The open index; one process at a time. Raises ParseError when the file is no index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: dict[str, int] = {}
        self._filled = True
        self._waiting_versions: list[tuple[int, str]] = []
        self._waiting_spans: list[tuple[int, str, bytes]] = []
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._marks = dict(self._database.execute("SELECT name, value FROM mark").fetchall())
        except sqlite3.Error as error:
            raise ParseError(path.name, f"no index of products: {error}") from error

    @classmethod
    def create(cls, path: Path, *, identity: str, run: int) -> ProductIndex:
        """Make an index to be filled in place of what is there; `identity` tells it from all others.

        Nothing but `seen` can be asked of it before `commit`.
        """
        for name in (path, path.with_name(f"{path.name}-journal")):
            name.unlink(missing_ok=True)
        database = sqlite3.connect(path, isolation_level=None)
        database.executescript(_TABLES)
        marks = {"form": FORM, "identity": identity, "run": str(run), "floor": str(run)}
        database.executemany("INSERT INTO mark VALUES (?, ?)", marks.items())
        database.close()
        made = cls(path)
        made._filled = False
        # Until it is whole and gets its name, a torn file is only a file to be made again.
        made._database.execute("PRAGMA journal_mode = OFF")
        made._database.execute("PRAGMA synchronous = OFF")
        return made

    def close(self) -> None:
        """Release the file; an open transaction is undone."""
        self._database.close()

    @property
    def run(self) -> int:
        """Number of the last run that wrote here."""
        return int(self._marks["run"])

    @property
    def connection(self) -> sqlite3.Connection:
        """The database, for tables that change together with the index."""
        return self._database

    def follows(self, identity: str, run: int) -> bool:
        """Tell whether the index knows all that happened since that run of that index."""
        return (
            self._marks.get("form") == FORM
            and self._marks["identity"] == identity
            and int(self._marks["floor"]) <= run <= self.run
        )

    # --- writing --------------------------------------------------------------------------------------------------

    def begin(self, run: int, published: int) -> None:
        """Start to write as run `run`; what had gone up to run `published` is forgotten."""
        self._database.execute("PRAGMA cache_size = -32000")
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("DELETE FROM version WHERE named = 0 AND run <= ?", (published,))
        # What runs took that never published is to be taken again, whatever its age.
        self._database.execute("UPDATE cve SET modified = '' WHERE run > ?", (published,))
        self._mark("run", run)
        self._mark("floor", max(published, int(self._marks["floor"])))

    def commit(self) -> None:
        """Keep what was written since `begin`."""
        self._put_in_order()
        self._database.execute("COMMIT")

    def put(self, name: str, seen: Seen, matches: Iterable[Match], *, known: bool = True) -> None:
        """Replace what the index knows of one CVE; `known` False says that it knows nothing of it."""
        versions, spans = _uses(matches)
        after = {(self._product(product), version) for product, version in versions}
        rows = {(self._product(product), name, msgspec.msgpack.encode(bounds)) for product, bounds in spans}
        if known:
            self._put_in_order()
        if self._filled:
            self._count(self._names(name) if known else set(), after, seen.run)
        else:
            self._waiting_versions.extend(after)
            self._waiting_spans.extend(rows)
            if len(self._waiting_versions) + len(self._waiting_spans) > _BATCH:
                self._append()
        self._database.execute(
            "REPLACE INTO cve VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, *msgspec.structs.astuple(seen), msgspec.msgpack.encode(sorted(after))),
        )
        if known:
            self._database.execute("DELETE FROM span WHERE cve = ?", (name,))
        if self._filled and rows:
            self._database.executemany("INSERT INTO span VALUES (?, ?, ?)", sorted(rows))

    def _append(self) -> None:
        self._database.executemany("INSERT INTO fresh VALUES (?, ?)", self._waiting_versions)
        self._database.executemany("INSERT INTO span VALUES (?, ?, ?)", self._waiting_spans)
        self._waiting_versions.clear()
        self._waiting_spans.clear()

    def _count(self, before: set[tuple[int, str]], after: set[tuple[int, str]], run: int) -> None:
        if gone := before - after:
            self._database.executemany(_UNNAMED, [(*pair, run) for pair in sorted(gone)])
        if come := after - before:
            self._database.executemany(_NAMED, [(*pair, run) for pair in sorted(come)])

    def _put_in_order(self) -> None:
        """Count, sort and index what was filled in; from then on everything is kept in order."""
        if not self._filled:
            self._filled = True
            self._append()
            for statement in _IN_ORDER.format(run=self.run).strip().split("\n"):
                self._database.execute(statement)

    # --- reading --------------------------------------------------------------------------------------------------

    def seen(self, name: str) -> Seen | None:
        """Return where the newest form of a CVE was found, or None."""
        row = self._database.execute(
            "SELECT modified, digest, run, document, position FROM cve WHERE cve = ?", (name,)
        ).fetchone()
        return Seen(*row) if row else None

    def versions(self, product: str) -> list[str]:
        """Return the versions of a product that current records name, in no order."""
        rows = self._database.execute(
            "SELECT version FROM version WHERE product = (SELECT id FROM product WHERE name = ?) AND named > 0",
            (product,),
        )
        return [version for (version,) in rows]

    def affected(self, published: int) -> set[str]:
        """Return the CVEs with a range over a version that came or went after run `published`."""
        found: set[str] = set()
        rows = self._database.execute(
            "SELECT product, json_group_array(version) FROM version WHERE run > ? GROUP BY product", (published,)
        ).fetchall()
        for product, text in rows:
            moved = [version for version in msgspec.json.decode(text, type=list[str]) if cpe.is_version(version)]
            for name, bounds in self._spans(product):
                if name not in found and any(bounds.covers(version) for version in moved):
                    found.add(name)
        return found

    def _spans(self, product: int) -> Iterator[tuple[str, Bounds]]:
        rows = self._database.execute("SELECT cve, bounds FROM span WHERE product = ?", (product,))
        for name, packed in rows:
            yield name, msgspec.msgpack.decode(packed, type=Bounds)

    def _names(self, name: str) -> set[tuple[int, str]]:
        row = self._database.execute("SELECT names FROM cve WHERE cve = ?", (name,)).fetchone()
        return set(msgspec.msgpack.decode(row[0], type=list[tuple[int, str]])) if row else set()

    def _product(self, name: str) -> int:
        if (known := self._ids.get(name)) is not None:
            return known
        number = None
        if self._filled:
            row = self._database.execute("SELECT id FROM product WHERE name = ?", (name,)).fetchone()
            number = row[0] if row else None
        if number is None:
            number = self._database.execute("INSERT INTO product (name) VALUES (?)", (name,)).lastrowid or 0
        self._ids[name] = number
        return number

    def _mark(self, name: str, value: int) -> None:
        self._marks[name] = str(value)
        self._database.execute("REPLACE INTO mark VALUES (?, ?)", (name, str(value)))


def _uses(matches: Iterable[Match]) -> tuple[set[tuple[str, str]], list[tuple[str, Bounds]]]:
    """Return the (product, version) pairs that matches name, and the vulnerable ranges by product.

    A bound of a range names a version too: the first fixed version of one CVE is a version that another one covers.
    """
    versions: set[tuple[str, str]] = set()
    spans: list[tuple[str, Bounds]] = []
    for text, match, vulnerable in matches:
        name = cpe.parse(text)
        if name is None:
            continue
        bounds = Bounds.of(name, match)
        if bounds is None:
            if cpe.is_version(name.version):
                versions.add((name.product, name.version))
            continue
        if vulnerable:
            spans.append((name.product, bounds))
        for bound in (bounds.low, bounds.high):
            if bound and cpe.is_version(bound):
                versions.add((name.product, bound))
    return versions, spans
