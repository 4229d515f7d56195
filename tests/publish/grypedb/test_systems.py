"""Which operating system a group is to a client: a wrong word gives no match and no error."""

from __future__ import annotations

import pytest

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb.systems import System, home_of


@pytest.mark.parametrize(
    ("group", "origin", "ecosystem", "system"),
    [
        ("debian:12", "debian", "deb", System("debian", "debian", "12", "", "", "bookworm", "")),
        ("debian:unstable", "debian", "deb", System("debian", "debian", "", "", "unstable", "", "")),
        ("ubuntu:22.04", "ubuntu", "deb", System("ubuntu", "ubuntu", "22", "4", "", "jammy", "")),
        ("ubuntu:22.04+esm", "ubuntu", "deb", System("ubuntu", "ubuntu", "22", "4", "", "jammy", "esm")),
        ("alpine:3.20", "alpine", "apk", System("alpine", "alpine", "3", "20", "", "", "")),
        ("alpine:edge", "alpine", "apk", System("alpine", "alpine", "", "", "edge", "", "")),
        ("rhel:8.4+eus", "rhel", "rpm", System("redhat", "rhel", "8", "4", "", "", "eus")),
        ("ol:9", "oracle", "rpm", System("oraclelinux", "ol", "9", "", "", "", "")),
        ("amzn:2023", "amazon", "rpm", System("amazonlinux", "amzn", "2023", "", "", "", "")),
        ("sles:15.5", "sles", "rpm", System("sles", "sles", "15", "5", "", "", "")),
        ("mariner:2.0", "mariner", "rpm", System("mariner", "mariner", "2", "0", "", "", "")),
        ("mariner:3.0", "mariner", "rpm", System("azurelinux", "azurelinux", "3", "0", "", "", "")),
        ("wolfi:rolling", "wolfi", "apk", System("wolfi", "wolfi", "", "", "rolling", "", "")),
        ("arch:rolling", "arch", "alpm", System("archlinux", "arch", "", "", "rolling", "", "")),
        ("alma:8", "alma", "rpm", System("almalinux", "", "8", "", "", "", "")),
    ],
)
def test_a_group_is_one_system(group: str, origin: str, ecosystem: str, system: System) -> None:
    """Name, release id, version without leading zeros, codename and channel are what clients look for."""
    home = home_of(group)
    assert (home.distribution.origin, home.distribution.ecosystem, home.systems) == (origin, ecosystem, (system,))


def test_rhel_has_a_row_for_each_minor_release_and_one_for_none() -> None:
    """A client takes the rows of its minor release only, so every package must be on all of them."""
    minors = [system.minor for system in home_of("rhel:9").systems]
    assert minors == [*(str(minor) for minor in range(11)), ""]


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("centos:7", "sent to the rows of RHEL"),
        ("rocky:9", "sent to the rows of RHEL"),
        ("ol:8+ksplice", "no channel 'ksplice'"),
        ("rhel:7.6+els", "no channel 'els'"),
        ("plan9:4", "no distribution 'plan9'"),
    ],
)
def test_what_no_client_would_look_at_is_left_out_with_the_reason(group: str, reason: str) -> None:
    """Nothing is dropped without a word."""
    with pytest.raises(RecordError, match=reason):
        home_of(group)
