"""Records of feed `nvdv2`: one CVE as the NVD describes it, in the form of its former JSON 1.1 feed.

Clients read `cve`, `cvss_v2`, `cvss_v3`, `external_references`, `severity` and `vulnerable_cpes`. The keys `cvss_v4`
and `status` and the version ranges inside `configurations` are additions that clients ignore.

    {"cve": {"CVE_data_meta": {"ID": "CVE-1999-0001", ...}, ...}, "severity": "Medium", "cvss_v2": {...},
     "vulnerable_cpes": ["cpe:2.3:o:freebsd:freebsd:1.0:*:*:*:*:*:*:*"], "publishedDate": "1999-12-30T05:00Z", ...}
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vulnfeeds.records import severity, wire
from vulnfeeds.records.record import Score
from vulnfeeds.records.severity import Severity


class CPEMatch(msgspec.Struct, frozen=True, omit_defaults=True, rename=wire.NVD_CPE_MATCH):
    """A CPE 2.3 name or, with bounds, a range of versions of one product (the name's version is `*` then)."""

    cpe: str
    vulnerable: bool
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A logical test over names, or over other tests (`children`, for AND)."""

    operator: str
    cpe_match: tuple[CPEMatch, ...]
    children: tuple[Node, ...] = ()
    negate: bool = False


class Configurations(msgspec.Struct, frozen=True, rename=wire.NVD_CONFIGURATIONS):
    """What is vulnerable: the record concerns a system when any of the nodes holds."""

    nodes: tuple[Node, ...] = ()
    data_version: str = "4.0"


class Text(msgspec.Struct, frozen=True):
    """A text in one language."""

    lang: str
    value: str


class Description(msgspec.Struct, frozen=True):
    """What the vulnerability is, in English; never empty, because clients take the first text."""

    description_data: tuple[Text, ...]


class ProblemTexts(msgspec.Struct, frozen=True):
    """Weaknesses (CWE ids) of one kind."""

    description: tuple[Text, ...] = ()


class ProblemType(msgspec.Struct, frozen=True):
    """Weaknesses that the vulnerability comes from."""

    problemtype_data: tuple[ProblemTexts, ...]


class Meta(msgspec.Struct, frozen=True, rename=wire.NVD_META):
    """Identity of a CVE and who assigned it."""

    id: str
    assigner: str


class CVE(msgspec.Struct, frozen=True, rename=wire.NVD_CVE):
    """The part of a record that identifies and describes a CVE."""

    meta: Meta
    description: Description
    problemtype: ProblemType
    data_format: str = "MITRE"
    data_type: str = "CVE"
    data_version: str = "4.0"


class Reference(msgspec.Struct, frozen=True):
    """A document about the vulnerability."""

    url: str
    source: str
    tags: tuple[str, ...] = ()


class CVSS2Metrics(msgspec.Struct, frozen=True):
    """The base metrics of a CVSS 2 score."""

    base_score: float
    access_complexity: str | None = None
    access_vector: str | None = None
    authentication: str | None = None
    availability_impact: str | None = None
    confidentiality_impact: str | None = None
    exploitability_score: float | None = None
    impact_score: float | None = None
    integrity_impact: str | None = None


class CVSS2Facts(msgspec.Struct, frozen=True):
    """What the NVD adds to a CVSS 2 score; None where it does not say."""

    ac_insuf_info: bool | None = None
    obtain_all_privilege: bool | None = None
    obtain_other_privilege: bool | None = None
    obtain_user_privilege: bool | None = None
    user_interaction_required: bool | None = None


class CVSS2(msgspec.Struct, frozen=True):
    """A CVSS 2 score."""

    base_metrics: CVSS2Metrics
    severity: Severity
    vector_string: str
    additional_information: CVSS2Facts = CVSS2Facts()
    version: str = "2.0"


class CVSS3Metrics(msgspec.Struct, frozen=True):
    """The base metrics of a CVSS 3 score."""

    base_score: float
    base_severity: str
    attack_complexity: str | None = None
    attack_vector: str | None = None
    availability_impact: str | None = None
    confidentiality_impact: str | None = None
    exploitability_score: float | None = None
    impact_score: float | None = None
    integrity_impact: str | None = None
    privileges_required: str | None = None
    scope: str | None = None
    user_interaction: str | None = None


class CVSS3(msgspec.Struct, frozen=True):
    """A CVSS 3.0 or 3.1 score."""

    base_metrics: CVSS3Metrics
    vector_string: str
    version: str


class CVSS4Metrics(msgspec.Struct, frozen=True):
    """Score and band of a CVSS 4 score; the metrics themselves are in the vector."""

    base_score: float
    base_severity: str


class CVSS4(msgspec.Struct, frozen=True):
    """A CVSS 4 score."""

    base_metrics: CVSS4Metrics
    vector_string: str
    version: str


class NVDRecord(msgspec.Struct, frozen=True, kw_only=True, rename=wire.NVD_RECORD):
    """One CVE; lists are sorted, `vulnerable_cpes` holds each name once."""

    cve: CVE
    configurations: Configurations
    cvss_v2: CVSS2 | None
    cvss_v3: CVSS3 | None
    cvss_v4: CVSS4 | None
    external_references: tuple[Reference, ...]
    published_date: str
    """Minutes in UTC, as `2010-12-16T05:00Z`."""
    last_modified_date: str
    severity: Severity
    status: str
    """The NVD's word for the state of its analysis: Analyzed, Deferred, Rejected, ..."""
    vulnerable_cpes: tuple[str, ...]


def band(cvss_v2: CVSS2 | None, cvss_v3: CVSS3 | None, cvss_v4: CVSS4 | None) -> Severity:
    """Return a record's severity: CVSS 3's, else 2's as the original did, else 4's, else Unknown."""
    if cvss_v3 is not None:
        return severity.of_word(cvss_v3.base_metrics.base_severity)
    if cvss_v2 is not None:
        return cvss_v2.severity
    return severity.of_word(cvss_v4.base_metrics.base_severity) if cvss_v4 is not None else "Unknown"


def score(record: NVDRecord) -> Score | None:
    """Return what other drivers' records may take from this one; None when the NVD gives no CVSS at all."""
    two = record.cvss_v2
    newest = band(two, record.cvss_v3, None)
    if record.cvss_v4 is not None:
        newest = severity.of_word(record.cvss_v4.base_metrics.base_severity)
    elif record.cvss_v3 is None and two is None:
        return None
    return Score(
        newest=newest,
        cvss2_score=two.base_metrics.base_score if two else None,
        cvss2_vector=two.vector_string if two else None,
    )


def leaves(nodes: tuple[Node, ...]) -> Iterator[tuple[CPEMatch, bool]]:
    """Yield every match under `nodes` with "is vulnerable": flagged so, and under no negated node."""
    for node in nodes:
        for match in node.cpe_match:
            yield match, match.vulnerable and not node.negate
        for match, vulnerable in leaves(node.children):
            yield match, vulnerable and not node.negate
