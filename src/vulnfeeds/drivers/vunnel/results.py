"""The results of a workspace, one by one: rows of a SQLite file, or files of JSON.

    {"schema": "https://.../vulnerability/os/schema-1.1.0.json", "identifier": "3.10/cve-2018-10875", "item": {...}}

The SQLite file may come from anybody: nothing in it but the rows of one plain table is looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final, NamedTuple

import msgspec

from vulnfeeds.drivers.vunnel import schemas
from vulnfeeds.drivers.vunnel.workspace import DATABASE, Workspace
from vulnfeeds.errors import ParseError

MAX_BYTES: Final = 64 << 20
"""Most bytes of one result; true ones have less than one MiB."""

_SHOWN = 120


class Result(NamedTuple):
    """One result, its content not yet decoded."""

    schema: str
    """The schema's name; one that is understood."""
    item: msgspec.Raw
    place: str
    """Where it stands, for errors."""


class _Envelope(msgspec.Struct):
    schema: str
    item: msgspec.Raw


_envelope: Final = msgspec.json.Decoder(_Envelope)


def read(workspace: Workspace, name: str) -> Iterator[Result]:
    """Yield the results of a verified workspace; `name` stands for it in errors.

    Raises ParseError for a result of another form or of a schema that is not understood, and when there is none.
    """
    names: dict[str, str] = {}
    documents = _rows(workspace, name) if workspace.state.store == "sqlite" else _files(workspace, name)
    place = f"{name}: no result"
    for place, data in documents:
        try:
            envelope = _envelope.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(place, str(error)) from error
        if envelope.schema not in names:
            names[envelope.schema] = schemas.name_of(envelope.schema, place)
        yield Result(names[envelope.schema], envelope.item, place)
    if not names:
        raise ParseError(place, "a source without results is never the truth")


def _files(workspace: Workspace, name: str) -> Iterator[tuple[str, bytes]]:
    for listed, _ in workspace.listed():
        path = workspace.path(listed)
        place = f"{name}/{listed}"
        if path.stat().st_size > MAX_BYTES:
            raise ParseError(place, f"has more than {MAX_BYTES} bytes")
        yield place, path.read_bytes()


def _rows(workspace: Workspace, name: str) -> Iterator[tuple[str, bytes]]:
    path = workspace.path(DATABASE)
    place = f"{name}/{DATABASE}"
    try:
        # Immutable: no lock, no journal; its bytes were checked and nobody writes them.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            _refuse_other_tables(connection, place)
            for key, record in connection.execute("SELECT id, record FROM results"):
                where = f"{place} {str(key)[:_SHOWN]!r}"
                if not isinstance(record, bytes | str):
                    raise ParseError(where, "its record is no bytes")
                yield where, record.encode() if isinstance(record, str) else record
    except (sqlite3.Error, UnicodeError) as error:
        raise ParseError(place, str(error)) from error


def _refuse_other_tables(connection: sqlite3.Connection, place: str) -> None:
    """Raise ParseError unless `results` is a plain table: a view or virtual table would run what it says."""
    query = "SELECT type, rootpage FROM sqlite_master WHERE name = 'results'"
    found = connection.execute(query).fetchall()
    if len(found) != 1 or found[0][0] != "table" or not found[0][1]:
        raise ParseError(place, "has no plain table `results`")
