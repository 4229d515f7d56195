"""What a driver yields: one body under its identity (feed, group, key)."""

from __future__ import annotations

from typing import Any

import msgspec

from vulnfeeds.records.severity import Severity


class Score(msgspec.Struct, frozen=True):
    """What NVD says of one CVE's severity, kept beside the NVD record for the distributions' records."""

    newest: Severity
    """The band of the newest CVSS that NVD gives (4, 3, 2); Unknown when it gives none."""
    cvss2_score: float | None = None
    """CVSS 2 base score; None when NVD gives no CVSS 2."""
    cvss2_vector: str | None = None


class Record(msgspec.Struct, frozen=True):
    """One normalised item; `body` is a typed value whose JSON is exactly what clients get."""

    feed: str
    group: str
    key: str
    body: Any
    takes_severity: bool = False
    """The vendor gives no severity: NVD's stands in where the settings say so."""
    score: Score | None = None
    """Only on records of nvdv2: what other drivers' records may take from it."""
