"""Which of vunnel's schemas are understood, told from the address that each document carries.

    https://raw.githubusercontent.com/anchore/vunnel/main/schema/vulnerability/os/schema-1.1.0.json

Another first number means another shape; the others only add to it.
"""

from __future__ import annotations

import re
from typing import Final

from vulnfeeds.errors import ParseError

OS: Final = "os"
GITHUB: Final = "github-security-advisory"
OSV: Final = "osv"
KEV: Final = "known-exploited"
STATE: Final = "provider-workspace-state"
LISTING: Final = "provider-archive-listing"

_MAJOR: Final = dict.fromkeys((OS, GITHUB, OSV, KEV, STATE, LISTING), "1")
_REFUSED: Final = {
    "nvd": "ranges of versions need an index over all CVEs, which driver nvdv2 makes from the NVD itself",
    "epss": "there is no feed for scores",
    "eol": "there is no feed for ends of life",
    "annotated-openvex": "there is no feed for statements on single libraries",
    "csaf-vex": "there is no feed for statements on products",
    "msrc": "there is no feed for it yet",
    "match-exclusion": "there is no feed for it",
}
"""Schemas that we know of and cannot express, and why."""
_ADDRESS: Final = re.compile(r"\S{1,300}/([a-z0-9-]{1,64})/schema-(\d{1,6})\.\d{1,6}\.\d{1,6}\.json")


def name_of(address: str, place: str) -> str:
    """Return the name of a schema that is understood. Raises ParseError, naming the place, for any other one."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ParseError(place, f"{address[:120]!r} is the address of no schema")
    name, major = found[1], found[2]
    if name in _REFUSED:
        raise ParseError(place, f"results of schema {name!r} cannot be served: {_REFUSED[name]}")
    if name not in _MAJOR:
        raise ParseError(place, f"schema {name[:64]!r} is not known")
    if major != _MAJOR[name]:
        raise ParseError(place, f"version {major} of schema {name!r} is not known, only {_MAJOR[name]}")
    return name


def check(address: str, wanted: str, place: str) -> None:
    """Raise ParseError, naming the place, unless the address is that of the wanted schema."""
    if (found := name_of(address, place)) != wanted:
        raise ParseError(place, f"is of schema {found!r}, not {wanted!r}")
