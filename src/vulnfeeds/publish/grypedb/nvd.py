"""Records of feed `nvdv2` as rows of a Grype database: products that CPEs name, and weaknesses. Pure.

node AND of (OR app < 2, vulnerable) and (OR system, not vulnerable)
  ->  a row for the app whose blob says: < 2, on the platform "system"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import constraints
from vulnfeeds.publish.grypedb.blobs import (
    Fix,
    PackageBlob,
    Qualifiers,
    Range,
    Reference,
    Severity,
    Vector,
    Version,
    VulnerabilityBlob,
)
from vulnfeeds.publish.grypedb.rows import Named, Product, Status, Vulnerability, Weakness
from vulnfeeds.records import cpe
from vulnfeeds.records.nvd import CPEMatch, Node, NVDRecord

ORIGIN: Final = "nvd"

_DETAIL: Final = "https://nvd.nist.gov/vuln/detail/"
_PARTS: Final = frozenset("aho")
_STATUS: Final[dict[str, Status]] = {
    "analyzed": "active",
    "modified": "active",
    "published": "active",
    "awaiting analysis": "analyzing",
    "undergoing analysis": "analyzing",
    "rejected": "rejected",
    "reject": "rejected",
    "disputed": "disputed",
}
"""The NVD's word for the state of its analysis; every other one (Received, Deferred) says nothing to a client."""
_CWE: Final = re.compile(r"CWE-\d+|NVD-CWE-Other", re.ASCII)
_JVM: Final = frozenset({"jdk", "jre", "openjdk", "java_se", "zulu", "java"})
# Words of a CPE's target software by which clients compare versions.
_FORMATS: Final = {
    "python": "python",
    "pypi": "python",
    "maven": "maven",
    "npm": "semantic",
    "composer": "semantic",
    "nuget": "semantic",
    "go": "go",
    "golang": "go",
    "gem": "gem",
}
_NO_VERSION: Final = frozenset({"", "*", "-"})

_decoder: Final = msgspec.json.Decoder(NVDRecord)


class _Candidate:
    """What is known of one product while the nodes are read."""

    def __init__(self) -> None:
        self.matches: dict[tuple[str, ...], None] = {}
        self.platforms: dict[str, None] = {}


def rows(body: bytes) -> Vulnerability:
    """Return what a record becomes, without the products whose versions clients could not read."""
    record = _decoder.decode(body)
    name = record.cve.meta.id
    left_out: list[str] = []
    return Vulnerability(
        name=name,
        origin=ORIGIN,
        status=_STATUS.get(record.status.lower(), ""),
        published=record.published_date,
        modified=record.last_modified_date,
        blob=VulnerabilityBlob(
            id=name,
            assigner=(record.cve.meta.assigner,) if record.cve.meta.assigner else (),
            description=record.cve.description.description_data[0].value.strip(),
            refs=_references(record, name),
            severities=severities(record),
        ),
        products=tuple(_products(name, record.configurations.nodes, left_out)),
        weaknesses=tuple(_weaknesses(record)),
        left_out=tuple(left_out),
    )


def severities(record: NVDRecord) -> tuple[Severity, ...]:
    """Return the vectors that the NVD gives, the one that counts first."""
    # Which of them is the primary one the record does not say, nor whose each is. In upstream's documents it is that
    # of CVSS 3 if there is one, nearly always: those of CVSS 4 are from others than the NVD (CVE-2018-25161).
    vectors = [cvss for cvss in (record.cvss_v3, record.cvss_v4, record.cvss_v2) if cvss is not None]
    return tuple(Severity(scheme="CVSS", value=Vector(cvss.vector_string, cvss.version), rank=1) for cvss in vectors)


def _references(record: NVDRecord, name: str) -> tuple[Reference, ...]:
    references = {(detail := _DETAIL + name): Reference(detail)}
    for reference in record.external_references:
        if reference.url and reference.url not in references:
            tags = sorted(tag.lower().replace(" ", "-").replace("_", "-") for tag in reference.tags)
            references[reference.url] = Reference(reference.url, tags=tuple(tags))
    return tuple(references.values())


def _weaknesses(record: NVDRecord) -> Iterator[Weakness]:
    seen = set()
    for texts in record.cve.problemtype.problemtype_data:
        for text in texts.description:
            if _CWE.fullmatch(text.value) and text.value not in seen:
                seen.add(text.value)
                yield Weakness(text.value)


def _products(name: str, nodes: tuple[Node, ...], left_out: list[str]) -> Iterator[Named]:
    candidates: dict[Product, _Candidate] = {}
    for node in nodes:
        if node.negate:
            continue
        if node.operator == "AND":
            _take(candidates, list(_flat(node.children)), all_hold=True)
        else:
            _take(candidates, list(_flat((node,))), all_hold=False)
    for product in sorted(candidates):
        candidate = candidates[product]
        try:
            ranges = tuple(_range(product, match) for match in sorted(candidate.matches))
        except RecordError as error:
            left_out.append(f"{product.vendor}:{product.product}: {error}")
            continue
        platforms = tuple(candidate.platforms)
        qualifiers = Qualifiers(platform_cpes=platforms) if platforms else None
        yield Named(product, PackageBlob((name,), qualifiers, ranges))


def _flat(nodes: tuple[Node, ...]) -> Iterator[CPEMatch]:
    """Yield the matches under nodes that are alternatives; names that must all hold at once cannot be expressed."""
    for node in nodes:
        if node.operator == "OR" and not node.negate:
            yield from node.cpe_match
            yield from _flat(node.children)


def _take(candidates: dict[Product, _Candidate], matches: list[CPEMatch], *, all_hold: bool) -> None:
    """Add what matches say; the names that are not vulnerable are platforms where all parts of a node must hold."""
    vulnerable: list[tuple[Product, tuple[str, ...]]] = []
    for match in matches:
        taken = _apart(match.cpe) if match.vulnerable else None
        if taken is not None and taken[0].part in _PARTS:
            vulnerable.append((taken[0], _bounds(match, taken[1], taken[2])))
    named = {product for product, _ in vulnerable}
    platforms: list[str] = []
    if all_hold:
        others = [match.cpe for match in matches if not match.vulnerable]
        platforms = [other for other in others if (taken := _apart(other)) is not None and taken[0] not in named]
    for product, bounds in vulnerable:
        candidate = candidates.setdefault(product, _Candidate())
        if any(bounds):
            candidate.matches[bounds] = None
        candidate.platforms.update(dict.fromkeys(platforms))


@lru_cache(maxsize=16384)
def _apart(name: str) -> tuple[Product, str, str] | None:
    """Return a CPE's product, version and update, unescaped; None for what is no CPE."""
    parts = cpe.split(name)
    if parts is None:
        return None
    part, vendor, product, version, update, edition, language, software, target, hardware, other = (
        "" if value == "*" else cpe.plain(value) for value in parts[2:]
    )
    return Product(part, vendor, product, edition, language, software, hardware, target, other), version, update


def _bounds(match: CPEMatch, version: str, update: str) -> tuple[str, ...]:
    """Return (exact version, start including, start excluding, end including, end excluding), "" for none."""
    limits = (
        cpe.plain(match.version_start_including or ""),
        cpe.plain(match.version_start_excluding or ""),
        cpe.plain(match.version_end_including or ""),
        cpe.plain(match.version_end_excluding or ""),
    )
    if any(limits):
        return ("", *limits)
    if version in _NO_VERSION:
        return (version, *limits)
    return (version if update in _NO_VERSION else f"{version}-{update}", *limits)


def _range(product: Product, bounds: tuple[str, ...]) -> Range:
    exact, from_, after, upto, before = bounds
    units = []
    if from_ or after:
        units.append(f">= {constraints.quote(from_)}" if from_ else f"> {constraints.quote(after)}")
    if before or upto:
        units.append(f"< {constraints.quote(before)}" if before else f"<= {constraints.quote(upto)}")
    if not units and exact not in _NO_VERSION:
        units.append(f"= {constraints.quote(exact)}")
    constraint = constraints.check(", ".join(units), "")
    version_format = "jvm" if product.product in _JVM else _FORMATS.get(product.target_software, "")
    if not constraints.passes(constraint, version_format):
        version_format = ""
    # The end of a range is a fix unless the same record calls that very version affected.
    fixed = before not in _NO_VERSION and before not in (from_, upto, exact)
    return Range(Version(version_format, constraint), Fix(before, "fixed") if fixed else None)
