"""Records of feed `github`: one advisory in one ecosystem.

Wire form: reference client contract, github records. `{"Advisory": {...}, "Vulnerability": {}}`; the second key is
empty and there because the original had it. What old clients do not know they ignore: `Classification`, `CVSS`,
`cvss_severities`, `published`, `updated`, `references`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from vulnfeeds.records import wire
from vulnfeeds.records.severity import Severity
from vulnfeeds.records.vulnerability import CVSS, NO_FIX

Classification = Literal["GENERAL", "MALWARE"]
GENERAL: Final[Classification] = "GENERAL"
"""A vulnerability in a package."""
MALWARE: Final[Classification] = "MALWARE"
"""A package that was made to do harm."""


class Fix(msgspec.Struct, frozen=True, order=True):
    """Affected versions of one package, and the version that fixes them or NO_FIX."""

    name: str
    range: str
    """Comparators separated by spaces, never commas: ">= 1.2.0 < 1.4.3"."""
    identifier: str
    ecosystem: str
    """The group without its prefix: "python"."""
    namespace: str
    """The group, which clients store fixes by."""


class Vector(msgspec.Struct, frozen=True, order=True):
    """A CVSS vector as upstream gives it; `version` is "3.1" or "4.0"."""

    version: str
    vector: str


class Reference(msgspec.Struct, frozen=True, order=True):
    """A link to what others say of it."""

    url: str


class Names(msgspec.Struct, frozen=True, rename=wire.GITHUB_METADATA):
    """The CVE ids of an advisory once more, where clients look for them."""

    cve: tuple[str, ...] = ()


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True, rename=wire.GITHUB):
    """One advisory in one group. Lists are sorted, and hold each value once."""

    ghsa_id: str
    namespace: str
    summary: str
    severity: Severity
    url: str
    cve: tuple[str, ...]
    """CVE ids only, never the GHSA id."""
    metadata: Names
    fixed_in: tuple[Fix, ...]
    withdrawn: str | None
    """Since when it is void (ISO 8601), None while it holds; anything else than null makes clients drop the fixes."""
    classification: str
    """As upstream says it: one of Classification, or a word that is newer than this code."""
    published: str
    updated: str
    cvss: CVSS | None = None
    """The CVSS 3 vector with its scores."""
    cvss_severities: tuple[Vector, ...] = ()
    references: tuple[Reference, ...] = ()


class Empty(msgspec.Struct, frozen=True):
    """An object without keys."""


class GitHubRecord(msgspec.Struct, frozen=True, rename=wire.GITHUB_WRAPPER):
    """The wrapper that clients expect around an advisory."""

    advisory: Advisory
    vulnerability: Empty = Empty()


def sort_fixes(fixes: list[Fix]) -> tuple[Fix, ...]:
    """Return fixes sorted, one for each (name, range): that is what clients keep one of.

    Of several, one that names a fixing version goes before one that does not, then the first in the order of texts.
    """
    found: dict[tuple[str, str], Fix] = {}
    for fix in sorted(fixes, key=lambda fix: (fix.identifier == NO_FIX, fix)):
        found.setdefault((fix.name, fix.range), fix)
    return tuple(sorted(found.values()))
