"""The records that an OSV document becomes: one for each group that its ecosystems fill. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec
from cvss import CVSS4
from cvss.exceptions import CVSSError

from vulnfeeds.drivers.formats import osv as documents
from vulnfeeds.drivers.formats import vectors
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.osv.settings import SourceSettings
from vulnfeeds.drivers.osv.versions import order_of
from vulnfeeds.errors import ParseError
from vulnfeeds.records import canonical, github, osv, severity
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity
from vulnfeeds.records.vulnerability import CVSS, NO_FIX

FEED: Final = "osv"

_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,}")
_SCALES: Final = frozenset({"CVSS_V3", "CVSS_V4"})
_NO_VERSION: Final = re.compile(r"[\s,|<>=~^!]")
"""What would make another range of a version, were it written into one."""
_MALICIOUS: Final = "MAL-"
_RANGES: Final = frozenset({"SEMVER", "ECOSYSTEM", "GIT"})
_URL: Final = re.compile(r"https?://\S+")

_any: Final = msgspec.json.Decoder()


def check(document: documents.OSVRecord, place: str) -> None:
    """Pass a document of which records can be made; raise ParseError, naming `place`, otherwise."""
    if not document.id:
        raise ParseError(place, "a document without id")
    _plain(document.database_specific, place)
    for affected in document.affected:
        _package(affected, place)


def records(
    context: Context, name: str, source: SourceSettings, document: documents.OSVRecord, place: str
) -> Iterator[Record]:
    """Yield the record of each group; what we do not know is counted.

    Raises ParseError, naming `place`, when what only upstream knows is no JSON that can be written again.
    """
    found: dict[str, list[documents.Affected]] = {}
    for affected in document.affected:
        if affected.package is None:
            # Source code of a repository: no package, no version.
            context.unknown("package", None)
        elif known := source.group_of(affected.package.ecosystem):
            found.setdefault(known, []).append(affected)
        else:
            context.unknown("ecosystem", affected.package.ecosystem)
    own = _plain(document.database_specific, place)
    for ecosystem, parts in found.items():
        group = f"{name}:{ecosystem}"
        body = _advisory(context, document, own, group, source.page, parts, place)
        yield Record(FEED, group, document.id, osv.OSVRecord(body))


def _advisory(
    context: Context,
    document: documents.OSVRecord,
    own: dict[str, Any],
    group: str,
    page: str,
    parts: list[documents.Affected],
    place: str,
) -> osv.Advisory:
    cves = tuple(sorted({alias for alias in (document.id, *document.aliases) if _CVE.fullmatch(alias)}))
    listed = _vectors(context, document, parts)
    packages = [_package(affected, place) for affected in parts]
    scored = vectors.newest(context, listed)
    # Bitnami's documents have no summary.
    summary = document.summary or document.details.strip().partition("\n")[0]
    return osv.Advisory(
        ghsa_id=document.id,
        namespace=group,
        summary=summary,
        severity=_severity(context, own, packages, listed, scored),
        url=_page(own, page, document.id),
        cve=cves,
        metadata=github.Names(cves),
        fixed_in=github.sort_fixes([fix for affected in parts for fix in _fixes(context, group, affected)]),
        withdrawn=document.withdrawn or None,
        classification=github.MALWARE if document.id.startswith(_MALICIOUS) else github.GENERAL,
        published=document.published,
        updated=document.modified,
        cvss=scored,
        cvss_severities=listed,
        references=tuple(github.Reference(url) for url in sorted({item.url for item in document.references})),
        aliases=tuple(sorted({*document.aliases} - {document.id})),
        related=tuple(sorted({*document.related, *document.upstream})),
        details=document.details if document.details.strip() != summary else "",
        affected=_each_once(packages),
        database_specific=own,
    )


def _fixes(context: Context, group: str, affected: documents.Affected) -> Iterator[github.Fix]:
    package = affected.package
    if package is None:
        return
    ecosystem = group.partition(":")[2]
    for span in _spans(context, package, affected):
        said = [version for version in span if version is not None]
        if odd := [version for version in said if not version or _NO_VERSION.search(version)]:
            context.unknown("version", odd[0])
            continue
        yield github.Fix(
            name=package.name,
            range=documents.comparators(span),
            identifier=span.fixed or NO_FIX,
            ecosystem=ecosystem,
            namespace=group,
        )


def _spans(context: Context, package: documents.Package, affected: documents.Affected) -> Iterator[documents.Span]:
    """Yield the spans of a package: those of its ranges, or each listed version where it has none.

    A list beside ranges names the versions that lie in them, so it says nothing new; commits (GIT) are no versions.
    """
    ranges = 0
    for item in affected.ranges:
        if item.type not in _RANGES:
            context.unknown("range", item.type)
        if item.type == "GIT" or not item.events:
            continue
        ranges += 1
        found = documents.spans(
            item.events,
            order=order_of(package.ecosystem, item.type),
            on_incomparable=lambda version: context.unknown("version out of order", version),
        )
        # OSV: introduced and fixed by the same version affects nothing.
        yield from (span for span in found if span.introduced != span.fixed)
    if not ranges:
        if not affected.versions:
            context.unknown("package without versions", package.name)
        for version in affected.versions:
            yield documents.Span(version, None, version)


def _package(affected: documents.Affected, place: str) -> osv.Package:
    package = affected.package or documents.Package("", "")
    return osv.Package(
        name=package.name,
        purl=package.purl,
        ecosystem_specific=_plain(affected.ecosystem_specific, place),
        database_specific=_plain(affected.database_specific, place),
    )


def _each_once(packages: list[osv.Package]) -> tuple[osv.Package, ...]:
    """Return packages of which there is more to say than their name, sorted, each once."""
    more = [package for package in packages if package != osv.Package(package.name)]
    if len(more) < 2:
        return tuple(more)
    said = {canonical.encode(package): package for package in more}
    return tuple(said[text] for text in sorted(said))


def _severity(
    context: Context,
    own: dict[str, Any],
    packages: list[osv.Package],
    listed: tuple[github.Vector, ...],
    scored: CVSS | None,
) -> Severity:
    """Return the source's own word for the whole or for its packages, else the band of its newest CVSS vector."""
    found: list[Severity] = []
    for said in (own, *(package.database_specific for package in packages)):
        word = said.get("severity")
        if isinstance(word, str):
            known = severity.of_word(word)
            if known == "Unknown" and word.lower() not in ("", "unknown"):
                context.unknown("severity", word)
            found.append(known)
    word_said = severity.highest(found)
    if word_said != "Unknown":
        return word_said
    for vector in reversed(listed):
        if vector.version.startswith("4."):
            try:
                return severity.of_cvss3(float(CVSS4(vector.vector).base_score))
            except (CVSSError, KeyError, ValueError):
                context.unknown("CVSS vector", vector.vector)
    return severity.of_cvss3(scored.base_metrics.base_score) if scored is not None else "Unknown"


def _vectors(
    context: Context, document: documents.OSVRecord, parts: list[documents.Affected]
) -> tuple[github.Vector, ...]:
    texts = []
    for item in (*document.severity, *(item for affected in parts for item in affected.severity)):
        if item.type in _SCALES:
            texts.append(item.score)
        else:
            context.unknown("CVSS vector", item.score)
    return vectors.listed(context, texts)


def _page(own: dict[str, Any], page: str, identity: str) -> str:
    url = own.get("url")
    return url if isinstance(url, str) and _URL.fullmatch(url) else f"{page}{quote(identity)}"


def _plain(own: dict[str, msgspec.Raw], place: str) -> dict[str, Any]:
    """Return what only upstream knows, as it says it, without what it leaves empty."""
    try:
        found = {name: _any.decode(raw) for name, raw in own.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"{place}: what is specific to the source", str(error)) from error
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}
