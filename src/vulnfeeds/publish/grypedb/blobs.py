"""The JSON texts of a database: what a vulnerability is, and which versions of a package it affects.

A client fails the whole scan on a text that it cannot read, so these types are the only way to write one. Empty
members are left out, as clients expect; `rpm_modularity` is the one whose emptiness says something.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

FixState = Literal["", "fixed", "not-fixed", "wont-fix", "not-affected"]


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document; the first one of a vulnerability is what clients show as its source."""

    url: str
    id: str = ""
    tags: tuple[str, ...] = ()


class Vector(msgspec.Struct, frozen=True, omit_defaults=True):
    """A CVSS vector; clients compute scores from it."""

    vector: str
    version: str = ""


class Severity(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How bad somebody says it is; a client shows the first one."""

    scheme: Literal["CVSS", "HML", "CHML", "CHMLN", ""]
    value: str | Vector
    source: str = ""
    rank: int | msgspec.UnsetType = msgspec.UNSET
    """1 for the primary one; always written."""


class VulnerabilityBlob(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a vulnerability is."""

    id: str
    assigner: tuple[str, ...] = ()
    description: str = ""
    refs: tuple[Reference, ...] = ()
    aliases: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """Versions of a package: how they are compared, and which; an empty constraint means all."""

    type: str = ""
    constraint: str = ""


class Available(msgspec.Struct, frozen=True):
    """When a fix came (YYYY-MM-DD), and how that is known."""

    date: str
    kind: str


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a fix beyond its version."""

    available: Available | None = None
    references: tuple[Reference, ...] = ()


class Fix(msgspec.Struct, frozen=True, omit_defaults=True):
    """The version that fixes, or why there is none."""

    version: str = ""
    state: FixState = ""
    detail: Detail | None = None


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Affected versions and their fix; several ranges are alternatives."""

    version: Version
    fix: Fix | None = None


class Qualifiers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else must hold for a package to be meant, all of it."""

    rpm_modularity: str | msgspec.UnsetType = msgspec.UNSET
    """Module and stream; "" for "in no module"; unset for "never mind"."""
    platform_cpes: tuple[str, ...] = ()
    architecture: str = ""


class PackageBlob(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which versions of a package, or of a CPE's product, a vulnerability affects."""

    cves: tuple[str, ...] = ()
    qualifiers: Qualifiers | None = None
    ranges: tuple[Range, ...] = ()


class ExploitedBlob(msgspec.Struct, frozen=True, omit_defaults=True):
    """What CISA says of a vulnerability that is exploited; dates are RFC 3339."""

    cve: str
    vendor_project: str = ""
    product: str = ""
    date_added: str = ""
    required_action: str = ""
    due_date: str = ""
    known_ransomware_campaign_use: str = ""
    notes: str = ""
    urls: tuple[str, ...] = ()
    cwes: tuple[str, ...] = ()


Blob = VulnerabilityBlob | PackageBlob | ExploitedBlob

_encoder: Final = msgspec.json.Encoder()


def encode(blob: Blob) -> bytes:
    """Return a blob's text."""
    return _encoder.encode(blob)


def kind(table: str) -> type[Any]:
    """Return what the blobs that a table of handles refers to must be."""
    if table == "vulnerability_handles":
        return VulnerabilityBlob
    return ExploitedBlob if table == "known_exploited_vulnerability_handles" else PackageBlob
