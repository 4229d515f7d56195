"""Minor streams: which one a build is for, and what a record says of several."""

from __future__ import annotations

import pytest

from vulnfeeds.drivers.redhat import streams
from vulnfeeds.drivers.redhat.issues import Kind, State


@pytest.mark.parametrize(
    ("release", "platform", "cpe", "version", "stream"),
    [
        ("9", "AppStream-9.5.0.GA", "", "0:3.9.19-8.el9", ("5", ("ga",))),
        ("9", "BaseOS-9.3.0.Z.MAIN", "", "0:1-1.el9_3", ("3", ("ga",))),
        ("9", "BaseOS-9.4.0.Z.MAIN.EUS", "", "0:1-1.el9_4", ("4", ("eus", "ga"))),
        ("7", "7Server-optional-7.9.Z", "", "0:115.5.0-1.el7_9", ("9", ("ga",))),
        ("10", "rhel-10.1", "", "0:1-1.el10", ("1", ("ga",))),
        ("10", "", "cpe:/o:redhat:enterprise_linux:10.0", "0:1-1.el10", ("0", ("ga",))),
        ("9", "", "", "0:3.9.18-3.el9_4.5", ("4", ("ga",))),
        ("8", "", "", "0:2.28-251.el8_10.5", ("10", ("ga",))),
        ("8", "", "", "0:2.7.8-139.module+el8.8.0+18745+f1bef313", ("8", ("ga",))),
        ("9", "", "", "0:3.9.19-8.el9", ("", ("ga",))),
        ("7", "", "", "0:7.2-3.el7.1", ("", ("ga",))),
        ("9", "BaseOS-8.9.0.Z.MAIN", "", "0:1-1.el8_9", ("", ("ga",))),
        ("9", "a form of tomorrow", "", "0:1-1.el9", ("", ("ga",))),
        ("8.2+aus", "AppStream-8.2.0.Z.AUS", "", "0:1-1.el8_2", ("2", ("aus",))),
        ("6+els", "6Server-ELS", "", "0:1-1.el6_10", ("", ("els",))),
    ],
)
def test_the_stream_of_a_build(
    release: str, platform: str, cpe: str, version: str, stream: tuple[str, tuple[str, ...]]
) -> None:
    """By support, CPE, platform or version; where none tells, no minor release is guessed."""
    assert streams.stream(release, version, cpe=cpe, platform=platform) == stream


def fix(version: str, minor: str, channel: str = "ga", advisory: str = "RHSA-2024:0001", date: str = "") -> State:
    """Return a fix of one package in one stream."""
    return State("9", "p", "", Kind.FIXED, version, advisory, date, minor, (channel,))


def test_the_newest_build_of_each_stream_is_listed() -> None:
    """By rpm's order, with the advisory that published it first."""
    newest = streams.newest_builds(
        [
            fix("0:1-10.el9_4", "4", advisory="RHSA-2024:0002", date="2024-02-01"),
            fix("0:1-9.el9_4", "4"),
            fix("0:1-10.el9_4", "4", advisory="RHSA-2024:0003", date="2024-03-01"),
            fix("0:1-4.el9_2", "2", "tus", advisory="RHSA-2024:0004"),
            fix("0:1-4.el9_2", "2", "e4s", advisory="RHSA-2024:0004"),
        ]
    )
    assert [(build.version, build.minor, build.channels, build.advisory) for build in streams.builds(newest)] == [
        ("0:1-4.el9_2", 2, ("e4s", "tus"), "RHSA-2024:0004"),
        ("0:1-10.el9_4", 4, ("ga",), "RHSA-2024:0002"),
    ]
    assert streams.vulnerable_range(newest) == "", "one base: what is older than the newest fix is affected"


def test_one_version_needs_no_list() -> None:
    """Then the fix itself says all."""
    newest = streams.newest_builds([fix("0:1-1.el9", "4"), fix("0:1-1.el9", "5")])
    assert streams.builds(newest) == ()


def test_a_minor_release_that_nothing_tells_is_not_made_up() -> None:
    """The build is listed all the same."""
    found = streams.builds(streams.newest_builds([fix("0:2-1.el9", ""), fix("0:1-1.el9_4", "4")]))
    assert [(build.version, build.minor) for build in found] == [("0:1-1.el9_4", 4), ("0:2-1.el9", None)]


def test_fixes_on_several_bases_leave_gaps() -> None:
    """What is newer than a fix on its own base is mended; extended supports make no gap."""
    newest = streams.newest_builds(
        [
            fix("1:3.10-2.el9", "6"),
            fix("1:3.9.18-3.el9_3", "3"),
            fix("1:3.9.18-4.el9_4", "4"),
            fix("1:3.8-1.el9_0", "0", "eus"),
        ]
    )
    assert streams.vulnerable_range(newest) == "< 1:3.9.18-4.el9_4 || >= 1:3.10, < 1:3.10-2.el9"
