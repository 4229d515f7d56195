"""CPE names, the order of versions, and the expansion of ranges: examples and laws."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers.versions import MavenVersion

from vulnfeeds.drivers.nvd.expansion import Bounds, Expansion
from vulnfeeds.drivers.nvd.versions import place
from vulnfeeds.records import cpe, nvd

PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789_.-"
MARKS = "!\"#$%&'()+,/:;<=>@[]^`{|}~*?\\"

attributes = st.one_of(
    st.sampled_from(["*", "-"]),
    st.lists(st.one_of(st.sampled_from(PLAIN), st.sampled_from(["\\" + mark for mark in MARKS])), min_size=2).map(
        "".join
    ),
)
names = st.lists(attributes, min_size=11, max_size=11).map(lambda parts: "cpe:2.3:" + ":".join(parts))
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(-?(rc|beta|p|sp)[0-9])?[a-z]?", fullmatch=True)
bounds = st.builds(Bounds, st.none() | versions, st.booleans(), st.none() | versions, st.booleans())


@given(names)
def test_a_name_is_taken_apart_and_put_together(name: str) -> None:
    """An escaped colon is no separator, and a version put in its own place changes nothing."""
    parsed = cpe.parse(name)
    assert parsed is not None
    assert parsed.with_version(parsed.version) == name


@pytest.mark.parametrize("text", ["", "cpe:/a:b:c", "cpe:2.3:a:b:c", "cpe:2.2:a:b:c:*:*:*:*:*:*:*:*", "x" * 50])
def test_what_is_no_name_is_seen(text: str) -> None:
    """Nothing is made of it."""
    assert cpe.split(text) is None
    assert cpe.parse(text) is None
    assert cpe.uri(text) is None


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("cpe:2.3:a:openssl:openssl:1.0.1:*:*:*:*:*:*:*", "cpe:/a:openssl:openssl:1.0.1"),
        ("cpe:2.3:a:v:p:1.0:beta1:*:en:*:*:*:*", "cpe:/a:v:p:1.0:beta1::en"),
        ("cpe:2.3:o:cisco:ios:12.2\\(33\\)sxi:*:*:*:*:*:*:*", "cpe:/o:cisco:ios:12.2%2833%29sxi"),
        ("cpe:2.3:h:v:p:-:*:*:*:*:*:*:*", "cpe:/h:v:p:-"),
        ("cpe:2.3:a:v:p:*:*:*:*:*:*:*:*", "cpe:/a:v:p"),
        ("cpe:2.3:a:v:p:1.0:*:*:*:*:wordpress:*:*", "cpe:/a:v:p:1.0::~~~wordpress~~"),
        ("cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*",
         "cpe:/a:hp:insight_diagnostics:7.4.0.1570:-:~~online~win2003~x64~"),
        ("cpe:2.3:a:foo\\\\bar:big\\$money:2010:*:*:*:special:ipod_touch:80gb:*",
         "cpe:/a:foo%5cbar:big%24money:2010::~~special~ipod_touch~80gb~"),
        ("cpe:2.3:a:hp:insight:8.*:es?:*:*:*:*:*:*", "cpe:/a:hp:insight:8.%02:es%01"),
    ],
)  # fmt: skip
def test_names_as_uris(name: str, uri: str) -> None:
    """By the rules and examples of NISTIR 7695."""
    assert cpe.uri(name) == uri


@given(names)
def test_every_name_has_a_uri_that_says_the_same(name: str) -> None:
    """A URI holds only characters that may be in one, and its plain attributes read as those of the name."""
    uri = cpe.uri(name)
    assert uri is not None
    assert re.fullmatch(r"cpe:/[a-zA-Z0-9_.\-~%:]*", uri)
    assert uri == "cpe:/" or not uri.endswith(":")
    parts = cpe.split(name)
    assert parts is not None
    found = uri.removeprefix("cpe:/").split(":") + [""] * 7
    for attribute, bound in zip(parts[2:7], found, strict=False):
        assert unquote(bound) == ("" if attribute == "*" else cpe.plain(attribute))


@given(names, names)
def test_different_names_have_different_uris(one: str, other: str) -> None:
    """Nothing is lost on the way."""
    assert (cpe.uri(one) == cpe.uri(other)) == (one == other)


def test_versions_stand_in_the_order_of_their_releases() -> None:
    """Pre-releases before, patch letters and builds after the release, numbers as numbers."""
    ordered = ["1.0", "1.0.1-beta", "1.0.1-rc2", "1.0.1", "1.0.1a", "1.0.1g", "1.0.2", "1.0.10", "1.1", "2.0_85"]
    places = [place(version) for version in ordered]
    assert None not in places
    assert sorted(range(len(places)), key=lambda at: places[at]) == list(range(len(places)))  # type: ignore[arg-type,return-value]
    assert place("2.0") == place("2.0.0")
    assert place("12.2\\(33\\)sxi4a") < place("12.2\\(50\\)se")  # type: ignore[operator]


@pytest.mark.parametrize("version", ["*", "-", "", "1.*", "1.?", "9" * 300, "9" * 5000])
def test_what_names_no_version_has_no_place(version: str) -> None:
    """Wildcards and texts without sense are in no range."""
    assert place(version) is None
    assert not Bounds(None, False, "2.0", False).covers(version)


@given(st.text(alphabet=PLAIN + MARKS, max_size=20), st.text(alphabet=PLAIN + MARKS, max_size=20))
def test_any_two_versions_are_comparable(one: str, other: str) -> None:
    """The order is total on what has a place."""
    first, second = place(one), place(other)
    if first is not None and second is not None:
        assert (first < second) + (second < first) + (first == second) == 1


@given(versions, versions)
def test_the_order_is_that_of_maven(one: str, other: str) -> None:
    """Numbers between dots are compared by a short way that says what the library says."""
    first, second = place(one), place(other)
    assert first is not None and second is not None
    theirs, others = MavenVersion(one), MavenVersion(other)
    assert (first < second, first == second, second < first) == (theirs < others, theirs == others, others < theirs)


@given(versions, versions, versions)
def test_the_order_is_transitive(one: str, two: str, three: str) -> None:
    """So a sorted list can be searched."""
    low, middle, high = sorted(filter(None, map(place, (one, two, three))))
    assert not high < middle
    assert not middle < low
    assert not high < low


@given(bounds, st.lists(versions, unique=True, max_size=12), st.integers(0, 12))
def test_choosing_is_covering(limits: Bounds, known: list[str], limit: int) -> None:
    """The chosen versions are the newest of those that the range covers."""
    ordered = sorted(known, key=lambda version: (place(version), version))
    chosen = limits.choose([place(version) for version in ordered], ordered, limit)  # type: ignore[misc]
    covered = [version for version in ordered if limits.covers(version)]
    assert chosen == (covered[-limit:] if limit else [])


def expanded(*matches: nvd.CPEMatch, known: dict[str, list[str]] | None = None, limit: int = 256) -> list[str]:
    """Return version and rest of the vulnerable names of a record with those matches."""
    made = nvd.NVDRecord(
        cve=nvd.CVE(nvd.Meta("CVE-2024-0001", ""), nvd.Description((nvd.Text("en", "x"),)), nvd.ProblemType(())),
        configurations=nvd.Configurations((nvd.Node("OR", matches),)),
        cvss_v2=None,
        cvss_v3=None,
        cvss_v4=None,
        external_references=(),
        published_date="",
        last_modified_date="",
        severity="Unknown",
        status="",
        vulnerable_cpes=(),
    )
    complete = Expansion(lambda product: (known or {}).get(product, []), limit).complete(made)
    return [name.removeprefix("cpe:2.3:a:v:p:") for name in complete.vulnerable_cpes]


REST = ":*:*:*:*:*:*:*"
ANY = "cpe:2.3:a:v:p:*" + REST


def test_a_range_gives_its_inclusive_bounds_and_the_known_versions() -> None:
    """An exclusive bound is not vulnerable."""
    known = {"a:v:p": ["1.0", "1.5", "2.0", "0.9", "*", "1.*"]}
    until = nvd.CPEMatch(ANY, True, version_start_including="1.0", version_end_excluding="2.0")
    assert expanded(until, known=known) == ["1.0" + REST, "1.5" + REST]
    upto = nvd.CPEMatch(ANY, True, version_start_excluding="1.0", version_end_including="2.0")
    assert expanded(upto, known=known) == ["1.5" + REST, "2.0" + REST]
    assert expanded(upto) == ["2.0" + REST]


def test_a_version_belongs_to_the_same_product_only() -> None:
    """The other attributes are part of the product; the update is not, since a range covers every update."""
    wordpress = "cpe:2.3:a:v:p:*:*:*:*:*:wordpress:*:*"
    known = {"a:v:p": ["1.0"], "a:v:p|*:*:*:wordpress:*:*": ["1.1"]}
    below = nvd.CPEMatch(wordpress, True, version_end_excluding="2.0")
    assert expanded(below, known=known) == ["1.1:*:*:*:*:wordpress:*:*"]


def test_what_is_not_vulnerable_gives_no_name() -> None:
    """A platform that must be there too is no product to report."""
    assert expanded(nvd.CPEMatch("cpe:2.3:o:v:p:-" + REST, False)) == []


def test_names_without_a_range_stay_as_they_are() -> None:
    """All versions (`*`), no version (`-`), an update, and a text that is no name at all."""
    given = [ANY, "cpe:2.3:a:v:p:-" + REST, "cpe:2.3:a:v:p:1.0:rc1:*:*:*:*:*:*", "whatever"]
    found = expanded(*(nvd.CPEMatch(name, True) for name in [*given, given[0]]))
    assert found == ["*" + REST, "-" + REST, "1.0:rc1:*:*:*:*:*:*", "whatever"]


def test_an_unreadable_bound_gives_only_itself() -> None:
    """What is not sure to lie within is left out."""
    known = {"a:v:p": ["1.0"]}
    assert expanded(nvd.CPEMatch(ANY, True, version_end_including="9" * 300), known=known) == ["9" * 300 + REST]
    assert expanded(nvd.CPEMatch(ANY, True, version_end_including="2.*"), known=known) == []
    assert expanded(nvd.CPEMatch(ANY, True, version_end_including="2:0"), known=known) == ["1.0" + REST]
