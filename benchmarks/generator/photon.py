"""Photon's metadata: a list of rows (CVE, package, version) for each release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan

BASE: Final = "packages.broadcom.com/photon/photon_cve_metadata/"
RELEASES: Final = ("1.0", "2.0", "3.0", "4.0", "5.0")


def write(plan: Plan, root: Path) -> None:
    """Write the list of releases and the rows of each below a folder mirror: 20,000 rows a release at scale 1."""
    folder.write(root / BASE / "photon_versions.json", json.dumps({"branches": RELEASES}).encode())
    for place, release in enumerate(RELEASES):
        found = sorted(_rows(plan, place), key=lambda row: (row["pkg"], row["cve_id"]))
        folder.write(root / BASE / f"cve_data_photon{release}.json", json.dumps(found, indent=2).encode())


def _rows(plan: Plan, release: int) -> Iterator[dict[str, Any]]:
    for number, state in plan.numbers(Kind.PHOTON):
        if state.removed or number % len(RELEASES) != release:
            continue
        chances = plan.random(Kind.PHOTON, number)
        status = ("Fixed", "Fixed", "Not Affected", "Fixed", "")[number // len(RELEASES) % 5]
        version = f"{texts.version(number % 300)}-{1 + state.revision}.ph{1 + release}" if status == "Fixed" else "NA"
        score = round(1 + 9 * chances.random(), 1)
        package = texts.name(int(chances.random() ** 2 * max(10, 900 * plan.scale)))
        for end in ("", "-devel", "-libs", "-docs", "-tests")[: 1 + int(5 * chances.random())]:
            yield {
                "cve_id": _identity(plan, number),
                "pkg": f"{package}{end}",
                "cve_score": score,
                "aff_ver": f"all versions before {version} are vulnerable" if status == "Fixed" else "NA",
                "res_ver": version,
                "status": status,
            }


def _identity(plan: Plan, number: int) -> str:
    if number >= plan.amounts[Kind.PHOTON]:
        return f"CVE-2026-{900_000 + number}"
    return nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[Kind.PHOTON])
