"""A CVE as Red Hat sees it, whichever document says so, and which release a product belongs to."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

BASE: Final = re.compile(r"\d+")
"""A release that is not one of the extended ones."""

_CHANNELS: Final = "eus_long_life|eus|aus|tus|e4s|els"
_PLAIN: Final = re.compile(
    r"cpe:/[ao]:redhat:(?:enterprise_linux|rhel_extras_(?:rt|sap|sap_hana)):(\d+)(?:\.\d+)?(?::.*)?"
)
_EXTENDED: Final = re.compile(rf"cpe:/[ao]:redhat:(?:rhel|enterprise_linux)_({_CHANNELS}):(\d+)(\.\d+)?(?::.*)?")
_LAYERED: Final = ("::hypervisor", "::fastdatapath")
"""How the CPEs of products end that are built on a release and are none: Virtualization, Fast Datapath."""


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
    """"9", or with the channel of an extended support: "8.6+eus", "8.2+aus", "6+els"."""
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
    minor: str = ""
    """The minor release that a fix was built for ("4" of 9.4), "" where nothing tells."""
    channels: tuple[str, ...] = ()
    """What brings a fix to a host: "ga" (the release itself), "eus", "aus", "tus", "e4s", "eus_long_life", "els"."""


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
def release_of_cpe(cpe: str) -> str:
    """Return the release that a platform's CPE stands for, with its extended support; "" for other products.

    The real-time kernel and SAP's packages of RHEL 7 are sold apart, but Red Hat counts them among RHEL 7.
    """
    if match := _PLAIN.fullmatch(cpe):
        return "" if cpe.endswith(_LAYERED) else match[1]
    if match := _EXTENDED.fullmatch(cpe):
        channel, major, minor = match.groups()
        if channel == "els":
            return f"{major}+els"
        return f"{major}{minor}+{channel}" if minor else ""
    return ""


def is_group(release: str) -> bool:
    """Tell whether a release has a group: the plain ones, extended update and extended life cycle support."""
    return BASE.fullmatch(release) is not None or release.endswith(("+eus", "+els"))


def base_of(release: str) -> str:
    """Return the release without minor and channel: "8" of "8.6+eus"."""
    return release.partition("+")[0].partition(".")[0]
