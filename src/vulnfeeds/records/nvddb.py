"""Records of feed `nvd`: one CVE as an entry of the NVD's former XML 2.0 feed, read as JSON. For clients up to 0.6.

{"@id": "CVE-2014-0160", "summary": "...", "cvss": {"base_metrics": {"score": "5.0", ...}},
 "vulnerable-software-list": {"product": ["cpe:/a:openssl:openssl:1.0.1"]}, ...}
"""

from __future__ import annotations

import msgspec

from vulnfeeds.records import wire


class Fact(msgspec.Struct, frozen=True, rename=wire.NVDDB_FACT):
    """A CPE 2.2 URI."""

    name: str


class LogicalTest(msgspec.Struct, frozen=True, omit_defaults=True, rename=wire.NVDDB_TEST):
    """Facts, or other tests, joined by an operator; `negate` is "true" or "false" as text."""

    operator: str
    negate: str
    facts: tuple[Fact, ...] = ()
    tests: tuple[LogicalTest, ...] = ()


class Configuration(msgspec.Struct, frozen=True, rename=wire.NVDDB_CONFIGURATION):
    """What is vulnerable."""

    test: LogicalTest
    id: str = "http://nvd.nist.gov/"


class Software(msgspec.Struct, frozen=True, omit_defaults=True):
    """Vulnerable products as CPE 2.2 URIs; the key is absent when there is none."""

    product: tuple[str, ...] = ()


class Metrics(msgspec.Struct, frozen=True, omit_defaults=True, rename=wire.NVDDB_METRICS):
    """A score as text, and the CVSS 2 metrics where the score is one of CVSS 2."""

    score: str
    access_vector: str | None = None
    access_complexity: str | None = None
    authentication: str | None = None
    confidentiality_impact: str | None = None
    integrity_impact: str | None = None
    availability_impact: str | None = None
    source: str = "http://nvd.nist.gov"


class CVSS(msgspec.Struct, frozen=True):
    """The wrapper that clients expect around metrics."""

    base_metrics: Metrics


class Weakness(msgspec.Struct, frozen=True, rename=wire.NVDDB_CWE):
    """A CWE id."""

    id: str


class Link(msgspec.Struct, frozen=True, rename=wire.NVDDB_LINK):
    """Where a document is."""

    href: str
    text: str


class Reference(msgspec.Struct, frozen=True):
    """A document about the vulnerability."""

    source: str
    reference: Link


class NVDDBRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire.NVDDB_RECORD):
    """One CVE; `cvss` is absent when the NVD gives no score."""

    id: str
    cve_id: str
    summary: str
    software: Software
    configurations: tuple[Configuration, ...]
    published: str
    last_modified: str
    references: tuple[Reference, ...]
    cwe: tuple[Weakness, ...]
    cvss: CVSS | None = None
