"""secdb: which version of an apk package fixes which vulnerabilities (Alpine, Wolfi, Chainguard, MinimOS, SecureOS).

One document per repository of a release, as JSON or as YAML of the same content:

    packages: [{pkg: {name: apache2, secfixes: {"2.4.26-r0": ["CVE-2017-3167", "CVE-2017-3169 XSA-1"]}}}]

Quirks that every reader of secdb meets, handled here once: an id string may hold several ids separated by blanks; a
list of ids may be null or hold nulls; version "0" says "never affected"; YAML leaves versions such as 1.10 unquoted.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from sys import intern
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import yaml

from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.decompress import open_bounded

MAX_DEPTH: Final = 16
"""Deepest nesting of lists and mappings that is read; true documents have 6 levels."""

_T = TypeVar("_T")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})

MAX_BYTES: Final = 256 << 20
"""Most bytes of one document, which is read whole; the largest true ones have some tens of MB."""

Notice = Callable[[str], None]
"""Called with the name of a key that a document gives twice."""


class Fix(NamedTuple):
    """A package's version that fixes one vulnerability; "0" when the package was never affected."""

    package: str
    version: str
    id: str


class Fixed(NamedTuple):
    """A package's version that fixes something; "0" when the package was never affected."""

    package: str
    version: str


class _Package(msgspec.Struct):
    name: str
    secfixes: dict[str, list[str | None] | None] | None = None


class _Entry(msgspec.Struct):
    pkg: _Package


class _Document(msgspec.Struct):
    packages: list[_Entry] | None


class _Parts(msgspec.Struct):
    """A document whose packages are not taken apart yet."""

    packages: list[msgspec.Raw] | None


_parts: Final = msgspec.json.Decoder(_Parts)
_entries: Final = msgspec.json.Decoder(_Entry)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KEYS: Final = 3
"""Of an entry besides its versions: pkg, name and secfixes."""


def read(path: Path, *, prefixes: tuple[str, ...] = ("CVE-",), on_duplicate: Notice | None = None) -> Iterator[Fix]:
    """Yield the fixes of a secdb document in its own order; JSON or YAML follows from the name, compression does not.

    Only ids that begin with one of `prefixes`, in whatever case, are yielded ("" means all). A version that is given
    twice counts with both lists of ids. Raises ParseError with the file and place when the document does not have
    the expected shape.
    """
    for entry in _packages(path, on_duplicate):
        package = entry.pkg.name.strip()
        for version, texts in (entry.pkg.secfixes or {}).items():
            for text in texts or ():
                for word in (text or "").split():
                    if word.startswith(prefixes) or word.upper().startswith(prefixes):
                        yield Fix(package, version.strip(), word)


def _packages(path: Path, on_duplicate: Notice | None) -> Iterator[_Entry]:
    """Yield the packages of a document; of a JSON one, which may have a million ids, one at a time is taken apart."""
    parts = _split(_content(path)) if ".json" in path.suffixes else None
    if parts is None:
        yield from _convert(load(path, on_duplicate=on_duplicate), _Document, path.name).packages or ()
        return
    for number, raw in enumerate(parts):
        yield _entry(bytes(raw), path.name, f"$.packages[{number}]", on_duplicate)


def _split(data: bytes) -> list[msgspec.Raw] | None:
    """Return the packages as they are written; None when the document as a whole must be looked at more closely."""
    try:
        parts = _parts.decode(data).packages
    except _UNREADABLE:
        return None
    return (parts or []) if data.count(b'"packages"') == 1 else None


def _entry(raw: bytes, name: str, place: str, on_duplicate: Notice | None) -> _Entry:
    """Return one package. That keys are given twice can only be where there are more colons than keys read."""
    with suppress(*_UNREADABLE):
        entry = _entries.decode(raw)
        if raw.count(b":") == _KEYS + len(entry.pkg.secfixes or ()):
            return entry
    return _convert(_from_json(raw, name, on_duplicate), _Entry, name, place)


def by_id(fixes: Iterable[Fix]) -> Iterator[tuple[str, list[Fixed]]]:
    """Yield (id, what fixes it in the document's order), sorted by id.

    Upstream sorts by package, records are by id. Until the last package is read a fix takes four bytes, since a
    million of them share a few ten thousand versions.
    """
    versions: list[Fixed] = []
    found: dict[str, array[int]] = {}
    for package, version, word in fixes:
        if not versions or versions[-1] != (package, version):
            versions.append(Fixed(package, version))
        numbers = found.get(word)
        if numbers is None:
            numbers = found[word] = array("I")
        numbers.append(len(versions) - 1)
    for word in sorted(found):
        yield word, [versions[number] for number in found[word]]


def read_lists(path: Path, *, prefixes: tuple[str, ...] = ("CVE-",)) -> Iterator[tuple[str, str]]:
    """Yield (package, id) of a document that maps packages to lists of ids, such as Alpine's rejections.

    Raises ParseError as `read` does.
    """
    document = _convert(load(path) or {}, dict[str, list[str | None] | None], path.name)
    for package, texts in document.items():
        for text in texts or ():
            for word in (text or "").split():
                if word.upper().startswith(prefixes):
                    yield package.strip(), word


def load(path: Path, *, on_duplicate: Notice | None = None) -> Any:
    """Return a JSON or YAML document as plain lists and dictionaries; scalars of YAML stay text, null is None.

    YAML anchors and aliases, which no secdb uses and bombs are made of, are refused. Raises ParseError.
    """
    data = _content(path)
    if ".json" in path.suffixes:
        return _from_json(data, path.name, on_duplicate)
    try:
        return _from_events(yaml.parse(data, Loader=yaml.CSafeLoader), path.name, _Merge(path.name, on_duplicate))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParseError(path.name, f"not YAML: {' '.join(str(error).split())}") from error


def _from_json(data: bytes, name: str, on_duplicate: Notice | None) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_Merge(name, on_duplicate))
    except (ValueError, RecursionError) as error:
        raise ParseError(name, f"not JSON: {error}") from error


def _content(path: Path) -> bytes:
    try:
        with open_bounded(path, max_bytes=MAX_BYTES) as stream:
            return stream.read()
    except UpstreamError as error:
        raise ParseError(path.name, error.reason) from error


class _Merge:
    """Makes a dictionary of pairs; of a key given twice both lists count, any other repetition is refused.

    Texts of lists are kept once: the same ids come back for package after package.
    """

    def __init__(self, place: str, on_duplicate: Notice | None) -> None:
        self._place = place
        self._notice = on_duplicate or (lambda key: None)

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = {key: _interned(value) for key, value in pairs}
        if len(made) == len(pairs):
            return made
        made = {}
        for key, value in pairs:
            if key not in made:
                made[key] = value
                continue
            self._notice(key)
            first = made[key]
            if not isinstance(value, list | None) or not isinstance(first, list | None):
                raise ParseError(self._place, f"key {key[:80]!r} is given twice")
            made[key] = [*(first or ()), *(value or ())]
        return made


def _interned(value: Any) -> Any:
    if type(value) is not list:
        return value
    return [intern(item) if type(item) is str else item for item in value]


def _from_events(events: Iterator[Any], place: str, build: _Merge) -> Any:
    """Build a value from YAML events without recursion, so that neither depth nor aliases can blow it up."""
    # Each open collection is the list of its values so far; a mapping's keys and values alternate.
    root: list[Any] = []
    stack: list[list[Any]] = [root]
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ParseError(_line(place, event), "anchors and aliases are not read")
        if isinstance(event, yaml.ScalarEvent):
            plain_null = event.implicit[0] and event.value in _NULLS
            stack[-1].append(None if plain_null else event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(stack) > MAX_DEPTH:
                raise ParseError(_line(place, event), f"nested more than {MAX_DEPTH} deep")
            stack.append([])
        elif isinstance(event, yaml.SequenceEndEvent):
            items = stack.pop()
            stack[-1].append(items)
        elif isinstance(event, yaml.MappingEndEvent):
            flat = stack.pop()
            if not all(isinstance(key, str) for key in flat[::2]):
                raise ParseError(_line(place, event), "a key is not text")
            stack[-1].append(build(list(zip(flat[::2], flat[1::2], strict=True))))
    if len(root) != 1:
        raise ParseError(place, f"{len(root)} documents where one is expected")
    return root[0]


def _line(place: str, event: Any) -> str:
    return f"{place}:{event.start_mark.line + 1}"


def _convert(value: Any, kind: type[_T], name: str, place: str = "$") -> _T:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        # The second: a key that is half a surrogate pair.
        raise ParseError(name, str(error).replace("`$", f"`{place}")) from error
