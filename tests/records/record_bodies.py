"""One good body a feed, hand-made in the documented form."""

from __future__ import annotations

from typing import Any


def _fix(name: str, version: str) -> dict[str, Any]:
    return {"Name": name, "NamespaceName": "alpine:3.18", "Version": version, "VersionFormat": "apk"}


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "vulnerabilities": (
        "alpine:3.18",
        {
            "Vulnerability": {
                "Name": "CVE-2023-0001",
                "NamespaceName": "alpine:3.18",
                "Description": "",
                "Severity": "Medium",
                "Link": "http://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-2023-0001",
                "Metadata": {"NVD": {"CVSSv2": {"Score": 6.4, "Vectors": "AV:N/AC:L/Au:N/C:P/I:P"}}},
                "FixedIn": [_fix("busybox", "1.36-r1"), _fix("musl", "1.2-r0")],
            }
        },
    ),
    "nvdv2": (
        "nvdv2:cves",
        {
            "cve": {
                "CVE_data_meta": {"ID": "CVE-2024-0001", "ASSIGNER": "a@b"},
                "description": {"description_data": [{"lang": "en", "value": "text"}]},
            },
            "severity": "High",
            "cvss_v2": {"base_metrics": {"base_score": 7.5}, "version": "2.0"},
            "cvss_v3": None,
            "external_references": [{"source": "x", "tags": [], "url": "http://x"}],
            "vulnerable_cpes": ["cpe:2.3:a:v:p:1.0:*:*:*:*:*:*:*"],
        },
    ),
    "nvd": (
        "nvddb:2024",
        {
            "@id": "CVE-2024-0001",
            "summary": "text",
            "vulnerable-software-list": {"product": ["cpe:/a:v:p:1.0"]},
            "cvss": {"base_metrics": {"score": "7.5"}},
        },
    ),
    "kev": (
        "kev:known-exploited",
        {
            "cveID": "CVE-2024-0001",
            "vendorProject": "Vendor",
            "product": "Product",
            "vulnerabilityName": "Name",
            "dateAdded": "2024-01-01",
            "shortDescription": "text",
            "requiredAction": "Apply.",
            "dueDate": "2024-02-01",
            "knownRansomwareCampaignUse": "Known",
            "notes": "",
        },
    ),
    "github": (
        "github:npm",
        {
            "Advisory": {
                "ghsaId": "GHSA-6cwv-x26c-w2q4",
                "namespace": "github:npm",
                "Summary": "text",
                "url": "https://github.com/advisories/GHSA-6cwv-x26c-w2q4",
                "Metadata": {"CVE": ["CVE-2018-8768"]},
                "CVE": ["CVE-2018-8768"],
                "withdrawn": None,
                "Severity": "Low",
                "FixedIn": [
                    {
                        "ecosystem": "npm",
                        "identifier": "5.4.1",
                        "name": "notebook",
                        "namespace": "github:npm",
                        "range": "< 5.4.1",
                    }
                ],
            },
            "Vulnerability": {},
        },
    ),
    "packages": (
        "gem",
        {"uinput-device": {"name": "uinput-device", "id": "131911", "latest": "0.4.0", "versions": ["0.3.2"]}},
    ),
    "vulndb": ("vulndb:vulnerabilities", {"id": "1", "severity": None, "vulnerable_cpes": ["a"]}),
    "microsoft": ("msrc:10816", {"id": "CVE-2019-0671", "link": "https://l", "product": {"id": "10816"}}),
}
