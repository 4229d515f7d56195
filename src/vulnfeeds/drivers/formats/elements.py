"""XML read as a stream: the children of the root, one at a time, as small trees.

A document type is refused, and with it every entity that a document could define: none of the formats that are read
this way needs one, and it is what bombs and inclusions of foreign files are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser
from xml.etree.ElementTree import ParseError as SyntaxFault

from vulnfeeds.errors import ParseError

MAX_DEPTH: Final = 64
"""Deepest nesting that is read; true documents have 10 levels."""
MAX_PARTS: Final = 200_000
"""Most elements in one child of the root."""
MAX_TEXT: Final = 16 << 20
"""Most characters of text in one child of the root."""
_BLOCK = 64 << 10


def children(stream: BinaryIO, place: str, root: str) -> Iterator[Element]:
    """Yield each child of the root with all that is in it; names come without their namespace.

    Only what one block of 64 KiB completes is in memory at a time. Raises ParseError, naming `place`, when the
    document is no well-formed XML, has another root or a document type, or a child that is too large or too deep.
    """
    target = _Children(place, root)
    parser = XMLParser(target=target)  # noqa: S314 (document types are refused)
    try:
        while block := stream.read(_BLOCK):
            parser.feed(block)
            yield from target.take()
        parser.close()
    except SyntaxFault as error:
        after = f" after {target.count} elements" if target.count else ""
        raise ParseError(place, f"not well-formed XML{after}: {error}") from error
    except (ValueError, LookupError) as error:
        # Of an encoding that is not known.
        raise ParseError(place, f"not readable as XML: {error}") from error
    yield from target.take()


def text_of(element: Element, name: str) -> str:
    """Return the text of the first child of that name without the blanks around it; "" when there is none."""
    return (element.findtext(name) or "").strip()


class _Children:
    """What the parser reports to; it builds a tree for each child of the root and forgets it when it is taken."""

    def __init__(self, place: str, root: str) -> None:
        self.count = 0
        """Children that are whole."""
        self._place = place
        self._root = root
        self._depth = 0
        self._parts = 0
        self._text = 0
        self._whole: list[Element] = []
        self._build: TreeBuilder | None = None
        self._add: Callable[[str], object] | None = None

    def take(self) -> list[Element]:
        """Return the children that are whole since the last time."""
        whole, self._whole = self._whole, []
        return whole

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Refuse a document type."""
        raise ParseError(self._place, f"a document type ({name}) is not allowed: it could define entities")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        name = tag.rpartition("}")[2] if tag[:1] == "{" else tag
        self._depth += 1
        if self._build is not None:
            self._parts += 1
            if self._depth > MAX_DEPTH:
                raise ParseError(self._place, f"elements nest more than {MAX_DEPTH} deep")
            if self._parts > MAX_PARTS:
                raise ParseError(self._place, f"an element under the root holds more than {MAX_PARTS} others")
            self._build.start(name, attributes)
        elif self._depth == 1:
            if name != self._root:
                raise ParseError(self._place, f"the root is <{name[:80]}>, not <{self._root}>")
        else:
            self._parts = self._text = 0
            self._build = TreeBuilder()
            self._add = self._build.data
            self._build.start(name, attributes)

    def data(self, text: str) -> None:
        """Take text of the element that is open."""
        if self._add is not None:
            self._text += len(text)
            if self._text > MAX_TEXT:
                raise ParseError(self._place, f"an element under the root holds more than {MAX_TEXT} letters")
            self._add(text)

    def end(self, tag: str) -> None:
        """End an element."""
        self._depth -= 1
        if self._build is None:
            return
        self._build.end(tag.rpartition("}")[2] if tag[:1] == "{" else tag)
        if self._depth == 1:
            self._whole.append(self._build.close())
            self._build = self._add = None
            self.count += 1

    def close(self) -> None:
        """Take the end of the document."""
