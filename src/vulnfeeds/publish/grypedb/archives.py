"""The folder that clients download from: archives, and the documents that name them.

    archives.json                                                        what there is, newest first
    v6/latest.json                                                       what grype asks for
    v6/vulnerability-db_v6.1.9_2026-11-25T12-00-00Z_1795608000.tar.zst

Any web server can host a copy of it. An archive is put in place whole before a document names it, and the archives
before it stay for clients that read the document just before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.publish.grypedb import packing
from vulnfeeds.publish.grypedb.errors import ArchiveError
from vulnfeeds.publish.grypedb.packing import Form
from vulnfeeds.publish.grypedb.tables import SCHEMA

KEPT: Final = 3
"""Archives of a schema that stay in place."""
LATEST: Final = "latest.json"
ARCHIVES: Final = "archives.json"

_CURRENT: Final = 6
_FORMS: Final[dict[int, tuple[str, Form]]] = {6: (SCHEMA, "tar.zst"), 3: ("v3", "tar.gz")}


class Latest(msgspec.Struct, frozen=True, rename={"schema": "schemaVersion"}):
    """The document that a client asks for: where the newest archive is. Keys and forms are the client's."""

    status: str
    schema: str
    built: str
    """RFC 3339 to the second in UTC; equal to the time in the database, or clients download for ever."""
    path: str
    """Relative to the document."""
    checksum: str
    """`sha256:` and the digest of the archive."""


class Archive(msgspec.Struct, frozen=True):
    """An archive in the folder."""

    version: int
    """Major number of its schema: 6, or 3 for old clients."""
    built: str
    name: str
    checksum: str
    bytes: int


class ArchiveFolder:
    """Archives under a folder; safe against readers at any time, for one writer at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self, database: Path, built: datetime, *, version: int = 6, beside: Mapping[str, bytes] | None = None
    ) -> Archive:
        """Pack a database that was checked, put it in place, and name it as the newest; remove what is too old.

        Raises ArchiveError when the folder cannot be written to; the documents name what they did before then.
        """
        stamp = built.astimezone(UTC)
        epoch = int(stamp.timestamp())
        schema, form = _FORMS[version]
        name = f"vulnerability-db_{schema}_{stamp:%Y-%m-%dT%H-%M-%SZ}_{epoch}.{form}"
        with self._writing():
            partial = self._partial(version, name)
            checksum = packing.pack(database, partial, epoch=epoch, form=form, beside=beside)
            made = Archive(version, f"{stamp:%Y-%m-%dT%H:%M:%SZ}", name, f"sha256:{checksum}", partial.stat().st_size)
            self._put(made, partial)
        return made

    def take(self, archive: Archive, source: Path) -> None:
        """Put a copy of another folder's archive in place, as `add` does. Raises ArchiveError."""
        with self._writing():
            partial = self._partial(archive.version, archive.name)
            shutil.copyfile(source, partial)
            if f"sha256:{packing.checksum_of(partial)}" != archive.checksum:
                raise ArchiveError(f"{source} is not what its folder says: another checksum")
            self._put(archive, partial)

    def archives(self) -> list[Archive]:
        """Return the archives in place, newest first. Raises ArchiveError if the document that says so is spoilt."""
        return self._read(ARCHIVES, list[Archive]) or []

    def newest(self, version: int = 6) -> Archive | None:
        """Return the newest archive of a schema, or None."""
        return next((archive for archive in self.archives() if archive.version == version), None)

    def find(self, name: str) -> Archive | None:
        """Return the archive of that name, or None when the documents name no such."""
        return next((archive for archive in self.archives() if archive.name == name), None)

    def path(self, archive: Archive) -> Path:
        """Return where an archive lies."""
        return self._path(archive.version, archive.name)

    def latest(self) -> Latest | None:
        """Return the document for clients; None before the first archive. Raises ArchiveError if it is spoilt."""
        latest: Latest | None = self._read(f"v6/{LATEST}", Latest)
        return latest

    def _put(self, made: Archive, partial: Path) -> None:
        before = [archive for archive in self.archives() if archive.name != made.name]
        _settle(partial, self.path(made))
        kept, gone = _sorted_out([made, *before])
        self.write(ARCHIVES, kept)
        if made.version == _CURRENT:
            self.write(f"v6/{LATEST}", Latest("active", SCHEMA, made.built, made.name, made.checksum))
        for archive in gone:
            self.path(archive).unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"{self.root}: {error.strerror or error}") from error

    def _partial(self, version: int, name: str) -> Path:
        path = self._path(version, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{name}.partial")

    def _path(self, version: int, name: str) -> Path:
        return self.root / f"v{version}" / name

    def _read(self, name: str, kind: Any) -> Any:
        try:
            return msgspec.json.decode((self.root / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ArchiveError(f"{self.root / name} cannot be read: {error}") from error

    def write(self, name: str, value: Any) -> None:
        """Replace a document of the folder at once. Raises OSError."""
        path = self.root / name
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
        _settle(partial, path)


def sweep(folder: ArchiveFolder) -> None:
    """Remove what a killed writer left; only while there is none."""
    for partial in folder.root.glob("**/.*.partial"):
        with suppress(OSError):
            partial.unlink()


def _sorted_out(archives: list[Archive]) -> tuple[list[Archive], list[Archive]]:
    """Return the archives that stay, newest first, and those that go."""
    kept: list[Archive] = []
    gone: list[Archive] = []
    for archive in sorted(archives, key=lambda archive: archive.built, reverse=True):
        same = sum(other.version == archive.version for other in kept)
        (kept if same < KEPT else gone).append(archive)
    return kept, gone


def _settle(partial: Path, path: Path) -> None:
    """Make a file durable, then visible under its name."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
