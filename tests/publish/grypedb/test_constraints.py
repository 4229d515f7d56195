"""What clients can read: each line was put to the comparators of grype 0.116."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import constraints


@pytest.mark.parametrize(
    ("version_format", "constraint"),
    [
        ("apk", "< 57-1-r2"),
        ("apk", "< 1.7.5.-r1"),
        ("apk", "< 0.8.21.r2"),
        ("apk", "< 6.6.4p1-r1"),
        ("apk", "< 1.2.3_git20240101-r1"),
        ("dpkg", "< 1:2.3+dfsg-1~deb12u1"),
        ("dpkg", "< 2_3"),
        ("rpm", "< foo"),
        ("python", "< 1.0.dev1"),
        ("maven", "< 2.0.0.RELEASE"),
        ("go", "< v1.2.3-0.20200101000000-abcdef"),
        ("go", "< 1.2.3+incompatible"),
        ("semver", ">= 1.0, < 1.2.3.4.5-beta.1"),
        ("npm", ">=1.0.0,<2.0.0"),
        ("semver", "< 1.0.0beta"),
        ("gem", "< 1.0.0.rc1"),
        ("gem", "< 1.0-java"),
        ("", '< "12.0(1)"'),
        ("", "< 1 || = 3, > 2"),
        ("pacman", "< 1:2-3"),
        ("jvm", "< 1.8.0_201"),
        ("kb", "4012345 || base"),
        ("rpm", ""),
    ],
)
def test_clients_read_it(version_format: str, constraint: str) -> None:
    """What the client's own comparator takes passes unchanged."""
    assert constraints.check(constraint, version_format) == constraint


@pytest.mark.parametrize(
    ("version_format", "constraint"),
    [
        ("apk", "< 1.2.3~abc-r0"),
        ("apk", "< 1.0_foo-r1"),
        ("apk", "< 1.0+x"),
        ("apk", "< 1.0ab-r1"),
        ("apk", "< r1"),
        ("dpkg", "< abc"),
        ("dpkg", "< 1.0^git"),
        ("semver", "< 1.2.3-RC1_x"),
        ("semver", "< 1.2.3-rc.1."),
        ("composer", "< dev-master"),
        ("npm", "< 1.x"),
        ("go", "< 1.2.x"),
        ("gem", "< 1_2"),
        ("gem", "< 1.0."),
        ("rpm", ">= 1.0 < 2.0"),
        ("", r"< 12.0\(1\)"),
        ("", "< 1, "),
        ("", "(< 1)"),
    ],
)
def test_clients_would_drop_it(version_format: str, constraint: str) -> None:
    """What the client's comparator refuses is refused here, with the constraint in the text."""
    with pytest.raises(RecordError, match="cannot be read as"):
        constraints.check(constraint, version_format)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\|,'), min_size=1))
def test_a_quoted_version_can_always_be_read(version: str) -> None:
    """Whatever an upstream calls a version, its constraint is one constraint."""
    assert constraints.passes(f"< {constraints.quote(version)}", "")
