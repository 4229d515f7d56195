"""Advisories as OSV: AlmaLinux' branch archive, and the pages of Rocky's API.

Their documents have the sizes of the true ones: AlmaLinux' 6 KB and 12 packages in the mean, Rocky's 3 KB and 5.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

ARCHIVE: Final = "github.com/AlmaLinux/osv-database/archive/refs/heads/master.tar.gz"
PAGES: Final = "apollo.build.resf.org/api/v3/osv/"
PAGE: Final = 50
"""Advisories of a page."""
_SEVERITIES: Final = ("Important", "Moderate", "Moderate", "Low", "Critical")
_ENDS: Final = ("", "-libs", "-devel", "-doc", "-tools", "-common", "-server", "-debugsource")


def write_alma(plan: Plan, root: Path) -> None:
    """Write the archive below a folder mirror."""
    with (
        folder.replacing(root / ARCHIVE) as file,
        gzip.GzipFile("", "wb", 6, file, mtime=int(FIRST_DAY.timestamp())) as packed,
        tarfile.open(fileobj=cast(BinaryIO, packed), mode="w|") as archive,
    ):
        for number, state in plan.numbers(Kind.ALMA):
            if state.removed:
                continue
            release = (8, 8, 8, 9, 9, 10)[number % 6]
            advisory = _advisory(plan, Kind.ALMA, number, state, f"AlmaLinux:{release}", 24)
            name = f"osv-database-master/advisories/almalinux{release}/{advisory['id']}.json"
            content = json.dumps(advisory, indent=4).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            # The library keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]


def write_rocky(plan: Plan, root: Path) -> None:
    """Write the pages below a folder mirror, which has no queries: each names the next one by a path of its own."""
    every = [*_rocky(plan)]
    pages = range(0, len(every), PAGE)
    for number, start in enumerate(pages, 1):
        following = f"/api/v3/osv/page-{number + 1}.json" if number < len(pages) else None
        chosen = every[start : start + PAGE]
        page = {"advisories": chosen, "total": len(every), "page": number, "links": {"next": following}}
        name = "index.html" if number == 1 else f"page-{number}.json"
        folder.write(root / PAGES / name, json.dumps(page, separators=(",", ":")).encode())


def _rocky(plan: Plan) -> Iterator[dict[str, Any]]:
    for number, state in plan.numbers(Kind.ROCKY):
        if not state.removed:
            advisory = _advisory(plan, Kind.ROCKY, number, state, f"Rocky Linux:{8 + number % 2}", 9)
            for affected in advisory["affected"]:
                affected["package"]["purl"] = (
                    f"pkg:rpm/rocky-linux/{affected['package']['name']}?distro=rocky-linux-{8 + number % 2}&epoch=0"
                )
                affected["ranges"][0]["database_specific"] = {"yum_repository": "AppStream"}
            severity = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}
            makers = [{"name": "Rocky Enterprise Software Foundation"}, {"name": "Red Hat"}]
            yield {"schema_version": "1.3.1", **advisory, "severity": [severity], "credits": makers}


def _advisory(plan: Plan, kind: Kind, number: int, state: State, ecosystem: str, widest: int) -> dict[str, Any]:
    chances = plan.random(kind, number)
    prefix = {Kind.ALMA: "AL", Kind.ROCKY: "RL"}[kind] + ("SA", "SA", "BA")[number % 3 if kind is Kind.ALMA else 0]
    package = texts.name(int(chances.random() ** 2 * max(10, 900 * plan.scale)))
    module = number % 5 == 0
    build = f".module_el{8 + number % 2}.5.0+{number}+9a9ec082" if module else f".el{8 + number % 2}_5"
    version = f"{number % 3}:{texts.version(number % 300)}-{1 + state.revision}{build}"
    what = "security" if prefix[2] == "S" else "bug fix"
    severity = _SEVERITIES[number % len(_SEVERITIES)]
    cves = [
        nvd.identity(plan, int(chances.random() * plan.amounts[Kind.NVD]))
        for _ in range(1 + int(6 * chances.random()))
    ]
    return {
        "id": f"{prefix}-{2019 + number % 8}:{1000 + number}",
        "summary": f"{severity}: {package}{':rhel8' if module else ''} {what} update",
        "affected": [
            {
                "package": {
                    "ecosystem": ecosystem,
                    "name": f"{package}{_ENDS[place % len(_ENDS)]}{place // len(_ENDS) or ''}",
                },
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": version}]}],
            }
            for place in range(1 + int(widest * chances.random()))
        ],
        "related": sorted(set(cves)) if prefix[2] == "S" else [],
        "published": f"20{19 + number % 8}-05-07T03:38:54Z",
        "modified": f"{plan.moment(state.touched):%Y-%m-%dT%H:%M:%SZ}",
        "details": texts.sentence(chances, 60, 220),
        "references": [{"url": f"https://access.redhat.com/security/cve/{cve}", "type": "REPORT"} for cve in cves],
    }
