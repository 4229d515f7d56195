"""What becomes of an advisory of GitHub, in the form that its driver publishes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.publish.grypedb.records import ghsa_record
from vulnfeeds.drivers.github.ecosystems import ECOSYSTEMS as PUBLISHED
from vulnfeeds.publish.grypedb import blobs, constraints, github
from vulnfeeds.publish.grypedb.overrides import PACKAGES
from vulnfeeds.publish.grypedb.rows import Vulnerability
from vulnfeeds.records import canonical
from vulnfeeds.records.github import Advisory, Fix, GitHubRecord, Names, Reference, Vector

PAGE = "https://github.com/advisories/GHSA-jfh8-c2jp-5v3q"
VECTORS = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
)


def published(**more: Any) -> GitHubRecord:
    """A record as the driver makes it."""
    facts: dict[str, Any] = {
        "ghsa_id": "GHSA-jfh8-c2jp-5v3q",
        "namespace": "github:java",
        "summary": "Remote code injection in Log4j",
        "severity": "Critical",
        "url": PAGE,
        "cve": ("CVE-2021-44228",),
        "metadata": Names(("CVE-2021-44228",)),
        "fixed_in": (
            Fix("org.apache.logging.log4j:log4j-core", ">= 2.13.0 < 2.15.0", "2.15.0", "java", "github:java"),
        ),
        "withdrawn": None,
        "classification": "GENERAL",
        "published": "2021-12-10T00:40:56Z",
        "updated": "2022-01-01T00:00:00Z",
        "cvss_severities": (Vector("3.1", VECTORS[0]), Vector("4.0", VECTORS[1])),
        "references": (Reference("https://logging.apache.org/"), Reference(PAGE)),
    }
    return GitHubRecord(Advisory(**{**facts, **more}))


def rows(record: Any, ecosystem: str = "java") -> Vulnerability:
    """What becomes of a record."""
    return github.rows(canonical.encode(record), github.ECOSYSTEMS[ecosystem])


def text(blob: blobs.Blob) -> dict[str, Any]:
    """A text as clients see it."""
    found: dict[str, Any] = msgspec.json.decode(blobs.encode(blob))
    return found


def test_the_word_comes_first_and_the_vectors_after_it() -> None:
    """The first severity is what clients show; the others give the scores."""
    word, *scored = text(rows(published()).blob)["severities"]
    assert (word["scheme"], word["value"]) == ("CHML", "critical")
    assert [each["value"] for each in scored] == [
        {"vector": VECTORS[0], "version": "3.1"},
        {"vector": VECTORS[1], "version": "4.0"},
    ]


def test_without_a_word_the_vector_is_the_first() -> None:
    """ "Unknown" in front would hide what is known."""
    assert [each["scheme"] for each in text(rows(published(severity="Unknown")).blob)["severities"]] == ["CVSS"] * 2


def test_the_advisorys_own_page_is_the_first_reference() -> None:
    """It is shown as the source, and listed once."""
    assert [each["url"] for each in text(rows(published()).blob)["refs"]] == [PAGE, "https://logging.apache.org/"]


def test_an_advisory_has_its_dates_and_cves() -> None:
    """Scores and exploitation are found by CVE."""
    found = rows(published())
    assert (found.published, found.modified) == ("2021-12-10T00:40:56Z", "2022-01-01T00:00:00Z")
    assert found.blob.aliases == ("CVE-2021-44228",)
    assert found.packages[0].blob.cves == ("CVE-2021-44228",)


def test_a_withdrawn_advisory_is_rejected_since_its_day() -> None:
    """Clients leave it out of matches, and still show it when asked for it."""
    found = rows(published(withdrawn="2022-02-02T00:00:00Z"))
    assert (found.status, found.withdrawn) == ("rejected", "2022-02-02T00:00:00Z")


def test_a_package_that_was_made_to_do_harm_is_kept() -> None:
    """Every version of it is affected, and none is fixed."""
    fix = Fix("evil", ">= 0", "None", "npm", "github:npm")
    (found,) = rows(published(classification="MALWARE", cve=(), fixed_in=(fix,)), "npm").packages
    assert text(found.blob) == {
        "ranges": [{"version": {"type": "npm", "constraint": ">=0"}, "fix": {"state": "not-fixed"}}]
    }


def test_a_range_is_one_that_clients_can_read() -> None:
    """Both bounds must hold: a space between them would drop the record without a word."""
    (found,) = rows(published()).packages
    assert text(found.blob)["ranges"] == [
        {
            "version": {"type": "maven", "constraint": ">=2.13.0,<2.15.0"},
            "fix": {"version": "2.15.0", "state": "fixed"},
        }
    ]


@pytest.mark.parametrize(
    ("ecosystem", "version", "word"),
    [
        ("python", "0.9-stable", "unknown"),
        ("npm", "3.5.0.pre0", "unknown"),
        ("rust", "1.0.0_odd", "rust"),
        ("java", "2.0", "maven"),
    ],
)
def test_a_version_that_the_comparator_cannot_read_is_compared_by_guess(
    ecosystem: str, version: str, word: str
) -> None:
    """A word that clients have no comparator for makes them guess: better than no match, or a refused database."""
    fix = Fix("thing", f"< {version}", version, ecosystem, f"github:{ecosystem}")
    (found,) = rows(published(fixed_in=(fix,)), ecosystem).packages
    read = text(found.blob)["ranges"][0]["version"]
    assert read == {"type": word, "constraint": f"<{version}"}
    assert constraints.passes(read["constraint"], read["type"])


def test_a_name_of_python_is_the_one_that_clients_look_for() -> None:
    """Runs of `-`, `_` and `.` are one `-`."""
    record = ghsa_record("github:python", "GHSA-x", {"name": "zope.a__b", "range": "< 1", "identifier": "1"})
    assert [each.name for each in rows(record, "python").packages] == ["zope-a-b"]


@pytest.mark.parametrize("name", [each.name for each in PUBLISHED])
def test_every_ecosystem_has_the_package_type_that_clients_look_under(name: str) -> None:
    """A language's name, as in `javascript`, gives no match and no error."""
    package = github.ECOSYSTEMS[name].package
    languages = {alias for alias, _ in PACKAGES} - {kind for _, kind in PACKAGES}
    assert package not in languages
    assert package in {kind for _, kind in PACKAGES} | {"gem"}
