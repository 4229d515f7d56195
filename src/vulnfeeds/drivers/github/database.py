"""Advisories from the archive of GitHub's advisory database: OSV documents, no token needed.

    advisory-database-main/advisories/github-reviewed/2019/03/GHSA-fx7m-j728-mjw3/GHSA-fx7m-j728-mjw3.json

Unreviewed advisories, ten times as many, are copies of the NVD's that name no package; they are passed over unread.
Malware is not among the documents: the API alone knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.github.advisory import Advisory, Affects
from vulnfeeds.drivers.github.ecosystems import OF_OSV
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits
from vulnfeeds.records import github

ARCHIVE: Final = "https://github.com/github/advisory-database/archive/refs/heads/main.tar.gz"
REDIRECTED: Final = "https://codeload.github.com/github/advisory-database/"

_LIMITS: Final = ArchiveLimits(max_members=5_000_000, max_member_bytes=osv.MAX_BYTES)
_MEMBER: Final = re.compile(r"(?:[^/]+/)?advisories/github-reviewed/(?:[^/]+/)*([^/]+)\.json")
_LAST_KNOWN: Final = "last_known_affected_version_range"
_SCALES: Final = frozenset({"CVSS_V3", "CVSS_V4"})
_text: Final = msgspec.json.Decoder(str)


def advisories(path: Path) -> Iterator[Advisory]:
    """Yield the reviewed advisories of the archive.

    Raises ParseError, naming the member, for a document of another shape or about another advisory than its name
    says, and when there is none; DownloadError and LimitError as archives do.
    """
    for name, document in osv.read_archive(path, wanted=_wanted, limits=_LIMITS, url=ARCHIVE):
        match = _MEMBER.fullmatch(name)
        if match is None or match[1] != document.id:
            raise ParseError(name, f"is about {document.id[:80]!r}")
        yield of_document(document, name)


def of_document(document: osv.OSVRecord, place: str) -> Advisory:
    """Return what an OSV document says. Raises ParseError when GitHub's own fields have another shape."""
    own = document.database_specific
    return Advisory(
        id=document.id,
        classification=github.GENERAL,
        severity=_said(own, "severity", place),
        summary=document.summary,
        published=document.published,
        updated=document.modified,
        withdrawn=document.withdrawn or None,
        identifiers=tuple(document.aliases),
        vectors=tuple(item.score for item in document.severity if item.type in _SCALES),
        references=tuple(item.url for item in document.references),
        affects=tuple(affects for item in document.affected for affects in _affects(item, place)),
    )


def _wanted(name: str) -> bool:
    return "/github-reviewed/" in name and name.endswith(".json")


def _affects(affected: osv.Affected, place: str) -> Iterator[Affects]:
    package = affected.package
    if package is None:
        return
    # An ecosystem may have a repository of its own behind it: "Maven:https://repo.example/".
    ecosystem = OF_OSV.get(package.ecosystem.partition(":")[0], package.ecosystem)
    for text, fixed in _ranges(affected, place):
        yield Affects(ecosystem, package.name, text, fixed)


def _ranges(affected: osv.Affected, place: str) -> Iterator[tuple[str, str]]:
    """Yield (range as the API words it, fixing version or "").

    OSV knows no "up to the last affected version, fixed by that one", so GitHub says the former besides:

        {"events": [{"introduced": "0"}, {"fixed": "5.0.0"}]} and {"last_known_affected_version_range": "<= 4.3.2"}

    and lists a single affected version besides the range:

        {"events": [{"introduced": "2.4.0"}, {"fixed": "2.4.1"}]} and {"versions": ["2.4.0"]}
    """
    if not affected.ranges:
        for version in affected.versions:
            yield f"= {version}", ""
        return
    spans = osv.spans_of(affected)
    known = _said(affected.database_specific, _LAST_KNOWN, place)
    for span in spans:
        fixed = span.fixed or ""
        if len(spans) == 1 and affected.versions == [span.introduced]:
            yield f"= {span.introduced}", fixed
        elif len(spans) == 1 and known:
            yield (known if span.introduced == osv.START else f">= {span.introduced} {known}"), fixed
        else:
            yield osv.comparators(span), fixed


def _said(own: dict[str, msgspec.Raw], name: str, place: str) -> str:
    """Return a text among GitHub's own fields, "" when it is not there."""
    if name not in own or bytes(own[name]) == b"null":
        return ""
    try:
        return _text.decode(own[name])
    except msgspec.MsgspecError as error:
        raise ParseError(f"{place}: database_specific.{name}", str(error)) from error
