r"""Tables in a dump of PostgreSQL, as plain SQL: rows of `COPY`, with no database to load them into.

    COPY public.versions (id, authors, number, rubygem_id, latest) FROM stdin;
    1\tDavid\\tHansson\t0.8.0\t7\tf
    \\.

Cells stand between tabs, in the order that the head of their table names; `\N` is no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final

from vulnfeeds.errors import ParseError

LONGEST_LINE: Final = 16 << 20
"""Bytes of the longest row that is read; a gem's description has some KB."""
Row = tuple[str | None, ...]
"""The cells of the columns that were asked for, in their order; None is no value."""

_HEAD: Final = re.compile(rb"COPY (\S+) \(([^)]*)\) FROM stdin;\s*")
_END: Final = b"\\.\n"
_WHOLE: Final = b"-- PostgreSQL database dump complete"
_ESCAPED: Final = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_CONTROLS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def rows(stream: BinaryIO, place: str, wanted: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Row]]:
    """Yield (table, row) of the wanted tables, each with the columns that are asked for; names without a schema.

    Raises ParseError, naming the table and the line in the dump, for a table without one of the columns, a row with
    more or fewer cells than its table, a wanted table that is not there, and a dump that ends early.
    """
    lines = _Lines(stream, place)
    seen: set[str] = set()
    while line := lines.next():
        if line.startswith(_WHOLE):
            break
        head = _HEAD.fullmatch(line)
        if head is None:
            continue
        table = head[1].decode("utf-8", "replace").rpartition(".")[2].strip('"')
        if table not in wanted:
            lines.skip(table)
            continue
        if table in seen:
            raise ParseError(lines.place, f"table {table[:80]} is there twice")
        seen.add(table)
        pick = _picker(head[2].decode("utf-8", "replace"), table, wanted[table], lines)
        for row in lines.of(table):
            yield table, pick(row)
    else:
        raise ParseError(lines.place, "the dump does not say that it is complete: it is cut short")
    if missing := sorted(wanted.keys() - seen):
        raise ParseError(lines.place, f"the dump has no table {', '.join(missing)}")


class _Lines:
    """The lines of a dump, counted."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._number = 0

    @property
    def place(self) -> str:
        return f"{self._name}:{self._number}"

    def next(self) -> bytes:
        """Return the next line; b"" at the end."""
        line = self._stream.readline(LONGEST_LINE)
        self._number += 1
        if len(line) == LONGEST_LINE:
            raise ParseError(self.place, f"a line has more than {LONGEST_LINE} bytes")
        return line

    def of(self, table: str) -> Iterator[bytes]:
        """Yield the rows of the table that has begun."""
        while (line := self.next()) != _END:
            if not line.endswith(b"\n"):
                raise ParseError(self.place, f"table {table[:80]} does not end: the dump is cut short")
            yield line[:-1]

    def skip(self, table: str) -> None:
        """Pass the rows of the table that has begun."""
        for _ in self.of(table):
            pass


def _picker(listed: str, table: str, wanted: tuple[str, ...], lines: _Lines) -> Callable[[bytes], Row]:
    columns = [name.strip().strip('"') for name in listed.split(",")]
    missing = [name for name in wanted if columns.count(name) != 1]
    if missing:
        shown = ", ".join(columns)[:200]
        raise ParseError(lines.place, f"table {table} has no column {', '.join(missing)}; its columns are {shown}")
    places = [columns.index(name) for name in wanted]

    def pick(line: bytes) -> Row:
        cells = line.split(b"\t")
        if len(cells) != len(columns):
            raise ParseError(lines.place, f"{len(cells)} cells, table {table} has {len(columns)} columns")
        try:
            return tuple([_text(cells[place]) for place in places])
        except UnicodeDecodeError as error:
            raise ParseError(lines.place, f"table {table}: {error}") from error

    return pick


def _text(cell: bytes) -> str | None:
    if b"\\" not in cell:
        return cell.decode()
    if cell == b"\\N":
        return None
    return _ESCAPED.sub(_unescaped, cell).decode()


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 8) & 0xFF])
    if match[2]:
        return bytes([int(match[2], 16)])
    return _CONTROLS.get(match[3], match[3])
