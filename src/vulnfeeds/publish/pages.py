"""The page folder: every page of a group rendered and compressed once, when it is first asked for, then kept.

A file holds all of the JSON page but its tail, under the name of the page's content, so equal content is one file
whichever generations it belongs to. A file that a crash or a disk left damaged is noticed and made again; losing the
whole folder costs only time.
"""

from __future__ import annotations

import itertools
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import xxhash

from vulnfeeds.errors import StoreError
from vulnfeeds.publish.splice import ENCODINGS, Encoding, Prefix, prefix
from vulnfeeds.store.interface import Manifest, Store

OPENING: Final = b'{"data":['

_log = logging.getLogger(__name__)

_SUFFIXES: Final[dict[Encoding, str]] = {"zstd": ".zst", "gzip": ".gz", "identity": ".json"}
_TEMPORARY: Final = ".part"
_ABANDONED_SECONDS: Final = 3600.0
"""A file still unfinished after this long belongs to a process that was killed."""
_MAGIC: Final = b"VFPAGE1\n"
"""Raised with every change of what a file holds: files of another form are made again."""
_FACTS: Final = struct.Struct("<8sBIQ")
_DIGEST: Final = 16
_STRIPES: Final = 256


class PageGoneError(StoreError):
    """The store does not hold the page's records any more: the page's generation was forgotten."""


def closing(token: str) -> bytes:
    """Return the tail of a page: what follows the records; `token` "" on the last page."""
    return b'],"next_token":"%s"}' % token.encode("ascii")


class PageFolder:
    """Pages under `path`, made from `store` when needed; safe for threads and for several processes.

    `max_bytes` limits what is kept (None: no limit): the files that were made first go first.
    """

    def __init__(
        self, path: Path, store: Store, *, max_bytes: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._store = store
        self._max_bytes = max_bytes
        self._clock = clock
        self._kept: int | None = None
        self._numbers = itertools.count()
        self._locks = [threading.Lock() for _ in range(_STRIPES)]
        self._sweeping = threading.Lock()

    def ready(self, name: str, encoding: Encoding) -> Prefix | None:
        """Return a page that is kept whole, None when it must be made; reads one file and nothing else."""
        try:
            content = self._file(name, encoding).read_bytes()
        except OSError:
            return None
        return _unpack(content, encoding)

    def prefix(self, manifest: Manifest, index: int, encoding: Encoding) -> Prefix:
        """Return a page without its tail, making and keeping it unless it is there.

        Raises PageGoneError when the store has forgotten its records, StoreError when the store cannot be read.
        """
        page = manifest.pages[index]
        with self._locks[hash((page.name, encoding)) % _STRIPES]:
            made = self.ready(page.name, encoding)
            if made is None:
                made = prefix(self._render(manifest, index), encoding)
                self._keep(page.name, made)
            return made

    def prune(self, live: set[str]) -> int:
        """Remove the files of pages that are not in `live`, and what killed processes left; return how many."""
        removed = 0
        for file in self._files():
            unfinished = file.suffix == _TEMPORARY
            dead = self._is_abandoned(file) if unfinished else file.parent.name + file.stem not in live
            removed += dead and _remove(file)
        with self._sweeping:
            self._kept = None
        return removed

    def _render(self, manifest: Manifest, index: int) -> bytes:
        page = manifest.pages[index]
        following = manifest.pages[index + 1].first_key if index + 1 < len(manifest.pages) else None
        rows = self._store.slice(
            manifest.feed, manifest.group, as_of=page.sequence, first_key=page.first_key, before_key=following
        )
        # Forgetting only ever takes records away, so the right number of them is all of them.
        if len(rows) != page.records:
            place = f"{manifest.feed}/{manifest.group} generation {manifest.generation} page {index}"
            raise PageGoneError(f"{place}: {len(rows)} of {page.records} records")
        return OPENING + b",".join(body for _, body in rows)

    def _keep(self, name: str, made: Prefix) -> None:
        """Write a page's file at once or not at all; a folder that takes no files costs speed, not answers."""
        file = self._file(name, made.encoding)
        temporary = file.with_name(f"{file.name}.{os.getpid()}-{next(self._numbers)}{_TEMPORARY}")
        content = _pack(made)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(file)
        except OSError as error:
            _log.warning("page not kept", extra={"file": str(file), "error": str(error)})
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return
        if self._max_bytes is not None:
            self._make_room(len(content), self._max_bytes)

    def _make_room(self, added: int, most: int) -> None:
        """Remove the oldest files when there is more than `most`, down to nine tenths of it."""
        with self._sweeping:
            if self._kept is not None:
                self._kept += added
                if self._kept <= most:
                    return
            states = sorted(_states(self._files()))
            self._kept = sum(size for _, size, _ in states)
            if self._kept <= most:
                return
            for _, size, file in states:
                if self._kept <= most * 9 // 10:
                    break
                self._kept -= size * _remove(file)

    def _file(self, name: str, encoding: Encoding) -> Path:
        return self._path / name[:2] / (name[2:] + _SUFFIXES[encoding])

    def _files(self) -> Iterator[Path]:
        for folder in sorted(_entries(self._path)):
            yield from _entries(folder)

    def _is_abandoned(self, file: Path) -> bool:
        try:
            return self._clock() - file.stat().st_mtime > _ABANDONED_SECONDS
        except OSError:
            return False


def _pack(made: Prefix) -> bytes:
    facts = _FACTS.pack(_MAGIC, ENCODINGS.index(made.encoding), made.crc, made.length)
    content = bytes(made.data) + facts
    return content + xxhash.xxh3_128_digest(content)


def _unpack(content: bytes, encoding: Encoding) -> Prefix | None:
    """Return what `_pack` was given; None when a byte is wrong or missing."""
    end = len(content) - _DIGEST - _FACTS.size
    if end < 0 or xxhash.xxh3_128_digest(memoryview(content)[:-_DIGEST]) != content[-_DIGEST:]:
        return None
    magic, code, crc, length = _FACTS.unpack_from(content, end)
    if magic != _MAGIC or ENCODINGS[code : code + 1] != (encoding,):
        return None
    return Prefix(encoding, memoryview(content)[:end], crc, length)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _states(files: Iterator[Path]) -> Iterator[tuple[float, int, Path]]:
    for file in files:
        with suppress(OSError):
            state = file.stat()
            yield state.st_mtime, state.st_size, file


def _remove(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True
