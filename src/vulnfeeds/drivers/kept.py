"""Documents that a driver keeps in its workspace between runs: reduced to what is read of them, by name.

For upstreams that publish one document per vulnerability or advisory, tens of thousands of them, and a list that says
which ones changed. Each document carries the mark under which the list named it, so that a run that died goes on
where it was, and the next one asks only for what changed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import zstandard

from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import DanglingError, ParseError, StatusError, UpstreamError

_TABLES: Final = """
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE document (
    name TEXT PRIMARY KEY, mark TEXT NOT NULL, asked REAL NOT NULL, body BLOB, digest BLOB
) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO document (name, mark, asked, body, digest) VALUES (?, ?, ?, ?, ?)"
_COMMIT_EVERY: Final = 100
"""Answers between two commits: so many are asked again after a crash."""
_COMPLETE: Final = "complete"
"""The mark that says that all documents were had once."""
_GIVE_UP_AFTER: Final = 20
"""Failures after which, when they are more than half of all answers, an upstream is left alone until the next run."""


class Kept(NamedTuple):
    """What is known of a document besides its content."""

    mark: str
    """Under which the list named it."""
    asked: float
    """When it was brought, in seconds since the epoch."""
    filled: bool
    """Whether anything of it is read; the mark of a document that says nothing to us is kept, too."""


class KeptDocuments:
    """The open store of one kind of documents; one process at a time.

    A file of another form, or one that is no store, is begun anew: everything in it can be had again.
    """

    def __init__(self, path: Path, form: str) -> None:
        self._connection = self._open(path, form)
        self._packer = zstandard.ZstdCompressor(level=3)
        self._unpacker = zstandard.ZstdDecompressor()

    def __enter__(self) -> KeptDocuments:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def commit(self) -> None:
        """Make what was put and dropped lasting."""
        self._connection.commit()

    def rollback(self) -> None:
        """Forget what was put and dropped since the last commit."""
        self._connection.rollback()

    def get_mark(self, name: str) -> str:
        """Return a mark of the whole store, "" when it was never set."""
        found = self._connection.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return found[0] if found else ""

    def set_mark(self, name: str, value: str) -> None:
        """Set a mark of the whole store."""
        self._connection.execute("INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)", (name, value))

    def put(self, name: str, mark: str, asked: float, body: bytes | None) -> None:
        """Keep a document; body None when nothing of it is read."""
        packed = self._packer.compress(body) if body is not None else None
        digest = hashlib.blake2b(body, digest_size=16).digest() if body is not None else None
        self._connection.execute(_PUT, (name, mark, asked, packed, digest))

    def age(self, name: str) -> None:
        """Make a document as old as can be, so that it is asked for again; what is kept of it stays."""
        self._connection.execute("UPDATE document SET asked = 0 WHERE name = ?", (name,))

    def drop(self, name: str) -> None:
        """Forget a document."""
        self._connection.execute("DELETE FROM document WHERE name = ?", (name,))

    def drop_others(self, mark: str) -> int:
        """Forget the documents that do not carry this mark; return how many they were."""
        return self._connection.execute("DELETE FROM document WHERE mark != ?", (mark,)).rowcount

    def find(self, name: str) -> Kept | None:
        """Return what is known of a document, None when it was never had."""
        query = "SELECT mark, asked, body IS NOT NULL FROM document WHERE name = ?"
        found = self._connection.execute(query, (name,)).fetchone()
        return Kept(found[0], found[1], bool(found[2])) if found else None

    def names(self) -> list[str]:
        """Return the names of all documents, sorted."""
        return [name for (name,) in self._connection.execute("SELECT name FROM document ORDER BY name")]

    def body(self, name: str) -> bytes | None:
        """Return what is kept of a document, None when there is nothing."""
        found = self._connection.execute("SELECT body FROM document WHERE name = ?", (name,)).fetchone()
        return self._unpacker.decompress(found[0]) if found and found[0] is not None else None

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """Yield (name, body) of the documents of which something is read, by name."""
        for name, body in self._connection.execute(
            "SELECT name, body FROM document WHERE body IS NOT NULL ORDER BY name"
        ):
            yield name, self._unpacker.decompress(body)

    def amount(self) -> int:
        """Return how many documents there are of which something is read."""
        found: int = self._connection.execute("SELECT count(*) FROM document WHERE body IS NOT NULL").fetchone()[0]
        return found

    def fingerprint(self) -> str:
        """Return a digest over all that is read; equal stores have equal ones."""
        total = hashlib.blake2b(digest_size=16)
        query = "SELECT name, digest FROM document WHERE body IS NOT NULL ORDER BY name"
        for name, digest in self._connection.execute(query):
            total.update(name.encode() + b"\0" + digest)
        return total.hexdigest()

    @staticmethod
    def _open(path: Path, form: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        with suppress(sqlite3.DatabaseError):
            if connection.execute("SELECT value FROM mark WHERE name = 'form'").fetchone() == (form,):
                return connection
        connection.close()
        for leftover in (path, path.with_name(f"{path.name}-journal")):
            leftover.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript(_TABLES)
        connection.execute("INSERT INTO mark VALUES ('form', ?)", (form,))
        connection.commit()
        return connection


class Wanted(NamedTuple):
    """A document to ask for."""

    name: str
    url: str
    mark: str
    may_be_gone: bool = False
    """The list no longer names it: when upstream has none (404), ours is dropped."""


class Reduce(Protocol):
    """Makes what is kept of a document's bytes, None for nothing.

    Raises ParseError, and DanglingError for one whose fault is its own: the run goes on without it.
    """

    def __call__(self, name: str, data: bytes, /) -> bytes | None:
        """Return what is kept of the document of that name."""
        ...


Ask = Callable[[Wanted], bytes]
"""Asks upstream for a document. Raises UpstreamError."""


def bring(
    context: Context,
    kept: KeptDocuments,
    wanted: list[Wanted],
    reduce: Reduce,
    *,
    at_once: int,
    ask: Ask | None = None,
) -> None:
    """Ask for documents, several at once, and keep what is read of them; `ask` None asks for JSON at their URLs.

    A document that cannot be had or read is asked for again by the next run, because its mark stays as it was; until
    then its last copy is used, with a note. Until all were had once, raises UpstreamError or ParseError when there is
    no copy: what came before is kept for the next run. Later a new one that cannot be had is noted; at any time so is
    one that upstream lists but does not have (404), or whose ids lead nowhere.
    """
    failed: list[tuple[Wanted, UpstreamError | ParseError]] = []
    given_up = False
    # In another order in each run, so that documents that always fail do not hold up the same others.
    order = sorted(wanted, key=lambda want: zlib.crc32(f"{context.now():.0f} {want.name}".encode()))

    def plainly(want: Wanted) -> bytes:
        return context.fetcher.get_json(want.url)

    try:
        for done, (want, answer) in enumerate(answers(order, ask or plainly, at_once)):
            context.report("fetch", done, len(order))
            error = _keep(context, kept, want, answer, reduce)
            if error is not None:
                failed.append((want, error))
            given_up = len(failed) >= max(_GIVE_UP_AFTER, done // 2 + 1)
            if given_up:
                break
            if done % _COMMIT_EVERY == 0:
                kept.commit()
    finally:
        kept.commit()
    lost = [error for want, error in failed if kept.find(want.name) is None]
    grave = next((error for error in lost if given_up or not _is_its_own(error)), None)
    if grave is not None and not kept.get_mark(_COMPLETE):
        raise grave
    if not given_up:
        kept.set_mark(_COMPLETE, "yes")
        kept.commit()
    if lost:
        context.note(f"{len(lost)} listed documents could not be had and are not kept from before: {lost[0]}")
    if others := [error for want, error in failed if kept.find(want.name) is not None]:
        context.note(f"{len(others)} documents could not be had, their last copies are used: {others[0]}")
    if given_up:
        context.note(f"after {len(failed)} failures the rest was left for the next run")


def _keep(
    context: Context, kept: KeptDocuments, want: Wanted, answer: bytes | UpstreamError, reduce: Reduce
) -> UpstreamError | ParseError | None:
    if isinstance(answer, UpstreamError):
        if want.may_be_gone and _is_gone(answer):
            kept.drop(want.name)
            return None
        return answer
    try:
        body = reduce(want.name, answer)
    except ParseError as error:
        return error
    kept.put(want.name, want.mark, context.now(), body)
    return None


def _is_gone(error: UpstreamError | ParseError) -> bool:
    return isinstance(error, StatusError) and error.status == 404


def _is_its_own(error: UpstreamError | ParseError) -> bool:
    """Tell whether nothing but this one document is wrong upstream."""
    return _is_gone(error) or isinstance(error, DanglingError)


def answers(wanted: Iterable[Wanted], ask: Ask, at_once: int) -> Iterator[tuple[Wanted, bytes | UpstreamError]]:
    """Yield answers as they come; no more than `at_once` are asked for ahead of the caller."""
    waiting = iter(wanted)
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="ask") as pool:
        asked: dict[Future[bytes], Wanted] = {}
        try:
            while True:
                for want in waiting:
                    asked[pool.submit(ask, want)] = want
                    if len(asked) >= at_once:
                        break
                if not asked:
                    return
                for future in wait(asked, return_when=FIRST_COMPLETED).done:
                    want = asked.pop(future)
                    try:
                        yield want, future.result()
                    except UpstreamError as error:
                        yield want, error
        finally:
            for future in asked:
                future.cancel()
