"""The `filter` of the tasks listing: `driver_id=debian,task_id>470`. Pure.

Terms are split at commas, each at its first `=`, `<` or `>`; all must hold. The URL's encoding is already
undone, so raw and encoded operators arrive alike.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vulnfeeds.errors import BadRequestError
from vulnfeeds.store.interface import TaskFilter

TASK_TYPES: Final = ("FeedSyncTask", "DriverExecutionTask", "WorkspaceConfigTask")
STATUSES: Final = ("running", "completed", "failed")

_TERM = re.compile(r"\s*([^=<>]*?)\s*([=<>])\s*(.*?)\s*", re.DOTALL)
_ID = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NAME = re.compile(r"[^\s=<>\x00-\x1f\x7f]{1,200}")
_CHOICES: Final = {"task_type": TASK_TYPES, "status": STATUSES}
_FIELDS: Final = ("feed_id", "driver_id", "task_type", "status")
_SHOWN: Final = 80


class Wanted(msgspec.Struct, frozen=True):
    """What a filter asks for."""

    tasks: TaskFilter = TaskFilter()
    nothing: bool = False
    """The terms exclude each other: no task can meet them."""


def parse_filter(text: str) -> Wanted:
    """Return what a filter asks for; an empty one asks for all. Raises BadRequestError that names the bad term."""
    if not text.strip():
        return Wanted()
    terms: dict[str, Any] = {}
    nothing = False
    for term in text.split(","):
        name, value = _parse_term(term)
        known = terms.setdefault(name, value)
        if known == value:
            continue
        if name == "after_id":
            terms[name] = max(known, value)
        elif name == "before_id":
            terms[name] = min(known, value)
        else:
            nothing = True
    return Wanted(TaskFilter(**terms), nothing)


def _parse_term(term: str) -> tuple[str, Any]:
    """Return the name of TaskFilter's field that a term sets, and the value."""
    found = _TERM.fullmatch(term)
    if found is None:
        raise _refuse(term, "has no operator; terms look like driver_id=debian or task_id>470")
    field, operator, value = found.groups()
    if field == "task_id":
        if not _ID.fullmatch(value):
            raise _refuse(term, "needs a whole number")
        return {"=": "task_id", ">": "after_id", "<": "before_id"}[operator], int(value)
    if field not in _FIELDS:
        raise _refuse(term, f"has an unknown field; known are {', '.join(_FIELDS)}, task_id")
    if operator != "=":
        raise _refuse(term, f"compares {field} by {operator}; only = is possible, < and > are for task_id")
    choices = _CHOICES.get(field)
    if choices and value not in choices:
        raise _refuse(term, f"has an unknown value; known are {', '.join(choices)}")
    if not _NAME.fullmatch(value):
        raise _refuse(term, "has no usable value")
    return field, value


def _refuse(term: str, why: str) -> BadRequestError:
    return BadRequestError(f"filter: term {term[:_SHOWN]!r} {why}")
