"""Advisories (RHSA) of the CSAF folder: which package versions each one published, for which CVE and release."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from vulnfeeds.drivers.formats import csaf
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.redhat import streams
from vulnfeeds.drivers.redhat.issues import release_of_cpe
from vulnfeeds.errors import DanglingError, ParseError

BASE: Final = "https://security.access.redhat.com/data/csaf/v2/advisories/"
KIND: Final = "rhsa-"
FORM: Final = "advisories 2"
"""Changes with what is kept of a document."""
LINK: Final = "https://access.redhat.com/errata/"

_UNUSED = ("-debuginfo", "-debugsource")


class Fix(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A package version that an advisory published for a release."""

    release: str
    package: str
    version: str
    module: str
    source: bool
    """Whether it is a source package."""
    minor: str
    """The minor release that it was built for, "" where nothing tells."""
    channels: tuple[str, ...]
    """What brings it to a host: see `issues.State`."""


class Advisory(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of an advisory."""

    id: str
    severity: str
    issued: str
    """YYYY-MM-DD."""
    updated: str
    fixes: list[Fix]
    cves: dict[str, list[int]]
    """Which of the fixes are for a CVE, as places in `fixes`."""
    cvss2: dict[str, str] = {}
    """Score and vector by CVE, "5.0/AV:N/AC:L/Au:N/C:N/I:N/A:P", where Red Hat gave one."""

    def fixes_of(self, cve: str, release: str) -> list[Fix]:
        """Return what it published for a CVE in a release."""
        return [fix for fix in (self.fixes[place] for place in self.cves.get(cve, ())) if fix.release == release]


class Reducer:
    """Reduces documents to advisories; a product id that leads nowhere is counted.

    Raises DanglingError for a CVE of which nothing but such ids is said: without them the advisory, or the CVE in it,
    would look withdrawn.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._encoder = msgspec.msgpack.Encoder()

    def __call__(self, name: str, data: bytes) -> bytes | None:
        """Return an advisory for `Advisories`; None when it is about none of our releases."""
        document = csaf.read(data, name)
        if file_of(document.id) != name:
            raise ParseError(name, f"the document calls itself {document.id[:40]!r}")
        places: dict[Fix, int] = {}
        # What a product id stands for, as a place in the fixes: each stands in the lists of several CVEs.
        known: dict[str, int | None] = {}
        lost: set[str] = set()
        cves: dict[str, list[int]] = {}
        cvss2: dict[str, str] = {}
        for vulnerability in document.vulnerabilities:
            product_ids = _fixed(document, vulnerability)
            for product_id in product_ids:
                if product_id not in known:
                    fix = self._fix(document, product_id, lost)
                    known[product_id] = places.setdefault(fix, len(places)) if fix else None
            found = {place for place in map(known.__getitem__, product_ids) if place is not None}
            if not found and not lost.isdisjoint(product_ids):
                raise DanglingError(name, f"no product id of {vulnerability.cve} that is fixed leads anywhere")
            if found and vulnerability.cve:
                cves[vulnerability.cve] = sorted(found | set(cves.get(vulnerability.cve, ())))
                if score := next((score.cvss_v2 for score in vulnerability.scores if score.cvss_v2), None):
                    cvss2[vulnerability.cve] = f"{score.base_score}/{score.vector_string}"
        if not cves:
            return None
        issued, updated = document.issued[:10], document.updated[:10]
        advisory = Advisory(document.id, document.severity, issued, updated, list(places), cves, cvss2)
        return self._encoder.encode(advisory)

    def _fix(self, document: csaf.Document, product_id: str, lost: set[str]) -> Fix | None:
        """Return what a product id stands for; None for what we do not serve, and for what leads nowhere (`lost`)."""
        cpe = document.cpe(product_id)
        if cpe is None:
            self._lose(document, product_id, lost)
            return None
        if not (release := release_of_cpe(cpe)):
            return None
        product = document.product(product_id)
        if product is None:
            self._lose(document, product_id, lost)
            return None
        package = product.package
        if package is None or not package.version or package.name.endswith(_UNUSED):
            return None
        stream = streams.stream(release, package.version, cpe=cpe, platform=document.platform(product_id))
        return Fix(release, package.name, package.version, package.module, package.arch == "src", *stream)

    def _lose(self, document: csaf.Document, product_id: str, lost: set[str]) -> None:
        lost.add(product_id)
        self._context.unknown("product id that leads nowhere", f"{document.id} {product_id}")


def _fixed(document: csaf.Document, vulnerability: csaf.Vulnerability) -> list[str]:
    """Return the ids of the products that an advisory fixes a CVE in."""
    ids = [
        product_id
        for remedy in vulnerability.remediations
        if remedy.category == "vendor_fix" and remedy.url.endswith(document.id)
        for product_id in remedy.product_ids
    ]
    return ids or vulnerability.product_status.get("fixed", [])


class Advisories:
    """The kept advisories by id."""

    def __init__(self, kept: KeptDocuments) -> None:
        decoder = msgspec.msgpack.Decoder(Advisory)

        @lru_cache(maxsize=256)
        def find(name: str) -> Advisory | None:
            body = kept.body(name)
            return decoder.decode(body) if body is not None else None

        self._find = find

    def get(self, advisory: str) -> Advisory | None:
        """Return an advisory; None when we have none of that id, or it is about none of our releases."""
        return self._find(file_of(advisory))


def file_of(advisory: str) -> str:
    """Return the path of an advisory's document: RHSA-2024:0010 is 2024/rhsa-2024_0010.json."""
    return f"{advisory[5:9]}/{advisory.lower().replace(':', '_')}.json"
