"""Which operating system of a Grype database a group is: a wrong word here gives no matches and no error.

debian:12         origin debian, system debian 12 (bookworm), packages of type deb
rhel:8.4+eus      origin rhel, system redhat 8.4 in channel eus, packages of type rpm
mariner:3.0       origin mariner, system azurelinux 3.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from vulnfeeds.errors import RecordError
from vulnfeeds.records import codenames


class System(NamedTuple):
    """A row of `operating_systems`, without its dates."""

    name: str
    """The client's word for the distribution (`redhat`)."""
    release_id: str
    """`ID` of the distribution's os-release (`rhel`): what an alias leads to."""
    major: str
    minor: str
    label: str
    """What stands in for a version where there is none: `edge`, `unstable`, `rolling`."""
    codename: str
    """Debian and Ubuntu only: a host that states one matches rows with the same one only."""
    channel: str
    """`eus` or `esm`; "" for the base."""


class Distribution(NamedTuple):
    """What all groups of one prefix share."""

    origin: str
    """Decides the namespace that the client shows."""
    system: str
    release_id: str
    ecosystem: str
    """The package type under which the client looks."""


DISTRIBUTIONS: Final = {
    "alma": Distribution("alma", "almalinux", "", "rpm"),
    "alpine": Distribution("alpine", "alpine", "alpine", "apk"),
    "amzn": Distribution("amazon", "amazonlinux", "amzn", "rpm"),
    "arch": Distribution("arch", "archlinux", "arch", "alpm"),
    "chainguard": Distribution("chainguard", "chainguard", "chainguard", "apk"),
    "debian": Distribution("debian", "debian", "debian", "deb"),
    "echo": Distribution("echo", "echo", "echo", "deb"),
    "fedora": Distribution("fedora", "fedora", "fedora", "rpm"),
    "mariner": Distribution("mariner", "mariner", "mariner", "rpm"),
    "minimos": Distribution("minimos", "minimos", "minimos", "apk"),
    "ol": Distribution("oracle", "oraclelinux", "ol", "rpm"),
    "photon": Distribution("photon", "photon", "photon", "rpm"),
    "rhel": Distribution("rhel", "redhat", "rhel", "rpm"),
    "secureos": Distribution("secureos", "secureos", "secureos", "apk"),
    "sles": Distribution("sles", "sles", "sles", "rpm"),
    "ubuntu": Distribution("ubuntu", "ubuntu", "ubuntu", "deb"),
    "wolfi": Distribution("wolfi", "wolfi", "wolfi", "apk"),
}
"""By the prefix of a group's name."""

LEFT_OUT: Final = {
    "centos": "hosts of CentOS are sent to the rows of RHEL",
    "rocky": "hosts of Rocky Linux are sent to the rows of RHEL",
}
"""Prefixes whose groups no client would ever look at, and why."""

CHANNELS: Final = {"rhel": "eus", "ubuntu": "esm"}
"""The one channel, by prefix, that clients know."""

RHEL_MINORS: Final = {"5": 11, "6": 10, "7": 9, "8": 10, "9": 10, "10": 10}
"""Last minor release of each RHEL: a client takes the rows of its minor release only, if there is a single one."""

_AZURE_FROM: Final = 3


def _by_version(*tables: Mapping[str, str]) -> dict[str, str]:
    """Return codename by version without leading zeros (`22.4`)."""
    pairs = [pair for table in tables for pair in table.items()]
    return {".".join(_fields(version)): codename for codename, version in pairs if version[0].isdigit()}


def _fields(version: str) -> list[str]:
    return [field.lstrip("0") or "0" for field in version.split(".")]


CODENAMES: Final = {
    "debian": _by_version(codenames.DEBIAN_ARCHIVED, codenames.DEBIAN),
    "ubuntu": _by_version(codenames.UBUNTU),
}
"""By distribution and version without leading zeros. A host's own word must be equal, or nothing matches."""


class Home(NamedTuple):
    """Where the records of a group go."""

    distribution: Distribution
    systems: tuple[System, ...]
    """One, or for RHEL one for each minor release and the last for hosts that name none."""


def home_of(group: str) -> Home:
    """Return where a group's records go. Raises RecordError that says why, when no client would find them."""
    prefix, _, release = group.partition(":")
    if prefix in LEFT_OUT:
        raise RecordError(LEFT_OUT[prefix])
    if prefix not in DISTRIBUTIONS:
        raise RecordError(f"clients know no distribution {prefix!r}")
    distribution = DISTRIBUTIONS[prefix]
    version, _, channel = release.partition("+")
    if channel and CHANNELS.get(prefix) != channel:
        raise RecordError(f"clients know no channel {channel!r} of {prefix}")
    system = _system(distribution, version, channel)
    if prefix == "mariner" and system.major.isdigit() and int(system.major) >= _AZURE_FROM:
        system = system._replace(name="azurelinux", release_id="azurelinux")
    if prefix == "rhel" and not channel and not system.minor and system.major in RHEL_MINORS:
        minors = [str(minor) for minor in range(RHEL_MINORS[system.major] + 1)]
        return Home(distribution, tuple(system._replace(minor=minor) for minor in [*minors, ""]))
    return Home(distribution, (system,))


def _system(distribution: Distribution, version: str, channel: str) -> System:
    if not version[:1].isdigit():
        return System(distribution.system, distribution.release_id, "", "", version, "", channel)
    fields = _fields(version)
    major, minor = fields[0], fields[1] if len(fields) > 1 else ""
    names = CODENAMES.get(distribution.system, {})
    codename = names.get(f"{major}.{minor}") or names.get(major, "")
    return System(distribution.system, distribution.release_id, major, minor, "", codename, channel)
