"""Severities from NVD: filling anew equals filling for the first time; what is the vendor's stays."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.records import canonical
from vulnfeeds.records.contract import check
from vulnfeeds.records.record import Score
from vulnfeeds.records.severity import SCALE, Severity
from vulnfeeds.records.vulnerability import OSRecord, Vulnerability
from vulnfeeds.sync.severities import Scores, SeveritySource, fill, refill

SCORES = st.none() | st.builds(
    Score, st.sampled_from(SCALE), st.none() | st.floats(0, 10), st.none() | st.just("AV:N/AC:L/Au:N/C:P/I:P/A:P")
)
SOURCES = st.sampled_from(["newest", "cvss2", "none"])
METADATA = st.dictionaries(st.sampled_from(["Issued", "RefId"]), st.text("abc"), max_size=2)


def record(takes: bool, metadata: dict[str, Any], severity: Severity = "Low") -> OSRecord:
    said = "Unknown" if takes else severity
    return OSRecord(Vulnerability("CVE-2024-1", "debian:12", said, "l", (), metadata=metadata))


@given(st.booleans(), METADATA, SCORES, SOURCES, SCORES, SOURCES)
def test_filling_anew_equals_filling_for_the_first_time(
    takes: bool,
    metadata: dict[str, Any],
    old_score: Score | None,
    old_source: SeveritySource,
    score: Score | None,
    source: SeveritySource,
) -> None:
    """Whatever NVD and the setting said before, a re-made record is the one that a whole run would make."""
    made = record(takes, metadata)
    stored = msgspec.json.decode(canonical.encode(fill(made, old_score, old_source, takes_severity=takes)))
    again = canonical.encode(refill(stored, score, source, takes_severity=takes))
    assert again == canonical.encode(fill(made, score, source, takes_severity=takes))
    check("vulnerabilities", "debian:12", again)


@given(st.booleans(), METADATA, SCORES, SOURCES)
def test_a_body_of_plain_json_is_filled_as_a_typed_one(
    takes: bool, metadata: dict[str, Any], score: Score | None, source: SeveritySource
) -> None:
    """Drivers of other packages may yield dicts."""
    typed = record(takes, metadata)
    plain = msgspec.to_builtins(typed)
    assert canonical.encode(fill(plain, score, source, takes_severity=takes)) == canonical.encode(
        fill(typed, score, source, takes_severity=takes)
    )


@pytest.mark.parametrize(
    ("source", "score", "severity"),
    [
        ("newest", Score("Critical", 5.0, "AV:N"), "Critical"),
        ("newest", None, "Unknown"),
        ("cvss2", Score("Critical", 5.0, "AV:N"), "Medium"),
        ("cvss2", Score("Critical"), "Unknown"),
        ("none", Score("Critical", 5.0, "AV:N"), "Unknown"),
    ],
)
def test_the_setting_decides_which_score_stands_in(
    source: SeveritySource, score: Score | None, severity: Severity
) -> None:
    """The newest CVSS, the original's bands of CVSS 2, or nothing."""
    body = fill(record(True, {}), score, source, takes_severity=True)
    assert body.vulnerability.severity == severity


def test_the_vendors_severity_is_never_replaced() -> None:
    """NVD's CVSS 2 goes into the metadata all the same, whole."""
    score = Score("Critical", 5.0, "AV:N/AC:L")
    body = fill(record(False, {"RefId": "x"}), score, "newest", takes_severity=False)
    assert body.vulnerability.severity == "Low"
    assert body.vulnerability.metadata == {"RefId": "x", "NVD": {"CVSSv2": {"Score": 5.0, "Vectors": "AV:N/AC:L"}}}


def test_a_body_of_another_form_is_left_alone() -> None:
    """Only distributions' records have a place for NVD's severity."""
    other = {"cveID": "CVE-2024-1"}
    assert fill(other, Score("High"), "newest", takes_severity=True) is other


class Asked:
    """A store of scores that notes what it was asked for."""

    def __init__(self, known: dict[str, Score]) -> None:
        self.known = known
        self.asked: list[list[str]] = []

    def scores(self, cves: list[str]) -> dict[str, Score]:
        """Return the known ones."""
        self.asked.append(cves)
        return {cve: self.known[cve] for cve in cves if cve in self.known}


def test_a_score_is_asked_for_once() -> None:
    """Also one that there is not; other ids than CVEs never."""
    store = Asked({"CVE-1": Score("High")})
    scores = Scores(store, "newest")
    assert scores.of(["CVE-1", "CVE-2", "RHSA-1"]) == {"CVE-1": Score("High"), "CVE-2": None}
    assert scores.of(["CVE-2", "CVE-1", "CVE-3"])["CVE-1"] == Score("High")
    assert store.asked == [["CVE-1", "CVE-2"], ["CVE-3"]]
    assert Scores(store, "none").of(["CVE-1"]) == {}
