"""Which records the strict client takes: those the original served, and none that break a client."""

from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.scripted import os_record
from vulnfeeds.testing.client import RecordError, map_record

Change = dict[str, Any]
OS, GROUP = "vulnerabilities", "alpine:3.10"
FIX = {"Name": "bash", "NamespaceName": GROUP, "Version": "5.0-r1", "VersionFormat": "apk"}


def github(**changes: Any) -> Any:
    """Return a good GitHub record with changes to its inner object."""
    inner = {
        "CVE": ["CVE-2018-8768"],
        "FixedIn": [
            {
                "ecosystem": "python",
                "identifier": "5.4.1",
                "name": "notebook",
                "namespace": "github:python",
                "range": ">= 4.0 < 4.3.12 || < 5.4.1",
            }
        ],
        "Metadata": {"CVE": ["CVE-2018-8768"]},
        "Severity": "Low",
        "Summary": "a summary",
        "ghsaId": "GHSA-6cwv-x26c-w2q4",
        "namespace": "github:python",
        "url": "https://github.example/advisories/GHSA-6cwv-x26c-w2q4",
        "withdrawn": None,
    }
    return {"Advisory": {**inner, **changes}, "Vulnerability": {}}


def nvdv2(**changes: Any) -> Any:
    """Return a good NVD record with changes to it."""
    return {
        "cve": {
            "CVE_data_meta": {"ASSIGNER": "cve@mitre.org", "ID": "CVE-1999-0001"},
            "description": {"description_data": [{"lang": "en", "value": "a description"}]},
        },
        "cvss_v2": {"base_metrics": {"base_score": 5.0}, "vector_string": "AV:N/AC:L/Au:N/C:N/I:N/A:P"},
        "cvss_v3": None,
        "external_references": [{"source": "x", "tags": [], "url": "http://x.example"}],
        "severity": "Medium",
        "vulnerable_cpes": ["cpe:2.3:o:bsdi:bsd_os:3.1:*:*:*:*:*:*:*"],
        **changes,
    }


def without(record: Any, *path: str) -> Any:
    """Return the record without the key at a path."""
    changed = copy.deepcopy(record)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def golden_records(shared: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield (feed, group, body) of what the original served in 2020 and 2021."""
    with tarfile.open(shared / "golden" / "dev-exact-pair-alpine-3.7.tar.xz") as archive:
        for number in (0, 1):
            page = archive.extractfile(f"expected/page-{number}.json")
            assert page is not None
            yield from ((OS, "alpine:3.7", body) for body in json.load(page)["data"])
    with tarfile.open(shared / "golden" / "pairs-47-groups-2021-04.tar.xz") as archive:
        for member in archive.getmembers():
            path = Path(member.name)
            if path.suffix == ".json" and not path.parent.name.endswith(".input") and path.stem != "index":
                page = archive.extractfile(member)
                assert page is not None
                group = path.stem.replace("_", ":", 1)
                yield from ((path.parent.name, group, body) for body in json.load(page)["data"])


def test_what_the_original_served_is_taken(shared: Path) -> None:
    """All recorded answers of 2020 and 2021 pass."""
    seen = 0
    for feed, group, body in golden_records(shared):
        seen += 1
        map_record(feed, group, body)
    assert seen == 1395 + 530


def test_what_is_kept_of_an_os_record() -> None:
    """The columns of the real client: epochless copy, no-advisory mark, CVSS 2."""
    fix = {**FIX, "Version": "1:5.0", "VendorAdvisory": {"NoAdvisory": True, "AdvisorySummary": []}}
    metadata = {"NVD": {"CVSSv2": {"Score": 6.4, "Vectors": None}}}
    mapped = map_record(OS, GROUP, os_record("CVE-1", FixedIn=[fix], Metadata=metadata, Description="x" * 70_000))
    assert (mapped.id, mapped.table) == ("CVE-1", "vulnerability")
    severity, description, link, stored, score, vectors = mapped.row
    assert (severity, link, score, vectors) == ("Low", "http://cve.example/CVE-1", 6.4, None)
    assert len(description) == 65_532
    assert json.loads(stored) == metadata
    (child,) = mapped.children
    assert child[:5] == ("bash", "1:5.0", "apk", "5.0", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"Description": None},
        {"Link": None},
        {"FixedIn": []},
        {"FixedIn": [{**FIX, "Version": "None"}]},
        {"FixedIn": [{**FIX, "VendorAdvisory": {}}]},
        {"FixedIn": [{**FIX, "VendorAdvisory": {"NoAdvisory": False, "AdvisorySummary": None}}]},
        {"FixedIn": [{**FIX, "VendorAdvisory": {"AdvisorySummary": [{"ID": "DSA-1", "Link": "http://x"}]}}]},
        {"FixedIn": [{**FIX, "Module": "perl:5.24", "Available": {"Date": "2020-01-01"}}]},
        {"FixedIn": [FIX, {**FIX, "Version": "6"}]},
        {"Metadata": {"NVD": {}}},
        {"Metadata": {"NVD": {"CVSSv2": None}}},
        {"Metadata": {"CVE": ["CVE-2018-14648"]}},
        {"Metadata": {"CVE": [{"Name": "CVE-2018-12180", "Link": "http://x"}], "Issued": "2019-07-30"}},
        {"CVSS": []},
    ],
)
def test_os_records_that_pass(changes: Change) -> None:
    """What the real mapper bears."""
    assert map_record(OS, GROUP, os_record(**changes)).id == "CVE-2020-0001"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"Name": None}, "Vulnerability.Name"),
        ({"Name": ""}, "Vulnerability.Name"),
        ({"Name": 5}, "Vulnerability.Name"),
        ({"NamespaceName": "alpine:3.11"}, "Vulnerability.NamespaceName"),
        ({"Severity": None}, "Vulnerability.Severity"),
        ({"Severity": "Moderate"}, "Vulnerability.Severity"),
        ({"Severity": "high"}, "Vulnerability.Severity"),
        ({"Severity": "MEDIUM"}, "Vulnerability.Severity"),
        ({"Severity": "None"}, "Vulnerability.Severity"),
        ({"Severity": "Important"}, "Vulnerability.Severity"),
        ({"Severity": ["Low"]}, "Vulnerability.Severity"),
        ({"Description": ["a"]}, "Vulnerability.Description"),
        ({"Link": {}}, "Vulnerability.Link"),
        ({"Description": "a\0b"}, "$.Vulnerability.Description"),
        ({"Metadata": {"x": ["\0"]}}, "$.Vulnerability.Metadata.x"),
        ({"Description": "\ud800"}, "$.Vulnerability.Description"),
        ({"Metadata": None}, "Vulnerability.Metadata"),
        ({"Metadata": {"NVD": None}}, "Vulnerability.Metadata.NVD"),
        ({"Metadata": {"NVD": {"CVSSv2": {"Vectors": None}}}}, "Vulnerability.Metadata.NVD.CVSSv2.Score"),
        ({"Metadata": {"NVD": {"CVSSv2": {"Score": True}}}}, "Vulnerability.Metadata.NVD.CVSSv2.Score"),
        ({"Metadata": {"CVE": [{}]}}, "Vulnerability.Metadata.CVE.Name"),
        ({"Metadata": {"CVE": [5]}}, "Vulnerability.Metadata.CVE"),
        ({"FixedIn": None}, "Vulnerability.FixedIn"),
        ({"FixedIn": {}}, "Vulnerability.FixedIn"),
        ({"FixedIn": ["bash"]}, "Vulnerability.FixedIn"),
        ({"FixedIn": [without(FIX, "Name")]}, "Vulnerability.FixedIn.Name"),
        ({"FixedIn": [without(FIX, "Version")]}, "Vulnerability.FixedIn.Version"),
        ({"FixedIn": [{**FIX, "Version": None}]}, "Vulnerability.FixedIn.Version"),
        ({"FixedIn": [{**FIX, "Version": ""}]}, "Vulnerability.FixedIn.Version"),
        ({"FixedIn": [without(FIX, "VersionFormat")]}, "Vulnerability.FixedIn.VersionFormat"),
        ({"FixedIn": [{**FIX, "VersionFormat": "deb"}]}, "Vulnerability.FixedIn.VersionFormat"),
        ({"FixedIn": [{**FIX, "NamespaceName": "alpine:3.9"}]}, "Vulnerability.FixedIn.NamespaceName"),
        ({"FixedIn": [{**FIX, "VendorAdvisory": None}]}, "Vulnerability.FixedIn.VendorAdvisory"),
        (
            {"FixedIn": [{**FIX, "VendorAdvisory": {"NoAdvisory": "yes"}}]},
            "Vulnerability.FixedIn.VendorAdvisory.NoAdvisory",
        ),
        (
            {"FixedIn": [{**FIX, "VendorAdvisory": {"AdvisorySummary": [{"Link": "http://x"}]}}]},
            "Vulnerability.FixedIn.VendorAdvisory.AdvisorySummary.ID",
        ),
        ({"FixedIn": [FIX, {**FIX, "VersionFormat": "rpm"}]}, "Vulnerability.FixedIn"),
    ],
)
def test_os_records_that_break_a_client(changes: Change, place: str) -> None:
    """Each is refused at its place."""
    with pytest.raises(RecordError) as caught:
        map_record(OS, GROUP, os_record(**changes))
    assert caught.value.place == place


@pytest.mark.parametrize("key", ["Description", "FixedIn", "Link", "Metadata", "Name", "NamespaceName", "Severity"])
def test_os_records_have_all_seven_keys(key: str) -> None:
    """As every record since 2020 has."""
    with pytest.raises(RecordError, match=f"lacks {key}"):
        map_record(OS, GROUP, without(os_record(), "Vulnerability", key))


@pytest.mark.parametrize(
    "body", [{}, {**os_record(), "more": 1}, os_record()["Vulnerability"], {"Vulnerability": None}]
)
def test_the_os_wrapper_is_the_only_key(body: Any) -> None:
    """A second top-level key fails the real client; the bare inner object is not what the original served."""
    with pytest.raises(RecordError):
        map_record(OS, GROUP, body)


@pytest.mark.parametrize(
    "body",
    [
        nvdv2(),
        nvdv2(severity=None),
        without(nvdv2(), "severity"),
        without(nvdv2(), "cve", "description"),
        without(nvdv2(), "external_references"),
        without(nvdv2(), "vulnerable_cpes"),
        nvdv2(cvss_v2=None, vulnerable_cpes=[]),
    ],
)
def test_nvd_records_that_pass(body: Any) -> None:
    """What the real mapper bears."""
    assert map_record("nvdv2", "nvdv2:cves", body).id == "CVE-1999-0001"


def test_cpes_are_taken_apart_and_bad_ones_left_out() -> None:
    """Escaped colons stay inside their part; what cannot be parsed is skipped and counted."""
    good = r"cpe:2.3:a:perl:dbd\:\:pg:1.0:*:*:*:*:*:*:*"
    mapped = map_record("nvdv2", "nvdv2:cves", nvdv2(vulnerable_cpes=[good, "cpe:/a:perl:perl", "cpe:2.3:a:b"]))
    assert [child[:4] for child in mapped.children] == [("a", "perl", "dbd::pg", "1.0")]
    assert mapped.skipped_cpes == 2


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (without(nvdv2(), "cve"), "$.cve"),
        (nvdv2(cve=None), "$.cve"),
        (nvdv2(cve={"id": "CVE-1999-0001"}), "cve.CVE_data_meta"),
        (nvdv2(cve={"CVE_data_meta": {}}), "cve.CVE_data_meta.ID"),
        (
            nvdv2(cve={**nvdv2()["cve"], "description": {"description_data": []}}),
            "cve.description.description_data",
        ),
        (nvdv2(severity="MEDIUM"), "$.severity"),
        (nvdv2(cvss_v2={}), "cvss_v2.base_metrics"),
        (nvdv2(cvss_v3={"base_metrics": {}}), "cvss_v3.base_metrics.base_score"),
        (nvdv2(external_references=None), "$.external_references"),
        (nvdv2(vulnerable_cpes=None), "$.vulnerable_cpes"),
        (nvdv2(vulnerable_cpes=[5]), "$.vulnerable_cpes"),
        (nvdv2(vulnerable_cpes=nvdv2()["vulnerable_cpes"] * 2), "vulnerable_cpes"),
    ],
)
def test_nvd_records_that_break_a_client(body: Any, place: str) -> None:
    """Each is refused at its place; two equal CPEs break a primary key."""
    with pytest.raises(RecordError) as caught:
        map_record("nvdv2", "nvdv2:cves", body)
    assert caught.value.place == place


RANGE = github()["Advisory"]["FixedIn"][0]


@pytest.mark.parametrize("changes", [{}, {"Severity": None}, {"CVE": []}, {"FixedIn": []}, {"Summary": None}])
def test_github_records_that_pass(changes: Change) -> None:
    """What the real mapper bears."""
    assert map_record("github", "github:python", github(**changes)).id == "GHSA-6cwv-x26c-w2q4"


@pytest.mark.parametrize("withdrawn", ["", "2021-01-01T00:00:00Z"])
def test_anything_but_null_withdraws_an_advisory(withdrawn: str) -> None:
    """All its fixes go."""
    assert map_record("github", "github:python", github()).children
    assert not map_record("github", "github:python", github(withdrawn=withdrawn)).children


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"namespace": "github:pip"}, "Advisory.namespace"),
        ({"Severity": "Moderate"}, "Advisory.Severity"),
        ({"CVE": None}, "Advisory.CVE"),
        ({"Metadata": None}, "Advisory.Metadata"),
        ({"FixedIn": None}, "Advisory.FixedIn"),
        ({"FixedIn": [{**RANGE, "namespace": "github:npm"}]}, "Advisory.FixedIn.namespace"),
        ({"FixedIn": [without(RANGE, "identifier")]}, "Advisory.FixedIn.identifier"),
        ({"FixedIn": [without(RANGE, "range")]}, "Advisory.FixedIn.range"),
        ({"FixedIn": [{**RANGE, "range": None}]}, "Advisory.FixedIn.range"),
        ({"FixedIn": [{**RANGE, "range": ">= 4.0, < 4.3.12"}]}, "Advisory.FixedIn.range"),
        ({"FixedIn": [{**RANGE, "range": "<5"}]}, "Advisory.FixedIn.range"),
        ({"FixedIn": [RANGE, {**RANGE, "identifier": "6"}]}, "Advisory.FixedIn"),
    ],
)
def test_github_records_that_break_a_client(changes: Change, place: str) -> None:
    """Each is refused at its place: a comma would stay glued to the version, another ecosystem's fix would match."""
    with pytest.raises(RecordError) as caught:
        map_record("github", "github:python", github(**changes))
    assert caught.value.place == place


@pytest.mark.parametrize("key", ["ghsaId", "namespace", "Summary", "url", "Metadata", "CVE", "withdrawn", "FixedIn"])
def test_github_records_need_their_keys(key: str) -> None:
    """The real mapper takes them by index."""
    with pytest.raises(RecordError, match="is missing"):
        map_record("github", "github:python", without(github(), "Advisory", key))


@pytest.mark.parametrize(
    ("group", "inner"),
    [
        ("npm", {"latest": None, "versions": ["1"], "lics": ["MIT"], "origins": [], "sourcepkg": None}),
        ("gem", {"id": "131911", "latest": "0.4.0", "versions": [], "licenses": [], "authors": []}),
        ("gem", {"id": 5}),
        ("npm", {}),
        ("pypi", {"anything": [1, {}]}),
    ],
)
def test_package_records_that_pass(group: str, inner: Any) -> None:
    """Every inner key is optional, and other groups are opaque."""
    assert map_record("packages", group, {"left-pad" * 40: inner}).id == ("left-pad" * 40)[:255]


@pytest.mark.parametrize(
    ("group", "body"),
    [
        ("npm", {}),
        ("npm", {"a": {}, "b": {}}),
        ("npm", {"a": None}),
        ("npm", {"a": {"versions": None}}),
        ("npm", {"a": {"lics": [5]}}),
        ("gem", {"a": {"id": "x1"}}),
        ("gem", {"a": {"latest": 5}}),
    ],
)
def test_package_records_that_break_a_client(group: str, body: Any) -> None:
    """Two keys, null and wrong types are refused."""
    with pytest.raises(RecordError):
        map_record("packages", group, body)


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"vulnerable-software-list": {"product": "cpe:/a:x:y"}}, True),
        ({"vulnerable-software-list": {"product": ["cpe:/a:x:y"]}}, True),
        ({"vulnerable-software-list": {"product": [5]}}, False),
        ({"cvss": {"base_metrics": {"score": "7.5"}}}, True),
        ({"cvss": {"base_metrics": {"score": "high"}}}, False),
        ({"cvss": {}}, False),
        ({"@id": None}, False),
        ({"summary": 5}, False),
    ],
)
def test_records_of_the_old_nvd_feed(changes: Change, good: bool) -> None:
    """The form that clients up to 0.6 read."""
    body = {"@id": "CVE-2002-0001", "summary": "a summary", **changes}
    if good:
        assert map_record("nvd", "nvddb:2002", body).id == "CVE-2002-0001"
    else:
        with pytest.raises(RecordError):
            map_record("nvd", "nvddb:2002", body)


def test_unknown_feeds_are_opaque() -> None:
    """Kept under what looks like an id, NULs refused all the same."""
    assert map_record("kev", "kev:known-exploited", {"cveID": "CVE-1", "x": [1]}).id == "CVE-1"
    with pytest.raises(RecordError, match=r"U\+0000"):
        map_record("kev", "kev:known-exploited", {"cveID": "CVE-1", "x": ["\0"]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    feed=st.sampled_from(["vulnerabilities", "nvdv2", "github", "packages", "nvd", "kev"]),
    path=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    value=json_values,
)
def test_a_spoilt_record_is_taken_or_refused_but_never_crashes(feed: str, path: list[int], value: Any) -> None:
    """Whatever stands at whatever place, the answer is a row or a RecordError."""
    starts: dict[str, Any] = {"vulnerabilities": os_record(), "nvdv2": nvdv2(), "github": github()}
    body = copy.deepcopy(starts.get(feed, {"@id": "CVE-1", "cvss": {"base_metrics": {"score": "5"}}}))
    inner: Any = body
    for step in path:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = keys[step % len(keys)]
        if not isinstance(inner[key], dict | list) or not inner[key]:
            break
        holder, inner = inner, inner[key]
    else:
        inner, key = holder, key
    inner[key] = value
    try:
        assert map_record(feed, {"vulnerabilities": GROUP, "github": "github:python"}.get(feed, "g"), body).table
    except RecordError as error:
        assert error.place
