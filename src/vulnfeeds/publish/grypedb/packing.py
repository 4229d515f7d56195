"""Archives: a database file in a tar, compressed as its clients expect. The same files give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal, cast

import zstandard

from vulnfeeds.publish.grypedb.errors import ArchiveError

DATABASE: Final = "vulnerability.db"
"""Name of the database inside an archive."""
Form = Literal["tar.zst", "tar.gz"]

# Higher levels take minutes for a few percent.
_ZSTD_LEVEL: Final = 9
_GZIP_LEVEL: Final = 6
_BLOCK: Final = 1 << 20


def pack(database: Path, archive: Path, *, epoch: int, form: Form, beside: Mapping[str, bytes] | None = None) -> str:
    """Write an archive of a database, and of small files beside it; return its SHA-256 in hex. Raises OSError."""
    with (
        archive.open("wb") as file,
        _compressed(file, form) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
        database.open("rb") as rows,
    ):
        tar.addfile(_member(DATABASE, database.stat().st_size, epoch), rows)
        for name, content in (beside or {}).items():
            tar.addfile(_member(name, len(content), epoch), io.BytesIO(content))
    return checksum_of(archive)


def unpack(archive: Path, database: Path) -> None:
    """Write the database of an archive to a new file.

    Raises ArchiveError when the archive is damaged or has no database at its top.
    """
    try:
        with archive.open("rb") as file, _plain(file) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name == DATABASE and member.isreg() else None
                if content is not None:
                    with database.open("xb") as rows:
                        rows.writelines(_blocks(content))
                    return
    except (OSError, EOFError, tarfile.TarError, zstandard.ZstdError) as error:
        raise ArchiveError(f"{archive.name} cannot be unpacked: {error}") from error
    raise ArchiveError(f"{archive.name} holds no {DATABASE}")


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(name: str, size: int, epoch: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    # The client opens what it unpacks for writing.
    member.mode, member.mtime, member.size = 0o644, epoch, size
    return member


@contextmanager
def _compressed(file: IO[bytes], form: Form) -> Iterator[IO[bytes]]:
    if form == "tar.gz":
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    else:
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=-1)
        with compressor.stream_writer(file, closefd=False) as packed:
            yield packed


@contextmanager
def _plain(file: IO[bytes]) -> Iterator[IO[bytes]]:
    if file.name.endswith(".gz"):
        with gzip.GzipFile(fileobj=file) as plain:
            yield cast(IO[bytes], plain)
    else:
        with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as plain:
            yield plain


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block
