"""Whether a version of a package is affected by what a record says of it, by the order of its format. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from vulnfeeds.records.outline import Fix

_LONGEST: Final = 256
_ORDERS: Final = {
    "dpkg": "DebianVersion",
    "rpm": "RpmVersion",
    "apk": "AlpineLinuxVersion",
    "alpm": "ArchLinuxVersion",
    "composer": "ComposerVersion",
    "gem": "RubygemsVersion",
    "go": "GolangVersion",
    "java": "MavenVersion",
    "npm": "SemverVersion",
    "nuget": "NugetVersion",
    "python": "PypiVersion",
    "rust": "SemverVersion",
}
"""Formats and ecosystems to the library's class."""
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_TERM: Final = re.compile(r"\s*(<=|>=|==|!=|<|>|=)\s*([^\s,<>=!]+)\s*,?")


def affects(fix: Fix, version: str) -> bool | None:
    """Return whether a version is affected; None where nobody can tell: an unknown order, an unreadable version."""
    if fix.status == "not_affected":
        return False
    if fix.range:
        return _within(fix.range, version, fix.format)
    if fix.status != "fixed":
        return True
    return _holds("<", version, fix.version or "", fix.format)


def _within(ranges: str, version: str, format_: str) -> bool | None:
    """Return whether a version lies in one of the ranges: terms by comma or space, alternatives by `||`."""
    answers = []
    for alternative in ranges.split("||"):
        terms = _TERM.findall(alternative)
        if not terms or _TERM.sub("", alternative).strip():
            return None
        held = [_holds(compare, version, bound, format_) for compare, bound in terms]
        if None in held:
            return None
        answers.append(all(held))
    return any(answers)


def _holds(compare: str, version: str, bound: str, format_: str) -> bool | None:
    left, right = _read(version, format_), _read(bound, format_)
    if left is None or right is None:
        return None
    try:
        return bool(_COMPARE[compare](left, right))
    except (TypeError, ValueError, AttributeError, RuntimeError, IndexError):
        return None


@lru_cache(maxsize=4096)
def _read(version: str, format_: str) -> Any:
    """Return a version that can be compared, None for one that its format cannot read."""
    if format_ not in _ORDERS or not 0 < len(version) <= _LONGEST:
        return None
    # Takes a tenth of a second to import, and most searches compare no versions.
    from univers import nuget, versions

    try:
        return getattr(versions, _ORDERS[format_])(version)
    except (ValueError, TypeError, AttributeError, RuntimeError, IndexError, nuget.InvalidNuGetVersion):
        return None
