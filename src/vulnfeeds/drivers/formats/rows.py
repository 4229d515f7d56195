"""A JSON document that is one list of objects (Arch, Photon), or one object of packages (Debian, Echo), as a stream.

[{...}, {...}]                              read one object at a time
{package: {CVE: {...}, CVE: {...}}}         read one package at a time
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import ijson
import msgspec

from vulnfeeds.drivers.formats.depth import ShallowJSON
from vulnfeeds.errors import ParseError

MAX_DEPTH: Final = 32
"""Deepest nesting of lists and objects that is read; true documents have 6 levels."""

T = TypeVar("T")


def read(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield each object of the list as a `kind`, a typed class.

    Raises ParseError, naming the file and the object's place, when the document is no such list, or an empty one.
    """
    number = -1
    with path.open("rb") as file:
        try:
            objects = ijson.items(ShallowJSON(file, path.name, MAX_DEPTH), "item", use_float=True)
            for number, value in enumerate(objects):
                yield _converted(value, kind, f"{path.name} $[{number}]")
        except (ijson.JSONError, UnicodeDecodeError) as error:
            # The parser adds lines that point at the place with an arrow.
            reason = str(error).partition("\n")[0].strip()
            raise ParseError(path.name, f"not JSON after {number + 1} objects: {reason}") from error
    if number < 0:
        raise ParseError(path.name, "no list of objects, or an empty one")


def read_packages(path: Path, kind: type[T]) -> Iterator[tuple[str, dict[str, T]]]:
    """Yield each package with what is said of it, by CVE, each as a `kind`, a typed class.

    Raises ParseError, naming the file and the package, when the document is no such object, an empty one, or one that
    gives a package twice.
    """
    seen: set[str] = set()
    with path.open("rb") as file:
        try:
            for package, value in ijson.kvitems(ShallowJSON(file, path.name, MAX_DEPTH), "", use_float=True):
                if package in seen:
                    raise ParseError(path.name, f"package {package} is given twice")
                seen.add(package)
                yield package, _converted(value, dict[str, kind], f"{path.name} package {package}")  # type: ignore[valid-type]
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise ParseError(path.name, f"not JSON after {len(seen)} packages: {error}") from error
    if not seen:
        raise ParseError(path.name, "no packages in the document")


def _converted(value: object, kind: type[T], place: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ParseError(place, str(error)) from error
