"""Log lines: time, level, part, event, and the facts that came with it, on standard error."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final, TextIO

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_QUIET: Final = ("httpx2", "httpcore2", "httpx", "httpcore", "yoyo", "stamina", "uvicorn.error", "uvicorn")
"""Libraries that tell at level info what the tasks tell better."""


class LineFormatter(logging.Formatter):
    """One line per event: `2026-03-12T08:00:01Z INFO sync.run driver unchanged driver=kev`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%SZ"
    default_msec_format = None

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: what was given as `extra`, and in it as `facts`, behind it, a traceback below it."""
        part = record.name.removeprefix("vulnfeeds.")
        given = {name: value for name, value in vars(record).items() if name not in _OWN}
        given |= given.pop("facts", {})
        facts = "".join(f" {name}={_value(value)}" for name, value in given.items())
        line = f"{self.formatTime(record)} {record.levelname} {part} {record.getMessage()}{facts}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(level: str, *, handler: logging.Handler | None = None, stream: TextIO | None = None) -> None:
    """Send log lines of this process to a handler (where a person looks at it), else to a stream."""
    if handler is None:
        handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(char.isspace() for char in text) else text
