"""Package texts of the security data API, the order of versions, and which release a product belongs to."""

from __future__ import annotations

import pytest

from vulnfeeds.drivers.redhat import packages
from vulnfeeds.drivers.redhat.issues import base_of, is_group, release_of_cpe


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("openssl-1:1.0.2k-21.el7_9", ("openssl", "1:1.0.2k-21.el7_9", "")),
        ("2:xen-libs-3.0.3-41.el5", ("xen-libs", "2:3.0.3-41.el5", "")),
        ("kernel-rt-3.10.0-1160.el7", ("kernel-rt", "0:3.10.0-1160.el7", "")),
        ("ruby-0:2.5.9-111.module+el8.9.0+19193+435404ae", ("ruby", "0:2.5.9-111.module+el8.9.0+19193+435404ae", "")),
        ("mysql:8.0-8040020210824134700.522a0ee4", ("", "", "mysql:8.0")),
        ("virt:rhel-8060020220408104655.d63f516d", ("", "", "virt:rhel")),
        ("nodejs:18/nodejs-1:18.2.0-1.el8", ("nodejs", "1:18.2.0-1.el8", "nodejs:18")),
        ("kpatch-patch", ("kpatch-patch", "", "")),
        ("inkscape:flatpak/inkscape", None),
        ("container/image:v4", None),
        ("", None),
    ],
)
def test_package_texts(text: str, package: tuple[str, str, str] | None) -> None:
    """Every form that Red Hat used, the epoch before, within or absent."""
    assert packages.read(text) == package


def test_the_newest_version_is_rpms() -> None:
    """Numbers count as numbers, an epoch before all, and "ael" builds only where there are no others."""
    assert packages.newest(["0:1-9.el9", "0:1-10.el9"]) == "0:1-10.el9"
    assert packages.newest(["0:9-1.el9", "1:1-1.el9"]) == "1:1-1.el9"
    assert packages.newest(["0:2.0~rc1-1.el9", "0:2.0-1.el9"]) == "0:2.0-1.el9"
    assert packages.newest(["0:1.4.7-9.ael7b_1", "0:1.4.7-3.el7"]) == "0:1.4.7-3.el7"
    assert packages.newest(["0:1.4.7-9.ael7b_1"]) == "0:1.4.7-9.ael7b_1"


@pytest.mark.parametrize(
    ("cpe", "release"),
    [
        ("cpe:/o:redhat:enterprise_linux:9::baseos", "9"),
        ("cpe:/a:redhat:enterprise_linux:8::appstream", "8"),
        ("cpe:/o:redhat:enterprise_linux:10.0", "10"),
        ("cpe:/a:redhat:rhel_eus:8.10::crb", "8.10+eus"),
        ("cpe:/o:redhat:enterprise_linux_eus:10.0", "10.0+eus"),
        ("cpe:/o:redhat:rhel_els:7", "7+els"),
        ("cpe:/o:redhat:rhel_els:6.10", "6+els"),
        ("cpe:/o:redhat:rhel_e4s:8.2::baseos", "8.2+e4s"),
        ("cpe:/o:redhat:rhel_aus:7.6", "7.6+aus"),
        ("cpe:/a:redhat:rhel_eus_long_life:8.4", "8.4+eus_long_life"),
        ("cpe:/a:redhat:rhel_extras_rt:7", "7"),
        ("cpe:/a:redhat:rhel_extras:7", ""),
        ("cpe:/o:redhat:enterprise_linux:7::hypervisor", ""),
        ("cpe:/o:redhat:enterprise_linux:8::fastdatapath", ""),
        ("cpe:/a:redhat:rhel_eus:8", ""),
        ("cpe:/a:redhat:openstack:17.1::el9", ""),
    ],
)
def test_releases_by_cpe(cpe: str, release: str) -> None:
    """The operating system itself with its kinds of longer support; not what is only built on it."""
    assert release_of_cpe(cpe) == release


def test_not_every_support_is_a_group() -> None:
    """Those for extended updates and an extended life are; what others brought is listed with the release itself."""
    assert [release for release in ("9", "8.6+eus", "6+els") if not is_group(release)] == []
    assert not any(map(is_group, ("8.2+aus", "8.2+tus", "8.2+e4s", "8.4+eus_long_life")))
    assert [base_of(release) for release in ("9", "8.6+eus", "6+els", "10.0+eus")] == ["9", "8", "6", "10"]
