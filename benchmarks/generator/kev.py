"""The catalog of vulnerabilities that are known to be exploited."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan

CATALOG: Final = "www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"


def write(plan: Plan, root: Path) -> None:
    """Write the catalog below a folder mirror."""
    found = [_known(plan, number, state.revision) for number, state in plan.numbers(Kind.KEV) if not state.removed]
    moment = plan.moment(plan.day)
    catalog = {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": f"{moment:%Y.%m.%d}",
        "dateReleased": f"{moment:%Y-%m-%dT%H:%M:%S.0000Z}",
        "count": len(found),
        "vulnerabilities": found,
    }
    folder.write(root / CATALOG, json.dumps(catalog, indent=4).replace("/", "\\/").encode())


def _known(plan: Plan, number: int, revision: int) -> dict[str, Any]:
    chances = plan.random(Kind.KEV, number)
    name = (
        nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[Kind.KEV])
        if number < plan.amounts[Kind.KEV]
        else f"CVE-2026-{700_000 + number}"
    )
    added = date(2021, 11, 3) + timedelta(days=number)
    vendor = texts.name(int(chances.random() * 400))
    return {
        "cveID": name,
        "vendorProject": vendor.capitalize(),
        "product": texts.name(number).capitalize(),
        "vulnerabilityName": f"{vendor.capitalize()} {texts.sentence(chances, 3, 5)}",
        "dateAdded": added.isoformat(),
        "shortDescription": texts.sentence(chances, 20, 40),
        "requiredAction": "Apply mitigations per vendor instructions or discontinue use of the product.",
        "dueDate": (added + timedelta(days=21)).isoformat(),
        "knownRansomwareCampaignUse": "Known" if (number + revision) % 5 == 0 else "Unknown",
        "notes": f"https://vendor.example/{number} ; https://nvd.nist.gov/vuln/detail/{name} ; revision {revision}",
        "cwes": [f"CWE-{20 + int(chances.random() * 900)}"],
    }
