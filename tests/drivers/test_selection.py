"""Which groups the settings serve, and under which names."""

from __future__ import annotations

import pytest

from vulnfeeds.drivers.selection import Selection
from vulnfeeds.errors import SettingsError
from vulnfeeds.records.record import Record


@pytest.mark.parametrize(
    ("include", "exclude", "served"),
    [
        (("*",), (), {"ubuntu:9.10", "ubuntu:22.04", "ubuntu:22.04+esm"}),
        (("22.04",), (), {"ubuntu:22.04", "ubuntu:22.04+esm"}),
        (("ubuntu:22.04",), (), {"ubuntu:22.04"}),
        (("*",), ("*+esm",), {"ubuntu:9.10", "ubuntu:22.04"}),
        (("*",), ("?.*",), {"ubuntu:22.04", "ubuntu:22.04+esm"}),
        (("2?.*",), ("22.04+esm",), {"ubuntu:22.04"}),
        (("ubuntu:*",), ("UBUNTU:*",), {"ubuntu:9.10", "ubuntu:22.04", "ubuntu:22.04+esm"}),
        ((), (), set()),
    ],
)
def test_patterns_mean_groups_or_releases(
    include: tuple[str, ...], exclude: tuple[str, ...], served: set[str]
) -> None:
    """A whole name, what is behind the colon, or that without what is added behind a plus sign."""
    selection = Selection(include, exclude)
    groups = ("ubuntu:9.10", "ubuntu:22.04", "ubuntu:22.04+esm")
    assert {group for group in groups if selection.serves(group)} == served
    assert {group for group in groups if selection.name(group)} == served


def test_names_are_exchanged_whole_or_behind_the_colon() -> None:
    """Two groups may exchange their names; patterns go by the names before."""
    selection = Selection(exclude=("9",), rename={"8": "9", "test:9": "old:9", "7": "8"})
    assert [selection.name(f"test:{release}") for release in "6789"] == ["test:6", "test:8", "test:9", None]
    assert Selection(rename={"test:9": "old:9"}).name("test:9") == "old:9"
    assert Selection(rename={"whole": "part"}).name("whole") == "part"


def test_two_groups_cannot_have_one_name() -> None:
    """Their records could not be told apart."""
    selection = Selection(rename={"8": "9"})
    records = iter([Record("feed", "test:8", "a", {}), Record("feed", "test:9", "b", {})])
    with pytest.raises(SettingsError, match="rename: test:8 and test:9 would both be test:9"):
        list(selection.of(records))


def test_it_says_why_a_published_group_rests() -> None:
    """A group that was excluded or renamed is told from one that still is served, also under a new name."""
    selection = Selection(exclude=("7",), rename={"8": "eight", "7": "seven"})
    assert selection.absence("test:7") == "excluded by the settings"
    assert selection.absence("test:seven") == "excluded by the settings"
    assert selection.absence("test:8") == "the settings name it test:eight"
    assert selection.absence("test:eight") is None
    assert selection.absence("test:9") is None
