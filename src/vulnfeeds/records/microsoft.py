"""Records of feed `microsoft`: one vulnerability in one product, and the products themselves.

Wire form: reference client contract, microsoft records. `fixed_in` names the updates (KB) that fix it first, and
those that stand for them today; `vulnerable` the updates before, with which the product still is vulnerable.
"""

from __future__ import annotations

from typing import Final

import msgspec

from vulnfeeds.records.severity import Severity

FEED: Final = "microsoft"
PRODUCTS: Final = "msrc:products"


class Product(msgspec.Struct, frozen=True):
    """What Microsoft ships and names by a number: a record of PRODUCTS, and part of the others."""

    id: str
    name: str
    family: str
    """The group that Microsoft sorts it under: `Windows`, `ESU`."""


class Fix(msgspec.Struct, frozen=True):
    """An update that fixes a vulnerability."""

    id: str
    """The number of its article, without KB: `5014692`."""
    is_first: bool
    """It is one of those that the vulnerability was published with."""
    is_latest: bool
    """No other update takes its place; only these become fixes at clients."""
    links: tuple[str, ...]


class CVSS(msgspec.Struct, frozen=True):
    """Microsoft's score of a vulnerability in a product."""

    base_score: float
    temporal_score: float | None
    vector: str


class Vulnerability(msgspec.Struct, frozen=True, omit_defaults=True):
    """One vulnerability in one product."""

    id: str
    """CVE, or Microsoft's own (`ADV220002`)."""
    product: Product
    severity: Severity
    summary: str
    link: str
    vulnerable: tuple[str, ...]
    fixed_in: tuple[Fix, ...]
    cvss: CVSS | None = None
    """Absent when Microsoft gives no score."""


def group(product: str) -> str:
    """Return the group of a product's vulnerabilities: `msrc:11568`."""
    return f"msrc:{product}"
