"""The only way to the screen: results on standard output (tables, or JSON), all else on standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_STYLES: Final = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


class Terminal:
    """Where a command writes. `as_json` is the option --json: standard output is then one JSON value."""

    def __init__(self, *, as_json: bool = False, output: TextIO | None = None, errors: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stream = output if output is not None else sys.stdout
        self.output = _console(self._stream)
        self.errors = _console(errors if errors is not None else sys.stderr)

    @property
    def is_live(self) -> bool:
        """Whether a person looks at standard error, so that progress can be drawn over itself."""
        return self.errors.is_terminal

    def log_handler(self) -> logging.Handler | None:
        """Return what writes log lines above what is drawn live; None where nothing is."""
        return _ConsoleHandler(self.errors) if self.is_live else None

    def rows(self, columns: Mapping[str, str], rows: Iterable[Row], *, nothing: str = "nothing") -> None:
        """Show rows: the keys of `columns` in their order under their titles; in JSON, rows as they are."""
        found = list(rows)
        if self.as_json:
            self.value(found)
        elif not found:
            self.say(nothing)
        else:
            self.output.print(_table(columns, found))

    def facts(self, facts: Row) -> None:
        """Show one thing: a line for each of its facts."""
        if self.as_json:
            self.value(facts)
            return
        width = max((len(name) for name in facts), default=0)
        for name, value in facts.items():
            self.output.print(Text.assemble((name.ljust(width), "bold"), "  ", shown(value)), soft_wrap=True)

    def value(self, value: Any) -> None:
        """Write a value as JSON, for programs."""
        self.text(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())

    def text(self, text: str) -> None:
        """Write text to standard output as it is, for people and programs."""
        self._stream.write(text if text.endswith("\n") else f"{text}\n")

    def say(self, text: str) -> None:
        """Tell a person something beside the result."""
        self.errors.print(Text(text), soft_wrap=True)

    def complain(self, text: str) -> None:
        """Tell why the command failed."""
        self.errors.print(Text.assemble(("vulnfeeds: ", "bold red"), text), soft_wrap=True)

    def flush(self) -> None:
        """Write out what is held back; raises BrokenPipeError when the reader of the output went away."""
        self._stream.flush()

    def abandon(self) -> None:
        """Send what is left nowhere, after the reader of the output went away."""
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


def shown(value: Any) -> str:
    """Return a value as a person reads it: no value as a dash, times to the second, in UTC as everywhere."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "-"
    if isinstance(value, dict):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return str(value)


def _table(columns: Mapping[str, str], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key, title in columns.items():
        values = [row.get(key) for row in rows]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        table.add_column(title, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # An identifier keeps its digits together: task 1234 is no amount.
        cells = [str(row.get(key)) if key.endswith("id") else shown(row.get(key)) for key in columns]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _console(stream: TextIO) -> Console:
    """Return a console; where no terminal is, lines are as long as they need to be."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


class _ConsoleHandler(logging.Handler):
    """Writes log lines above what is drawn live on the same terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._console.print(Text(self.format(record), style=_STYLES.get(record.levelname, "")), soft_wrap=True)
