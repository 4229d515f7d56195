"""Records of feed nvdv2: the pair recorded from the original service, and the form's corners."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.fidelity.form_one import form_two
from vulnfeeds.drivers.nvd import items, legacy
from vulnfeeds.drivers.nvd.expansion import Expansion
from vulnfeeds.records import canonical, contract, nvd


def served(item: dict[str, Any]) -> dict[str, Any]:
    """Return the record of one item as clients get it."""
    record = legacy.record(msgspec.convert(item, items.Item).cve)
    body = canonical.encode(Expansion(lambda product: [], 256).complete(record))
    contract.check("nvdv2", "nvdv2:cves", body)
    assert msgspec.json.decode(body, type=nvd.NVDRecord).cve == record.cve
    found: dict[str, Any] = json.loads(body)
    return found


def sorted_lists(value: Any) -> Any:
    """Return a value whose lists are sorted: the original kept the NVD's order, which means nothing."""
    if isinstance(value, dict):
        return {key: sorted_lists(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((sorted_lists(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return value


@pytest.fixture
def pair(shared: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Items and what the original service served of them."""
    with tarfile.open(shared / "golden" / "nvdv2-pair-10-CVE-1999.tar.xz") as archive:
        found = {
            Path(member.name).name: json.load(file)
            for member in archive
            if (file := archive.extractfile(member)) is not None
        }
    given = {item["cve"]["CVE_data_meta"]["ID"]: item for item in found["nvdcve-1.1-2002-extract.json"]["CVE_Items"]}
    records = found["nvdv2_cves.json"]["data"]
    return [(given[record["cve"]["CVE_data_meta"]["ID"]], record) for record in records]


def test_the_recorded_pair(pair: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """All ten records are those of the original; ours have two keys more and sorted lists."""
    assert len(pair) == 10
    for given, expected in pair:
        record = served(form_two(given))
        assert set(record) - set(expected) == {"status", "cvss_v4"}
        for key in expected:
            assert sorted_lists(record[key]) == sorted_lists(expected[key]), (record["cve"], key)
        assert record["vulnerable_cpes"] == expected["vulnerable_cpes"]


def test_the_nvd_s_metric_goes_before_others() -> None:
    """The primary metric first, then the NVD's own, whatever the order of the list."""
    item = sample.item(1, "x", three=9.8, cna=5.5)
    item["cve"]["metrics"]["cvssMetricV31"].reverse()
    assert served(item)["cvss_v3"]["base_metrics"]["base_score"] == 9.8
    for metric in item["cve"]["metrics"]["cvssMetricV31"]:
        metric["type"] = "Secondary"
    assert served(item)["cvss_v3"]["base_metrics"]["base_score"] == 9.8


@pytest.mark.parametrize(
    ("scores", "severity"),
    [
        ({"two": 2.1, "three": 9.8, "four": 6.9}, "Critical"),
        ({"two": 10.0, "four": 6.9}, "High"),
        ({"four": 9.3}, "Critical"),
        ({"cna": 3.3}, "Low"),
        ({}, "Unknown"),
    ],
)
def test_the_severity_is_cvss_3_s(scores: dict[str, float], severity: str) -> None:
    """CVSS 3, else 2 as the original did, else 4, else Unknown."""
    assert served(sample.item(1, "x", **scores))["severity"] == severity  # type: ignore[arg-type]


def test_a_score_of_nothing_is_negligible() -> None:
    """NONE is no word of the client's scale."""
    item = sample.item(1, "x", three=3.3)
    data = item["cve"]["metrics"]["cvssMetricV31"][0]["cvssData"]
    data.update(baseScore=0.0, baseSeverity="NONE")
    record = served(item)
    assert record["severity"] == "Negligible"
    assert record["cvss_v3"]["base_metrics"]["base_severity"] == "None"


def test_a_missing_word_follows_from_the_score() -> None:
    """Bands of CVSS 2 and 3."""
    item = sample.item(1, "x", two=5.0, three=7.5)
    metrics = item["cve"]["metrics"]
    del metrics["cvssMetricV2"][0]["baseSeverity"]
    del metrics["cvssMetricV31"][0]["cvssData"]["baseSeverity"]
    record = served(item)
    assert record["cvss_v2"]["severity"] == "Medium"
    assert record["cvss_v3"]["base_metrics"]["base_severity"] == "High"


def test_nodes_that_must_hold_together_are_children() -> None:
    """AND becomes a node with children and without matches of its own; platforms give no names."""
    item = sample.item(1, "x", sample.both(sample.node(*sample.exact(sample.BROOK, "1.0")), sample.WINDOWS))
    record = served(item)
    (node,) = record["configurations"]["nodes"]
    assert node["operator"] == "AND"
    assert node["cpe_match"] == []
    assert [len(child["cpe_match"]) for child in node["children"]] == [1, 1]
    assert record["vulnerable_cpes"] == [sample.cpe(sample.BROOK, "1.0")]


def test_a_negated_node_gives_no_names() -> None:
    """What must not be there is not vulnerable."""
    item = sample.item(1, "x", sample.anyone(*sample.exact(sample.BROOK, "1.0")))
    item["cve"]["configurations"][0]["negate"] = True
    record = served(item)
    assert record["configurations"]["nodes"][0]["negate"] is True
    assert record["vulnerable_cpes"] == []


def test_the_order_of_upstream_s_lists_means_nothing() -> None:
    """The same item in another order is the same record."""
    item = sample.YEAR[11]
    other = json.loads(json.dumps(item))
    for configuration in other["cve"]["configurations"]:
        configuration["nodes"].reverse()
        for node in configuration["nodes"]:
            node["cpeMatch"].reverse()
    other["cve"]["references"].reverse()
    assert served(other) == served(item)


def test_each_url_is_one_reference() -> None:
    """The CVE program repeats the CNA's references under a container of its own; tags are joined."""
    assert served(sample.YEAR[0])["external_references"] == [
        {
            "source": "security@example.com",
            "tags": ["Patch", "Vendor Advisory"],
            "url": "https://security.example.com/advisories/0001",
        }
    ]


def test_the_description_is_english() -> None:
    """Other languages are left out, as in form 1.1; a lone foreign text is better than none."""
    record = served(sample.YEAR[0])
    assert [text["lang"] for text in record["cve"]["description"]["description_data"]] == ["en"]
    item = sample.item(1, "x")
    item["cve"]["descriptions"] = [{"lang": "es", "value": "texto"}]
    assert served(item)["cve"]["description"]["description_data"] == [{"lang": "es", "value": "texto"}]
