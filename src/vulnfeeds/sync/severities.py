"""NVD's severities in distributions' records, where the vendor gives none.

Records of drivers that take severities get `Metadata.NVD.CVSSv2`, and those whose vendor gives no severity get NVD's
word for it. Both belong to this module: filling a record anew gives what filling it the first time would have given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

from vulnfeeds.records import severity, wire
from vulnfeeds.records.record import Score
from vulnfeeds.records.severity import Severity
from vulnfeeds.records.vulnerability import OSRecord

SeveritySource = Literal["newest", "cvss2", "none"]
"""Which NVD score stands in: the newest CVSS (4, 3, 2), CVSS 2 as the original service did, or none at all."""

_CVE: Final = "CVE-"
_REMEMBERED: Final = 100_000


class ScoreStore(Protocol):
    """The part of the store that knows scores."""

    def scores(self, cves: list[str]) -> dict[str, Score]:
        """Return what NVD says of those CVEs that have a score."""
        ...


class Scores:
    """The scores that a run asks for, remembered, because the same CVE comes back in group after group."""

    def __init__(self, store: ScoreStore, source: SeveritySource) -> None:
        self._store = store
        self.source = source
        self._known: dict[str, Score | None] = {}

    def of(self, keys: Iterable[str]) -> Mapping[str, Score | None]:
        """Return what is known of those keys that are CVEs, and of others; nothing when the source is "none"."""
        if self.source == "none":
            return {}
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        missing = {key for key in keys if key not in self._known and key.startswith(_CVE)}
        if missing:
            found = self._store.scores(sorted(missing))
            self._known.update((cve, found.get(cve)) for cve in missing)
        return self._known


def fill(body: Any, score: Score | None, source: SeveritySource, *, takes_severity: bool) -> Any:
    """Return a body as its driver gave it, with what NVD says in the places that are NVD's.

    A body of another form than the distributions' comes back as it is; so does every body when the source is "none".
    """
    if source == "none":
        return body
    if isinstance(body, OSRecord):
        old = body.vulnerability
        metadata = _metadata(old.metadata, score)
        word = _severity(score, source) if takes_severity else old.severity
        if word == old.severity and metadata is old.metadata:
            return body
        return OSRecord(msgspec.structs.replace(old, metadata=metadata, severity=word))
    if isinstance(body, dict) and isinstance(body.get(wire.WRAPPER), dict):
        return refill(body, score, source, takes_severity=takes_severity)
    return body


def refill(
    body: dict[str, Any], score: Score | None, source: SeveritySource, *, takes_severity: bool
) -> dict[str, Any]:
    """Return a body from the store with what NVD says now; with source "none", without anything of NVD's."""
    old = body[wire.WRAPPER]
    said = score if source != "none" else None
    new = {**old, wire.METADATA: _metadata(old.get(wire.METADATA) or {}, said)}
    if takes_severity:
        new[wire.SEVERITY] = _severity(said, source)
    return {**body, wire.WRAPPER: new}


def _severity(score: Score | None, source: SeveritySource) -> Severity:
    if score is None:
        return "Unknown"
    if source == "cvss2":
        return "Unknown" if score.cvss2_score is None else severity.of_cvss2(score.cvss2_score)
    return score.newest


def _metadata(metadata: dict[str, Any], score: Score | None) -> dict[str, Any]:
    """Return metadata with NVD's part as it should be; the same object when it is so already."""
    if score is None or score.cvss2_score is None:
        if wire.NVD not in metadata:
            return metadata
        return {name: value for name, value in metadata.items() if name != wire.NVD}
    return {**metadata, wire.NVD: {wire.CVSS2: {"Score": score.cvss2_score, "Vectors": score.cvss2_vector}}}
