"""The names that records have on the wire, in one place.

Python names are snake_case; clients need `FixedIn` and `NamespaceName`. Each record type takes its map from here.
"""

from __future__ import annotations

from typing import Final

VULNERABILITY: Final = {
    "name": "Name",
    "namespace_name": "NamespaceName",
    "description": "Description",
    "severity": "Severity",
    "link": "Link",
    "fixed_in": "FixedIn",
    "metadata": "Metadata",
    "cvss": "CVSS",
}
FIXED_IN: Final = {
    "name": "Name",
    "namespace_name": "NamespaceName",
    "version": "Version",
    "version_format": "VersionFormat",
    "vendor_advisory": "VendorAdvisory",
    "module": "Module",
    "vulnerable_range": "VulnerableRange",
    "arch": "Arch",
    "available": "Available",
    "advisories": "Advisories",
}
BUILD: Final = {"advisory": "Advisory", "version": "Version", "minor": "Minor", "channels": "Channels"}
AVAILABLE: Final = {"date": "Date", "kind": "Kind"}
VENDOR_ADVISORY: Final = {"no_advisory": "NoAdvisory", "advisory_summary": "AdvisorySummary"}
ADVISORY: Final = {"id": "ID", "link": "Link"}

GITHUB_WRAPPER: Final = {"advisory": "Advisory", "vulnerability": "Vulnerability"}
GITHUB: Final = {
    "ghsa_id": "ghsaId",
    "summary": "Summary",
    "severity": "Severity",
    "cve": "CVE",
    "metadata": "Metadata",
    "fixed_in": "FixedIn",
    "classification": "Classification",
    "cvss": "CVSS",
}
GITHUB_METADATA: Final = {"cve": "CVE"}

# Where a withdrawn record keeps what makes a client drop it.
WRAPPER: Final = "Vulnerability"
FIXES: Final = "FixedIn"
METADATA: Final = "Metadata"
SEVERITY: Final = "Severity"
NVD: Final = "NVD"
CVSS2: Final = "CVSSv2"
CPES: Final = "vulnerable_cpes"
SOFTWARE: Final = "vulnerable-software-list"
MSRC_VULNERABLE: Final = "vulnerable"
MSRC_FIXES: Final = "fixed_in"

NVD_RECORD: Final = {"published_date": "publishedDate", "last_modified_date": "lastModifiedDate"}
NVD_CVE: Final = {"meta": "CVE_data_meta"}
NVD_META: Final = {"assigner": "ASSIGNER", "id": "ID"}
NVD_CONFIGURATIONS: Final = {"data_version": "CVE_data_version"}
NVD_CPE_MATCH: Final = {
    "cpe": "cpe23Uri",
    "version_start_including": "versionStartIncluding",
    "version_start_excluding": "versionStartExcluding",
    "version_end_including": "versionEndIncluding",
    "version_end_excluding": "versionEndExcluding",
}

NVDDB_RECORD: Final = {
    "id": "@id",
    "cve_id": "cve-id",
    "configurations": "vulnerable-configuration",
    "software": SOFTWARE,
    "published": "published-datetime",
    "last_modified": "last-modified-datetime",
}
NVDDB_CONFIGURATION: Final = {"id": "@id", "test": "logical-test"}
NVDDB_TEST: Final = {"operator": "@operator", "negate": "@negate", "facts": "fact-ref", "tests": "logical-test"}
NVDDB_FACT: Final = {"name": "@name"}
NVDDB_CWE: Final = {"id": "@id"}
NVDDB_METRICS: Final = {
    "access_vector": "access-vector",
    "access_complexity": "access-complexity",
    "confidentiality_impact": "confidentiality-impact",
    "integrity_impact": "integrity-impact",
    "availability_impact": "availability-impact",
}
NVDDB_LINK: Final = {"href": "@href", "text": "#text"}
