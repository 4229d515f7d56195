"""What is compared of the NVD's CVEs: fields of a served record, of an item of form 2.0, and of one of form 1.1.

The two forms are read here on their own, without the driver's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from tests.fidelity.agreement import Fields

Criterion = tuple[str, bool, tuple[tuple[str, str], ...]]

# --- feed nvdv2 -----------------------------------------------------------------------------------------------------


def of_record(record: dict[str, Any]) -> Fields:
    """Return the fields of a record of feed nvdv2."""
    nodes = record["configurations"]["nodes"]
    fields = {
        "id": record["cve"]["CVE_data_meta"]["ID"],
        "assigner": record["cve"]["CVE_data_meta"]["ASSIGNER"],
        "description": record["cve"]["description"]["description_data"][0]["value"],
        "published": record["publishedDate"],
        "last modified": record["lastModifiedDate"],
        "severity": record["severity"],
        "weaknesses": {
            text["value"] for kind in record["cve"]["problemtype"]["problemtype_data"] for text in kind["description"]
        },
        "references": {reference["url"] for reference in record["external_references"]},
        "reference tags": tags((reference["url"], reference["tags"]) for reference in record["external_references"]),
        "reference sources": {(reference["url"], reference["source"]) for reference in record["external_references"]},
        "CPE criteria": set(_criteria(nodes)),
        "CPE logic": {_logic(node) for node in nodes},
        "vulnerable_cpes": set(record["vulnerable_cpes"]),
    }
    for name, score in (("2", record["cvss_v2"]), ("3", record["cvss_v3"]), ("4", record.get("cvss_v4"))):
        fields[f"CVSS {name} score"] = score and score["base_metrics"]["base_score"]
        fields[f"CVSS {name} vector"] = score and score["vector_string"]
    if "status" in record:
        fields["status"] = record["status"]
    return fields


def of_item(cve: dict[str, Any]) -> Fields:
    """Return the fields of an item of form 2.0."""
    metrics = cve.get("metrics", {})
    two = chosen(metrics.get("cvssMetricV2", []))
    three = chosen(metrics.get("cvssMetricV31", []) + metrics.get("cvssMetricV30", []))
    four = chosen(metrics.get("cvssMetricV40", []))
    fields = {
        "id": cve["id"],
        "assigner": cve.get("sourceIdentifier", ""),
        "description": next((text["value"] for text in cve.get("descriptions", []) if text["lang"] == "en"), ""),
        "published": _minute(cve["published"]),
        "last modified": _minute(cve["lastModified"]),
        "severity": word(two, three, four),
        "status": cve["vulnStatus"],
        "weaknesses": {text["value"] for kind in cve.get("weaknesses", []) for text in kind["description"]},
        "references": {reference["url"] for reference in cve.get("references", [])},
        "reference tags": tags(
            (reference["url"], reference.get("tags", [])) for reference in cve.get("references", [])
        ),
        "reference sources": {
            (reference["url"], reference.get("source", "")) for reference in cve.get("references", [])
        },
        "CPE criteria": set(_matches(cve)),
        "CPE logic": {
            text for configuration in cve.get("configurations", []) for text in _configuration(configuration)
        },
        "vulnerable_cpes": {
            criterion for criterion, vulnerable, bounds in _matches(cve) if vulnerable and not bounds
        },
    }
    for name, score in (("2", two), ("3", three), ("4", four)):
        fields[f"CVSS {name} score"] = score and score["cvssData"]["baseScore"]
        fields[f"CVSS {name} vector"] = score and score["cvssData"]["vectorString"]
    return fields


def chosen(metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first primary metric, else the first one; None when there is none."""
    return next((metric for metric in metrics if metric["type"] == "Primary"), next(iter(metrics), None))


def word(two: dict[str, Any] | None, three: dict[str, Any] | None, four: dict[str, Any] | None) -> str:
    """Return the NVD's own word for the severity: that of CVSS 3, else 2, else 4."""
    if three is not None:
        return str(three["cvssData"]["baseSeverity"]).capitalize()
    if two is not None:
        return str(two["baseSeverity"]).capitalize()
    return str(four["cvssData"]["baseSeverity"]).capitalize() if four is not None else "Unknown"


def tags(references: Iterable[tuple[str, list[str]]]) -> set[tuple[str, str]]:
    """Return (URL, tag) pairs."""
    return {(url, tag) for url, given in references for tag in given}


def _minute(moment: str) -> str:
    return f"{moment[:16]}Z"


def bounds(match: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a match's bounds."""
    return tuple(sorted((name, value) for name, value in match.items() if name.startswith("version")))


def _criteria(nodes: list[dict[str, Any]]) -> Iterator[Criterion]:
    for node in nodes:
        for match in node["cpe_match"]:
            yield match["cpe23Uri"], match["vulnerable"], bounds(match)
        yield from _criteria(node.get("children", []))


def _matches(cve: dict[str, Any]) -> Iterator[Criterion]:
    for configuration in cve.get("configurations", []):
        for node in configuration["nodes"]:
            for match in node["cpeMatch"]:
                yield match["criteria"], match["vulnerable"], bounds(match)


def _logic(node: dict[str, Any]) -> str:
    """Return a node's operators and names as one text, whatever the order."""
    leaves = {f"{match['cpe23Uri']}{match['vulnerable']}{bounds(match)}" for match in node["cpe_match"]}
    inner = sorted(leaves) + sorted(_logic(child) for child in node.get("children", []))
    return f"{'not ' if node.get('negate') else ''}{node['operator']}({' '.join(inner)})"


def _configuration(configuration: dict[str, Any]) -> list[str]:
    nodes = [
        _logic(
            {
                "operator": node["operator"],
                "negate": node.get("negate", False),
                "cpe_match": [{**match, "cpe23Uri": match["criteria"]} for match in node["cpeMatch"]],
            }
        )
        for node in configuration["nodes"]
    ]
    if configuration.get("operator") == "AND":
        return [f"AND({' '.join(sorted(nodes))})"]
    return nodes


def attributes(name: str) -> list[str]:
    """Return the attributes of a CPE 2.3 name, from part to other, escaped as in it."""
    found = re.findall(r"(?:[^:\\]|\\.)+", name, re.DOTALL)
    return found[2:]


def in_a_range(name: str, criteria: Iterable[Criterion]) -> bool:
    """Tell whether a name is of the product of a vulnerable range, and not plainly outside of it.

    Only versions of numbers and dots are compared with the bounds; the order of others is a matter of opinion.
    """
    given = attributes(name)
    for criterion, vulnerable, limits in criteria:
        known = attributes(criterion)
        if (
            vulnerable
            and limits
            and known[:3] + known[4:] == given[:3] + given[4:]
            and _within(given[3], dict(limits))
        ):
            return True
    return False


def _within(version: str, limits: dict[str, str]) -> bool:
    here = _numbers(version)
    for limit, bound in limits.items():
        there = _numbers(bound)
        if here is None or there is None:
            continue
        if version == bound:
            fits = limit.endswith("Including")
        elif here == there:
            fits = True
        else:
            fits = here > there if limit.startswith("versionStart") else here < there
        if not fits:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...] | None:
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return None
    found = [int(part) for part in version.split(".")]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


# --- feed nvd -------------------------------------------------------------------------------------------------------


def of_old_record(group: str, record: dict[str, Any]) -> Fields:
    """Return the fields of a record of feed nvd."""
    fields = {
        "id": record["@id"],
        "group": group,
        "description": record["summary"],
        "published": record["published-datetime"],
        "last modified": record["last-modified-datetime"],
        "weaknesses": {weakness["@id"] for weakness in record["cwe"]},
        "references": {reference["reference"]["@href"] for reference in record["references"]},
        "products": set(record["vulnerable-software-list"].get("product", [])),
    }
    metrics = record.get("cvss", {}).get("base_metrics")
    fields["CVSS score"] = metrics and float(metrics["score"])
    fields["CVSS 2 metrics"] = metrics and [metrics.get(name) for name in OLD_METRICS]
    return fields


OLD_METRICS = {
    "access-vector": "accessVector",
    "access-complexity": "accessComplexity",
    "authentication": "authentication",
    "confidentiality-impact": "confidentialityImpact",
    "integrity-impact": "integrityImpact",
    "availability-impact": "availabilityImpact",
}
"""Where the XML form has what form 2.0 calls so."""


def of_old_item(cve: dict[str, Any]) -> Fields:
    """Return the fields of an item of form 2.0 that feed nvd has too."""
    item = of_item(cve)
    metrics = cve.get("metrics", {})
    two = chosen(metrics.get("cvssMetricV2", []))
    newer = metrics.get("cvssMetricV31", []) + metrics.get("cvssMetricV30", [])
    score = two or chosen(newer) or chosen(metrics.get("cvssMetricV40", []))
    return {
        **{name: item[name] for name in ("id", "description", "published", "last modified", "references")},
        "group": f"nvddb:{max(2002, int(cve['id'][4:8]))}",
        "weaknesses": {name for name in item["weaknesses"] if name.startswith("CWE-")},
        "products": {uri(name) for name in item["vulnerable_cpes"]},
        "CVSS score": score and score["cvssData"]["baseScore"],
        "CVSS 2 metrics": score and [score["cvssData"].get(name) if two else None for name in OLD_METRICS.values()],
        "CPE criteria": item["CPE criteria"],
    }


def uri(name: str) -> str:
    """Return a CPE 2.3 name as a URI."""
    part, vendor, product, version, update, edition, language, *rest = map(_component, attributes(name))
    if any(rest):
        edition = "~".join(["", edition, *rest])
    return f"cpe:/{':'.join([part, vendor, product, version, update, edition, language])}".rstrip(":")


def _component(attribute: str) -> str:
    if attribute in ("*", "-"):
        return attribute.strip("*")
    plain = re.sub(r"\\(.)", r"\1", attribute, flags=re.DOTALL)
    quoted = quote(plain, safe="").replace("~", "%7e")
    return re.sub(r"%[0-9A-F]{2}", lambda code: code.group().lower(), quoted)
