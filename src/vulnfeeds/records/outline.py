"""The outline of a record: what records of all feeds say alike, read from their canonical bodies. Pure.

Severity, link, the other names of the vulnerability, the vulnerabilities that an advisory is about, fixes by package,
and vulnerable products. Feeds that say nothing of the kind have an empty outline; so have feeds that we do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from vulnfeeds.errors import RecordError
from vulnfeeds.records import cpe, wire
from vulnfeeds.records.vulnerability import NO_FIX, NOT_AFFECTED

Status = Literal["fixed", "unfixed", "will_not_fix", "not_affected"]
"""What a fix says: there is one, there is none yet, there will be none, the package was never affected."""

NVD_PAGE: Final = "https://nvd.nist.gov/vuln/detail/"
_CVE: Final = "CVE-"


class Citation(msgspec.Struct, frozen=True):
    """An advisory that a fix is cited in."""

    id: str
    link: str | None = None


class Fix(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a record says of one package."""

    package: str
    status: Status
    version: str | None = None
    """The version that fixes; None when there is none."""
    format: str = ""
    """Whose order of versions holds: `dpkg`, `rpm`, `apk`, ...; of an advisory for a language, its ecosystem."""
    range: str = ""
    """Affected versions, where the record says more than "older than `version`"."""
    module: str = ""
    arch: str = ""
    advisories: tuple[Citation, ...] = ()


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vulnerable product as a CPE 2.3 name, with the bounds of its versions where the record gives a range."""

    cpe: str
    start_including: str | None = None
    start_excluding: str | None = None
    end_including: str | None = None
    end_excluding: str | None = None


class Outline(msgspec.Struct, frozen=True):
    """What a record says, whatever its feed."""

    severity: str | None = None
    link: str | None = None
    aliases: tuple[str, ...] = ()
    """Other names of the one vulnerability that the record is about."""
    covers: tuple[str, ...] = ()
    """The vulnerabilities that an advisory is about: they are not the same as each other."""
    fixes: tuple[Fix, ...] = ()
    products: tuple[Product, ...] = ()


EMPTY: Final = Outline()
ALIASING: Final = ("github", "vulndb")
"""Feeds whose records have aliases."""


def outline(feed: str, group: str, key: str, body: bytes, *, withdrawn: bool = False) -> Outline:
    """Return the outline of a record; `withdrawn` ones affect nothing.

    Raises RecordError when the body does not have the shape that its feed's records have.
    """
    read = _READERS.get(feed)
    if read is None:
        return EMPTY
    try:
        found = read(group, key, body)
    except msgspec.MsgspecError as error:
        raise RecordError(f"{feed}/{group} {key}: no outline: {error}") from error
    return msgspec.structs.replace(found, fixes=(), products=()) if withdrawn else found


def exact_names(body: bytes) -> tuple[str, ...]:
    """Return the exact vulnerable CPE names of a record of feed `nvdv2`, which can be thousands."""
    return _names.decode(body).vulnerable_cpes


# --- vulnerabilities ------------------------------------------------------------------------------------------------


class _Summary(msgspec.Struct, rename=wire.ADVISORY):
    id: str
    link: str | None = None


class _VendorAdvisory(msgspec.Struct, rename=wire.VENDOR_ADVISORY):
    no_advisory: bool = False
    advisory_summary: list[_Summary] | None = None


class _FixedIn(msgspec.Struct, rename=wire.FIXED_IN):
    name: str
    version: str
    version_format: str
    vendor_advisory: _VendorAdvisory | None = None
    module: str | None = None
    vulnerable_range: str = ""
    arch: str = ""


class _Metadata(msgspec.Struct, frozen=True, rename={"cve": "CVE"}):
    cve: tuple[Any, ...] = ()


class _Vulnerability(msgspec.Struct, rename=wire.VULNERABILITY):
    severity: str
    link: str | None
    fixed_in: list[_FixedIn]
    metadata: _Metadata = _Metadata()


class _OSRecord(msgspec.Struct, rename={"vulnerability": wire.WRAPPER}):
    vulnerability: _Vulnerability


def _vulnerabilities(group: str, key: str, body: bytes) -> Outline:
    record = _os.decode(body).vulnerability
    return Outline(
        severity=record.severity,
        link=record.link,
        covers=tuple(cve for cve in _cves(record.metadata.cve) if cve != key),
        fixes=tuple(map(_fix, record.fixed_in)),
    )


def _cves(listed: tuple[Any, ...]) -> Iterator[str]:
    """Yield the ids of a list as amzn gives it (texts) or as ol does (objects with a name)."""
    for item in listed:
        name = item.get("Name") if isinstance(item, dict) else item
        if isinstance(name, str) and name:
            yield name


def _fix(fix: _FixedIn) -> Fix:
    vendor = fix.vendor_advisory
    status: Status = "fixed"
    if fix.version == NO_FIX:
        status = "will_not_fix" if vendor is not None and vendor.no_advisory else "unfixed"
    elif fix.version == NOT_AFFECTED:
        status = "not_affected"
    cited = (vendor.advisory_summary if vendor is not None else None) or ()
    return Fix(
        package=fix.name,
        status=status,
        version=fix.version if status == "fixed" else None,
        format=fix.version_format,
        range=fix.vulnerable_range,
        module=fix.module or "",
        arch=fix.arch,
        advisories=tuple(Citation(each.id, each.link) for each in cited),
    )


# --- github ---------------------------------------------------------------------------------------------------------


class _Range(msgspec.Struct):
    name: str
    identifier: str | None
    range: str = ""


class _Advisory(msgspec.Struct, rename={"cve": "CVE", "fixed_in": "FixedIn", "severity": "Severity"}):
    url: str
    cve: list[str]
    fixed_in: list[_Range]
    severity: str | None = None
    withdrawn: str | None = None


class _GitHub(msgspec.Struct, rename={"advisory": "Advisory"}):
    advisory: _Advisory


def _github(group: str, key: str, body: bytes) -> Outline:
    advisory = _advisory.decode(body).advisory
    ecosystem = group.partition(":")[2]
    affects = advisory.fixed_in if advisory.withdrawn is None else ()
    aliases, covers = _named(advisory.cve)
    return Outline(
        severity=advisory.severity,
        link=advisory.url,
        aliases=aliases,
        covers=covers,
        fixes=tuple(_ranged(fix, ecosystem) for fix in affects),
    )


def _ranged(fix: _Range, ecosystem: str) -> Fix:
    version = fix.identifier if fix.identifier not in (None, "", NO_FIX) else None
    return Fix(fix.name, "fixed" if version else "unfixed", version, ecosystem, fix.range)


def _named(cves: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (aliases, covers): one CVE is the same vulnerability, several are not the same as each other."""
    unique = tuple(dict.fromkeys(cves))
    return (unique, ()) if len(unique) == 1 else ((), unique)


# --- nvdv2, nvd -----------------------------------------------------------------------------------------------------


class _Match(msgspec.Struct, rename=wire.NVD_CPE_MATCH):
    cpe: str
    vulnerable: bool = False
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class _Node(msgspec.Struct):
    cpe_match: list[_Match] = []
    children: list[_Node] = []
    negate: bool = False


class _Configurations(msgspec.Struct, frozen=True):
    nodes: tuple[_Node, ...] = ()


class _NVDv2(msgspec.Struct):
    severity: str | None = None
    configurations: _Configurations = _Configurations()


class _Names(msgspec.Struct):
    vulnerable_cpes: tuple[str, ...] = ()


def _nvdv2(group: str, key: str, body: bytes) -> Outline:
    record = _nvd.decode(body)
    products = tuple(_vulnerable(record.configurations.nodes))
    return Outline(severity=record.severity, link=f"{NVD_PAGE}{key}", products=products)


def _vulnerable(nodes: Iterable[_Node]) -> Iterator[Product]:
    for node in nodes:
        if node.negate:
            continue
        for match in node.cpe_match:
            if match.vulnerable:
                yield Product(
                    match.cpe,
                    match.version_start_including,
                    match.version_start_excluding,
                    match.version_end_including,
                    match.version_end_excluding,
                )
        yield from _vulnerable(node.children)


def _nvddb(group: str, key: str, body: bytes) -> Outline:
    # Derived from nvdv2, whose record says the same of products: they are not told twice.
    return Outline(link=f"{NVD_PAGE}{key}")


# --- vulndb, microsoft ----------------------------------------------------------------------------------------------


class _Identified(msgspec.Struct):
    id: str


class _VulnDB(msgspec.Struct):
    severity: str | None = None
    nvd: list[_Identified] = []
    vulnerable_cpes: list[str] = []


class _Patch(msgspec.Struct):
    id: str
    links: list[str] = []


class _MSProduct(msgspec.Struct, frozen=True):
    name: str = ""


class _MSRC(msgspec.Struct):
    link: str | None = None
    severity: str | None = None
    product: _MSProduct = _MSProduct()
    fixed_in: list[_Patch] = []


def _vulndb(group: str, key: str, body: bytes) -> Outline:
    record = _licensed.decode(body)
    aliases, covers = _named([each.id for each in record.nvd if each.id.startswith(_CVE)])
    products = tuple(Product(name) for name in dict.fromkeys(record.vulnerable_cpes))
    return Outline(record.severity, None, aliases, covers, products=products)


def _microsoft(group: str, key: str, body: bytes) -> Outline:
    record = _msrc.decode(body)
    name = record.product.name
    fixes = [
        Fix(name, "fixed", patch.id, "kb", advisories=(Citation(patch.id, next(iter(patch.links), None)),))
        for patch in record.fixed_in
        if name
    ]
    return Outline(record.severity, record.link, fixes=tuple(fixes))


_os = msgspec.json.Decoder(_OSRecord)
_advisory = msgspec.json.Decoder(_GitHub)
_nvd = msgspec.json.Decoder(_NVDv2)
_names = msgspec.json.Decoder(_Names)
_licensed = msgspec.json.Decoder(_VulnDB)
_msrc = msgspec.json.Decoder(_MSRC)

_READERS: Final[dict[str, Callable[[str, str, bytes], Outline]]] = {
    "vulnerabilities": _vulnerabilities,
    "github": _github,
    "nvdv2": _nvdv2,
    "nvd": _nvddb,
    "vulndb": _vulndb,
    "microsoft": _microsoft,
}


@lru_cache(maxsize=16384)
def product_word(name: str) -> str | None:
    """Return `vendor:product` of a CPE 2.3 name in small letters, escaped as the name is; None when it is none."""
    parts = cpe.split(name)
    return None if parts is None else f"{parts[3]}:{parts[4]}".lower()
