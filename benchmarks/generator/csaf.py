"""CSAF as Red Hat writes it: documents of products and what is said of them, their archive, and its lists."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import msgspec
import zstandard

from benchmarks.generator import folder
from benchmarks.generator.plan import Plan

Documents = Callable[[Plan], Iterator[tuple[str, int, dict[str, Any]]]]
"""(path, day of the last change, document) of what is there on the plan's day."""

_NO_WORKAROUND: Final = (
    "Mitigation for this issue is either not available or the currently available options do not meet the Red Hat "
    "Product Security criteria comprising ease of use and deployment, applicability to widespread installation base "
    "or stability."
)
_UPDATE: Final = (
    "For details on how to apply this update, which includes the changes described in this advisory, refer to:\n\n"
    "https://access.redhat.com/articles/11258"
)
_UNFIXED: Final = {"Affected": "none_available", "Fix deferred": "none_available"}


class Product(NamedTuple):
    """A package as part of a platform; without a version it is the package in all its versions."""

    platform: str
    cpe: str
    package: str
    version: str = ""
    arch: str = ""

    @property
    def component(self) -> str:
        """The id of the package."""
        return f"{self.package}-0:{self.version}.{self.arch}" if self.version else self.package

    @property
    def purl(self) -> str:
        """What the package is told by."""
        at = f"@{self.version}?arch={self.arch}" if self.version else "?arch=src"
        return f"pkg:rpm/redhat/{self.package}{at}"


class Vulnerability(NamedTuple):
    """What a document says of a CVE."""

    cve: str
    description: str
    severity: str
    fixes: dict[str, list[str]]
    """What the ids that an advisory fixes have in them, by its address."""
    state: str
    """Of the products that have no version, by Red Hat's word."""


def write(plan: Plan, root: Path, archive: str, documents: Documents) -> None:
    """Write the archive of day 1, the lists, and the documents that changed since."""
    before = {path: day for path, day, _ in documents(replace(plan, day=plan.day - 1))} if plan.day > 1 else {}
    with (
        folder.replacing(root / archive) as file,
        zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as packed,
    ):
        _archive(cast(BinaryIO, packed), documents(replace(plan, day=1)))
    folder.write(root / "archive_latest.txt", archive.encode())
    changes, there = [], set()
    for path, touched, document in documents(plan):
        there.add(path)
        if touched > 1:
            folder.write(root / path, msgspec.json.encode(document))
            changes.append(f'"{path}","{plan.moment(touched):%Y-%m-%dT%H:%M:%S}+00:00"')
        elif not changes:
            changes.append(f'"{path}","2026-02-01T07:00:00+00:00"')
    # A true list is never empty.
    gone = ['"2001/rhsa-2001_001.json","2025-02-01T07:00:00+00:00"']
    gone += [f'"{path}","{plan.moment(plan.day):%Y-%m-%dT%H:%M:%S}+00:00"' for path in sorted(before.keys() - there)]
    folder.write(root / "changes.csv", "\n".join([*changes, ""]).encode())
    folder.write(root / "deletions.csv", "\n".join([*gone, ""]).encode())


def _archive(file: BinaryIO, documents: Iterator[tuple[str, int, dict[str, Any]]]) -> None:
    with tarfile.open(fileobj=file, mode="w|") as archive:
        for path, _, document in documents:
            content = msgspec.json.encode(document)
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            # The library keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]


def document(name: str, moment: datetime, products: list[Product], said: list[Vulnerability]) -> dict[str, Any]:
    """Return a document of all that is said of some products."""
    dates = {"initial_release_date": "2025-08-15T00:00:00+00:00", "current_release_date": moment.isoformat()}
    return {
        "document": {
            "aggregate_severity": {
                "namespace": "https://access.redhat.com/security/updates/classification/",
                "text": said[0].severity,
            },
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "notes": [
                {"category": "legal_disclaimer", "text": "This content is licensed under the ...", "title": ""}
            ],
            "publisher": {"category": "vendor", "name": "Red Hat Product Security"},
            "title": name,
            "tracking": {**dates, "id": name, "status": "final", "version": "3", "revision_history": [dates] * 3},
        },
        "product_tree": {"branches": [_branches(products)], "relationships": [_relation(each) for each in products]},
        "vulnerabilities": [_vulnerability(each, products) for each in said],
    }


def _branches(products: list[Product]) -> dict[str, Any]:
    platforms = {product.platform: product.cpe for product in products}
    components = {product.component: product for product in products}
    by_arch: dict[str, list[dict[str, Any]]] = {}
    for name, product in components.items():
        helper = {"purl": product.purl}
        leaf = {"name": name, "product_id": name, "product_identification_helper": helper}
        by_arch.setdefault(product.arch, []).append({"category": "product_version", "name": name, "product": leaf})
    families = [
        {"category": "product_name", "name": name,
         "product": {"name": name, "product_id": name, "product_identification_helper": {"cpe": cpe}}}
        for name, cpe in platforms.items()
    ]  # fmt: skip
    archs = [{"branches": leaves, "category": "architecture", "name": arch} for arch, leaves in by_arch.items()]
    family = {"branches": families, "category": "product_family", "name": "Red Hat Enterprise Linux"}
    return {"branches": [family, *archs], "category": "vendor", "name": "Red Hat"}


def _id(product: Product) -> str:
    return f"{product.platform}:{product.component}"


def _relation(product: Product) -> dict[str, Any]:
    return {
        "category": "default_component_of",
        "full_product_name": {
            "name": f"{product.component} as a component of {product.platform}",
            "product_id": _id(product),
        },
        "product_reference": product.component,
        "relates_to_product_reference": product.platform,
    }


def _vulnerability(said: Vulnerability, products: list[Product]) -> dict[str, Any]:
    fixed = [_id(product) for product in products if product.version]
    rest = [_id(product) for product in products if not product.version]
    unaffected = said.state == "Not affected"
    status = {"fixed": fixed, "known_not_affected" if unaffected else "known_affected": rest}
    remedies: list[dict[str, Any]] = [
        {"category": "vendor_fix", "date": "2025-08-15T00:00:00+00:00", "details": _UPDATE, "url": url,
         "product_ids": [name for name in fixed if parts[0] in name]}
        for url, parts in said.fixes.items()
    ]  # fmt: skip
    remedies.append({"category": "workaround", "details": _NO_WORKAROUND, "product_ids": [*fixed, *rest]})
    if rest and not unaffected:
        category = _UNFIXED.get(said.state, "no_fix_planned")
        remedies.append({"category": category, "details": said.state, "product_ids": rest})
    affected = fixed if unaffected else [*fixed, *rest]
    score = {"baseScore": 7.5, "baseSeverity": "HIGH", "attackVector": "NETWORK", "version": "3.1",
             "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}  # fmt: skip
    return {
        "cve": said.cve,
        "cwe": {"id": "CWE-400", "name": "Uncontrolled Resource Consumption"},
        "notes": [
            {"category": "description", "text": said.description, "title": "Vulnerability description"},
            {"category": "summary", "text": said.description[:80], "title": "Vulnerability summary"},
        ],
        "product_status": {name: ids for name, ids in status.items() if ids},
        "references": [
            {
                "category": "self",
                "summary": "Canonical URL",
                "url": f"https://access.redhat.com/security/cve/{said.cve}",
            }
        ],
        "release_date": "2025-07-16T00:00:00+00:00",
        "remediations": remedies,
        "scores": [{"cvss_v3": score, "products": affected}] if affected else [],
        "threats": [{"category": "impact", "details": said.severity, "product_ids": affected}],
    }
