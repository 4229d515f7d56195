"""OVAL: what must be installed for a system to be vulnerable (Oracle Linux, Azure Linux, SUSE).

    <oval_definitions>
      <definitions><definition id version><metadata>...</metadata><criteria operator>
        <criterion test_ref comment/> <criteria>...</criteria></criteria></definition></definitions>
      <tests><rpminfo_test id><object object_ref/><state state_ref/></rpminfo_test></tests>
      <objects><rpminfo_object id><name/></rpminfo_object></objects>
      <states><rpminfo_state id><evr operation="less than">0:1.2-3</evr></rpminfo_state></states>
    </oval_definitions>

A document is read once. Definitions, which come first and need what comes last, are laid into a file as they pass; of
tests, objects and states only what they say is kept. Compression is told by the first bytes, and several streams in a
row are one document. A document type is refused, so there are no entities.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, product
from pathlib import Path
from sys import intern
from typing import BinaryIO, Final, NamedTuple, TypeVar, cast
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import msgspec
from xxhash import xxh3_64_intdigest

from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.decompress import open_bounded

MAX_BYTES: Final = 4 << 30
"""Most decompressed bytes of a document; the largest true ones have 300 MB."""
MAX_DEPTH: Final = 24
"""Deepest nesting of criteria that is read; true documents have 6 levels."""
MAX_ITEM: Final = 16 << 20
"""Most bytes of one definition, test, object or state; true ones stay below 2 MB."""
MAX_WAYS: Final = 200_000
"""Most ways in which one definition may hold; true ones stay below 5,000."""

_CHUNK: Final = 256 << 10
_HEAD: Final = 4
_REMEMBERED: Final = 16_384
"""Most tests whose meaning is kept at hand: the same releases are asked for in every definition."""
_INDEX: Final = 32
"""Bits of the second number of a test's packed pair."""

_T = TypeVar("_T")


class Condition(NamedTuple):
    """What a state asks of a package: `evr`, `less than`, `0:1.2-3`."""

    attribute: str
    operation: str
    value: str


class PackageTest(NamedTuple):
    """A test that leads to an object and states; `package` is empty where the object is none."""

    package: str
    conditions: tuple[Condition, ...]

    def condition(self, attribute: str) -> Condition | None:
        """Return what the test asks of an attribute, if it does."""
        for found in self.conditions:
            if found.attribute == attribute:
                return found
        return None


class Criterion(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """A leaf of the criteria: a test, and what it means in words."""

    test: str
    comment: str
    negate: bool


class Criteria(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A branch of the criteria: all of its parts must hold, or any."""

    all: bool
    parts: list[Criterion | Criteria]


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """Where the vulnerability is described."""

    source: str
    id: str
    url: str


class Cited(msgspec.Struct, frozen=True, array_like=True):
    """A CVE of an advisory, with the attributes that the vendor gives (`href`, `cvss3`, `impact`)."""

    text: str
    attributes: dict[str, str]


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One definition, all but what its tests mean."""

    id: str
    version: int
    title: str
    description: str
    platforms: list[str]
    references: list[Reference]
    cves: list[Cited]
    facts: dict[str, str]
    """Text, or else date, of the other elements of metadata and advisory: `severity`, `issued`, `patchable`."""
    criteria: Criteria

    def reference(self, source: str) -> Reference | None:
        """Return the first reference to a source, if there is one."""
        return next((found for found in self.references if found.source.lower() == source.lower()), None)


Key = Callable[[Definition], str | None]
"""Which record a definition belongs to; None: it is not wanted."""
Read = Callable[[Criterion], "_T | bool | None"]
"""What a criterion means: a value; None when it says nothing; False when it is not to hold."""


class Document:
    """A document that was read: its definitions by record, and what each test means."""

    def __init__(self, name: str, spool: BinaryIO) -> None:
        self.name = name
        self.count = 0
        """Definitions that the document has, wanted or not."""
        self._spool = spool
        self._end = 0
        self._places: dict[str, list[int]] = {}
        self._tests: dict[int, int] = {}
        self._objects: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._sets: dict[tuple[str, ...], int] = {}
        self._states: dict[str, tuple[Condition, ...]] = {}
        self._set_of: list[tuple[str, ...]] = []
        self._found: dict[str, PackageTest | None] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Definition)

    @property
    def keys(self) -> int:
        """How many records there are."""
        return len(self._places)

    def records(self) -> Iterator[tuple[str, list[Definition]]]:
        """Yield each key with its definitions in the document's order, sorted by key."""
        for key in sorted(self._places):
            yield key, [self._definition(place) for place in self._places[key]]

    def test(self, reference: str) -> PackageTest | None:
        """Return what a test means; None when it, its object or one of its states is missing."""
        if reference not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[reference] = self._look_up(reference)
        return self._found[reference]

    def _look_up(self, reference: str) -> PackageTest | None:
        packed = self._tests.get(xxh3_64_intdigest(reference.encode()))
        if packed is None:
            return None
        package = self._names.get(packed >> _INDEX)
        conditions: list[Condition] = []
        for state in self._set_of[packed & ((1 << _INDEX) - 1)]:
            if state not in self._states:
                return None
            conditions += self._states[state]
        return PackageTest(package, tuple(conditions)) if package is not None else None

    def forget(self) -> None:
        """Give back the memory; nothing can be asked any more."""
        for kept in (self._places, self._tests, self._objects, self._names, self._sets, self._states, self._found):
            kept.clear()
        self._set_of.clear()

    # --- filling ----------------------------------------------------------------------------------------------

    def add_definition(self, element: Element, key: Key) -> None:
        """Take a definition in. Raises ParseError, naming it, when it does not have the expected shape."""
        self.count += 1
        if element.get("deprecated") == "true":
            return
        found = _definition(element, self.name)
        name = key(found)
        if name is None:
            return
        packed = self._encoder.encode(found)
        self._spool.write(len(packed).to_bytes(_HEAD, "big") + packed)
        self._places.setdefault(name, []).append(self._end)
        self._end += _HEAD + len(packed)

    def add_test(self, element: Element) -> None:
        """Take a test in; one without an object says nothing that could be looked up."""
        target = ""
        states = []
        for child in element:
            if _local(child.tag) == "object":
                target = child.get("object_ref", "")
            elif _local(child.tag) == "state":
                states.append(child.get("state_ref", ""))
        chosen = tuple(states)
        if chosen not in self._sets:
            self._sets[chosen] = len(self._set_of)
            self._set_of.append(chosen)
        number = self._objects.setdefault(target, len(self._objects))
        self._tests[xxh3_64_intdigest(element.get("id", "").encode())] = number << _INDEX | self._sets[chosen]

    def add_object(self, element: Element) -> None:
        """Take an object in that a test spoke of; one without a name is no package."""
        number = self._objects.get(element.get("id", ""))
        if number is not None:
            names = [(child.text or "").strip() for child in element if _local(child.tag) == "name"]
            self._names[number] = intern(names[0]) if names else ""

    def add_state(self, element: Element) -> None:
        """Take a state in."""
        self._states[element.get("id", "")] = tuple(
            Condition(_local(child.tag), intern(child.get("operation", "equals")), intern((child.text or "").strip()))
            for child in element
        )

    def _definition(self, place: int) -> Definition:
        self._spool.seek(place)
        size = int.from_bytes(self._spool.read(_HEAD), "big")
        return self._decoder.decode(self._spool.read(size))


@contextmanager
def opened(path: Path, key: Key, *, report: Callable[[int], None] = lambda count: None) -> Iterator[Document]:
    """Read the document at `path` and give it; a file beside it holds the definitions until the block ends.

    `report` gets the number of definitions now and then. Raises ParseError with file and line or definition for
    another shape, a document type, a document without definitions or one that has definitions and no tests;
    DownloadError when the compressed bytes are broken, LimitError when there are too many of them.
    """
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        document = Document(path.name, cast(BinaryIO, spool))
        _Reader(document, key).read(path, report)
        if not document.count:
            raise ParseError(path.name, "no definitions in the document")
        if not document._tests:
            raise ParseError(path.name, "no tests in the document")
        try:
            yield document
        finally:
            # The caller's name for it lasts until the next document has been read.
            document.forget()


def ways(criteria: Criteria, read: Read[_T], place: str) -> Iterator[tuple[_T, ...]]:
    """Yield each way in which criteria can hold, as what `read` makes of the criterions that must then all hold.

    Of equal ways there may be one. `read` is asked once for each criterion. Raises ParseError, naming `place`, above
    MAX_WAYS.
    """
    yield from _ways(criteria, read, place)


def _ways(part: Criterion | Criteria, read: Read[_T], place: str) -> list[tuple[_T, ...]]:
    if isinstance(part, Criterion):
        value = read(part)
        if value is None:
            return [()]
        return [] if value is False else [(cast(_T, value),)]
    found = [_ways(inner, read, place) for inner in part.parts]
    if not part.all:
        return list(dict.fromkeys(chain.from_iterable(found)))
    if math.prod(map(len, found)) > MAX_WAYS:
        raise ParseError(place, f"the criteria can hold in more than {MAX_WAYS} ways")
    return [tuple(chain.from_iterable(combined)) for combined in product(*found)]


def with_epoch(evr: str) -> str:
    """Return an rpm version with its epoch, which is 0 where none is written, and without blanks.

    Microsoft writes `0: 1.20.10-1.azl3` for golang (CVE-2023-39323), which no client can read.
    """
    plain = "".join(evr.split())
    return plain if ":" in plain else f"0:{plain}"


# --- XML --------------------------------------------------------------------------------------------------------


class _Reader:
    """Lets the parser build the tree, and after each chunk takes out of it what is whole.

    Nothing of Python is called for an element: that is what makes a document of 300 MB a matter of seconds.
    """

    def __init__(self, document: Document, key: Key) -> None:
        self._document = document
        self._root: Element | None = None
        self._taken = 0
        """Where the parser was when last something was whole."""
        self._take: dict[str, Callable[[Element], None]] = {
            "definitions": lambda element: document.add_definition(element, key),
            "tests": document.add_test,
            "objects": document.add_object,
            "states": document.add_state,
        }
        self._builder = TreeBuilder()
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._builder.end
        self._parser.CharacterDataHandler = self._builder.data

    def read(self, path: Path, report: Callable[[int], None]) -> None:
        """Read the whole document."""
        with open_bounded(path, max_bytes=MAX_BYTES, url=path.name) as stream:
            try:
                while chunk := stream.read(_CHUNK):
                    self._parser.Parse(chunk, False)
                    self._sweep(ended=False)
                    report(self._document.count)
                self._parser.Parse(b"", True)
            except expat.ExpatError as error:
                raise ParseError(
                    f"{path.name}:{error.lineno}", f"not XML: {expat.ErrorString(error.code)}"
                ) from error
            except (ValueError, LookupError) as error:
                # Of an encoding that is not known.
                raise ParseError(self._place(), f"not XML: {error}") from error
        self._sweep(ended=True)

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if _local(tag) != "oval_definitions":
            raise ParseError(self._place(), f"the outermost element is {tag[:80]!r}, not 'oval_definitions'")
        self._root = self._builder.start(tag, attributes)
        self._parser.StartElementHandler = self._builder.start

    def _sweep(self, *, ended: bool) -> None:
        """Hand over and forget what is whole: until the document ended, all but the last section's last child."""
        if self._root is None:
            return
        sections = list(self._root)
        for section in sections:
            items = list(section) if ended or section is not sections[-1] else section[:-1]
            if take := self._take.get(_local(section.tag)):
                for item in items:
                    take(item)
            del section[: len(items)]
            if items or len(sections) > 1:
                self._taken = self._parser.CurrentByteIndex
        del self._root[:-1]
        if not ended and self._parser.CurrentByteIndex - self._taken > MAX_ITEM:
            raise ParseError(self._place(), f"one element has more than {MAX_ITEM} bytes")

    def _refuse(self, *_: object) -> None:
        raise ParseError(self._place(), "the document declares a document type; entities are not read")

    def _place(self) -> str:
        return f"{self._document.name}:{self._parser.CurrentLineNumber}"


@lru_cache(maxsize=256)
def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _definition(element: Element, document: str) -> Definition:
    place = f"{document} {element.get('id', 'definition without id')[:120]}"
    metadata = criteria = None
    for child in element:
        if _local(child.tag) == "metadata":
            metadata = child
        elif _local(child.tag) == "criteria":
            criteria = child
    if metadata is None:
        raise ParseError(place, "the definition has no metadata")
    version = element.get("version", "0")
    if not version.isdecimal():
        raise ParseError(place, f"version {version[:40]!r} is no number")
    platforms: list[str] = []
    references: list[Reference] = []
    cves: list[Cited] = []
    facts: dict[str, str] = {}
    for child in _leaves(metadata):
        name = _local(child.tag)
        if name == "platform":
            platforms.append(_text(child))
        elif name == "reference":
            references.append(Reference(child.get("source", ""), child.get("ref_id", ""), child.get("ref_url", "")))
        elif name == "cve":
            cves.append(Cited(_text(child), dict(child.attrib)))
        else:
            facts.setdefault(name, _text(child) or child.get("date", ""))
    return Definition(
        id=element.get("id", ""),
        version=int(version),
        title=facts.pop("title", ""),
        description=facts.pop("description", ""),
        platforms=platforms,
        references=references,
        cves=cves,
        facts=facts,
        criteria=_criteria(criteria, place, negate=False, depth=0) if criteria is not None else Criteria(True, []),
    )


def _leaves(metadata: Element) -> Iterable[Element]:
    """Yield what metadata holds, and in the place of `affected` and `advisory` what these hold."""
    for child in metadata:
        if _local(child.tag) in ("affected", "advisory"):
            yield from child
        else:
            yield child


def _criteria(element: Element, place: str, *, negate: bool, depth: int) -> Criteria:
    if depth >= MAX_DEPTH:
        raise ParseError(place, f"criteria nest more than {MAX_DEPTH} deep")
    operator = element.get("operator", "AND")
    if operator not in ("AND", "OR"):
        raise ParseError(place, f"operator {operator[:40]!r} is not known")
    negate ^= element.get("negate") == "true"
    parts: list[Criterion | Criteria] = []
    for child in element:
        name = _local(child.tag)
        if name == "criteria":
            parts.append(_criteria(child, place, negate=negate, depth=depth + 1))
        elif name in ("criterion", "extend_definition"):
            parts.append(
                Criterion(
                    test=child.get("test_ref") or child.get("definition_ref") or "",
                    comment=child.get("comment", ""),
                    negate=negate ^ (child.get("negate") == "true"),
                )
            )
    # "Not any of them" is "none of them": what is denied turns the branch around.
    return Criteria((operator == "AND") ^ negate, parts)
