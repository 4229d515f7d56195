"""Items of the NVD's former form 1.1 in form 2.0, and feed files of form 2.0 made of items."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

FOLDER = "nvd.nist.gov/feeds/json/cve/2.0"
MADE_AT = "2026-03-12T03:00:00-04:00"
_PRIMARY = {"source": "nvd@nist.gov", "type": "Primary"}


def form_two(old: dict[str, Any]) -> dict[str, Any]:
    """Return an item of form 1.1 in form 2.0, as far as the two say the same."""
    cve = old["cve"]
    item = {
        "id": cve["CVE_data_meta"]["ID"],
        "sourceIdentifier": cve["CVE_data_meta"]["ASSIGNER"],
        "published": old["publishedDate"].replace("Z", ":00.000"),
        "lastModified": old["lastModifiedDate"].replace("Z", ":00.000"),
        "vulnStatus": "Modified",
        "descriptions": cve["description"]["description_data"],
        "references": [
            {"url": reference["url"], "source": reference["refsource"], "tags": reference["tags"]}
            for reference in cve["references"]["reference_data"]
        ],
        "weaknesses": [
            {**_PRIMARY, "description": kind["description"]} for kind in cve["problemtype"]["problemtype_data"]
        ],
        "metrics": _metrics(old["impact"]),
        "configurations": [_configuration(node) for node in old["configurations"]["nodes"]],
    }
    return {"cve": item}


def _metrics(impact: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if two := impact.get("baseMetricV2"):
        rest = {name: value for name, value in two.items() if name not in ("cvssV2", "severity")}
        found["cvssMetricV2"] = [{**_PRIMARY, **rest, "cvssData": two["cvssV2"], "baseSeverity": two["severity"]}]
    if three := impact.get("baseMetricV3"):
        rest = {name: value for name, value in three.items() if name != "cvssV3"}
        name = "cvssMetricV30" if three["cvssV3"]["version"] == "3.0" else "cvssMetricV31"
        found[name] = [{**_PRIMARY, **rest, "cvssData": three["cvssV3"]}]
    return found


def _configuration(node: dict[str, Any]) -> dict[str, Any]:
    nodes = node.get("children") or [node]
    return {"operator": node["operator"], "nodes": [_node(child) for child in nodes]}


def _node(node: dict[str, Any]) -> dict[str, Any]:
    matches = [
        {
            "criteria": match["cpe23Uri"],
            **{name: value for name, value in match.items() if name not in ("cpe23Uri", "cpe_name")},
        }
        for match in node["cpe_match"]
    ]
    return {"operator": node["operator"], "negate": node.get("negate", False), "cpeMatch": matches}


def feed_file(upstream: Path, year: str, items: list[dict[str, Any]]) -> None:
    """Write a feed file of form 2.0 with its meta into a folder that stands in for the upstreams."""
    document = {
        "resultsPerPage": len(items),
        "startIndex": 0,
        "totalResults": len(items),
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": "2026-03-12T03:00:00.000",
        "vulnerabilities": items,
    }
    text = json.dumps(document).encode()
    folder = upstream / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(text, 1, mtime=0)
    (folder / f"nvdcve-2.0-{year}.json.gz").write_bytes(packed)
    lines = {
        "lastModifiedDate": MADE_AT,
        "size": len(text),
        "gzSize": len(packed),
        "sha256": hashlib.sha256(text).hexdigest().upper(),
    }
    (folder / f"nvdcve-2.0-{year}.meta").write_text("".join(f"{name}:{value}\r\n" for name, value in lines.items()))
