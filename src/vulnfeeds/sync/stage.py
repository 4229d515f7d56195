"""The stage file: what a run wants published, on disk instead of in memory.

    magic · (length · msgpack of a StagedRecord)* · 0 · count · xxh3-128 of everything before

Written once from front to back and sealed at the end; a file that is not sealed, cut or altered is refused before
the first record of it is given out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import msgspec
import xxhash

from vulnfeeds.errors import RunError
from vulnfeeds.store.interface import StagedRecord

_MAGIC: Final = b"vulnfeeds stage 2\n"
_LENGTH: Final = struct.Struct(">I")
_COUNT: Final = struct.Struct(">Q")
_DIGEST_BYTES: Final = 16
_SEAL_BYTES: Final = _LENGTH.size + _COUNT.size + _DIGEST_BYTES
_CHUNK: Final = 1 << 20

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StagedRecord)


class Stage:
    """Writes a stage file; use it in a `with` block and `seal` it inside. Left unsealed, the file is removed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.records = 0
        self._sealed = False
        self._digest = xxhash.xxh3_128()
        self._file: BinaryIO = path.open("wb", buffering=_CHUNK)
        self._write(_MAGIC)

    def add(self, record: StagedRecord) -> None:
        """Append one record."""
        packed = _encoder.encode(record)
        self._write(_LENGTH.pack(len(packed)) + packed)
        self.records += 1

    def seal(self) -> None:
        """End the file: from now on it can be read, and takes nothing more."""
        self._write(_LENGTH.pack(0) + _COUNT.pack(self.records))
        self._file.write(self._digest.digest())
        self._file.close()
        self._sealed = True

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self._sealed:
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def read(path: Path) -> Iterator[StagedRecord]:
    """Check a sealed stage file as a whole, then return an iterator over its records; it streams.

    Raises RunError, before any record is given, when the file is missing, not sealed, cut or altered.
    """
    count = _check(path)
    return _records(path, count)


def _check(path: Path) -> int:
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            left = path.stat().st_size - _DIGEST_BYTES
            if left < len(_MAGIC) + _SEAL_BYTES - _DIGEST_BYTES or file.read(len(_MAGIC)) != _MAGIC:
                raise RunError(f"{path.name}: not a stage file, or cut at its beginning")
            file.seek(0)
            while left and (chunk := file.read(min(_CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
            found = file.read()
            file.seek(-_SEAL_BYTES, 2)
            end, count = _LENGTH.unpack(file.read(_LENGTH.size))[0], _COUNT.unpack(file.read(_COUNT.size))[0]
    except OSError as error:
        raise RunError(f"{path.name}: the stage file cannot be read: {error.strerror}") from error
    if found != digest.digest() or end != 0:
        raise RunError(f"{path.name}: the stage file was cut or altered")
    return int(count)


def _records(path: Path, count: int) -> Iterator[StagedRecord]:
    with path.open("rb", buffering=_CHUNK) as file:
        file.seek(len(_MAGIC))
        for _ in range(count):
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            yield _decoder.decode(file.read(length))
