"""Echo's one document: fixed version and severity by package and vulnerability."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan

ADDRESS: Final = "advisory.echohq.com/data.json"
_SEVERITIES: Final = ("high", "medium", "medium", "low", "critical")


def write(plan: Plan, root: Path) -> None:
    """Write the document below a folder mirror: one vulnerability in two of three packages has a fix."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for number, state in plan.numbers(Kind.ECHO):
        if state.removed:
            continue
        chances = plan.random(Kind.ECHO, number)
        first = int(chances.random() ** 2 * max(10, 1_500 * plan.scale))
        for place in range(1 + int(4 * chances.random() ** 2)):
            said: dict[str, str] = {}
            if (number + place) % 3:
                said["fixed_version"] = f"{texts.version(number % 300)}-1~deb12u{1 + state.revision}"
            if number % 4:
                said["severity"] = _SEVERITIES[number % len(_SEVERITIES)]
            found[texts.name(first + place)][_identity(plan, number)] = said
    folder.write(root / ADDRESS, json.dumps({name: found[name] for name in sorted(found)}).encode())


def _identity(plan: Plan, number: int) -> str:
    if number >= plan.amounts[Kind.ECHO]:
        return f"CVE-2026-{860_000 + number}"
    return nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[Kind.ECHO])
