"""Records of feed `osv`: one advisory of a source in one ecosystem, in the form of feed `github` with more keys.

    {"Advisory": {"ghsaId": "GO-2020-0004", "namespace": "govulndb:go", "FixedIn": [...], "withdrawn": null,
                  "aliases": ["CVE-2020-36569", "GHSA-hrm3-3xm6-x33h"],
                  "affected": [{"name": "...", "ecosystem_specific": {"imports": [{"path": "...", "symbols": []}]}}]},
     "Vulnerability": {}}

`ghsaId` is the advisory's own id, whoever gave it: that key is the one by which readers of the form know a record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vulnfeeds.records import github, wire


class Package(msgspec.Struct, frozen=True, omit_defaults=True):
    """A package of an advisory, and what only its source knows to say of it."""

    name: str
    purl: str = ""
    ecosystem_specific: dict[str, Any] = {}
    """As upstream says it: for Go `imports`, each with `path` and `symbols`."""
    database_specific: dict[str, Any] = {}


class Advisory(github.Advisory, frozen=True, omit_defaults=True, rename=wire.GITHUB):
    """An advisory with what OSV knows more of it. Lists are sorted, and hold each value once."""

    aliases: tuple[str, ...] = ()
    """All other ids of the same advisory: CVE, GHSA, PYSEC, ..."""
    related: tuple[str, ...] = ()
    details: str = ""
    """Not sent when the summary says the same."""
    affected: tuple[Package, ...] = ()
    database_specific: dict[str, Any] = msgspec.field(default_factory=dict)
    """As upstream says it: CPEs, review status, origins of malware."""


class OSVRecord(msgspec.Struct, frozen=True, rename=wire.GITHUB_WRAPPER):
    """The wrapper around an advisory."""

    advisory: Advisory
    vulnerability: github.Empty = github.Empty()
