"""The corpus of each parser: small documents that together reach all code that fuzzing has reached so far.

They lie in `corpus/PARSER.zip`, beside what once broke a parser. Campaigns begin from them and add to them.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.hostile.targets import TARGETS, run
from vulnfeeds import __file__ as _package

CORPUS: Final = Path(__file__).parent / "corpus"
LARGEST: Final = 4096
"""Bytes of a document that is kept."""
_SOURCES: Final = str(Path(_package).parent)
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)

Step = tuple[str, int, int]
"""From one line of a file to another."""


def kept(name: str) -> list[bytes]:
    """Return the parser's documents, the good one first."""
    path = CORPUS / f"{name}.zip"
    if not path.exists():
        return [TARGETS[name][1]]
    with zipfile.ZipFile(path) as archive:
        return [TARGETS[name][1], *(archive.read(member) for member in archive.namelist())]


def keep(name: str, documents: Iterable[bytes]) -> int:
    """Keep those documents that reach what no smaller one does; return how many were not kept before."""
    before = set(kept(name))
    reaching = [data for data in distilled(name, {*before, *documents}) if data != TARGETS[name][1]]
    CORPUS.mkdir(exist_ok=True)
    with zipfile.ZipFile(CORPUS / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for data in sorted(reaching, key=lambda data: (len(data), data)):
            # The same documents make the same file.
            archive.writestr(zipfile.ZipInfo(hashlib.sha256(data).hexdigest()[:16], _LONG_AGO), data)
    return len(set(reaching) - before)


def distilled(name: str, documents: Iterable[bytes]) -> list[bytes]:
    """Return the documents, smallest first, of which each reaches a step of our code that none before it does."""
    seen = reached(name, TARGETS[name][1])
    found = []
    for data in sorted(documents, key=lambda data: (len(data), data)):
        if len(data) <= LARGEST and (new := reached(name, data) - seen):
            seen |= new
            found.append(data)
    return found


def reached(name: str, data: bytes) -> set[Step]:
    """Return the steps of our code that a parser takes with these bytes, whatever comes of it."""
    steps: set[Step] = set()
    last: dict[int, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_SOURCES):
            return None
        steps.add((file, last.get(id(frame), 0), frame.f_lineno))
        last[id(frame)] = frame.f_lineno
        if event == "return":
            del last[id(frame)]
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run(name, data)
    except Exception:  # noqa: BLE001 - what breaks a parser is told elsewhere
        return set()
    finally:
        sys.settrace(before)
    return steps
