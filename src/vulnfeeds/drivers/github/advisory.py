"""What an advisory says, whichever source said it, and the records that it becomes: one for each ecosystem.

Both sources are read into the same type, so that both give the same records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from vulnfeeds.drivers.formats import vectors
from vulnfeeds.drivers.github.ecosystems import BY_NAME, FEED
from vulnfeeds.drivers.interface import Context
from vulnfeeds.records import github, severity
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import NO_FIX

PAGES: Final = "https://github.com/advisories/"

_ID: Final = re.compile(r"GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}")
_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,}")
_SEVERITIES: Final = frozenset({"LOW", "MODERATE", "HIGH", "CRITICAL"})
_CLASSIFICATIONS: Final = frozenset({github.GENERAL, github.MALWARE})


class Affects(msgspec.Struct, frozen=True, array_like=True):
    """Affected versions of one package."""

    ecosystem: str
    """Our name, or that of the source for an ecosystem that we do not know."""
    name: str
    range: str
    """Comparators as upstream writes them, with or without commas."""
    fixed: str
    """The first version that is not affected; "" when none is known."""


class Advisory(msgspec.Struct, frozen=True, array_like=True):
    """One advisory. Texts are upstream's own; times are RFC 3339."""

    id: str
    classification: str
    severity: str
    summary: str
    published: str
    updated: str
    withdrawn: str | None
    identifiers: tuple[str, ...]
    """All ids that upstream gives it, its own among them or not."""
    vectors: tuple[str, ...]
    references: tuple[str, ...]
    affects: tuple[Affects, ...]


def is_id(text: str) -> bool:
    """Tell whether a text is the id of an advisory of GitHub."""
    return _ID.fullmatch(text) is not None


def records(context: Context, advisory: Advisory) -> Iterator[Record]:
    """Yield the record of each ecosystem that an advisory is about; what we do not know is counted."""
    found: dict[str, list[github.Fix]] = {}
    for affects in advisory.affects:
        ecosystem = BY_NAME.get(affects.ecosystem)
        if ecosystem is None:
            context.unknown("ecosystem", affects.ecosystem)
            continue
        found.setdefault(ecosystem.name, []).append(
            github.Fix(
                name=affects.name,
                range=" ".join(affects.range.replace(",", " ").split()),
                identifier=affects.fixed or NO_FIX,
                ecosystem=ecosystem.name,
                namespace=ecosystem.group,
            )
        )
    if not found:
        return
    if advisory.severity not in _SEVERITIES:
        context.unknown("severity", advisory.severity)
    if advisory.classification not in _CLASSIFICATIONS:
        context.unknown("classification", advisory.classification)
    listed = vectors.listed(context, advisory.vectors)
    scored = vectors.newest(context, listed)
    cves = tuple(sorted({name for name in advisory.identifiers if _CVE.fullmatch(name)}))
    page = f"{PAGES}{advisory.id}"
    # Only the API lists the advisory's own page among the references.
    references = tuple(github.Reference(url) for url in sorted({*advisory.references} - {page}))
    for name, fixes in found.items():
        body = github.Advisory(
            ghsa_id=advisory.id,
            namespace=BY_NAME[name].group,
            summary=advisory.summary,
            severity=severity.of_word(advisory.severity),
            url=page,
            cve=cves,
            metadata=github.Names(cves),
            fixed_in=github.sort_fixes(fixes),
            withdrawn=advisory.withdrawn,
            classification=advisory.classification,
            published=advisory.published,
            updated=advisory.updated,
            cvss=scored,
            cvss_severities=listed,
            references=references,
        )
        yield Record(FEED, BY_NAME[name].group, advisory.id, github.GitHubRecord(body))
