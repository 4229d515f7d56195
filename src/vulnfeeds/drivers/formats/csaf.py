"""CSAF 2.0: one JSON document of advisories or VEX, read into products and what is said of them.

    document: {tracking: {id, ...}, aggregate_severity: {text}}
    product_tree:
      branches: [...{product: {product_id, product_identification_helper: {cpe | purl}}}]
      relationships: [{full_product_name: {product_id}, product_reference, relates_to_product_reference}]
    vulnerabilities: [{cve, product_status: {fixed: [ids], known_affected: [ids]}, remediations, threats, scores}]

A product id of a vulnerability stands for "this component as part of that platform": a relationship leads from it to
the component (which has a purl) and the platform (which has a CPE). The ids themselves are never taken apart: their
form changed several times. A platform may be a relationship too (a package of a module of a platform).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec
from packageurl import PackageURL

from vulnfeeds.errors import ParseError

MAX_BYTES: Final = 256 << 20
"""Most bytes of one document; the largest true ones have some tens of MB."""
_PLAIN: Final = re.compile(
    r"pkg:rpm/redhat/([\w.+-]+)(?:@([\w.+~^-]+))?(?:\?arch=([\w-]+)(?:&epoch=(\d+))?)?", re.ASCII
)
"""A package's purl as it is mostly: `pkg:rpm/redhat/bash@4.2.46-35.el7_9?arch=x86_64&epoch=1`."""
_MAX_STEPS: Final = 8
"""Most relationships from a product id to its platform; true documents have 2."""


class Package(msgspec.Struct, frozen=True):
    """An rpm as a purl names it."""

    name: str
    version: str
    """Always "epoch:version-release"; "" when the document speaks of the package in all its versions."""
    arch: str
    """"src" for a source package, "" when the purl does not say."""
    module: str
    """"name:stream" of the module that it is part of, else ""."""


class Product(msgspec.Struct, frozen=True):
    """What a product id stands for."""

    cpe: str
    """The platform's CPE, as the document writes it."""
    package: Package | None
    """None when the id stands for the platform itself, or for a module as a whole."""


class Remediation(msgspec.Struct, frozen=True):
    """What is to be done about some products: `category` tells whether that is a fix."""

    category: str
    details: str = ""
    product_ids: list[str] = []
    url: str = ""
    date: str = ""


class Threat(msgspec.Struct, frozen=True):
    """With category "impact": the vendor's severity for some products, or for all."""

    category: str
    details: str = ""


class CVSS2(msgspec.Struct, frozen=True, rename="camel"):
    """The vendor's CVSS 2 score, in old documents."""

    vector_string: str
    base_score: float


class CVSS3(msgspec.Struct, frozen=True, rename="camel"):
    """The vendor's CVSS 3 score."""

    vector_string: str
    base_score: float


class Score(msgspec.Struct, frozen=True):
    """Scores for some products."""

    cvss_v2: CVSS2 | None = None
    cvss_v3: CVSS3 | None = None


class Note(msgspec.Struct, frozen=True):
    """A text, of which `category` tells what it is."""

    category: str
    text: str = ""


class Vulnerability(msgspec.Struct, frozen=True):
    """What a document says of one CVE."""

    cve: str = ""
    product_status: dict[str, list[str]] = {}
    remediations: list[Remediation] = []
    threats: list[Threat] = []
    scores: list[Score] = []
    notes: list[Note] = []


class _Helper(msgspec.Struct):
    cpe: str = ""
    purl: str = ""


class _Product(msgspec.Struct):
    product_id: str
    product_identification_helper: _Helper | None = None


class _Branch(msgspec.Struct):
    branches: list[_Branch] = []
    product: _Product | None = None


class _Relationship(msgspec.Struct):
    full_product_name: _Product
    product_reference: str
    relates_to_product_reference: str


class _Tree(msgspec.Struct):
    branches: list[_Branch] = []
    full_product_names: list[_Product] = []
    relationships: list[_Relationship] = []


class _Tracking(msgspec.Struct):
    id: str
    initial_release_date: str
    current_release_date: str


class _Severity(msgspec.Struct):
    text: str = ""


class _Head(msgspec.Struct):
    tracking: _Tracking
    aggregate_severity: _Severity | None = None


class _Whole(msgspec.Struct):
    document: _Head
    product_tree: _Tree | None = None
    vulnerabilities: list[Vulnerability] = []


_decoder: Final = msgspec.json.Decoder(_Whole)


class Document:
    """A document whose product ids can be asked what they stand for."""

    def __init__(self, whole: _Whole) -> None:
        tracking = whole.document.tracking
        self.id = tracking.id
        self.issued = tracking.initial_release_date
        """As the document writes it: an ISO time."""
        self.updated = tracking.current_release_date
        severity = whole.document.aggregate_severity
        self.severity = severity.text if severity else ""
        """The vendor's word, of all vulnerabilities together."""
        self.vulnerabilities = whole.vulnerabilities
        self._cpes: dict[str, str] = {}
        self._purls: dict[str, str] = {}
        tree = whole.product_tree or _Tree()
        for product in (*tree.full_product_names, *_products(tree.branches)):
            helper = product.product_identification_helper
            if helper and helper.purl:
                self._purls[product.product_id] = helper.purl
            if helper and helper.cpe:
                self._cpes[product.product_id] = helper.cpe
        self._relations = {
            relation.full_product_name.product_id: (
                relation.product_reference,
                relation.relates_to_product_reference,
            )
            for relation in tree.relationships
        }

    def platform(self, product_id: str) -> str:
        """Return the id of the platform that a product id belongs to; "" when the id leads nowhere."""
        for _ in range(_MAX_STEPS):
            if product_id in self._cpes:
                return product_id
            if product_id not in self._relations:
                return ""
            product_id = self._relations[product_id][1]
        return ""

    def cpe(self, product_id: str) -> str | None:
        """Return the CPE of the platform that a product id belongs to; None when the id leads nowhere."""
        return self._cpes.get(self.platform(product_id))

    def component(self, product_id: str) -> str:
        """Return the id of the component that a product id stands for; "" when it is a platform."""
        return self._relations[product_id][0] if product_id in self._relations else ""

    def product(self, product_id: str) -> Product | None:
        """Return what a product id stands for; None when it leads nowhere, or its purl cannot be read."""
        cpe = self.cpe(product_id)
        if cpe is None:
            return None
        if product_id not in self._relations:
            return Product(cpe, None)
        component, platform = self._relations[product_id]
        package = self._package(component)
        if package is None:
            return None
        if not package.module and platform in self._relations:
            outer = self._purls.get(self._relations[platform][0], "")
            found = _module(outer) if outer else ""
            package = msgspec.structs.replace(package, module=found)
        return Product(cpe, package if package.name else None)

    def _package(self, component: str) -> Package | None:
        if purl := self._purls.get(component):
            found = _package(purl)
        else:
            # A component without purl is a plain name, or a module and a name: "nodejs:18/nodejs".
            module, _, name = component.rpartition("/")
            found = Package(name, "", "", module) if name and ":" not in name else None
        if found is not None and not found.module and not found.version and "/" in component:
            return msgspec.structs.replace(found, module=component.rpartition("/")[0])
        return found


def read(data: bytes, place: str) -> Document:
    """Return a document. Raises ParseError, naming `place` and the key, when it does not have the expected shape."""
    try:
        return Document(_decoder.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ParseError(place, str(error)) from error
    except RecursionError as error:
        raise ParseError(place, "branches nest too deep") from error


def _products(branches: list[_Branch]) -> Iterator[_Product]:
    waiting = list(reversed(branches))
    while waiting:
        branch = waiting.pop()
        if branch.product is not None:
            yield branch.product
        waiting.extend(reversed(branch.branches))


@lru_cache(maxsize=65536)
def _package(purl: str) -> Package | None:
    """Return the package that a purl names, with no name when it is a module; None when it is neither."""
    if match := _PLAIN.fullmatch(purl):
        # Nearly all: nothing in them is escaped, and there are a million in an archive.
        name, version, arch, epoch = match.groups("")
        return Package(name, f"{epoch or '0'}:{version}" if version else "", arch, "")
    try:
        parsed = PackageURL.from_string(purl)
    except ValueError:
        return None
    if parsed.type == "rpmmod":
        return Package("", "", "", _module(purl))
    if parsed.type != "rpm":
        return Package("", "", "", "")
    qualifiers = parsed.qualifiers
    version = f"{qualifiers.get('epoch', '0')}:{parsed.version}" if parsed.version else ""
    return Package(parsed.name, version, qualifiers.get("arch", ""), _stream(qualifiers.get("rpmmod", "")))


@lru_cache(maxsize=4096)
def _module(purl: str) -> str:
    """Return "name:stream" of a purl of a module (type rpmmod), "" of others."""
    try:
        parsed = PackageURL.from_string(purl)
    except ValueError:
        return ""
    if parsed.type != "rpmmod":
        return ""
    return _stream(f"{parsed.name}:{parsed.version}") if parsed.version else parsed.name


def _stream(text: str) -> str:
    """Return the first two parts of "name:stream:version:context"."""
    return ":".join(text.split(":")[:2])
