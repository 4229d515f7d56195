"""CVRF as Microsoft writes it: the list of months, and a month made of what is said of each vulnerability."""

from __future__ import annotations

import calendar
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

FOLDER = "api.msrc.microsoft.com/cvrf/v3.0"
LIST = f"{FOLDER}/updates"
_NAMES = {
    "vuln": "http://www.icasi.org/CVRF/schema/vuln/1.1",
    "prod": "http://www.icasi.org/CVRF/schema/prod/1.1",
    "cvrf": "http://www.icasi.org/CVRF/schema/cvrf/1.1",
}
PRODUCTS = {"11571": "Windows Server 2019", "10816": "Windows Server 2016", "12130": ".NET 7.0"}


class Fix(NamedTuple):
    """A `Vendor Fix`; its product's ids, the update that it is, and what that takes the place of."""

    kb: str
    supersedes: str
    products: Sequence[str]
    kind: str = "Vendor Fix"


class Item(NamedTuple):
    """A vulnerability in a month."""

    cve: str
    fixes: Sequence[Fix]
    products: Sequence[str] = ("11571",)
    severity: str = "Important"
    score: str = "7.8"
    title: str = "Windows Kernel Elevation of Privilege Vulnerability"
    description: str = ""


def path(month: str) -> str:
    """Return where a month lies in a folder of upstreams."""
    return f"{FOLDER}/cvrf/{month}"


def listing(revised: dict[str, str]) -> bytes:
    """Return the list of months; `revised` has the day of the last revision by month (`2024-Jul`)."""
    numbers = {name: place for place, name in enumerate(calendar.month_abbr)}
    value = [
        {
            "ID": month,
            "Alias": month,
            "DocumentTitle": f"{month} Security Updates",
            "Severity": None,
            "InitialReleaseDate": f"{month[:4]}-{numbers[month[5:8]]:02}-09T07:00:00Z",
            "CurrentReleaseDate": f"{day}T07:00:00Z",
            "CvrfUrl": f"https://{path(month)}",
        }
        for month, day in revised.items()
    ]
    context = "https://api.msrc.microsoft.com/$metadata#Updates"
    return json.dumps({"@odata.context": context, "value": value}, indent=2).encode() + b"\n"


def document(month: str, items: Sequence[Item], products: dict[str, str] | None = None) -> bytes:
    """Return a month as XML."""
    names = " ".join(f"xmlns:{prefix}={quoteattr(name)}" for prefix, name in _NAMES.items())
    known = PRODUCTS if products is None else products
    listed = "\n".join(
        f'<prod:FullProductName ProductID="{number}">{escape(name)}</prod:FullProductName>'
        for number, name in known.items()
    )
    body = "\n".join(_vulnerability(place, item) for place, item in enumerate(items, 1))
    return f"""<?xml version="1.0" encoding="utf-8"?>
<cvrf:cvrfdoc {names}>
<cvrf:DocumentTitle>{month} Security Updates</cvrf:DocumentTitle>
<cvrf:DocumentTracking><cvrf:Identification><cvrf:ID>{month}</cvrf:ID></cvrf:Identification></cvrf:DocumentTracking>
<prod:ProductTree>
<prod:Branch Type="Vendor" Name="Microsoft"><prod:Branch Type="Product Family" Name="Windows">
{listed}
</prod:Branch></prod:Branch>
{listed}
</prod:ProductTree>
{body}
</cvrf:cvrfdoc>
""".encode()


def _vulnerability(place: int, item: Item) -> str:
    ids = _ids(item.products)
    threats = "\n".join(
        f'<vuln:Threat Type="Severity"><vuln:Description>{item.severity}</vuln:Description>'
        f"{_ids([one])}</vuln:Threat>"
        for one in item.products
        if item.severity
    )
    scores = "\n".join(
        f"<vuln:ScoreSet><vuln:BaseScore>{item.score}</vuln:BaseScore><vuln:TemporalScore>6.8</vuln:TemporalScore>"
        f"<vuln:Vector>CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C</vuln:Vector>{_ids([one])}"
        "</vuln:ScoreSet>"
        for one in item.products
        if item.score
    )
    return f"""<vuln:Vulnerability Ordinal="{place}">
<vuln:Title>{escape(item.title)}</vuln:Title>
<vuln:Notes><vuln:Note Title="Description" Type="Description">{escape(item.description)}</vuln:Note></vuln:Notes>
<vuln:CVE>{item.cve}</vuln:CVE>
<vuln:ProductStatuses><vuln:Status Type="Known Affected">{ids}</vuln:Status></vuln:ProductStatuses>
<vuln:Threats>
{threats}
</vuln:Threats>
<vuln:CVSSScoreSets>
{scores}
</vuln:CVSSScoreSets>
<vuln:Remediations>
{"".join(_remediation(fix) for fix in item.fixes)}</vuln:Remediations>
</vuln:Vulnerability>"""


def _remediation(fix: Fix) -> str:
    older = f"<vuln:Supercedence>{fix.supersedes}</vuln:Supercedence>" if fix.supersedes else ""
    return (
        f'<vuln:Remediation Type="{fix.kind}"><vuln:Description>{fix.kb}</vuln:Description>'
        f"<vuln:URL>https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB{fix.kb}</vuln:URL>"
        f"{older}{_ids(fix.products)}</vuln:Remediation>\n"
    )


def _ids(products: Sequence[str]) -> str:
    return "".join(f"<vuln:ProductID>{number}</vuln:ProductID>" for number in products)


def true_document(month: str, saying: dict[str, Any]) -> bytes:
    """Return a document that has what another's JSON form of one says (keys in small letters, one or many alike)."""
    families = many(saying["producttree"].get("branch", {}).get("branch"))
    listed = "".join(
        f"<prod:Branch Type={quoteattr(family['type'])} Name={quoteattr(family['name'])}>"
        + "".join(
            f"<prod:FullProductName ProductID={quoteattr(one['productid'])}>"
            f"{escape(one['text'])}</prod:FullProductName>"
            for one in many(family["fullproductname"])
        )
        + "</prod:Branch>"
        for family in families
    )
    names = " ".join(f"xmlns:{prefix}={quoteattr(name)}" for prefix, name in _NAMES.items())
    body = "".join(_true_vulnerability(each) for each in saying["vulnerability"])
    return (
        f"<cvrf:cvrfdoc {names}><cvrf:DocumentTracking><cvrf:Identification><cvrf:ID>{month}</cvrf:ID>"
        f"</cvrf:Identification></cvrf:DocumentTracking><prod:ProductTree><prod:Branch>{listed}</prod:Branch>"
        f"</prod:ProductTree>{body}</cvrf:cvrfdoc>"
    ).encode()


_TRUE_NAMES = {
    "title": "Title",
    "cve": "CVE",
    "description": "Description",
    "url": "URL",
    "supercedence": "Supercedence",
    "base_score": "BaseScore",
    "temporal_score": "TemporalScore",
    "vector": "Vector",
    "product_id": "ProductID",
}


def _true_vulnerability(saying: dict[str, Any]) -> str:
    parts = [_texts(saying, "title", "cve")]
    for outer, inner, keys in (
        ("ProductStatuses", "Status", ("product_id",)),
        ("Threats", "Threat", ("description", "product_id")),
        ("CVSSScoreSets", "ScoreSet", ("base_score", "temporal_score", "vector", "product_id")),
        ("Remediations", "Remediation", ("description", "url", "supercedence", "product_id")),
    ):
        found = many((saying.get(outer.lower()) or {}).get(inner.lower()))
        each = (
            f"<vuln:{inner} Type={quoteattr(one.get('type', ''))}>{_texts(one, *keys)}</vuln:{inner}>"
            for one in found
        )
        parts.append(f"<vuln:{outer}>{''.join(each)}</vuln:{outer}>")
    return f"<vuln:Vulnerability>{''.join(parts)}</vuln:Vulnerability>"


def _texts(saying: dict[str, Any], *keys: str) -> str:
    return "".join(
        f"<vuln:{_TRUE_NAMES[key]}>{escape(text)}</vuln:{_TRUE_NAMES[key]}>"
        for key in keys
        for text in many(saying.get(key))
    )


def many(value: Any) -> list[Any]:
    """Return what stands once or in a list as a list."""
    return value if isinstance(value, list) else [value] if value else []
