"""What a record becomes before ids are given: a vulnerability, the packages and products that it affects. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from vulnfeeds.publish.grypedb.blobs import PackageBlob, VulnerabilityBlob
from vulnfeeds.publish.grypedb.systems import System

Status = Literal["active", "analyzing", "rejected", "disputed", ""]


class Product(NamedTuple):
    """A CPE without version and update: a row of `cpes`; "" means any, `-` means none."""

    part: str
    vendor: str
    product: str
    edition: str = ""
    language: str = ""
    software_edition: str = ""
    target_hardware: str = ""
    target_software: str = ""
    other: str = ""


class Package(msgspec.Struct, frozen=True):
    """Affected (or, for `unaffected`, explicitly not affected) versions of a package in some systems."""

    name: str
    ecosystem: str
    """The client's package type: `deb`, `npm`, `java-archive`."""
    blob: PackageBlob
    systems: tuple[System, ...] = ()
    """Each gets a row of its own; none for packages of languages."""
    unaffected: bool = False


class Named(msgspec.Struct, frozen=True):
    """Affected versions of a product that a CPE names."""

    product: Product
    blob: PackageBlob


class Weakness(NamedTuple):
    """A CWE of a CVE; `type` is Primary or Secondary."""

    cwe: str
    source: str = ""
    type: str = "Primary"


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one record; dates are RFC 3339 or YYYY-MM-DD, "" where unknown."""

    name: str
    origin: str
    blob: VulnerabilityBlob
    status: Status = "active"
    published: str = ""
    modified: str = ""
    withdrawn: str = ""
    packages: tuple[Package, ...] = ()
    products: tuple[Named, ...] = ()
    weaknesses: tuple[Weakness, ...] = ()
    left_out: tuple[str, ...] = ()
    """Why packages or products of the record are not among them."""
