"""A CVE as Red Hat sees it, whichever document says so, and which release a product belongs to."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

BASE: Final = re.compile(r"\d+")
"""A release that is not one of the extended ones."""

_PRODUCTS: Final = (
    (re.compile(r"Red Hat Enterprise Linux (\d+)"), "{}"),
    (re.compile(r"Red Hat Enterprise Linux (\d+\.\d+) Extended Update Support"), "{}+eus"),
    (
        re.compile(r"Red Hat Enterprise Linux (\d+) Extended Life[- ]?[Cc]ycle Support(?: (?:Extension|EXTENSION))?"),
        "{}+els",
    ),
)
_CPES: Final = (
    (re.compile(r"cpe:/[ao]:redhat:enterprise_linux:(\d+)(?:\.\d+)?(?::.*)?"), "{}"),
    (re.compile(r"cpe:/[ao]:redhat:(?:rhel_eus|enterprise_linux_eus):(\d+\.\d+)(?::.*)?"), "{}+eus"),
    (re.compile(r"cpe:/[ao]:redhat:(?:rhel_els|enterprise_linux_els):(\d+)(?:\.\d+)?(?::.*)?"), "{}+els"),
)


class Kind(StrEnum):
    """What is known of one package in one release."""

    FIXED = "fixed"
    AFFECTED = "affected"
    """There is no fix yet."""
    WILL_NOT_FIX = "will not fix"
    OUT_OF_SUPPORT = "out of support"
    NOT_AFFECTED = "not affected"


class State(msgspec.Struct, frozen=True, array_like=True):
    """One statement about one package in one release."""

    release: str
    """"9", "8.6+eus" (extended update support) or "6+els" (extended life cycle support)."""
    package: str
    module: str
    """"name:stream", "" for a package of no module."""
    kind: Kind
    version: str = ""
    """The version that fixes, "epoch:version-release"; "" of other kinds."""
    advisory: str = ""
    """The advisory that published the fix."""
    date: str = ""
    """When it did, YYYY-MM-DD."""


class Issue(msgspec.Struct, frozen=True, array_like=True):
    """All that is said of a CVE in the releases of RHEL."""

    cve: str
    severity: str
    """Red Hat's word."""
    description: str
    vector: str
    """CVSS 3 vector, "" when there is none."""
    base_score: str
    vector_status: str
    states: list[State]


@lru_cache(maxsize=4096)
def release_of_product(name: str) -> str:
    """Return the release that a product's name in the security data API stands for; "" for other products."""
    return _first(_PRODUCTS, name)


@lru_cache(maxsize=4096)
def release_of_cpe(cpe: str) -> str:
    """Return the release that a platform's CPE stands for; "" for other products."""
    return _first(_CPES, cpe)


def _first(patterns: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    return next((form.format(match[1]) for pattern, form in patterns if (match := pattern.fullmatch(text))), "")
