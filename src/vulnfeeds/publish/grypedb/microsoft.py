"""Records of feed `microsoft` as rows of a Grype database. Pure.

{"id": "CVE-2019-0671", "product": {"id": "10852"}, "vulnerable": ["4480961"], "fixed_in": [{"id": "4493470"}]}
  ->  package 10852 of type msrc-kb: 4480961 || base, fixed by 4493470

Clients compare the updates (KBs) that a Windows host has: any of those in the constraint makes it vulnerable, and so
does `base`, which stands for a host without any.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from vulnfeeds.publish.grypedb import constraints
from vulnfeeds.publish.grypedb.blobs import (
    Available,
    Detail,
    Fix,
    PackageBlob,
    Range,
    Reference,
    Severity,
    Vector,
    Version,
    VulnerabilityBlob,
)
from vulnfeeds.publish.grypedb.rows import Package, Vulnerability

ORIGIN: Final = "msrc"
PRODUCTS: Final = "msrc:products"
"""The group that only says which products there are."""

_ECOSYSTEM: Final = "msrc-kb"
_FORMAT: Final = "kb"
_BASE: Final = "base"
_VECTOR: Final = re.compile(r"CVSS:(\d\.\d)/")
_OLD: Final = "3.0"
"""Version of a vector that does not name its own."""


class _Product(msgspec.Struct):
    id: str


class _Scored(msgspec.Struct):
    vector: str | None = None


class _Available(msgspec.Struct, rename="pascal"):
    date: str
    kind: str = "advisory"


class _Update(msgspec.Struct, rename={"available": "Available"}):
    id: str
    is_latest: bool = False
    available: _Available | None = None


class _Record(msgspec.Struct):
    id: str
    product: _Product
    link: str
    severity: str | None = None
    summary: str | None = None
    cvss: _Scored | None = None
    vulnerable: tuple[str, ...] = ()
    fixed_in: tuple[_Update, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Record)


def rows(body: bytes) -> Vulnerability:
    """Return what a record becomes; RecordError when its updates are nothing that clients could read."""
    record = _decoder.decode(body)
    constraint = constraints.check(" || ".join(dict.fromkeys([*record.vulnerable, _BASE])), _FORMAT)
    return Vulnerability(
        name=record.id,
        origin=ORIGIN,
        blob=VulnerabilityBlob(
            id=record.id,
            description=(record.summary or "").strip(),
            refs=(Reference(record.link),) if record.link else (),
            severities=_severities(record),
        ),
        packages=(
            Package(
                record.product.id,
                _ECOSYSTEM,
                PackageBlob(ranges=(Range(Version(_FORMAT, constraint), _fix(record)),)),
            ),
        ),
    )


def _severities(record: _Record) -> tuple[Severity, ...]:
    vector = record.cvss.vector if record.cvss else None
    version = _VECTOR.match(vector or "")
    scored = (
        (Severity(scheme="CVSS", value=Vector(vector, version[1] if version else _OLD), rank=0),) if vector else ()
    )
    word = (record.severity or "").strip().lower()
    return scored if word in ("", "unknown") else (Severity(scheme="CHML", value=word, rank=0), *scored)


def _fix(record: _Record) -> Fix:
    update = next((update for update in record.fixed_in if update.is_latest), None)
    if update is None:
        return Fix("", "not-fixed")
    detail = Detail(Available(update.available.date, update.available.kind)) if update.available else None
    return Fix(update.id, "fixed", detail)
