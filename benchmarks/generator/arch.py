"""Arch's tracker: one list of groups of vulnerabilities (AVG), as many as there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan

TRACKER: Final = "security.archlinux.org/all.json"
_STATUSES: Final = ("Fixed", "Fixed", "Fixed", "Vulnerable", "Not affected", "Unknown")


def write(plan: Plan, root: Path) -> None:
    """Write the list below a folder mirror."""
    folder.write(root / TRACKER, json.dumps([*_groups(plan)]).encode())


def _groups(plan: Plan) -> Iterator[dict[str, Any]]:
    for number, state in plan.numbers(Kind.ARCH):
        if state.removed:
            continue
        chances = plan.random(Kind.ARCH, number)
        package, version = texts.name(int(900 * chances.random() ** 2)), texts.version(number % 300)
        status = _STATUSES[number % len(_STATUSES)]
        count = 1 + int(12 * chances.random() ** 3)
        yield {
            "name": f"AVG-{number + 1}",
            "packages": [package, f"lib32-{package}"][: 1 + number % 2],
            "status": status,
            "severity": ("High", "Medium", "Low", "Critical", "Unknown")[number % 5],
            "type": ("arbitrary code execution", "multiple issues", "denial of service")[number % 3],
            "affected": f"{version}-1",
            "fixed": f"{version}-{2 + state.revision}" if status == "Fixed" else None,
            "ticket": str(60_000 + number) if number % 4 == 0 else None,
            "issues": [nvd.identity(plan, int(chances.random() * plan.amounts[Kind.NVD])) for _ in range(count)],
            "advisories": [f"ASA-2026{1 + number % 12:02}-{1 + number % 28}"] if status == "Fixed" else [],
        }
