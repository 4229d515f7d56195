"""Which release cycle at endoflife.date a group of a distribution is about: the one table of it. Pure.

A distribution that only rolls on has no cycles, and neither have the groups of other feeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from vulnfeeds.records import eol


class Lifecycle(NamedTuple):
    """A release cycle, and whether a group of it is that of the extended support."""

    product: str
    cycles: tuple[str, ...]
    """Names that the cycle may have upstream; the first one that is there counts."""
    extended: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that its record may have in feed eol."""
        return tuple(eol.key(self.product, cycle) for cycle in self.cycles)


class Support(msgspec.Struct, frozen=True, omit_defaults=True):
    """Until when a group's release is supported, as dates `YYYY-MM-DD`; what is not known is left out."""

    eol: str | None = None
    """End of the security support that the group's fixes come from."""
    eoas: str | None = None
    """End of active support: after it come security fixes only."""
    eoes: str | None = None
    """End of extended security support."""


_PRODUCTS: Final[dict[str, str]] = {
    "alma": "almalinux",
    "alpine": "alpine-linux",
    "amzn": "amazon-linux",
    "centos": "centos",
    "debian": "debian",
    "fedora": "fedora",
    "mariner": "azure-linux",
    "ol": "oracle-linux",
    "photon": "photon",
    "rhel": "rhel",
    "rocky": "rocky-linux",
    "sles": "sles",
    "ubuntu": "ubuntu",
}
"""Product by what stands before the colon of a group's name."""

_EXTENDED: Final = frozenset({"esm", "els", "eus", "aus", "tus", "e4s"})
"""Words behind the plus sign of a group whose fixes come with extended support."""


def _as_named(release: str) -> tuple[str, ...]:
    return (release,)


def _sles(release: str) -> tuple[str, ...]:
    # The first issue of a version has no service pack: sles:15 is 15 there, or 15.0.
    return (release,) if "." in release else (release, f"{release}.0")


def _major(release: str) -> tuple[str, ...]:
    # A minor release has no cycle of its own there.
    return (release.partition(".")[0],)


def _without_zero(release: str) -> tuple[str, ...]:
    return (release, release.removesuffix(".0"))


def _amzn(release: str) -> tuple[str, ...]:
    # Amazon Linux 1 goes by the date of its last issue.
    return ("1", "2018.03") if release == "1" else (release,)


_CYCLES: Final[dict[str, Callable[[str], tuple[str, ...]]]] = {
    "amzn": _amzn,
    "mariner": _without_zero,
    "photon": _without_zero,
    "rhel": _major,
    "sles": _sles,
}
"""How a release is named upstream, where its name is another one."""


def lifecycle(feed: str, group: str) -> Lifecycle | None:
    """Return the release cycle that a group is about, None when it is about none."""
    distribution, _, release = group.partition(":")
    product = _PRODUCTS.get(distribution) if feed == "vulnerabilities" else None
    version, _, addition = release.partition("+")
    if product is None or not version[:1].isdigit():
        return None
    return Lifecycle(product, _CYCLES.get(distribution, _as_named)(version), addition in _EXTENDED)


def support(cycle: eol.Cycle, *, extended: bool) -> Support:
    """Return until when a group of a cycle is supported; one of extended support ends with that.

    A date is given whether or not it has passed: a client can compare it with its own day.
    """
    end = cycle.eoes_from if extended else cycle.eol_from
    return Support(eol=end, eoas=cycle.eoas_from, eoes=cycle.eoes_from)
