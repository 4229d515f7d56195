"""What other feeds know of a CVE, joined to an answer on request and never copied into records.

Each word of `with` is one line of the table: where its records are, and what is shown of one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from vulnfeeds.errors import BadRequestError
from vulnfeeds.records import epss, nvd
from vulnfeeds.store.interface import Store

_CVE: Final = "CVE-"


class Join(NamedTuple):
    """Where a word's records are, by CVE, and what is shown of one; None shows nothing."""

    feed: str
    group: str
    show: Callable[[bytes], Any]


def words(text: str) -> tuple[str, ...]:
    """Return the words of `with`, each once; raises BadRequestError that names an unknown one."""
    asked = tuple(dict.fromkeys(word.strip() for word in text.lower().split(",") if word.strip()))
    if unknown := [word for word in asked if word not in JOINS]:
        raise BadRequestError(f"with: {unknown[0][:40]!r} is not known; known are {', '.join(sorted(JOINS))}")
    return asked


def join(store: Store, asked: Sequence[str], names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what is known of those names that are CVEs, by CVE and word; what is not known is left out."""
    cves = sorted({name for name in names if name.startswith(_CVE)})
    known: dict[str, dict[str, Any]] = {}
    for feed, group in dict.fromkeys((JOINS[word].feed, JOINS[word].group) for word in asked):
        bodies = store.bodies(feed, group, cves)
        for word in asked:
            if (JOINS[word].feed, JOINS[word].group) != (feed, group):
                continue
            for cve, body in bodies.items():
                if (shown := JOINS[word].show(body)) is not None:
                    known.setdefault(cve, {})[word] = shown
    return known


class _Scored(msgspec.Struct):
    cvss_v2: nvd.CVSS2 | None = None
    cvss_v3: nvd.CVSS3 | None = None
    cvss_v4: nvd.CVSS4 | None = None


class _Problem(msgspec.Struct):
    problemtype: nvd.ProblemType


class _Weak(msgspec.Struct):
    cve: _Problem


_scored = msgspec.json.Decoder(_Scored)
_weak = msgspec.json.Decoder(_Weak)
_likelihood = msgspec.json.Decoder(epss.Score)


def _cvss(body: bytes) -> list[dict[str, Any]] | None:
    scored = _scored.decode(body)
    found = [score for score in (scored.cvss_v4, scored.cvss_v3, scored.cvss_v2) if score is not None]
    return [
        {
            "version": score.version,
            "vector": score.vector_string,
            "score": score.base_metrics.base_score,
            "severity": score.severity if isinstance(score, nvd.CVSS2) else score.base_metrics.base_severity,
        }
        for score in found
    ] or None


def _cwe(body: bytes) -> list[str] | None:
    kinds = _weak.decode(body).cve.problemtype.problemtype_data
    values = {text.value for kind in kinds for text in kind.description}
    return sorted(value for value in values if value.startswith("CWE-")) or None


def _epss(body: bytes) -> dict[str, float]:
    score = _likelihood.decode(body)
    return {"epss": score.epss, "percentile": score.percentile}


JOINS: Final[dict[str, Join]] = {
    "kev": Join("kev", "kev:known-exploited", msgspec.Raw),
    "epss": Join("epss", "epss:scores", _epss),
    "cvss": Join("nvdv2", "nvdv2:cves", _cvss),
    "cwe": Join("nvdv2", "nvdv2:cves", _cwe),
}
"""What can be asked for. A feed whose records are keyed by CVE needs one more line."""
