"""What the client makes of a record: one row and its children, or a RecordError with the place.

The rules are those of the real client's mappers and database (required keys, enumerations, nulls, NULs, primary
keys), and a few that it lacks but that always mean lost data: a repeated fix, a fix of another group, a comma in a
range. Written without the service's own record types, so that an error there cannot hide here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from vulnfeeds.testing.client import shapes
from vulnfeeds.testing.client.errors import RecordError

LONGEST_DESCRIPTION: Final = 65_532
LONGEST_PACKAGE_TEXT: Final = 255
OS_KEYS: Final = ("Description", "FixedIn", "Link", "Metadata", "Name", "NamespaceName", "Severity")
"""Keys of every record that the original served since 2020."""
OS_FORMATS: Final = ("apk", "dpkg", "rpm")
CPE_PARTS: Final = 11
_CPE_COLON: Final = re.compile(r"(?<!\\):")
_EPOCH: Final = re.compile(r"^[0-9]*:")
_COMPARATOR: Final = frozenset(("<", "<=", ">", ">=", "=", "==", "~", "^", "!="))


class Mapped(msgspec.Struct, frozen=True):
    """One record as the client keeps it."""

    id: str
    table: str
    """The parent's table: vulnerability, nvdv2_vulnerability, package or opaque_record."""
    row: tuple[Any, ...]
    """The parent's columns after id and group, in the order of the schema."""
    children: tuple[tuple[Any, ...], ...] = ()
    """The children's columns after id and group, in the order of the schema."""
    skipped_cpes: int = 0
    """CPEs that cannot be parsed: left out, as in the real client."""
    digest: bytes = b""
    """Of the whole body, whatever the order of its keys: shows a difference also where there is no column."""


def map_record(feed: str, group: str, body: Mapping[str, Any]) -> Mapped:
    """Return what the client stores of a record of `feed` and `group`."""
    raw = _json(body)
    # Escapes show at once whether it is worth looking for the place; few records have any.
    if "\\u0000" in raw or "\\ud" in raw:
        shapes.storable(body, "$")
    mapped = _MAPPERS.get(feed, _opaque)(group, body)
    return msgspec.structs.replace(mapped, digest=hashlib.blake2b(raw.encode(), digest_size=16).digest())


def _vulnerability(group: str, body: Mapping[str, Any]) -> Mapped:
    if list(body) != ["Vulnerability"]:
        raise RecordError("$", f"must hold the one key Vulnerability, not {', '.join(body)}"[:200])
    inner = shapes.mapping(body, "Vulnerability", "$") or {}
    place = "Vulnerability"
    if missing := [key for key in OS_KEYS if key not in inner]:
        raise RecordError(place, f"lacks {', '.join(missing)}")
    name = shapes.text(inner, "Name", place)
    if inner["NamespaceName"] != group:
        raise RecordError(f"{place}.NamespaceName", f"{inner['NamespaceName']!r} in group {group}")
    score, vectors = _cvss2(shapes.mapping(inner, "Metadata", place) or {})
    row = (
        shapes.severity(inner, "Severity", place, null_is_unknown=False),
        _description(shapes.text_or_null(inner, "Description", place)),
        shapes.text_or_null(inner, "Link", place),
        _json(inner["Metadata"]),
        score,
        vectors,
    )
    # The client knows no modules: of two fixes that differ in nothing else it keeps one.
    given = shapes.objects(inner, "FixedIn", place)
    fixes = [(*_fix(group, fix, f"{place}.FixedIn")[:2], fix.get("Module") or "") for fix in given]
    _each_once(fixes, 3, f"{place}.FixedIn")
    kept = {child[:2]: child for child in (_fix(group, fix, f"{place}.FixedIn") for fix in given)}
    return Mapped(name, "vulnerability", row, tuple(sorted(kept.values())))


def _cvss2(metadata: Mapping[str, Any]) -> tuple[float | None, str | None]:
    place = "Vulnerability.Metadata"
    for cve in shapes.array(metadata, "CVE", place, required=False):
        if isinstance(cve, dict):
            shapes.text(cve, "Name", f"{place}.CVE")
        elif not isinstance(cve, str):
            raise RecordError(f"{place}.CVE", f"holds {cve!r}"[:200])
    nvd = shapes.mapping(metadata, "NVD", place, required=False)
    if nvd is None or nvd.get("CVSSv2") is None:
        return None, None
    cvss = shapes.mapping(nvd, "CVSSv2", f"{place}.NVD") or {}
    there = f"{place}.NVD.CVSSv2"
    return shapes.number(cvss, "Score", there), shapes.text_or_null(cvss, "Vectors", there)


def _fix(group: str, fix: Mapping[str, Any], place: str) -> tuple[Any, ...]:
    if fix.get("NamespaceName", group) != group:
        raise RecordError(f"{place}.NamespaceName", f"{fix['NamespaceName']!r} in group {group}")
    version, form = shapes.text(fix, "Version", place), shapes.text(fix, "VersionFormat", place)
    if form not in OS_FORMATS:
        raise RecordError(f"{place}.VersionFormat", f"{form!r} is not one of {', '.join(OS_FORMATS)}")
    advisory = shapes.mapping(fix, "VendorAdvisory", place, required=False) or {}
    there = f"{place}.VendorAdvisory"
    no_advisory = advisory.get("NoAdvisory", False)
    if not isinstance(no_advisory, bool):
        raise RecordError(f"{there}.NoAdvisory", f"must be true or false, not {no_advisory!r}"[:200])
    if advisory.get("AdvisorySummary") is not None:
        for cited in shapes.objects(advisory, "AdvisorySummary", there):
            shapes.text(cited, "ID", f"{there}.AdvisorySummary")
            shapes.text_or_null(cited, "Link", f"{there}.AdvisorySummary")
    name = shapes.text(fix, "Name", place)
    return name, version, form, _EPOCH.sub("", version), int(no_advisory), _json(advisory)


def _nvdv2(group: str, body: Mapping[str, Any]) -> Mapped:
    cve = shapes.mapping(body, "cve", "$") or {}
    name = shapes.text(shapes.mapping(cve, "CVE_data_meta", "cve") or {}, "ID", "cve.CVE_data_meta")
    row = (
        shapes.severity(body, "severity", "$", null_is_unknown=True),
        _description(_nvd_description(cve)),
        _nvd_cvss(body, "cvss_v2"),
        _nvd_cvss(body, "cvss_v3"),
        f"https://nvd.nist.gov/vuln/detail/{name}",
        _json(shapes.objects(body, "external_references", "$", required=False)),
    )
    parsed = [_cpe(text) for text in shapes.texts(body, "vulnerable_cpes", "$", required=False)]
    cpes = [cpe for cpe in parsed if cpe is not None]
    children = _each_once(cpes, CPE_PARTS, "vulnerable_cpes")
    return Mapped(name, "nvdv2_vulnerability", row, children, skipped_cpes=len(parsed) - len(cpes))


def _nvd_description(cve: Mapping[str, Any]) -> str | None:
    description = shapes.mapping(cve, "description", "cve", required=False) or {}
    if "description_data" not in description:
        return None
    place = "cve.description.description_data"
    data = shapes.objects(description, "description_data", "cve.description")
    if not data:
        raise RecordError(place, "is an empty list: the real client takes its first item")
    return shapes.text_or_null(data[0], "value", place, required=True)


def _nvd_cvss(body: Mapping[str, Any], key: str) -> str | None:
    if body.get(key) is None:
        return None
    cvss = shapes.mapping(body, key, "$") or {}
    metrics = shapes.mapping(cvss, "base_metrics", key) or {}
    shapes.number(metrics, "base_score", f"{key}.base_metrics")
    return _json(cvss)


def _cpe(text: str) -> tuple[str, ...] | None:
    parts = _CPE_COLON.split(text)
    if parts[:2] != ["cpe", "2.3"] or len(parts) != CPE_PARTS + 2:
        return None
    return tuple(part.replace("\\:", ":") for part in parts[2:])


def _github(group: str, body: Mapping[str, Any]) -> Mapped:
    if list(body) not in (["Advisory"], ["Advisory", "Vulnerability"]) or body.get("Vulnerability"):
        raise RecordError("$", f"must hold Advisory and an empty Vulnerability, not {', '.join(body)}"[:200])
    inner = shapes.mapping(body, "Advisory", "$") or {}
    place = "Advisory"
    name = shapes.text(inner, "ghsaId", place)
    if shapes.text(inner, "namespace", place) != group:
        raise RecordError(f"{place}.namespace", f"{inner['namespace']!r} in group {group}")
    shapes.texts(inner, "CVE", place)
    withdrawn = shapes.text_or_null(inner, "withdrawn", place, required=True)
    row = (
        shapes.severity(inner, "Severity", place, null_is_unknown=True),
        _description(shapes.text_or_null(inner, "Summary", place, required=True)),
        shapes.text(inner, "url", place),
        _json(shapes.mapping(inner, "Metadata", place)),
        None,
        None,
    )
    fixes = shapes.objects(inner, "FixedIn", place, required=withdrawn is None)
    children = _each_once([_range(group, fix, f"{place}.FixedIn") for fix in fixes], 2, f"{place}.FixedIn")
    return Mapped(name, "vulnerability", row, () if withdrawn is not None else children)


def _range(group: str, fix: Mapping[str, Any], place: str) -> tuple[Any, ...]:
    if shapes.text(fix, "namespace", place) != group:
        raise RecordError(f"{place}.namespace", f"{fix['namespace']!r} in group {group}")
    identifier = shapes.text_or_null(fix, "identifier", place, required=True)
    versions = shapes.text(fix, "range", place)
    for alternative in versions.split(" || "):
        words = alternative.split()
        pairs = list(zip(words[::2], words[1::2], strict=False))
        good = all(sign in _COMPARATOR and "," not in version for sign, version in pairs)
        if not words or len(words) % 2 or not good:
            raise RecordError(f"{place}.range", f"{versions!r} is not pairs of comparator and version"[:200])
    patched = _json({"first_patched_version": identifier})
    return shapes.text(fix, "name", place), versions, "semver", _EPOCH.sub("", versions), 0, patched


def _package(group: str, body: Mapping[str, Any]) -> Mapped:
    if len(body) != 1:
        raise RecordError("$", f"must hold one key, the package's name, not {len(body)}")
    name = next(iter(body))
    inner = shapes.mapping(body, name, "$") or {}
    lists = {"npm": ("versions", "lics", "origins"), "gem": ("versions", "licenses", "authors")}.get(group, ())
    for key in lists:
        shapes.texts(inner, key, name, required=False)
    if group == "gem" and not str(inner.get("id", -1)).lstrip("-").isdigit():
        raise RecordError(f"{name}.id", f"{inner['id']!r} is not digits"[:200])
    latest = shapes.text_or_null(inner, "latest", name)
    shapes.text_or_null(inner, "sourcepkg", name)
    return Mapped(name[:LONGEST_PACKAGE_TEXT], "package", (latest and latest[:LONGEST_PACKAGE_TEXT], _json(inner)))


def _nvd(group: str, body: Mapping[str, Any]) -> Mapped:
    name = shapes.text(body, "@id", "$")
    shapes.text_or_null(body, "summary", "$")
    software = shapes.mapping(body, "vulnerable-software-list", "$", required=False) or {}
    product = software.get("product", [])
    if not isinstance(product, str):
        shapes.texts(software, "product", "vulnerable-software-list", required=False)
    if "cvss" in body:
        metrics = shapes.mapping(shapes.mapping(body, "cvss", "$") or {}, "base_metrics", "cvss") or {}
        score = metrics.get("score")
        if not re.fullmatch(r"\d+(\.\d+)?", str(score)):
            raise RecordError("cvss.base_metrics.score", f"{score!r} is not a number"[:200])
    return Mapped(name, "opaque_record", (_json(body),))


def _opaque(group: str, body: Mapping[str, Any]) -> Mapped:
    """A feed that the real client has no class for: kept as it is under whatever looks like its id."""
    found = [body[key] for key in ("id", "cveID", "Name", "name") if isinstance(body.get(key), str)]
    return Mapped(found[0] if found else _json(body), "opaque_record", (_json(body),))


def _each_once(children: list[tuple[Any, ...]], key: int, place: str) -> tuple[tuple[Any, ...], ...]:
    """Refuse children that share the primary key: fixes would collapse silently, CPEs fail the group."""
    seen = set()
    for child in children:
        if child[:key] in seen:
            raise RecordError(place, f"{' '.join(child[:key])} is there twice"[:200])
        seen.add(child[:key])
    return tuple(sorted(children))


def _description(text: str | None) -> str | None:
    return text if text is None else text[:LONGEST_DESCRIPTION]


_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


_MAPPERS: Final[dict[str, Callable[[str, Mapping[str, Any]], Mapped]]] = {
    "vulnerabilities": _vulnerability,
    "nvdv2": _nvdv2,
    "github": _github,
    "packages": _package,
    "nvd": _nvd,
}
