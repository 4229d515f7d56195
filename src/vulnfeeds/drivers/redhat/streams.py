"""Minor streams of a release: which one a fix was built for, by which channels it comes, and how a record says so.

A fix of RHEL 9 is a fix for one minor release: python3.9 has 3.9.18-3.el9_4.5 for 9.4 and 3.9.19-8.el9 for 9.5, and
hosts that are kept at 9.2 get one of their own by an extended support. The newest of the builds alone would call
every older stream affected for ever, so a record lists them beside it, in keys that old clients do not read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from vulnfeeds.drivers.redhat import packages
from vulnfeeds.drivers.redhat.issues import BASE, State
from vulnfeeds.records.vulnerability import Build

GA: Final = "ga"
"""The channel of the release itself."""
_EUS: Final = "eus"

_CPE: Final = re.compile(r"cpe:/[ao]:redhat:enterprise_linux:(\d+)\.(\d+)(?::.*)?")
_PLATFORM: Final = re.compile(r"[A-Za-z0-9-]+-(\d+)\.(\d+)((?:[.-][A-Za-z0-9]+)*)")
_TAG: Final = re.compile(r"[.+]el(\d+)_(\d+)|\+el(\d+)\.(\d+)")


class Stream(NamedTuple):
    """What a build is for."""

    minor: str
    """"" where nothing tells."""
    channels: tuple[str, ...]


@lru_cache(maxsize=16384)
def stream(release: str, version: str, *, cpe: str = "", platform: str = "") -> Stream:
    """Return the stream of a version that was published for a release, on a platform of a CSAF document.

    An extended support names its minor release. Of others the platform's CPE may tell it
    (`cpe:/o:redhat:enterprise_linux:9.4::baseos`), else its id (`BaseOS-9.4.0.Z.MAIN.EUS`, `7Server-7.9.Z`,
    `rhel-9.5`), else the version (`3.9.18-3.el9_4.5`, `2.7.8-139.module+el8.8.0+18745+f1bef313`). Ids have changed
    their form before: one that tells nothing is no error.
    """
    if BASE.fullmatch(release) is None:
        number, _, channel = release.partition("+")
        return Stream(number.partition(".")[2], (channel,))
    named = _PLATFORM.fullmatch(platform)
    # What is released to the newest minor release goes to its extended support at the same time.
    both = named is not None and {"MAIN", "EUS"} <= set(named[3].split("."))
    channels = (_EUS, GA) if both else (GA,)
    found = [_CPE.fullmatch(cpe), named, _TAG.search(version)]
    for match in found:
        if match is not None:
            major, minor = [part for part in match.groups() if part is not None][:2]
            if major == release:
                return Stream(str(int(minor)), channels)
    return Stream("", channels)


def newest_builds(fixes: Iterable[State]) -> list[State]:
    """Return the newest fix of each stream, oldest version first."""
    by_stream: dict[tuple[str, tuple[str, ...]], list[State]] = defaultdict(list)
    for fix in fixes:
        by_stream[fix.minor, fix.channels].append(fix)
    found = []
    for of_stream in by_stream.values():
        version = packages.newest([fix.version for fix in of_stream])
        # Two advisories may publish one version: the earlier one did.
        same = [fix for fix in of_stream if fix.version == version]
        found.append(min(same, key=lambda fix: (fix.date, fix.advisory)))
    return sorted(found, key=lambda fix: (packages.order(fix.version), fix.minor.zfill(3), fix.channels))


def builds(newest: list[State]) -> tuple[Build, ...]:
    """Return what a record lists of the newest fixes by stream: nothing where there is one version only."""
    if len({fix.version for fix in newest}) < 2:
        return ()
    channels: dict[tuple[str, str, str], set[str]] = {}
    for fix in newest:
        channels.setdefault((fix.advisory, fix.version, fix.minor), set()).update(fix.channels)
    return tuple(
        Build(advisory=advisory, version=version, minor=int(minor) if minor else None, channels=tuple(sorted(by)))
        for (advisory, version, minor), by in channels.items()
    )


def vulnerable_range(newest: list[State]) -> str:
    """Return what is affected where the release was fixed on several bases; "" where the newest fix tells it all.

    `< 0:3.9.18-3.el9_4.5 || >= 0:3.9.19, < 0:3.9.19-8.el9`: what came after the first of them on its own base is
    mended. Builds of extended supports do not count: what they leave behind is never mended in the release itself.
    """
    by_base: dict[str, str] = {}
    for fix in newest:
        if GA in fix.channels:
            # In the order of versions: the newest of each base stays.
            by_base[fix.version.rpartition("-")[0]] = fix.version
    if len(by_base) < 2:
        return ""
    (_, first), *others = by_base.items()
    return " || ".join([f"< {first}", *(f">= {base}, < {version}" for base, version in others)])
