"""The contract check: what the real client fails on is refused with field and reason, all else passes."""

from __future__ import annotations

import copy
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.record_bodies import BODIES
from vulnfeeds.errors import RecordError
from vulnfeeds.records import canonical
from vulnfeeds.records.contract import check
from vulnfeeds.records.withdrawal import withdraw

DROP = object()
"""Stands for "without this key"."""


def changed(feed: str, path: str, value: object) -> tuple[str, bytes]:
    """Return the group and the bytes of the feed's good body with one place changed."""
    group, good = BODIES[feed]
    body: Any = copy.deepcopy(good)
    steps: list[Any] = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = body
    for step in steps[:-1]:
        place = place[step]
    if value is DROP:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return group, canonical.encode(body)


@pytest.mark.parametrize("feed", BODIES)
def test_good_bodies_pass(feed: str) -> None:
    """A body in the documented form passes."""
    group, body = BODIES[feed]
    check(feed, group, canonical.encode(body))


BAD: list[tuple[str, str, object, str]] = [
    ("vulnerabilities", "Vulnerability/Name", DROP, "Name"),
    ("vulnerabilities", "Vulnerability/Name", "", "Name is empty"),
    ("vulnerabilities", "Vulnerability/NamespaceName", "alpine:3.9", "alpine:3.9"),
    ("vulnerabilities", "Vulnerability/Severity", "Moderate", "Severity"),
    ("vulnerabilities", "Vulnerability/Severity", "high", "Severity"),
    ("vulnerabilities", "Vulnerability/Severity", None, "Severity"),
    ("vulnerabilities", "Vulnerability/Severity", DROP, "Severity"),
    ("vulnerabilities", "Vulnerability/Metadata", None, "Metadata"),
    ("vulnerabilities", "Vulnerability/Metadata", {"NVD": None}, "NVD"),
    ("vulnerabilities", "Vulnerability/Metadata", {"NVD": {"CVSSv2": {"Vectors": "AV"}}}, "Score"),
    ("vulnerabilities", "Vulnerability/Metadata", {"NVD": {"CVSSv2": {"Score": float("nan")}}}, "Score"),
    ("vulnerabilities", "Vulnerability/Metadata", {"CVE": None}, "CVE"),
    ("vulnerabilities", "Vulnerability/FixedIn", None, "FixedIn"),
    ("vulnerabilities", "Vulnerability/FixedIn", DROP, "FixedIn"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/Name", DROP, "Name"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/Version", None, "Version"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/Version", "", "Version is empty"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/VersionFormat", DROP, "VersionFormat"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/NamespaceName", "alpine:3.9", "NamespaceName"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/VendorAdvisory", None, "VendorAdvisory"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/VendorAdvisory", {"NoAdvisory": "yes"}, "NoAdvisory"),
    ("vulnerabilities", "Vulnerability/FixedIn/0/Name", "zlib", "order"),
    ("vulnerabilities", "Vulnerability/Description", "a\x00b", "U\\+0000"),
    ("vulnerabilities", "more", 1, "more"),
    ("nvdv2", "cve", None, "cve"),
    ("nvdv2", "cve", {"id": "CVE-2024-1"}, "CVE_data_meta"),
    ("nvdv2", "cve/CVE_data_meta/ID", DROP, "ID"),
    ("nvdv2", "cve/description/description_data", [], "description_data is empty"),
    ("nvdv2", "severity", "HIGH", "severity"),
    ("nvdv2", "cvss_v2", {"vector_string": "x"}, "base_metrics"),
    ("nvdv2", "vulnerable_cpes", None, "vulnerable_cpes"),
    ("nvdv2", "vulnerable_cpes", ["cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"] * 2, "twice"),
    ("nvd", "@id", DROP, "@id"),
    ("nvd", "vulnerable-software-list", None, "vulnerable-software-list"),
    ("nvd", "cvss/base_metrics/score", "high", "score"),
    ("kev", "cveID", DROP, "cveID"),
    ("kev", "dateAdded", 20240101, "dateAdded"),
    ("github", "Advisory/ghsaId", DROP, "ghsaId"),
    ("github", "Advisory/namespace", "github:gem", "github:gem"),
    ("github", "Advisory/withdrawn", DROP, "withdrawn"),
    ("github", "Advisory/FixedIn", None, "FixedIn"),
    ("github", "Advisory/FixedIn/0/range", None, "range"),
    ("github", "Advisory/FixedIn/0/range", ">= 1, < 2", "comma"),
    ("github", "Advisory/FixedIn/0/namespace", "github:gem", "namespace"),
    ("github", "Advisory/Severity", "MODERATE", "Severity"),
    ("github", "more", 1, "more"),
    ("packages", "second", {}, "has 2"),
    ("packages", "uinput-device", None, "uinput-device|null|object"),
    ("packages", "uinput-device/id", "abc", "not a number"),
    ("vulndb", "id", 1, "id"),
    ("vulndb", "vulnerable_cpes", ["a", "a"], "twice"),
    ("microsoft", "product/id", DROP, "id"),
]


@pytest.mark.parametrize(("feed", "path", "value", "reason"), BAD)
def test_what_clients_fail_on_is_refused(feed: str, path: str, value: object, reason: str) -> None:
    """One wrong place in a good body is refused, and the text names it."""
    group, body = changed(feed, path, value)
    with pytest.raises(RecordError, match=reason):
        check(feed, group, body)


GOOD: list[tuple[str, str, object]] = [
    ("vulnerabilities", "Vulnerability/Description", None),
    ("vulnerabilities", "Vulnerability/Description", "a \\u0000 that is only spelt"),
    ("vulnerabilities", "Vulnerability/Metadata", {"NVD": {"CVSSv2": None}}),
    ("vulnerabilities", "Vulnerability/Metadata", {"CVE": ["CVE-2018-1"], "Issued": "2019-07-30"}),
    ("vulnerabilities", "Vulnerability/FixedIn", []),
    ("vulnerabilities", "Vulnerability/FixedIn/0/VendorAdvisory", {}),
    ("vulnerabilities", "Vulnerability/FixedIn/0/Module", "perl:5.24"),
    ("nvdv2", "severity", None),
    ("nvdv2", "vulnerable_cpes", DROP),
    ("nvdv2", "more", {"status": "Deferred"}),
    ("kev", "newKey", [1]),
    ("github", "Advisory/FixedIn", []),
    ("github", "Advisory/withdrawn", "2024-01-01T00:00:00Z"),
    ("packages", "uinput-device/id", 131911),
]


@pytest.mark.parametrize(("feed", "path", "value"), GOOD)
def test_what_clients_tolerate_passes(feed: str, path: str, value: object) -> None:
    """Nulls and extra keys that clients take are not refused."""
    check(feed, *changed(feed, path, value))


def test_a_repeated_fix_is_refused_with_its_place() -> None:
    """(Name, Version) is the client's key of a fix: a repeat would be lost there."""
    group, good = BODIES["vulnerabilities"]
    body = copy.deepcopy(good)
    body["Vulnerability"]["FixedIn"].append(body["Vulnerability"]["FixedIn"][-1])
    with pytest.raises(RecordError, match=r"FixedIn\[2\] \(musl, 1.2-r0\) is given twice"):
        check("vulnerabilities", group, canonical.encode(body))


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"{", b""])
@pytest.mark.parametrize("feed", [*BODIES, "unknown"])
def test_only_objects_are_records(feed: str, body: bytes) -> None:
    """Any other JSON, or none, is refused in every feed."""
    with pytest.raises(RecordError):
        check(feed, "group", body)


def test_an_unknown_feed_gets_the_general_rules() -> None:
    """Any object passes; a NUL does not, in a key or a value, behind any number of backslashes."""
    check("weather", "weather:today", b'{"cve":"CVE-1","epss":0.1}')
    for text in ("\x00", "a\\\x00", "\\\\\x00b"):
        for body in ({"key": text}, {text: 1}):
            with pytest.raises(RecordError, match="0000"):
                check("epss", "epss:scores", canonical.encode(body))


@given(st.text(st.sampled_from('\\u0\x00a"'), max_size=12))
def test_a_nul_is_found_exactly_when_there_is_one(text: str) -> None:
    """Backslashes and spelt-out escapes in a text neither hide a NUL nor fake one."""
    body = canonical.encode({"text": text})
    if "\x00" in text:
        with pytest.raises(RecordError):
            check("unknown", "group", body)
    else:
        check("unknown", "group", body)


@pytest.mark.parametrize("feed", [*BODIES, "unknown"])
def test_withdrawn_forms_pass_and_are_stable(feed: str) -> None:
    """Withdrawing gives a body that clients take, and withdrawing it again gives the same bytes."""
    group, body = BODIES.get(feed, ("group", {"key": "value"}))
    good = canonical.encode(body)
    withdrawn = withdraw(feed, good, at="2024-01-02T03:04:05Z")
    check(feed, group, withdrawn)
    assert withdrawn != good
    assert withdraw(feed, withdrawn, at="2025-01-01T00:00:00Z") == withdrawn


def test_withdrawn_forms_keep_all_but_what_matches() -> None:
    """The withdrawn form of a distribution's record is the record without fixes."""
    _, body = BODIES["vulnerabilities"]
    expected = {"Vulnerability": {**body["Vulnerability"], "FixedIn": []}}
    assert json.loads(withdraw("vulnerabilities", canonical.encode(body))) == expected
    assert json.loads(withdraw("kev", canonical.encode(BODIES["kev"][1])))["withdrawn"] is True
    advisory = json.loads(withdraw("github", canonical.encode(BODIES["github"][1]), at="2024-01-02"))["Advisory"]
    assert advisory["withdrawn"] == "2024-01-02"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"Vulnerability":1}', b"{"])
def test_a_body_of_another_shape_has_no_withdrawn_form(body: bytes) -> None:
    """RecordError, whatever the body is."""
    with pytest.raises(RecordError):
        withdraw("vulnerabilities", body)


def test_recorded_answers_of_the_original_pass(shared: Path) -> None:
    """Every record that the original service served passes under its feed and group."""
    counts: dict[str, int] = {}
    for name in ("pairs-47-groups-2021-04.tar.xz", "dev-exact-pair-alpine-3.7.tar.xz"):
        with tarfile.open(shared / "golden" / name) as archive:
            for member in archive:
                found = _group_of(member.name)
                if found is None or not member.isfile():
                    continue
                feed, group = found
                for record in json.load(archive.extractfile(member))["data"]:  # type: ignore[arg-type]
                    if fixes := record.get("Vulnerability", {}).get("FixedIn"):
                        # The original's order is not wholly that of (Name, Version); ours is stricter.
                        fixes.sort(key=lambda fix: (fix["Name"], fix["Version"]))
                    check(feed, group, canonical.encode(record))
                    counts[feed] = counts.get(feed, 0) + 1
    assert counts["vulnerabilities"] >= 1395
    assert {"github", "nvdv2"} <= set(counts)


def _group_of(name: str) -> tuple[str, str] | None:
    parts = name.split("/")
    if parts[:2] == ["pairs", parts[1]] and len(parts) == 3 and parts[2] != "index.json":
        return parts[1], parts[2].removesuffix(".json").replace("_", ":")
    return ("vulnerabilities", "alpine:3.7") if name.startswith("expected/page-") else None
