"""Package texts of the security data API, and the order of rpm versions."""

from __future__ import annotations

import re
from functools import cmp_to_key, lru_cache
from typing import NamedTuple

_FLATPAK = ":flatpak"
_EPOCH_FIRST = re.compile(r"(\d{1,9}):(.+)-([^-:]+)-([^-:]+)")
_EPOCH_WITHIN = re.compile(r"(.+)-(\d{1,9}):([^-:]+)-([^-:]+)")
_NO_EPOCH = re.compile(r"([^:]+)-([^-:]+)-([^-:]+)")
_MODULE = re.compile(r"([^:/]+):(.+)-\d+\.[0-9a-f]+")
_NAME = re.compile(r"[^:/]+")


class Package(NamedTuple):
    """What a text names: any of the three may be ""."""

    name: str
    version: str
    """Always with an epoch."""
    module: str
    """"name:stream"."""


def read(text: str) -> Package | None:
    """Return what the text of a fix names; None for flatpaks and texts of no known form.

    The forms: "openssl-1:1.0.2k-21.el7_9", "1:openssl-1.0.2k-21.el7_9", "kernel-3.10.0-1.el7" (epoch 0), "openssl",
    "mysql:8.0-8040020210824134700.522a0ee4" (a module's build, no package) and "nodejs:18/nodejs-1:18.2.0-1.el8".
    """
    module, _, rest = text.rpartition("/")
    if module.endswith(_FLATPAK):
        return None
    if match := _EPOCH_FIRST.fullmatch(rest):
        return Package(match[2], f"{int(match[1])}:{match[3]}-{match[4]}", module)
    if match := _EPOCH_WITHIN.fullmatch(rest):
        return Package(match[1], f"{int(match[2])}:{match[3]}-{match[4]}", module)
    if match := _NO_EPOCH.fullmatch(rest):
        return Package(match[1], f"0:{match[2]}-{match[3]}", module)
    if match := _MODULE.fullmatch(rest):
        return Package("", "", f"{match[1]}:{match[2]}")
    return Package(rest, "", module) if _NAME.fullmatch(rest) else None


def read_name(text: str) -> tuple[str, str] | None:
    """Return (package, module) of a state's "package" or "module:stream/package"; None for flatpaks."""
    module, _, name = text.rpartition("/")
    return None if not name or module.endswith(_FLATPAK) else (name, module)


def newest(versions: list[str]) -> str:
    """Return the newest of some versions by rpm's rules.

    Versions with "ael" in them (builds for another byte order, under the same name) count only where there are no
    others.
    """
    usual = [version for version in versions if "ael" not in version] or versions
    return max(usual, key=order) if len(usual) > 1 else usual[0]


@lru_cache(maxsize=16384)
def _compare(one: str, other: str) -> int:
    # Takes long to import, and a run without news compares no versions.
    from univers.rpm import compare_rpm_versions

    return int(compare_rpm_versions(one, other))


order = cmp_to_key(_compare)
"""Key by which versions sort in rpm's order."""
