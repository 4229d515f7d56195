"""Makes the next archive: build, check, compare with the one before, pack, publish. Bad never replaces good.

store -> staging/vulnerability.db -> checked, compared -> v6/...tar.zst -> v6/latest.json
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.publish.grypedb import archives, comparing, schema3
from vulnfeeds.publish.grypedb.archives import Archive, ArchiveFolder
from vulnfeeds.publish.grypedb.build import build, inputs
from vulnfeeds.publish.grypedb.check import check
from vulnfeeds.publish.grypedb.comparing import Counts
from vulnfeeds.publish.grypedb.errors import ArchiveError, RefusedError
from vulnfeeds.publish.grypedb.packing import DATABASE, unpack
from vulnfeeds.publish.grypedb.report import Left
from vulnfeeds.store.interface import Store

FORM: Final = 2
"""Raised when the same records become other rows: the next build is made although no record changed."""
AGED: Final = timedelta(hours=23)
"""Clients refuse a database of more than five days; a new one is made daily although no record changed."""

_REPORT: Final = "report.json"
_SHOWN: Final = 5

Tell = Callable[[str, int, int | None], None]
"""(phase, done, total)"""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a build beside its archive, as `report.json`."""

    archive: Archive
    form: int
    inputs: str
    """Digest of the records that went in."""
    counts: Counts
    records: dict[str, int]
    """Records that went in, by origin."""
    left_records: int
    """Records, or parts of records, that clients could not read."""
    left: tuple[Left, ...]


class Maker:
    """Makes archives of one store in one folder; one at a time."""

    def __init__(
        self,
        store: Store,
        folder: ArchiveFolder,
        *,
        processor: str,
        most_shrink: float,
        channels: bool = True,
        old: bool = True,
    ) -> None:
        self._store = store
        self._channels = channels
        self._old = old
        self._folder = folder
        self._processor = processor
        self._most_shrink = most_shrink

    def is_due(self, now: datetime) -> bool:
        """Tell whether records changed since the newest archive, or it is a day old, or there is none."""
        last = last_build(self._folder)
        if last is None or last.form != FORM or self._folder.newest() is None:
            return True
        built = datetime.fromisoformat(last.archive.built)
        return not built <= now < built + AGED or last.inputs != inputs(self._store, channels=self._channels)

    def make(self, now: datetime, tell: Tell, *, accept: bool = False) -> Build:
        """Make the archive of what the store holds now; `accept` lets one pass that lost much.

        What builds left that were killed is removed first. Raises RefusedError when the database is not fit for
        clients, ArchiveError when the folder cannot be written to or another build is under way in it, StoreError.
        The newest archive is then the one before.
        """
        with _alone(self._folder):
            _sweep(self._folder)
            return self._make(now, tell, accept=accept)

    def _make(self, now: datetime, tell: Tell, *, accept: bool) -> Build:
        built = now.replace(microsecond=0)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self._folder.root) as staging:
            database, old = Path(staging, DATABASE), Path(staging, "old.db") if self._old else None
            report = build(
                self._store,
                database,
                built=built,
                processor=self._processor,
                channels=self._channels,
                old=old,
                progress=lambda origin, done, total: tell("build", done, total),
            )
            tell("check", 0, None)
            _refuse("clients could not use the database", check(database, built=built))
            counts = comparing.count(database)
            if not accept:
                self._compare(Path(staging, "before.db"), database, counts)
            tell("pack", 0, None)
            if old is not None:
                self._folder.add(old, built, version=schema3.VERSION, beside=schema3.description(old, built))
            archive = self._folder.add(database, built)
        made = Build(
            archive=archive,
            form=FORM,
            inputs=report.inputs,
            counts=counts,
            records=dict(sorted(report.records.items())),
            left_records=report.left_records,
            left=tuple(report.left),
        )
        self._folder.write(_REPORT, made)
        return made

    def _compare(self, before: Path, database: Path, counts: Counts) -> None:
        newest = self._folder.newest()
        if newest is None:
            return
        unpack(self._folder.path(newest), before)
        try:
            old = comparing.count(before)
            lost = comparing.lost_lookups(before, database)
        except sqlite3.Error as error:
            raise RefusedError(f"{newest.name} cannot be compared with: {error}") from error
        _refuse("the database lost too much", comparing.losses(old, counts, self._most_shrink))
        _refuse("packages are found no more", lost)


def last_build(folder: ArchiveFolder) -> Build | None:
    """Return what is kept of the newest build; None when there is none or it cannot be read."""
    try:
        return msgspec.json.decode((folder.root / _REPORT).read_bytes(), type=Build)
    except (OSError, msgspec.DecodeError):
        return None


@contextmanager
def _alone(folder: ArchiveFolder) -> Iterator[None]:
    """Keep other builds out of a folder: those of the service, and those of a command beside it."""
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        held = os.open(folder.root, os.O_RDONLY)
    except OSError as error:
        raise ArchiveError(f"{folder.root}: {error.strerror or error}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ArchiveError(f"{folder.root}: another build is under way") from error
    else:
        yield
    finally:
        os.close(held)


def _sweep(folder: ArchiveFolder) -> None:
    for left in folder.root.glob(".building-*"):
        shutil.rmtree(left, ignore_errors=True)
    archives.sweep(folder)


def _refuse(what: str, faults: list[str]) -> None:
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise RefusedError(f"{what}: {'; '.join(faults[:_SHOWN])}{more}")
