"""What a search asks for, from its parameters; what makes no sense is refused by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.api.questions import PARAMETERS, Question, choose, parse
from vulnfeeds.errors import BadRequestError, NotFoundError
from vulnfeeds.records.handles import Kind

GROUPS = ["alpine:3.18", "debian:11", "debian:12", "github:python", "rhel:8", "rhel:8.6+eus"]
GROUPS += ["ubuntu:22.04", "ubuntu:22.04+esm"]


@pytest.mark.parametrize(
    ("purl", "words", "groups", "version"),
    [
        ("pkg:deb/debian/openssl@1.1.1?distro=debian-11", ("openssl",), ["debian:11"], "1.1.1"),
        ("pkg:deb/debian/openssl", ("openssl",), ["debian:11", "debian:12"], ""),
        ("pkg:deb/debian/libssl3?upstream=openssl%403.0&distro=debian-12", ("libssl3", "openssl"), ["debian:12"], ""),
        ("pkg:deb/ubuntu/p?distro=ubuntu-22.04", ("p",), ["ubuntu:22.04", "ubuntu:22.04+esm"], ""),
        ("pkg:rpm/redhat/p@1%3A2-3.el8?arch=x86_64&distro=rhel-8.6", ("p",), ["rhel:8.6+eus"], "1:2-3.el8"),
        ("pkg:rpm/redhat/p?distro=rhel-8.9", ("p",), ["rhel:8"], ""),
        ("pkg:apk/alpine/p@1-r0?distro=alpine-3.18.4", ("p",), ["alpine:3.18"], "1-r0"),
        ("pkg:apk/p?distro=alpine-3.18", ("p",), ["alpine:3.18"], ""),
        ("pkg:pypi/Foo_Bar@1.0", ("foo-bar",), ["github:python"], "1.0"),
    ],
)
def test_a_purl_leads_to_names_and_groups(purl: str, words: tuple[str, ...], groups: list[str], version: str) -> None:
    """Type, namespace and distro choose the groups; the source package is looked for, too."""
    question = parse({"purl": purl})
    assert (question.words, choose(question, GROUPS), question.version) == (words, groups, version)


@pytest.mark.parametrize(
    ("purl", "name", "group"),
    [
        ("pkg:maven/org.apache/log4j@2", "org.apache:log4j", "github:java"),
        ("pkg:npm/%40scope/name@1", "@scope/name", "github:npm"),
        ("pkg:golang/github.com/x/y@v1", "github.com/x/y", "github:go"),
        ("pkg:composer/vendor/name", "vendor/name", "github:composer"),
    ],
)
def test_a_purl_of_a_language_is_named_as_its_advisories_name_it(purl: str, name: str, group: str) -> None:
    """Namespace and name are joined as each ecosystem joins them."""
    question = parse({"purl": purl})
    assert (question.name, question.groups) == (name, (group,))


@pytest.mark.parametrize(
    ("cpe", "name", "version"),
    [
        ("cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", "a:openssl:openssl", ""),
        ("cpe:2.3:a:OpenSSL:openssl:1.1.1", "a:openssl:openssl", "1.1.1"),
        ("cpe:2.3:*:v:p\\:q", "*:v:p\\:q", ""),
        ("cpe:2.3:o:v:p:1\\*2:*:*:*:*:*:*:*", "o:v:p", "1\\*2"),
    ],
)
def test_a_cpe_names_vendor_and_product(cpe: str, name: str, version: str) -> None:
    """Short names stand for any, an escaped character stays what it is."""
    question = parse({"cpe": cpe})
    assert (question.kind, question.name, question.version) == (Kind.PRODUCT, name, version)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "package, purl, cpe"),
        ({"package": "a", "purl": "pkg:npm/a"}, "package and purl"),
        ({"package": "a" * 500}, "package"),
        ({"package": "a\0"}, "package"),
        ({"purl": "openssl"}, "purl"),
        ({"purl": "pkg:deb/openssl"}, "purl"),
        ({"purl": "pkg:docker/x/y"}, "purl"),
        ({"purl": "pkg:npm/a", "version": "1"}, "version"),
        ({"purl": "pkg:npm/a%00"}, "purl"),
        ({"cpe": "cpe:/a:v:p"}, "cpe"),
        ({"cpe": "cpe:2.3:a:*:p"}, "cpe"),
        ({"cpe": "cpe:2.3:a:v:p*"}, "cpe"),
        ({"cpe": "cpe:2.3:x:v:p"}, "cpe"),
        ({"cpe": "cpe:2.3:a:v:p:1.*"}, "cpe"),
        ({"cpe": "cpe:2.3:a:v:p", "group": "nvdv2:*"}, "group"),
    ],
)
def test_what_makes_no_sense_is_named(asked: dict[str, str], said: str) -> None:
    """The message begins with the parameter that is wrong."""
    with pytest.raises(BadRequestError) as caught:
        parse(asked)
    assert str(caught.value).startswith(said)


def test_groups_that_are_not_there_are_not_found() -> None:
    """A pattern or a release that fits no group is an error, and not the same as a package without records."""
    assert choose(parse({"package": "p"}), GROUPS) is None
    assert choose(parse({"package": "p", "group": "debian:1?,rhel:8"}), GROUPS) == [
        "debian:11",
        "debian:12",
        "rhel:8",
    ]
    with pytest.raises(NotFoundError, match="debina"):
        choose(parse({"package": "p", "group": "debina:*"}), GROUPS)
    with pytest.raises(NotFoundError, match="release 9"):
        choose(parse({"purl": "pkg:deb/debian/p?distro=debian-9"}), GROUPS)


BEGINNINGS = ["", "pkg:", "pkg:deb/debian/", "pkg:npm/", "cpe:2.3:a:", "cpe:2.3:a:v:p:"]
LETTERS = st.text(max_size=30) | st.text("abc/@?#%:=&.\\*-+ 0", max_size=30)


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.builds(str.__add__, st.sampled_from(BEGINNINGS), LETTERS)))
def test_any_text_is_a_question_or_refused(given_: dict[str, str]) -> None:
    """Whatever comes, it is understood or a BadRequestError."""
    with contextlib.suppress(BadRequestError):
        assert isinstance(parse(given_), Question)
