"""Lists of packages that a user wants or uses: names in the settings, and a text file of names or package URLs.

    left-pad
    @babel/core@7.24.0                         # a version behind the name is passed over
    pkg:npm/%40babel/core@7.24.0?arch=any      # what tools write that list the parts of a product

A package URL of another type is passed over, so that one list serves all drivers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from vulnfeeds.errors import ParseError

MOST_BYTES: Final = 64 << 20
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_PURL: Final = re.compile(r"pkg:/*([a-z0-9.+-]+)/([^?#]+)", re.IGNORECASE)
_VERSIONED: Final = re.compile(r"(.[^@\s]*)@\S*")


def names_of(listed: tuple[str, ...], file: str, kind: str, is_name: re.Pattern[str]) -> frozenset[str]:
    """Return the names in `listed` and those in `file` ("": no file); `kind` is the type of package URLs.

    Raises ParseError with file and line for what is no name, for a file that cannot be read and for an empty one.
    """
    found = {_checked(name, is_name, f"the list {name[:80]!r}") for name in listed}
    return frozenset(found | (_read(Path(file).expanduser(), kind, is_name) if file else set()))


def _read(path: Path, kind: str, is_name: re.Pattern[str]) -> set[str]:
    found: set[str] = set()
    told = False
    for number, line in enumerate(_lines(path), 1):
        text = _COMMENT.sub("", line).strip()
        told = told or bool(text)
        if text and (name := _name_in(text, kind)):
            found.add(_checked(name, is_name, f"{path.name}:{number}"))
    if not told:
        raise ParseError(path.name, "the list of packages is empty")
    return found


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ParseError(str(path), f"the list of packages cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise ParseError(path.name, f"the list of packages has more than {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ParseError(path.name, f"the list of packages is not UTF-8 at byte {error.start}") from error


def _name_in(text: str, kind: str) -> str:
    """Return the name that a line gives, "" for a package of another type."""
    purl = _PURL.match(text)
    if purl is None:
        versioned = _VERSIONED.fullmatch(text)
        return versioned[1] if versioned else text
    # The "@" of a scope is encoded, but not everybody does that.
    versioned = _VERSIONED.fullmatch(purl[2])
    path = versioned[1] if versioned else purl[2]
    return unquote(path.strip("/")) if purl[1].lower() == kind else ""


def _checked(name: str, is_name: re.Pattern[str], place: str) -> str:
    if not is_name.fullmatch(name):
        raise ParseError(place, f"{name[:80]!r} is no name of a package")
    return name
