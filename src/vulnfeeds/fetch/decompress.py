"""Downloads opened for reading, decompressed as they are read, under ceilings.

The compression is told by the first bytes, never by the name. Several members or streams in a row are read as one.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard
from isal import igzip, igzip_lib

from vulnfeeds.errors import DownloadError, LimitError
from vulnfeeds.fetch.encoding import Expansion
from vulnfeeds.fetch.sniff import looks_like

MAX_BYTES = 16 << 30
MAX_RATIO = 250.0
_BUFFER = 256 << 10
_ZSTD_INPUT = 4096
"""A zstd block of 4 bytes may stand for 128 KiB: so little input at a time bounds what one step can give."""
_ZSTD_WINDOW = 1 << 27
# The library's stub declares its error class as an instance.
_ISAL_ERROR = cast(type[Exception], igzip_lib.IsalError)
_BROKEN = (EOFError, zlib.error, _ISAL_ERROR, lzma.LZMAError, zstandard.ZstdError)


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


@contextmanager
def open_bounded(
    path: Path, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO, url: str = ""
) -> Iterator[BinaryIO]:
    """Give a stream of the decompressed bytes of `path` (gzip, bzip2, xz, zstd or plain).

    Reading raises LimitError above `max_bytes` decompressed bytes or `max_ratio` decompressed bytes for each
    compressed one (from 32 MiB on; 0: any), DownloadError when the compressed bytes are broken or end too early. Both
    name `url`, or the file.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(8)
        file.seek(0)
        with _unpacked(_Counted(file), head, url or path.name, max_bytes, max_ratio) as stream:
            yield stream


@contextmanager
def unpack_bounded(
    packed: BinaryIO, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO, url: str = ""
) -> Iterator[BinaryIO]:
    """Give a stream of the decompressed bytes of another stream, such as a packed member of an archive.

    Reads from where it stands, and leaves it open. Raises as `open_bounded` does.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, packed), _BUFFER)
    try:
        with _unpacked(_Counted(buffered), buffered.peek(8)[:8], url, max_bytes, max_ratio) as stream:
            yield stream
    finally:
        buffered.detach()


@contextmanager
def _unpacked(counted: _Counted, head: bytes, url: str, max_bytes: int, max_ratio: float) -> Iterator[BinaryIO]:
    with (
        closing(_decompressor(counted, head)) as inner,
        io.BufferedReader(_Bounded(inner, counted, url, max_bytes, max_ratio), _BUFFER) as stream,
    ):
        yield cast(BinaryIO, stream)


def _decompressor(counted: _Counted, head: bytes) -> _Readable:
    raw = cast(BinaryIO, counted)
    if looks_like("gzip", head):
        return cast(_Readable, igzip.open(raw, "rb"))  # type: ignore[no-untyped-call]
    if looks_like("bzip2", head):
        return bz2.BZ2File(raw)
    if looks_like("xz", head):
        return lzma.LZMAFile(raw)
    if looks_like("zstd", head):
        return _ZstdFile(counted)
    return cast(_Readable, counted)


class _Counted(io.RawIOBase):
    """A file that counts the bytes that were read of it."""

    def __init__(self, file: io.RawIOBase | io.BufferedIOBase) -> None:
        super().__init__()
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        got = self._file.readinto(buffer)  # type: ignore[arg-type]
        self.count += got or 0
        return got or 0


class _ZstdFile:
    """A file of zstd frames; unlike with the library's own reader, a frame that was cut short is an error."""

    def __init__(self, counted: _Counted) -> None:
        self._counted = counted
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._zstd.decompressobj()
        self._begun = False
        self._input = b""
        self._output = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        while not self._output:
            block = self._input or self._counted.read(_ZSTD_INPUT) or b""
            self._input = b""
            if not block:
                if self._begun:
                    raise EOFError("the last zstd frame is not complete")
                return b""
            self._output = memoryview(self._frame.decompress(block))
            self._begun = not self._frame.eof
            if self._frame.eof:
                self._input = self._frame.unused_data
                self._frame = self._zstd.decompressobj()
        piece = self._output[: size if size >= 0 else None]
        self._output = self._output[len(piece) :]
        return bytes(piece)

    def close(self) -> None:
        self._output.release()


class _Bounded(io.RawIOBase):
    """Passes a decompressor's output on, counts it, and says in our own words what is wrong."""

    def __init__(self, inner: _Readable, counted: _Counted, url: str, max_bytes: int, max_ratio: float) -> None:
        super().__init__()
        self._inner = inner
        self._counted = counted
        self._url = url
        self._expansion = Expansion(url, max_bytes, max_ratio)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        try:
            piece = self._inner.read(len(view))
        except _BROKEN as error:
            raise DownloadError(self._url, f"the compressed bytes are broken or end too early: {error}") from error
        except MemoryError as error:
            raise LimitError(self._url, "decompressing needs more memory than there is") from error
        except OSError as error:
            # gzip and bz2 report bad bytes as OSError without a number; those with one are the disk's.
            if error.errno is not None:
                raise
            raise DownloadError(self._url, f"the compressed bytes are broken: {error}") from error
        self._expansion.add(len(piece), self._counted.count)
        view[: len(piece)] = piece
        return len(piece)
