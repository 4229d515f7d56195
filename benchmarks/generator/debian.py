"""Debian's security tracker as one JSON document, and the list of its advisories."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan, State

TRACKER: Final = "security-tracker.debian.org/tracker/data/json"
ADVISORIES: Final = "salsa.debian.org/security-tracker-team/security-tracker/-/raw/master/data/DSA/list"
RELEASES: Final = ("stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_URGENCIES: Final = ("not yet assigned",) * 15 + ("unimportant", "unimportant", "low", "low", "medium", "end-of-life")
_TWICE: Final = 12
"""Every so many CVEs one concerns a second package too."""


def write(plan: Plan, root: Path) -> None:
    """Write tracker and list below a folder mirror."""
    packages: dict[str, list[tuple[int, State]]] = defaultdict(list)
    for number, state in plan.numbers(Kind.DEBIAN):
        if state.removed:
            continue
        package = _package(plan, number)
        packages[package].append((number, state))
        if number % _TWICE == 0:
            packages[f"{package}-compat"].append((number, state))
    with folder.replacing(root / TRACKER) as file:
        for place, package in enumerate(sorted(packages)):
            issues = {_identity(plan, number): _issue(plan, number, state) for number, state in packages[package]}
            start = "{" if place == 0 else ", "
            file.write(f"{start}{json.dumps(package)}: {json.dumps(issues)}".encode())
        file.write(b"}")
    folder.write(root / ADVISORIES, _advisories(plan, packages).encode())


def _package(plan: Plan, number: int) -> str:
    drawn = plan.chance(Kind.DEBIAN, number, 1 << 33)
    return texts.name(int(drawn**2.5 * max(10, 4_000 * plan.scale)))


def _identity(plan: Plan, number: int) -> str:
    if number >= plan.amounts[Kind.DEBIAN]:
        return f"CVE-2026-{500_000 + number}"
    return nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[Kind.DEBIAN])


def _issue(plan: Plan, number: int, state: State) -> dict[str, Any]:
    chances = plan.random(Kind.DEBIAN, number)
    found: dict[str, Any] = {"description": texts.sentence(chances, 30, 70)}
    if chances.random() < 0.4:
        found["debianbug"] = int(chances.random() * 1_000_000)
    found["scope"] = "remote" if chances.random() < 0.6 else "local"
    urgency = _URGENCIES[int(chances.random() * len(_URGENCIES))]
    first = int(chances.random() * 6)
    version = f"{texts.version(int(chances.random() * 300))}-{1 + state.revision}"
    found["releases"] = {
        codename: _release(chances, codename, version, urgency, fixed=place)
        for place, codename in enumerate(RELEASES[first:])
    }
    return found


def _release(chances: random.Random, codename: str, version: str, urgency: str, *, fixed: int) -> dict[str, Any]:
    repositories = {codename: version, f"{codename}-security": f"{version}+deb{9 + fixed}u1"}
    drawn = chances.random()
    if drawn < 0.15:
        said: dict[str, Any] = {"status": "open", "repositories": repositories, "urgency": urgency}
        return {**said, "nodsa": "Minor issue", "nodsa_reason": ""} if drawn < 0.06 else said
    shown = "0" if drawn < 0.28 else f"{version}+deb{9 + fixed}u1"
    return {"status": "resolved", "repositories": repositories, "fixed_version": shown, "urgency": urgency}


def _advisories(plan: Plan, packages: dict[str, list[tuple[int, State]]]) -> str:
    """Return the list: every eighth CVE begins an advisory, which some of the next ones of its package share."""
    lines: list[str] = []
    for package in sorted(packages):
        if package.endswith("-compat"):
            continue
        found: dict[int, list[int]] = {}
        for number, _ in packages[package]:
            if number % 8 == 0:
                found[number] = [number]
            elif found and number % 8 < 4:
                found[max(found)].append(number)
        for first, issues in found.items():
            names = " ".join(_identity(plan, number) for number in issues)
            lines.append(f"[{1 + first % 28:02} Feb 2026] DSA-{first // 8 + 1}-1 {package} - security update")
            lines.append(f"\t{{{names}}}")
            for place, codename in ((11, "bullseye"), (12, "bookworm")):
                lines.append(f"\t[{codename}] - {package} {texts.version(first % 300)}-1+deb{place}u1")
    return "\n".join(lines) + "\n"
