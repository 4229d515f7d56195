"""What becomes of a record of the NVD."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.publish.grypedb.records import cpe_match, either, nvd_record, together
from vulnfeeds.publish.grypedb import blobs, nvd
from vulnfeeds.publish.grypedb.rows import Product, Vulnerability
from vulnfeeds.records import canonical

APP = "cpe:2.3:a:vendor:app:{}:*:*:*:*:*:*:*"
SYSTEM = "cpe:2.3:o:vendor:system:-:*:*:*:*:*:*:*"


def rows(*nodes: dict[str, Any], **more: Any) -> Vulnerability:
    """What becomes of a record with these nodes."""
    return nvd.rows(canonical.encode(nvd_record("CVE-2024-1", *nodes, **more)))


def ranges(*nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """The ranges of the one product of a record, as clients see them."""
    (named,) = rows(*nodes).products
    text: dict[str, Any] = msgspec.json.decode(blobs.encode(named.blob))
    found: list[dict[str, Any]] = text.get("ranges", [])
    return found


def test_bounds_are_a_constraint_and_the_end_is_the_fix() -> None:
    """An excluded end is the first version without the vulnerability."""
    assert ranges(either(cpe_match(APP.format("*"), start_including="1.0", end_excluding="2.0"))) == [
        {"version": {"constraint": ">= 1.0, < 2.0"}, "fix": {"version": "2.0", "state": "fixed"}}
    ]


def test_an_included_end_is_no_fix() -> None:
    """Nobody knows which version comes after it."""
    assert ranges(either(cpe_match(APP.format("*"), start_excluding="1.0", end_including="2.0"))) == [
        {"version": {"constraint": "> 1.0, <= 2.0"}}
    ]


@pytest.mark.parametrize(
    ("version", "constraint"),
    [("1.0:*", "= 1.0"), ("1.0:beta", "= 1.0-beta"), ("-:*", None), (r"12.0\(1\):*", '= "12.0(1)"')],
)
def test_an_exact_version_is_equality(version: str, constraint: str | None) -> None:
    """An update belongs to the version; what has a meaning in constraints is quoted; `-` is any version."""
    found = ranges(either(cpe_match(f"cpe:2.3:a:vendor:app:{version}:*:*:*:*:*:*")))
    assert [each["version"].get("constraint") for each in found] == [constraint]


def test_any_version_is_no_range() -> None:
    """A name with `*` and no bounds affects all there is."""
    assert ranges(either(cpe_match(APP.format("*")))) == []


def test_a_platform_goes_with_the_product_that_needs_it() -> None:
    """Of a node of which all parts must hold, what is not vulnerable is where the rest must run."""
    app = cpe_match(APP.format("*"), end_excluding="2.0")
    (named,) = rows(together(either(app), either(cpe_match(SYSTEM, vulnerable=False)))).products
    assert named.product == Product("a", "vendor", "app")
    assert named.blob.qualifiers is not None
    assert named.blob.qualifiers.platform_cpes == (SYSTEM,)


def test_an_alternative_that_is_not_vulnerable_is_no_platform() -> None:
    """Of a node of which any part may hold, only vulnerable names say something."""
    app = cpe_match(APP.format("*"), end_excluding="2.0")
    (named,) = rows(either(app, cpe_match(SYSTEM, vulnerable=False))).products
    assert named.blob.qualifiers is None


def test_one_product_of_several_nodes_is_one_row() -> None:
    """Its ranges are put together, in order, each once."""
    nodes = [either(cpe_match(APP.format("*"), end_excluding=end)) for end in ("2.0", "1.5", "2.0")]
    assert [each["version"]["constraint"] for each in ranges(*nodes)] == ["< 1.5", "< 2.0"]


def test_the_target_software_says_how_versions_compare() -> None:
    """A package of Python is compared as one, as long as its versions can be read so."""
    python = "cpe:2.3:a:vendor:app:*:*:*:*:*:python:*:*"
    (good,) = ranges(either(cpe_match(python, end_excluding="2.0rc1")))
    (odd,) = ranges(either(cpe_match(python, end_excluding="2.x")))
    assert (good["version"].get("type"), odd["version"].get("type")) == ("python", None)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Analyzed", "active"),
        ("Modified", "active"),
        ("Awaiting Analysis", "analyzing"),
        ("Rejected", "rejected"),
        ("Deferred", ""),
        ("Received", ""),
    ],
)
def test_the_state_of_the_analysis_is_told(status: str, said: str) -> None:
    """A word that clients do not know says nothing."""
    assert rows(status=status).status == said


def test_the_nvds_own_page_is_the_first_reference() -> None:
    """Tags are in the form that clients know."""
    references = rows().blob.refs
    assert [(each.url, each.tags) for each in references] == [
        ("https://nvd.nist.gov/vuln/detail/CVE-2024-1", ()),
        ("https://vendor.example/1", ("vendor-advisory",)),
    ]


def test_of_several_vectors_that_of_cvss_3_comes_first() -> None:
    """It is nearly always the NVD's primary one; the record does not say whose a vector is, and neither do we."""
    record = nvd_record("CVE-2024-1", vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:L/A:N")
    four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:L/VA:N/SC:N/SI:N/SA:N"
    metrics = {"base_score": 8.8, "base_severity": "High"}
    record["cvss_v4"] = {"base_metrics": metrics, "vector_string": four, "version": "4.0"}
    found = nvd.rows(canonical.encode(record)).blob.severities
    assert [msgspec.to_builtins(severity.value)["version"] for severity in found] == ["3.1", "4.0"]
    assert [severity.source for severity in found] == ["", ""]


def test_weaknesses_are_rows_of_their_own() -> None:
    """Each CWE of a record once."""
    assert [weakness.cwe for weakness in rows().weaknesses] == ["CWE-79"]
