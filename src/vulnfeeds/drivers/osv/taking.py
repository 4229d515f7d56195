"""Brings the documents of a source into our own folder, every one of them readable, before any is parsed.

    workspace/NAME/NAME             the archive as it came: its name stands in errors
    workspace/NAME/documents/       what a folder held, copied; what happens there later does not matter

A document of another shape ends nothing but its source: it is found here, while what was published stays as it is.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.osv import making
from vulnfeeds.drivers.osv.settings import SourceSettings
from vulnfeeds.drivers.sources import Taken
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.archives import ArchiveLimits
from vulnfeeds.fetch.interface import Limits, forget

DOCUMENTS: Final = "documents"

_COMING: Final = "coming"
_LIMITS: Final = Limits(max_bytes=2 << 30)
_ARCHIVE_LIMITS: Final = ArchiveLimits(max_members=5_000_000, max_member_bytes=osv.MAX_BYTES)
_PACKED: Final = ("zip", "gzip", "xz", "zstd", "bzip2", "tar")
_MOST_FILES: Final = 1_000_000
_REPORTED: Final = 1000


def take(context: Context, name: str, source: SourceSettings, checked: str) -> Taken:
    """Bring the documents of a source and look at each, unless they are those of the mark `checked`.

    Raises UpstreamError or ParseError.
    """
    home = context.workspace / name
    home.mkdir(parents=True, exist_ok=True)
    if source.folder:
        taken = _copy(home, name, source)
    else:
        brought = context.fetcher.download(source.archive, home / name, limits=_LIMITS, expect=_PACKED)
        taken = Taken(brought.path, brought.sha256)
    if taken.mark != checked:
        try:
            for done, (place, document) in enumerate(read(taken.path, source)):
                if done % _REPORTED == 0:
                    context.report(f"check {name}", done)
                making.check(document, place)
        except (UpstreamError, ParseError) as error:
            # The next run asks for it anew, whatever the upstream says of its age.
            forget(home / name)
            if isinstance(error, ParseError):
                raise ParseError(f"{source.archive or source.folder}: {error.place}", error.reason) from error
            raise
    return taken


def read(path: Path, source: SourceSettings) -> Iterator[tuple[str, osv.OSVRecord]]:
    """Yield (place, document) of an archive or a folder. Raises what `osv.read_archive` and `read_folder` raise."""
    if path.is_dir():
        yield from osv.read_folder(path, pattern="*")
        return

    def wanted(name: str) -> bool:
        return _is_wanted(name, source)

    yield from osv.read_archive(path, wanted=wanted, limits=_ARCHIVE_LIMITS, url=source.archive)


def _is_wanted(name: str, source: SourceSettings) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in source.documents)


def _copy(home: Path, name: str, source: SourceSettings) -> Taken:
    """Copy the documents of a folder beside those of last time, then let them take their place."""
    place = f"driver.osv.sources.{name}.folder"
    given, coming, documents = Path(source.folder), home / _COMING, home / DOCUMENTS
    if not given.is_dir():
        raise ParseError(place, f"{source.folder} is no folder")
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir()
    digest = hashlib.sha256()
    try:
        for number, path in enumerate(sorted(given.rglob("*"))):
            if number >= _MOST_FILES:
                raise ParseError(place, f"holds more than {_MOST_FILES} files")
            inside = path.relative_to(given).as_posix()
            if path.is_symlink() or not path.is_file() or not _is_wanted(inside, source):
                continue
            if path.stat().st_size > osv.MAX_BYTES:
                raise ParseError(f"{place} {inside}", f"has more than {osv.MAX_BYTES} bytes")
            target = coming / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            target.write_bytes(content)
            digest.update(f"{inside}\0{len(content)}\0".encode())
            digest.update(content)
    except OSError as error:
        raise ParseError(place, f"cannot be copied: {error.strerror}") from error
    shutil.rmtree(documents, ignore_errors=True)
    coming.rename(documents)
    return Taken(documents, digest.hexdigest())
