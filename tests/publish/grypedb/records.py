"""Records in the form that drivers publish, small, with what a test cares about."""

from __future__ import annotations

from typing import Any

GROUP = "debian:12"


def fixed_in(group: str, name: str, version: str, version_format: str = "dpkg", **more: Any) -> dict[str, Any]:
    """A fixed-in of a distribution's record."""
    return {
        "Name": name,
        "NamespaceName": group,
        "Version": version,
        "VersionFormat": version_format,
        **more,
    }


def os_record(group: str, name: str, *fixes: dict[str, Any], severity: str = "High", **more: Any) -> dict[str, Any]:
    """A record of feed `vulnerabilities`."""
    body = {
        "Name": name,
        "NamespaceName": group,
        "Severity": severity,
        "Link": f"https://vendor.example/{name}",
        "Description": f" About {name}. ",
        "Metadata": {},
        "FixedIn": list(fixes),
    }
    return {"Vulnerability": {**body, **more}}


def nvd_record(name: str, *nodes: dict[str, Any], vector: str = "", status: str = "Analyzed") -> dict[str, Any]:
    """A record of feed `nvdv2`; `vector` is its CVSS 3.1 one."""
    metrics = {"base_score": 9.8, "base_severity": "Critical"}
    return {
        "configurations": {"CVE_data_version": "4.0", "nodes": list(nodes)},
        "cve": {
            "CVE_data_meta": {"ID": name, "ASSIGNER": "cve@mitre.example"},
            "data_format": "MITRE",
            "data_type": "CVE",
            "data_version": "4.0",
            "description": {"description_data": [{"lang": "en", "value": f"About {name}."}]},
            "problemtype": {"problemtype_data": [{"description": [{"lang": "en", "value": "CWE-79"}]}]},
        },
        "cvss_v2": None,
        "cvss_v3": {"base_metrics": metrics, "vector_string": vector, "version": "3.1"} if vector else None,
        "cvss_v4": None,
        "external_references": [{"source": "x", "tags": ["Vendor Advisory"], "url": "https://vendor.example/1"}],
        "lastModifiedDate": "2024-02-03T05:00Z",
        "publishedDate": "2024-01-02T05:00Z",
        "severity": "Critical" if vector else "Unknown",
        "status": status,
        "vulnerable_cpes": [],
    }


def cpe_match(cpe: str, *, vulnerable: bool = True, **bounds: str) -> dict[str, Any]:
    """A match of a node: `end_excluding="2.0"` and the like are its bounds."""
    names = {
        "start_including": "versionStartIncluding",
        "start_excluding": "versionStartExcluding",
        "end_including": "versionEndIncluding",
        "end_excluding": "versionEndExcluding",
    }
    return {"cpe23Uri": cpe, "vulnerable": vulnerable, **{names[name]: value for name, value in bounds.items()}}


def either(*matches: dict[str, Any]) -> dict[str, Any]:
    """A node of which any match may hold."""
    return {"operator": "OR", "cpe_match": list(matches)}


def together(*children: dict[str, Any]) -> dict[str, Any]:
    """A node of which all children must hold."""
    return {"operator": "AND", "cpe_match": [], "children": list(children)}


def ghsa_record(group: str, name: str, *fixes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A record of feed `github`."""
    cves = more.pop("cves", ["CVE-2024-0001"])
    body = {
        "CVE": cves,
        "FixedIn": [{"ecosystem": group.partition(":")[2], "namespace": group, **fix} for fix in fixes],
        "Metadata": {"CVE": cves},
        "Severity": "High",
        "Summary": f"About {name}",
        "ghsaId": name,
        "namespace": group,
        "url": f"https://github.com/advisories/{name}",
        "withdrawn": None,
    }
    return {"Advisory": {**body, **more}, "Vulnerability": {}}


def msrc_record(**more: Any) -> dict[str, Any]:
    """A record of feed `microsoft`, the one of the client contract."""
    return {
        "id": "CVE-2019-0671",
        "product": {"family": "Windows", "id": "10852", "name": "Windows 10 Version 1607 for 32-bit Systems"},
        "link": "https://portal.msrc.example/CVE-2019-0671",
        "severity": "High",
        "summary": "Remote code execution",
        "cvss": {"base_score": 7.8, "temporal_score": 7, "vector": "CVSS:3.0/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"},
        "vulnerable": ["4480961", "4487026"],
        "fixed_in": [{"id": "4493470", "is_first": True, "is_latest": True, "links": []}],
        **more,
    }
