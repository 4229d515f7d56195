"""Archives read member by member, without unpacking them to disk and without trusting their names or sizes."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

import msgspec

from vulnfeeds.errors import DownloadError, LimitError
from vulnfeeds.fetch.decompress import MAX_BYTES, MAX_RATIO, open_bounded
from vulnfeeds.fetch.encoding import RATIO_FROM
from vulnfeeds.fetch.sniff import looks_like

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    struct.error,
    # The libraries let these out of headers that make no sense; of a chain of headers the last.
    ValueError,
    OverflowError,
    LookupError,
    RuntimeError,
)
_BUFFER = 64 << 10
_BLOCK = 512
"""A tar ends with blocks of zeros; without them its maker died between two members."""


class ArchiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The ceilings of one archive."""

    max_members: int = 2_000_000
    """Most members, also those that nobody wants."""
    max_member_bytes: int = 1 << 30
    """Most bytes of one wanted member."""
    max_total_bytes: int = MAX_BYTES
    """Most decompressed bytes of the whole archive (tar) or of all wanted members (zip)."""
    max_ratio: float = MAX_RATIO
    """Most decompressed bytes for each compressed one, judged from 32 MiB on (0: any)."""


def members(
    path: Path, *, wanted: Callable[[str], bool], limits: ArchiveLimits | None = None, url: str = ""
) -> Iterator[tuple[str, BinaryIO]]:
    """Yield (name, stream) of the regular files of a tar (plain, gz, bz2, xz, zst) or zip that `wanted` names.

    A stream is good until the next one is asked for. Names have "/" between their parts and no leading "./".
    Folders are passed over, and so are links and devices that nobody wants. Raises DownloadError for a name that is
    absolute or has "..", for a wanted member that is a link or device, and for an archive that is broken or ends
    early; LimitError above the limits. Both name `url`, or the file.
    """
    shown = url or path.name
    bounds = limits or ArchiveLimits()
    with path.open("rb") as file:
        head = file.read(8)
    walk = _zip_members if looks_like("zip", head) else _tar_members
    try:
        yield from walk(path, shown, wanted, bounds)
    except _BROKEN as error:
        raise DownloadError(shown, f"the archive is broken: {error}") from error


def safe_name(url: str, name: str) -> str:
    """Return a member's name in normal form. Raises DownloadError when it leads out of the archive's folder."""
    parts = name.removesuffix("/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or "\\" in name or name[1:2] == ":":
        raise DownloadError(url, f"the archive holds a member whose name leads out of it: {name[:120]!r}")
    return "/".join(part for part in parts if part not in ("", "."))


def _tar_members(
    path: Path, url: str, wanted: Callable[[str], bool], limits: ArchiveLimits
) -> Iterator[tuple[str, BinaryIO]]:
    with (
        open_bounded(path, max_bytes=limits.max_total_bytes, max_ratio=limits.max_ratio, url=url) as stream,
        tarfile.open(fileobj=cast(BinaryIO, whole := _Whole(stream)), mode="r|") as archive,
    ):
        count = 0
        while (member := archive.next()) is not None:
            # The library keeps every member that it has seen; hundreds of thousands would fill the memory.
            archive.members = []  # type: ignore[attr-defined]
            count += 1
            _check_count(url, count, limits)
            name = safe_name(url, member.name)
            if member.isdir() or not wanted(name):
                continue
            if not member.isreg():
                raise DownloadError(url, f"the member {name[:120]!r} is a link or device, not a file")
            _check_size(url, name, member.size, limits)
            content = archive.extractfile(member)
            if content is not None:
                yield name, _guarded(content, url, name)
        if not whole.is_ended():
            raise DownloadError(url, f"the archive ends early, behind its member {count}")


def _zip_members(
    path: Path, url: str, wanted: Callable[[str], bool], limits: ArchiveLimits
) -> Iterator[tuple[str, BinaryIO]]:
    total = packed = 0
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        _check_count(url, len(listed), limits)
        for member in listed:
            name = safe_name(url, member.filename)
            if member.is_dir() or not wanted(name):
                continue
            _check_zip_kind(url, name, member)
            _check_size(url, name, member.file_size, limits)
            total += member.file_size
            packed += member.compress_size
            if total > limits.max_total_bytes:
                raise LimitError(url, f"the archive holds more than {limits.max_total_bytes} bytes")
            if limits.max_ratio and total > max(RATIO_FROM, limits.max_ratio * packed):
                raise LimitError(url, f"{packed} bytes stand for {total}, above the ratio {limits.max_ratio:g}")
            with _opened(url, archive, member) as content:
                yield name, _guarded(content, url, name)


class _Whole:
    """A tar's bytes as they pass, of which the last block is kept: the library takes any end for the end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._stream.read(size)
        self._last = piece[-_BLOCK:] if len(piece) >= _BLOCK else (self._last + piece)[-_BLOCK:]
        return piece

    def is_ended(self) -> bool:
        """Read on to the end, which also tries the packing's checksum; tell whether the end mark is there."""
        while self.read(_BUFFER):
            pass
        return self._last == bytes(_BLOCK)


class _Member(io.RawIOBase):
    """A member's content, whose breakage shows in the reader's hands: there too it is a DownloadError."""

    def __init__(self, content: IO[bytes], url: str, name: str) -> None:
        super().__init__()
        self._content = content
        self._url = url
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        try:
            piece = self._content.read(len(view))
        except _BROKEN as error:
            raise DownloadError(self._url, f"the member {self._name[:120]!r} is broken: {error}") from error
        view[: len(piece)] = piece
        return len(piece)


def _guarded(content: IO[bytes], url: str, name: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Member(content, url, name), _BUFFER))


def _opened(url: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(member)
    except RuntimeError as error:
        raise DownloadError(url, f"the member {member.filename[:120]!r} is packed in an unknown way") from error


def _check_zip_kind(url: str, name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 1:
        raise DownloadError(url, f"the member {name[:120]!r} is encrypted")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DownloadError(url, f"the member {name[:120]!r} is a link or device, not a file")


def _check_count(url: str, count: int, limits: ArchiveLimits) -> None:
    if count > limits.max_members:
        raise LimitError(url, f"the archive holds more than {limits.max_members} members")


def _check_size(url: str, name: str, size: int, limits: ArchiveLimits) -> None:
    if size > limits.max_member_bytes:
        reason = f"the member {name[:120]!r} has {size} bytes, {limits.max_member_bytes} are allowed"
        raise LimitError(url, reason)
