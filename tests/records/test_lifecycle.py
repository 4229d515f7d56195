"""Which release cycle a group is about, and what its dates mean for it."""

from __future__ import annotations

import pytest

from vulnfeeds.records.eol import Cycle
from vulnfeeds.records.lifecycle import Lifecycle, Support, lifecycle, support


@pytest.mark.parametrize(
    ("group", "product", "cycles", "extended"),
    [
        ("alma:9", "almalinux", ("9",), False),
        ("alpine:3.18", "alpine-linux", ("3.18",), False),
        ("amzn:2", "amazon-linux", ("2",), False),
        ("amzn:1", "amazon-linux", ("1", "2018.03"), False),
        ("centos:7", "centos", ("7",), False),
        ("debian:12", "debian", ("12",), False),
        ("fedora:41", "fedora", ("41",), False),
        ("mariner:3.0", "azure-linux", ("3.0", "3"), False),
        ("ol:8", "oracle-linux", ("8",), False),
        ("ol:8+fips", "oracle-linux", ("8",), False),
        ("photon:5.0", "photon", ("5.0", "5"), False),
        ("rhel:9", "rhel", ("9",), False),
        ("rhel:8.6+eus", "rhel", ("8",), True),
        ("rocky:9", "rocky-linux", ("9",), False),
        ("sles:15.5", "sles", ("15.5",), False),
        ("sles:15", "sles", ("15", "15.0"), False),
        ("ubuntu:22.04", "ubuntu", ("22.04",), False),
        ("ubuntu:22.04+esm", "ubuntu", ("22.04",), True),
    ],
)
def test_a_distribution_s_group_has_a_cycle(
    group: str, product: str, cycles: tuple[str, ...], extended: bool
) -> None:
    """Under the product's and the cycle's names at endoflife.date."""
    assert lifecycle("vulnerabilities", group) == Lifecycle(product, cycles, extended)


@pytest.mark.parametrize(
    ("feed", "group"),
    [
        ("vulnerabilities", "alpine:edge"),
        ("vulnerabilities", "debian:unstable"),
        ("vulnerabilities", "wolfi:rolling"),
        ("vulnerabilities", "arch:rolling"),
        ("vulnerabilities", "beos:5"),
        ("vulnerabilities", "ubuntu"),
        ("nvdv2", "nvdv2:cves"),
        ("github", "github:npm"),
    ],
)
def test_what_only_rolls_on_has_none(feed: str, group: str) -> None:
    """Nor have groups of other feeds, or of distributions that we do not know."""
    assert lifecycle(feed, group) is None


def test_extended_support_ends_with_itself() -> None:
    """The plain group ends before; a date that is not known is left out."""
    cycle = Cycle("ubuntu", "22.04", eoas_from="2024-09-30", eol_from="2027-04-01", eoes_from="2032-04-09")
    assert support(cycle, extended=False) == Support("2027-04-01", "2024-09-30", "2032-04-09")
    assert support(cycle, extended=True) == Support("2032-04-09", "2024-09-30", "2032-04-09")
    assert support(Cycle("fedora", "42"), extended=True) == Support()
