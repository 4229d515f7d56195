"""What is read from records of every feed: fixes, names, products, and the handles that follow from them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.record_bodies import BODIES
from vulnfeeds.errors import RecordError
from vulnfeeds.records import canonical
from vulnfeeds.records.handles import LONGEST, Kind, handles, identifier, package_word
from vulnfeeds.records.outline import EMPTY, Citation, Fix, Outline, exact_names, outline, product_word
from vulnfeeds.records.withdrawal import withdraw


def of(feed: str, body: Any, key: str = "CVE-1", group: str = "") -> Outline:
    """Return the outline of a body, in the group of the feed's good body when none is given."""
    return outline(feed, group or BODIES[feed][0], key, canonical.encode(body))


def os_body(*fixes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a body of feed `vulnerabilities`."""
    return {"Vulnerability": {"Severity": "High", "Link": "https://x/", "FixedIn": list(fixes), **more}}


def fix(version: str, **more: Any) -> dict[str, Any]:
    """Return a fix of openssl."""
    return {"Name": "openssl", "Version": version, "VersionFormat": "rpm", **more}


@pytest.mark.parametrize(
    ("given_", "status", "version"),
    [
        (fix("1:1.1-2"), "fixed", "1:1.1-2"),
        (fix("None"), "unfixed", None),
        (fix("None", VendorAdvisory={"NoAdvisory": False}), "unfixed", None),
        (fix("None", VendorAdvisory={"NoAdvisory": True}), "will_not_fix", None),
        (fix("0"), "not_affected", None),
    ],
)
def test_a_fix_says_what_became_of_it(given_: dict[str, Any], status: str, version: str | None) -> None:
    """Fixed, not yet, never, and never affected are told apart as clients tell them apart."""
    (found,) = of("vulnerabilities", os_body(given_)).fixes
    assert (found.status, found.version) == (status, version)


def test_an_advisory_covers_its_vulnerabilities() -> None:
    """Lists of CVEs as amzn and as ol write them are read; they make none of the CVEs the name of another."""
    named = [{"Name": "CVE-1", "Link": "https://x/"}, {"Name": "CVE-2"}, "CVE-3", 4, {}]
    found = of("vulnerabilities", os_body(Metadata={"CVE": named}), key="ELSA-1")
    assert (found.aliases, found.covers) == ((), ("CVE-1", "CVE-2", "CVE-3"))
    assert of("vulnerabilities", os_body(Metadata={"CVE": ["CVE-1"]}), key="CVE-1").covers == ()


def test_everything_of_a_fix_is_kept() -> None:
    """Module, architecture, range and cited advisories come along."""
    cited = {"AdvisorySummary": [{"ID": "RHSA-1", "Link": "https://r/"}, {"ID": "RHSA-2"}]}
    body = os_body(fix("1", Module="nodejs:18", Arch="x86_64", VulnerableRange="< 1", VendorAdvisory=cited))
    assert of("vulnerabilities", body).fixes == (
        Fix(
            "openssl",
            "fixed",
            "1",
            "rpm",
            "< 1",
            "nodejs:18",
            "x86_64",
            (Citation("RHSA-1", "https://r/"), Citation("RHSA-2")),
        ),
    )


def advisory(cves: list[str], **more: Any) -> dict[str, Any]:
    """Return a body of feed `github`."""
    body: dict[str, Any] = copy.deepcopy(BODIES["github"][1])
    body["Advisory"] |= {"CVE": cves, "Metadata": {"CVE": cves}, **more}
    return body


def test_an_advisory_of_one_vulnerability_is_another_name_of_it() -> None:
    """One CVE is an alias; of several, none is: they are covered."""
    one, two, none = (of("github", advisory(cves)) for cves in (["CVE-1"], ["CVE-1", "CVE-2"], []))
    assert (one.aliases, one.covers) == (("CVE-1",), ())
    assert (two.aliases, two.covers) == ((), ("CVE-1", "CVE-2"))
    assert (none.aliases, none.covers) == ((), ())


def test_a_withdrawn_advisory_fixes_nothing() -> None:
    """Upstream's own withdrawal and ours leave no fix, and the names stay."""
    assert of("github", advisory(["CVE-1"])).fixes != ()
    found = of("github", advisory(["CVE-1"], withdrawn="2024-01-01"))
    assert (found.fixes, found.aliases) == ((), ("CVE-1",))


@pytest.mark.parametrize("feed", [*BODIES, "unknown"])
def test_a_withdrawn_record_has_no_package_and_no_product(feed: str) -> None:
    """Whatever the feed, nobody finds it by what it once affected."""
    group, body = BODIES.get(feed, ("g", {"id": "x"}))
    gone = withdraw(feed, canonical.encode(body), at="2024-01-01")
    found = handles(feed, group, "CVE-1", gone, withdrawn=True)
    assert {kind for kind, _ in found} <= {Kind.ALIAS, Kind.COVERS}


def test_products_are_the_vulnerable_ones() -> None:
    """Names that are only needed beside, and what is under a negation, are left out; bounds come along."""

    def match(name: str, **more: Any) -> dict[str, Any]:
        return {"cpe23Uri": f"cpe:2.3:a:{name}:*:*:*:*:*:*:*:*", "vulnerable": True, **more}

    nodes = [
        {"operator": "OR", "cpe_match": [match("v:p", versionEndExcluding="2"), match("v:q", vulnerable=False)]},
        {"operator": "AND", "cpe_match": [], "children": [{"operator": "OR", "cpe_match": [match("w:\\:x")]}]},
        {"operator": "OR", "negate": True, "cpe_match": [match("v:n")]},
    ]
    body = {**BODIES["nvdv2"][1], "configurations": {"nodes": nodes}}
    found = of("nvdv2", body)
    assert [(product_word(each.cpe), each.end_excluding) for each in found.products] == [
        ("v:p", "2"),
        ("w:\\:x", None),
    ]
    assert handles("nvdv2", "nvdv2:cves", "CVE-1", canonical.encode(body)) == {
        (Kind.PRODUCT, "v:p"),
        (Kind.PRODUCT, "w:\\:x"),
    }
    assert exact_names(canonical.encode(body)) == ("cpe:2.3:a:v:p:1.0:*:*:*:*:*:*:*",)


@pytest.mark.parametrize("feed", BODIES)
def test_every_good_body_has_an_outline(feed: str) -> None:
    """What the contract passes can be read; a body of another shape is an error, and has no handles."""
    group, body = BODIES[feed]
    assert isinstance(of(feed, body, group=group), Outline)
    if of(feed, body, group=group) != EMPTY and feed != "nvd":
        with pytest.raises(RecordError, match=feed):
            outline(feed, group, "CVE-1", b"[]")
        assert handles(feed, group, "CVE-1", b"[]") == frozenset()


def test_names_of_packages_are_folded() -> None:
    """Letters of any case find a package; Python's names as its own rules write them, others as they are."""
    assert package_word("debian:12", "Foo_Bar") == "foo_bar"
    assert package_word("github:python", "Foo__Bar.baz") == "foo-bar-baz"


def test_words_that_no_index_takes_are_left_out() -> None:
    """An endless name is no handle."""
    body = os_body({"Name": "p" * (LONGEST + 1), "Version": "1", "VersionFormat": "rpm"}, fix("1"))
    assert handles("vulnerabilities", "g", "CVE-1", canonical.encode(body)) == {(Kind.PACKAGE, "openssl")}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("cve-2024-1", "CVE-2024-1"),
        ("ghsa-ABCD-efgh-1234", "GHSA-abcd-efgh-1234"),
        ("rhsa-2024:1", "RHSA-2024:1"),
        ("CGA-abcd-efgh", "CGA-abcd-efgh"),
        ("x", "x"),
    ],
)
def test_identifiers_are_mended(text: str, written: str) -> None:
    """Kinds whose letters have one form are given it; what we do not know stays."""
    assert identifier(text) == written


@given(st.sampled_from([*BODIES, "unknown"]), st.binary(max_size=80))
def test_no_body_breaks_the_index(feed: str, body: bytes) -> None:
    """Any bytes have handles or none."""
    assert isinstance(handles(feed, "g", "k", body), frozenset)
