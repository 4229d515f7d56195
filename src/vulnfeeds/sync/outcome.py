"""How a run ended, and what a failed one says of its error. Pure."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.errors import MemoryCeilingError, ParseError, UpstreamError, VulnfeedsError

COMPLETED: Final = "completed"
FAILED: Final = "failed"
_LONGEST: Final = 2000
"""Characters of an error's text or place that are kept: an upstream may have written them."""


class RunResult(msgspec.Struct, frozen=True):
    """How a run ended; `result` is what its task keeps."""

    status: str
    result: dict[str, Any]


def describe(error: BaseException) -> dict[str, Any]:
    """Return what a failed task's result says of an error: text, class, and the place where it arose.

    The place of an upstream's error is its URL, that of a parse error is in the download, any other is in the code.
    """
    place = _place(error)
    if isinstance(error, MemoryError):
        error = MemoryCeilingError("the run needed more memory than its driver may (memory_mb)")
    name = type(error).__name__
    text = str(error) if isinstance(error, VulnfeedsError) and str(error) else f"{name}: {error}"
    return {"error": _cut(text), "error_class": name, "place": _cut(place)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _place(error: BaseException) -> str:
    if isinstance(error, ParseError):
        return error.place
    if isinstance(error, UpstreamError):
        return error.url
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
