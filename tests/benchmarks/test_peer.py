"""The comparison with a peer: what it counts, what it prints, and how generated documents are served."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
import yaml
from benchmarks.detour import mirrored
from benchmarks.measure import Cost
from benchmarks.peer import Case, Row, Run, markdown, middle
from benchmarks.serving import page, secdb_yaml

MIRROR = "http://127.0.0.1:8300"
ROW = Row(
    Case("alpine"),
    peer=Run(1000, Cost(60.0, 20.0, 300.0)),
    ours=Run(1000, Cost(3.0, 2.0, 150.0)),
    bound=Cost(1.0, 0.5, 50.0),
    load=1.0,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://secdb.alpinelinux.org", f"{MIRROR}/secdb.alpinelinux.org/"),
        (
            "https://host.example/a/b.json?x=1&at=2026-01-01T00:00:00",
            f"{MIRROR}/host.example/a/b.json?x=1&at=2026-01-01T00:00:00",
        ),
        ("https://Host.Example:443/a#part", f"{MIRROR}/host.example/a"),
        (f"{MIRROR}/host.example/a", f"{MIRROR}/host.example/a"),
        ("http://127.0.0.1:83001/a", f"{MIRROR}/127.0.0.1/a"),
    ],
)
def test_a_request_goes_to_the_mirror_once(url: str, expected: str) -> None:
    """Host, path and query are kept below the mirror's address, and an address of the mirror stays as it is."""
    assert mirrored(url, MIRROR) == expected
    assert mirrored(expected, MIRROR) == expected


def test_of_several_rounds_each_figure_is_the_median() -> None:
    """One slow round does not move a figure, and the figures of different rounds are not tied together."""
    runs = [Run(5, Cost(1.0, 30.0, 7.0)), Run(5, Cost(2.0, 10.0, 900.0)), Run(5, Cost(300.0, 20.0, 8.0))]
    assert middle(runs) == Run(5, Cost(2.0, 20.0, 8.0))


def test_the_table_has_the_factors_and_their_medians() -> None:
    """Factors say how much more the peer needs; another source of the same driver is shown and not counted."""
    slower = replace(ROW, case=Case("kev"), peer=Run(1000, Cost(9.0, 4.0, 150.0)))
    besides = replace(ROW, case=Case("kev", "another source", alike=False), peer=Run(1000, Cost(900.0, 900.0, 900.0)))
    lines = markdown([ROW, slower, besides]).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:-2]]
    assert {len(row) for row in cells} == {len(cells[0])}
    assert cells[2] == [
        "alpine",
        "1,000",
        "60.0",
        "20.0",
        "300",
        "3.0",
        "2.0",
        "150",
        "10.0",
        "20.0",
        "2.0",
        "40.0",
        "4.0",
    ]
    assert cells[4][0] == "kev (another source)"
    assert cells[4][8] == "450.0"
    assert lines[-1] == (
        "Median over alpine, kev: vunnel needs 6.0 times the CPU, 11.5 the wall time, 1.5 the memory."
    )


@pytest.mark.parametrize("records", [0, 980, 1020])
def test_a_peer_that_made_other_records_is_not_compared(records: int) -> None:
    """The row tells both counts, has no factors, and no median is formed."""
    told = markdown([replace(ROW, peer=replace(ROW.peer, records=records))])
    assert f"| 1,000, vunnel {records:,}: not compared |" in told
    assert "| - | - | - |" in told
    assert "Median" not in told


def test_a_few_records_more_or_less_are_told_and_compared() -> None:
    """A difference within the tolerance is shown beside the factors."""
    told = markdown([replace(ROW, peer=replace(ROW.peer, records=995))])
    assert "| alpine | 1,000, vunnel 995 |" in told
    assert "10.0 | 20.0 | 2.0" in told


def test_secdb_as_yaml_says_the_same() -> None:
    """Names and versions that YAML could take for numbers, truths or nothing stay texts."""
    fixes = {"0": ["CVE-2020-1"], "1.10": [], "1.2.3-r0": ["CVE-2020-2", "CVE-2020-3 GHSA-x"], "2e3-r1": ["XSA-1"]}
    document = {
        "apkurl": "{{urlprefix}}/{{distroversion}}",
        "archs": ["x86", "x86_64"],
        "reponame": "main",
        "urlprefix": "https://dl-cdn.alpinelinux.org/alpine",
        "distroversion": "v3.20",
        "packages": [{"pkg": {"name": name, "secfixes": fixes}} for name in ("no", "True", "1e5", "c++", "lib-a.b")],
    }
    assert yaml.safe_load(secdb_yaml(document)) == {
        **document,
        "packages": [
            {"pkg": {**entry["pkg"], "secfixes": {version: ids or None for version, ids in fixes.items()}}}
            for entry in document["packages"]
        ],
    }
    assert yaml.safe_load(secdb_yaml({**document, "packages": []}))["packages"] == []


def test_a_page_of_the_api_tells_where_it_stands() -> None:
    """The envelope counts the page's own items; the total is that of all pages."""
    items = [msgspec.json.encode({"cve": {"id": f"CVE-2026-{number}"}}) for number in range(3)]
    told = json.loads(page(items, 4000, 4003))
    assert (told["resultsPerPage"], told["startIndex"], told["totalResults"]) == (3, 4000, 4003)
    assert [item["cve"]["id"] for item in told["vulnerabilities"]] == ["CVE-2026-0", "CVE-2026-1", "CVE-2026-2"]
    assert json.loads(page([], 4003, 4003))["vulnerabilities"] == []
