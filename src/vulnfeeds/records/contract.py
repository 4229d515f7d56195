"""What clients refuse in a record, checked before it can reach the store. Pure.

One bad record stops a whole group in every client until it is mended, so each rule here is one that the real client
fails on, or one whose breach makes it lose data silently. The check reads canonical bytes: what it passes is what is
served. Feeds that we do not know get the general rules only: a JSON object without U+0000.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vulnfeeds.errors import RecordError
from vulnfeeds.records import eol, epss, kev, wire
from vulnfeeds.records.severity import Severity

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_COMMA = ","

Check = Callable[[str, bytes], None]
"""(group, canonical body) -> None, or RecordError."""


def check(feed: str, group: str, body: bytes) -> None:
    """Pass a record that clients of the feed take; raise RecordError naming the field and the reason otherwise."""
    if rb"\u0000" in body and _NUL.search(body):
        raise RecordError("text holds U+0000, which no client can store")
    try:
        _CHECKS.get(feed, _any)(group, body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise RecordError(str(error)) from error


# --- vulnerabilities ------------------------------------------------------------------------------------------------


class _Summary(Struct, rename=wire.ADVISORY):
    id: str
    link: str | None = None


class _VendorAdvisory(Struct, rename=wire.VENDOR_ADVISORY):
    no_advisory: bool | UnsetType = UNSET
    advisory_summary: list[_Summary] | None = None


class _Fix(Struct, rename=wire.FIXED_IN):
    name: str
    version: str
    version_format: str
    namespace_name: str | UnsetType = UNSET
    vendor_advisory: _VendorAdvisory | UnsetType = UNSET
    module: str | None = None


class _CVSS2(Struct, rename={"score": "Score", "vectors": "Vectors"}):
    score: float
    vectors: str | None = None


class _NVDMetadata(Struct, rename={"cvss2": wire.CVSS2}):
    cvss2: _CVSS2 | None = None


class _Metadata(Struct, rename={"nvd": wire.NVD, "cve": "CVE"}):
    nvd: _NVDMetadata | UnsetType = UNSET
    cve: list[Any] | UnsetType = UNSET


class _Vulnerability(Struct, rename=wire.VULNERABILITY):
    name: str
    namespace_name: str
    severity: Severity
    fixed_in: list[_Fix]
    metadata: _Metadata
    description: str | None
    link: str | None


class _OSRecord(Struct, forbid_unknown_fields=True, rename={"vulnerability": wire.WRAPPER}):
    vulnerability: _Vulnerability


_os_record = msgspec.json.Decoder(_OSRecord)


def _vulnerabilities(group: str, body: bytes) -> None:
    record = _os_record.decode(body).vulnerability
    _filled(record.name, "Vulnerability.Name")
    _equals(record.namespace_name, group, "Vulnerability.NamespaceName")
    last = ("", "", "")
    for place, fix in enumerate(record.fixed_in):
        where = f"Vulnerability.FixedIn[{place}]"
        if fix.namespace_name is not UNSET:
            _equals(fix.namespace_name, group, f"{where}.NamespaceName")
        _filled(fix.name, f"{where}.Name")
        _filled(fix.version, f"{where}.Version")
        _filled(fix.version_format, f"{where}.VersionFormat")
        # A client keeps one fix of a (Name, Version); of two modules with the same it loses nothing that it knows.
        key = (fix.name, fix.version, fix.module or "")
        if key <= last:
            what = "is given twice" if key == last else "is not in the order of (Name, Version, Module)"
            raise RecordError(f"{where} ({fix.name}, {fix.version}) {what}")
        last = key


# --- nvdv2 ----------------------------------------------------------------------------------------------------------


class _Meta(Struct, rename={"id": "ID"}):
    id: str


class _Text(Struct):
    value: str


class _Description(Struct):
    description_data: list[_Text] | UnsetType = UNSET


class _CVE(Struct, rename={"meta": "CVE_data_meta"}):
    meta: _Meta
    description: _Description | UnsetType = UNSET


class _CVSS(Struct):
    base_metrics: dict[str, Any]


class _NVDv2(Struct):
    cve: _CVE
    severity: Severity | None = None
    cvss_v2: _CVSS | None = None
    cvss_v3: _CVSS | None = None
    external_references: list[dict[str, Any]] | UnsetType = UNSET
    vulnerable_cpes: list[str] | UnsetType = UNSET


_nvdv2_record = msgspec.json.Decoder(_NVDv2)


def _nvdv2(group: str, body: bytes) -> None:
    record = _nvdv2_record.decode(body)
    _filled(record.cve.meta.id, "cve.CVE_data_meta.ID")
    description = record.cve.description
    if description is not UNSET and description.description_data is not UNSET and not description.description_data:
        raise RecordError("cve.description.description_data is empty")
    if record.vulnerable_cpes is not UNSET:
        _unique(record.vulnerable_cpes, wire.CPES)


# --- nvd ------------------------------------------------------------------------------------------------------------


class _Software(Struct):
    product: str | list[str] | UnsetType = UNSET


class _BaseMetrics(Struct):
    score: str | float | UnsetType = UNSET


class _NVDCVSS(Struct):
    base_metrics: _BaseMetrics | UnsetType = UNSET


class _NVD(Struct, rename={"id": "@id", "software": wire.SOFTWARE}):
    id: str
    summary: str | UnsetType = UNSET
    software: _Software | UnsetType = UNSET
    cvss: _NVDCVSS | UnsetType = UNSET


_nvd_record = msgspec.json.Decoder(_NVD)


def _nvd(group: str, body: bytes) -> None:
    record = _nvd_record.decode(body)
    _filled(record.id, "@id")
    if record.cvss is not UNSET and record.cvss.base_metrics is not UNSET:
        _number(record.cvss.base_metrics.score, "cvss.base_metrics.score")


# --- kev ------------------------------------------------------------------------------------------------------------


class _Withdrawable(Struct):
    withdrawn: bool | UnsetType = UNSET


_kev_record = msgspec.json.Decoder(kev.KnownExploited)
_withdrawable = msgspec.json.Decoder(_Withdrawable)


def _kev(group: str, body: bytes) -> None:
    _filled(_kev_record.decode(body).cve_id, "cveID")
    _withdrawable.decode(body)


# --- eol and epss ---------------------------------------------------------------------------------------------------


_cycle = msgspec.json.Decoder(eol.Cycle)
_epss_score = msgspec.json.Decoder(epss.Score)
_epss_model = msgspec.json.Decoder(epss.Model)


class _Scored(Struct):
    model_version: str | UnsetType = UNSET


_scored = msgspec.json.Decoder(_Scored)


def _eol(group: str, body: bytes) -> None:
    cycle = _cycle.decode(body)
    _filled(cycle.product, "product")
    _filled(cycle.name, "name")
    _withdrawable.decode(body)


def _epss(group: str, body: bytes) -> None:
    (_epss_score if _scored.decode(body).model_version is UNSET else _epss_model).decode(body)
    _withdrawable.decode(body)


# --- github ---------------------------------------------------------------------------------------------------------


class _Range(Struct):
    name: str
    namespace: str
    identifier: str | None
    range: str


class _AdvisoryMetadata(Struct, rename=wire.GITHUB_METADATA):
    cve: list[str]


class _Advisory(Struct, rename=wire.GITHUB):
    ghsa_id: str
    namespace: str
    summary: str
    url: str
    metadata: _AdvisoryMetadata
    cve: list[str]
    withdrawn: str | None
    fixed_in: list[_Range]
    severity: Severity | None = None


class _GitHub(Struct, forbid_unknown_fields=True, rename=wire.GITHUB_WRAPPER):
    advisory: _Advisory
    vulnerability: dict[str, Any] | UnsetType = UNSET


_github_record = msgspec.json.Decoder(_GitHub)


def _github(group: str, body: bytes) -> None:
    advisory = _github_record.decode(body).advisory
    _filled(advisory.ghsa_id, "Advisory.ghsaId")
    _equals(advisory.namespace, group, "Advisory.namespace")
    for place, fix in enumerate(advisory.fixed_in):
        where = f"Advisory.FixedIn[{place}]"
        _equals(fix.namespace, group, f"{where}.namespace")
        if _COMMA in fix.range:
            raise RecordError(f"{where}.range {fix.range!r} holds a comma; comparators are separated by spaces")
    _unique([f"{fix.name} {fix.range}" for fix in advisory.fixed_in], "Advisory.FixedIn (name, range)")


# --- packages -------------------------------------------------------------------------------------------------------


class _Package(Struct):
    name: str | UnsetType = UNSET
    latest: str | None = None
    versions: list[str] | UnsetType = UNSET


class _NPM(_Package):
    lics: list[str] | UnsetType = UNSET
    origins: list[str] | UnsetType = UNSET
    sourcepkg: str | None = None


class _Gem(_Package):
    id: str | int | UnsetType = UNSET
    licenses: list[str] | UnsetType = UNSET
    authors: list[str] | UnsetType = UNSET


_npm_record = msgspec.json.Decoder(dict[str, _NPM])
_gem_record = msgspec.json.Decoder(dict[str, _Gem])
_object = msgspec.json.Decoder(dict[str, Any])
_PACKAGES: Final[dict[str, msgspec.json.Decoder[Any]]] = {"npm": _npm_record, "gem": _gem_record}


def _packages(group: str, body: bytes) -> None:
    record = _PACKAGES.get(group, _object).decode(body)
    if len(record) != 1:
        raise RecordError(f"a package record has one key, its name; this one has {len(record)}")
    name, package = next(iter(record.items()))
    _filled(name, "the package's name")
    if package is None:
        raise RecordError(f"{name} is null")
    if isinstance(package, _Gem) and isinstance(package.id, str) and not package.id.isdecimal():
        raise RecordError(f"{name}.id {package.id!r} is not a number")


# --- vulndb, microsoft ----------------------------------------------------------------------------------------------


class _VulnDB(Struct):
    id: str
    severity: Severity | None = None
    vulnerable_cpes: list[str] | UnsetType = UNSET
    unaffected_cpes: list[str] | UnsetType = UNSET


class _Product(Struct):
    id: str


class _MSRC(Struct):
    id: str
    product: _Product
    link: str
    severity: Severity | None = None
    fixed_in: list[dict[str, Any]] | UnsetType = UNSET
    vulnerable: list[str] | UnsetType = UNSET


_vulndb_record = msgspec.json.Decoder(_VulnDB)
_msrc_record = msgspec.json.Decoder(_MSRC)
_msrc_product = msgspec.json.Decoder(_Product)


def _vulndb(group: str, body: bytes) -> None:
    record = _vulndb_record.decode(body)
    _filled(record.id, "id")
    for name, cpes in ((wire.CPES, record.vulnerable_cpes), ("unaffected_cpes", record.unaffected_cpes)):
        if cpes is not UNSET:
            _unique(cpes, name)


def _microsoft(group: str, body: bytes) -> None:
    decoder: msgspec.json.Decoder[Any] = _msrc_product if group == "msrc:products" else _msrc_record
    _filled(decoder.decode(body).id, "id")


# --- all ------------------------------------------------------------------------------------------------------------


def _any(group: str, body: bytes) -> None:
    _object.decode(body)


def _filled(text: str, field: str) -> None:
    if not text:
        raise RecordError(f"{field} is empty")


def _equals(found: str, group: str, field: str) -> None:
    if found != group:
        raise RecordError(f"{field} is {found!r}, the group is {group!r}")


def _unique(values: Sequence[str], field: str) -> None:
    if len(set(values)) != len(values):
        seen: set[str] = set()
        twice = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise RecordError(f"{field} holds {twice!r} twice")


def _number(value: str | float | UnsetType, field: str) -> None:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError as error:
            raise RecordError(f"{field} {value!r} is not a number") from error


_CHECKS: Final[dict[str, Check]] = {
    "vulnerabilities": _vulnerabilities,
    "nvdv2": _nvdv2,
    "nvd": _nvd,
    "kev": _kev,
    "eol": _eol,
    "epss": _epss,
    "github": _github,
    "packages": _packages,
    "vulndb": _vulndb,
    "microsoft": _microsoft,
}
