"""What a source says of one CVE, in the one form that records are made of, and files of it.

Both sources speak of a CVE in one place, for all releases; what they say is written down in a few hundred bytes and
read again one CVE at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

_LENGTH: Final = struct.Struct(">I")


class State(msgspec.Struct, array_like=True, frozen=True):
    """What is said of one package in one release."""

    group: str
    """The version of the release, with "+esm" behind it for Ubuntu Pro."""
    package: str
    version: str
    """The version that fixes, NO_FIX or NOT_AFFECTED."""
    no_advisory: bool = False
    """There will be no fix."""
    priority: str = ""
    """The security team's word for the severity here; "" when it gives none."""
    advisories: list[str] = []
    """Ids of the notices (USN) that announced the fix."""


class Issue(msgspec.Struct, array_like=True, frozen=True):
    """A CVE in all releases."""

    cve: str
    description: str
    states: list[State]


_T = TypeVar("_T")


class Packed(Generic[_T]):
    """A file of values of one kind, in the order in which they were written."""

    def __init__(self, path: Path, kind: type[_T]) -> None:
        self._path = path
        self._kind: type[_T] = kind

    @contextmanager
    def rewritten(self) -> Iterator[Callable[[_T], None]]:
        """Give a function that appends a value to a new file, which takes the place of the old one at the end."""
        partial = self._path.with_suffix(".partial")
        encode = msgspec.msgpack.Encoder().encode
        try:
            with partial.open("wb") as file:

                def append(value: _T) -> None:
                    packed = encode(value)
                    file.write(_LENGTH.pack(len(packed)))
                    file.write(packed)

                yield append
            partial.replace(self._path)
        finally:
            partial.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[_T]:
        decode = msgspec.msgpack.Decoder(self._kind).decode
        with self._path.open("rb") as file:
            while head := file.read(_LENGTH.size):
                yield decode(file.read(_LENGTH.unpack(head)[0]))


Remark = tuple[str, str, str]
"""What another document adds to a CVE: (group, package, what)."""


class Remarks(msgspec.Struct, array_like=True, frozen=True):
    """What another document adds to the states of a CVE."""

    cve: str
    remarks: list[Remark]


class RemarksByCVE:
    """The remarks of a whole file, kept packed: a few dozen bytes each."""

    def __init__(self, file: Packed[Remarks]) -> None:
        encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Remark]).decode
        self._packed = {found.cve: encode(found.remarks) for found in file}

    def of(self, cve: str) -> list[Remark]:
        """Return the remarks on a CVE."""
        packed = self._packed.get(cve)
        return self._decode(packed) if packed is not None else []
