"""A month of Microsoft's security updates: a CVRF document, read as a stream and reduced to what records are made of.

<vuln:Vulnerability Ordinal="5">
  <vuln:CVE>CVE-2022-30140</vuln:CVE>
  <vuln:ProductStatuses><vuln:Status Type="Known Affected"><vuln:ProductID>11568</vuln:ProductID>...
  <vuln:Threats><vuln:Threat Type="Severity"><vuln:Description>Important</vuln:Description><vuln:ProductID>...
  <vuln:Remediations><vuln:Remediation Type="Vendor Fix"><vuln:Description>5014692</vuln:Description>
    <vuln:Supercedence>5013941</vuln:Supercedence><vuln:ProductID>11568</vuln:ProductID>...
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from vulnfeeds.drivers.formats.elements import children, text_of
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.decompress import open_bounded
from vulnfeeds.records.microsoft import CVSS, Product

ROOT: Final = "cvrfdoc"
_MOST_BYTES: Final = 512 << 20
"""Of one month; that of the largest has 30 MB."""
_ID: Final = re.compile(r"(?:CVE-[0-9]{4}-[0-9]{4,19}|ADV[0-9]{6,12})")
_PRODUCT: Final = re.compile(r"[0-9A-Za-z.-]{1,40}")
"""`11568`, `12345-11568` of a component on a platform."""
_KB: Final = re.compile(r"(?:KB)?([0-9]{6,8})", re.IGNORECASE)
_SUPERSEDED: Final = re.compile(r"\b(?:KB)?([0-9]{6,8})\b", re.IGNORECASE)
"""Most name one number; older months have several with blanks, commas or `MS16-001:` between them."""
_BREAK: Final = re.compile(r"</p>|<br\s*/?>|</li>|</div>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r"\s*\n\s*")
_AFFECTED: Final = frozenset({"Known Affected", "First Affected", "Recommended"})
_FIX: Final = "Vendor Fix"
_KNOWN_ISSUE: Final = "Known Issue"
_KINDS: Final = frozenset(
    {_FIX, _KNOWN_ISSUE, "Mitigation", "Workaround", "Will Not Fix", "None Available", "Release Notes"}
)


class Update(msgspec.Struct, frozen=True):
    """An update that fixes a vulnerability in some products."""

    kb: str
    supersedes: list[str]
    products: list[str]
    links: list[str]


class Said(msgspec.Struct):
    """What a month says of one vulnerability."""

    id: str
    title: str = ""
    summary: str = ""
    affected: list[str] = []
    severities: dict[str, list[str]] = {}
    """Microsoft's words by product."""
    scores: dict[str, CVSS] = {}
    updates: list[Update] = []


def read(context: Context, path: Path, month: str) -> Iterator[list[Product] | Said]:
    """Yield the products of a month, then its vulnerabilities.

    Raises ParseError when the document is not that of the month, ends early, or has no product or vulnerability: an
    empty month is never the truth.
    """
    found: set[str] = set()
    identified = has_products = False
    with open_bounded(path, max_bytes=_MOST_BYTES) as stream:
        for element in children(stream, path.name, ROOT):
            if element.tag == "DocumentTracking":
                _check_month(element, month, path.name)
                identified = True
            elif element.tag == "ProductTree":
                has_products = True
                yield _products(element, path.name)
            elif element.tag == "Vulnerability":
                said = _vulnerability(context, element, f"{path.name} Vulnerability {element.get('Ordinal', '?')}")
                if said is None:
                    continue
                if said.id in found:
                    raise ParseError(path.name, f"{said.id} is there twice")
                found.add(said.id)
                yield said
    if not identified or not has_products or not found:
        raise ParseError(path.name, "the month has no DocumentTracking, no ProductTree or no Vulnerability")


def plain(text: str) -> str:
    """Return the text of a description that is HTML, line by line."""
    spaced = _TAG.sub("", _BREAK.sub("\n", text))
    return _LINES.sub("\n", _BLANKS.sub(" ", html.unescape(spaced))).strip()


def _check_month(tracking: Element, month: str, place: str) -> None:
    identity = text_of(tracking, "Identification/ID")
    if identity != month:
        raise ParseError(f"{place} DocumentTracking", f"the document is that of {identity[:80]!r}, not of {month}")


def _products(tree: Element, place: str) -> list[Product]:
    found: dict[str, Product] = {}

    def take(branch: Element, family: str) -> None:
        for child in branch:
            if child.tag == "Branch":
                take(child, child.get("Name", ""))
            elif child.tag == "FullProductName":
                identity = child.get("ProductID", "")
                if not _PRODUCT.fullmatch(identity):
                    raise ParseError(f"{place} ProductTree", f"a product has the id {identity[:80]!r}")
                # Behind the branches, all products are listed once more without their family.
                found.setdefault(identity, Product(identity, (child.text or "").strip(), family))

    take(tree, "")
    if not found:
        raise ParseError(f"{place} ProductTree", "no product is listed")
    return list(found.values())


def _vulnerability(context: Context, element: Element, place: str) -> Said | None:
    identity = text_of(element, "CVE")
    if not identity:
        raise ParseError(place, "no CVE")
    if not _ID.fullmatch(identity):
        context.unknown("CVE", identity)
        return None
    title = plain(text_of(element, "Title"))
    notes = (note for note in element.iterfind("Notes/Note") if note.get("Type") == "Description")
    # Since 2020 most descriptions are empty.
    summary = next((text for note in notes if (text := plain(note.text or ""))), title)
    said = Said(identity, title, summary)
    said.affected = sorted(
        {
            product
            for status in element.iterfind("ProductStatuses/Status")
            if _known(context, "status", status.get("Type", ""), _AFFECTED)
            for product in _named(status)
        }
    )
    for threat in element.iterfind("Threats/Threat"):
        if threat.get("Type") == "Severity" and (word := text_of(threat, "Description")):
            for product in _named(threat):
                said.severities.setdefault(product, []).append(word)
    for score in element.iterfind("CVSSScoreSets/ScoreSet"):
        for product in _named(score):
            said.scores.setdefault(product, _score(score, place))
    said.updates = _updates(context, element)
    return said


def _updates(context: Context, element: Element) -> list[Update]:
    found: list[Update] = []
    links: dict[str, set[str]] = {}
    for remedy in element.iterfind("Remediations/Remediation"):
        kind = remedy.get("Type", "")
        match = _KB.fullmatch(text_of(remedy, "Description"))
        if not _known(context, "remediation", kind, _KINDS) or match is None or kind not in (_FIX, _KNOWN_ISSUE):
            # `Release Notes`, `Click to Run`, or a package's name: no update that a client could look for.
            continue
        kb = match[1]
        if url := text_of(remedy, "URL"):
            links.setdefault(kb, set()).add(url)
        if kind == _FIX:
            older = sorted(set(_SUPERSEDED.findall(text_of(remedy, "Supercedence"))) - {kb})
            found.append(Update(kb, older, sorted(set(_named(remedy))), []))
    return [msgspec.structs.replace(update, links=sorted(links.get(update.kb, ()))) for update in found]


def _score(element: Element, place: str) -> CVSS:
    base, temporal = text_of(element, "BaseScore"), text_of(element, "TemporalScore")
    try:
        score = CVSS(float(base), float(temporal) if temporal else None, text_of(element, "Vector"))
    except ValueError as error:
        raise ParseError(f"{place} ScoreSet", f"no number: {error}") from error
    for value in (score.base_score, score.temporal_score):
        if value is not None and not 0 <= value <= 10:
            raise ParseError(f"{place} ScoreSet", f"the score {value} is not between 0 and 10")
    return score


def _named(element: Element) -> Iterator[str]:
    return (text for child in element.iterfind("ProductID") if (text := (child.text or "").strip()))


def _known(context: Context, field: str, word: str, table: frozenset[str]) -> bool:
    if word in table:
        return True
    context.unknown(field, word)
    return False
