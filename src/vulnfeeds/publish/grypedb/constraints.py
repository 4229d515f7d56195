"""Constraints on versions as clients read them: `>= 1.0, < 2.0 || = 3.1`. Pure.

`,` means and, `||` means or. A constraint that a client cannot parse drops the record silently, and so does one with
a space where `,` is meant. What does not pass here is left out and told, instead of being shipped as "no match". The
question is what clients can read, not how versions compare: the patterns say what the clients' parsers take.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from univers.versions import PypiVersion

from vulnfeeds.errors import RecordError

_UNIT: Final = re.compile(r"""\s*(>=|<=|>|<|=)?\s*(?:"([^"\\|,]+)"|([^\s<>=,|()"']+))\s*""")
_PLAIN: Final = re.compile(r"""[^\s<>=,|()"'/`]+""")
# Alpine has fixed versions that its own tools call malformed (`1.7.5.-r1`, `57-1-r2`); clients take them.
_APK: Final = re.compile(
    r"[vV]?\d+(?:\.\d*|[a-z](?![a-z])\d*)*(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(?:-.\d*)*", re.ASCII
)
_DEB: Final = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~_-]*", re.ASCII)
_RPM: Final = re.compile(r"(\d+:)?[^:]*", re.ASCII)
_WORD: Final = r"[0-9A-Za-z~-]+"
# A word may follow the numbers at once or behind `-`; behind a point only where the client makes that a `-` first.
_SEMANTIC: Final = re.compile(
    rf"[vV]?\d+(\.\d+)*((-|\.(?=alpha|beta|rc))?[A-Za-z~-]{_WORD[:-1]}*(\.{_WORD})*|-\d{_WORD[:-1]}*(\.{_WORD})*)?"
    rf"(\+{_WORD}(\.{_WORD})*)?",
    re.ASCII,
)
_GO: Final = re.compile(rf"[vV]?\d+(\.\d+)*(-{_WORD}(\.{_WORD})*)?(\+{_WORD}(\.{_WORD})*)?", re.ASCII)
_GEM: Final = re.compile(r"\d[0-9A-Za-z]*(\.[0-9A-Za-z]+)*(-[0-9A-Za-z-]*[0-9A-Za-z](\.[0-9A-Za-z-]+)*)?", re.ASCII)
# univers has no types.
_pypi_is_valid: Final[Callable[[str], bool]] = PypiVersion.is_valid
_KB: Final = re.compile(r"\w+", re.ASCII)
_PATTERNS: Final = {
    "apk": _APK,
    "deb": _DEB,
    "dpkg": _DEB,
    "gem": _GEM,
    "go": _GO,
    "kb": _KB,
    "rpm": _RPM,
    **dict.fromkeys(("semver", "npm", "nuget", "composer", "hex", "pub", "swift", "bitnami"), _SEMANTIC),
}


def check(constraint: str, version_format: str) -> str:
    """Return a constraint that clients can read; raise RecordError that says what they could not."""
    if not passes(constraint, version_format):
        raise RecordError(f"constraint {constraint[:200]!r} cannot be read as {version_format or 'versions'}")
    return constraint


def quote(version: str) -> str:
    """Return a version as a constraint holds it; Cisco's `12.0(1)`, with what means something there, in quotes."""
    return version if _PLAIN.fullmatch(version) else f'"{version}"'


def passes(constraint: str, version_format: str) -> bool:
    """Tell whether clients can read a constraint; an empty one means every version."""
    return not constraint or _passes(constraint, version_format.lower())


@lru_cache(maxsize=65536)
def _passes(constraint: str, version_format: str) -> bool:
    units = [unit for group in constraint.split("||") for unit in group.split(",")]
    matches = [_UNIT.fullmatch(unit) for unit in units]
    return all(match is not None and _is_version(match[2] or match[3], version_format) for match in matches)


def _is_version(version: str, version_format: str) -> bool:
    if version_format in ("python", "pep440"):
        return _pypi_is_valid(version)
    pattern = _PATTERNS.get(version_format)
    return pattern is None or pattern.fullmatch(version) is not None
