"""Canonical's archives of OSV and VEX documents, and the tree of the CVE tracker with the releases that ended."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

OSV: Final = "security-metadata.canonical.com/osv/osv-all.tar.xz"
VEX: Final = "security-metadata.canonical.com/vex/vex-all.tar.xz"
TRACKER: Final = "git.launchpad.net/ubuntu-cve-tracker/snapshot/ubuntu-cve-tracker-master.tar.gz"
LIVING: Final = (
    ("14.04", "trusty"),
    ("16.04", "xenial"),
    ("18.04", "bionic"),
    ("20.04", "focal"),
    ("22.04", "jammy"),
    ("24.04", "noble"),
)
"""Releases of OSV; the first three are there with Ubuntu Pro only for half of the CVEs."""
ENDED: Final = (
    "precise",
    "vivid",
    "wily",
    "yakkety",
    "zesty",
    "artful",
    "cosmic",
    "disco",
    "eoan",
    "groovy",
    "mantic",
)
"""Releases of the tracker, which has the same CVEs."""
_PRIORITIES: Final = ("medium",) * 12 + ("low",) * 5 + ("negligible", "untriaged", "high", "critical")
_NOTICED: Final = 10
"""Every so many CVEs a notice announces the fixes of one."""
_BINARIES: Final = ("", "-dev", "-doc", "-common", "-utils", "-dbgsym")
_ARCHITECTURES: Final = ("source", "amd64", "arm64", "armhf", "ppc64el", "s390x", "riscv64")
_UNFIXED: Final = (
    "This package (for the given release) is vulnerable to the CVE and needs fixing.",
    "This package (for the given release) is vulnerable to the CVE, the problem is understood, but the Ubuntu "
    "Security Team decided to not fix it.",
)


def write(plan: Plan, root: Path) -> None:
    """Write both archives and the tree below a folder mirror."""
    with folder.replacing(root / OSV) as file, lzma.open(file, "wb", preset=0) as packed:
        _archive(packed, _osv(plan))
    with folder.replacing(root / VEX) as file, lzma.open(file, "wb", preset=0) as packed:
        _archive(packed, _vex(plan))
    with (
        folder.replacing(root / TRACKER) as file,
        gzip.GzipFile("", "wb", 6, file, mtime=int(FIRST_DAY.timestamp())) as packed,
    ):
        _archive(packed, _tree(plan))


def _archive(file: Any, members: Iterable[tuple[str, bytes]]) -> None:
    target: BinaryIO = file
    with tarfile.open(fileobj=target, mode="w|") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            # The library keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]


def _issues(plan: Plan) -> Iterator[tuple[str, str, int, State, random.Random]]:
    """Yield (CVE, package, number, state, chances) of what is there on the plan's day."""
    for number, state in plan.numbers(Kind.UBUNTU):
        if not state.removed:
            package = texts.name(int(plan.chance(Kind.UBUNTU, number, 1 << 33) ** 2.5 * max(10, 4_000 * plan.scale)))
            yield _identity(plan, number), package, number, state, plan.random(Kind.UBUNTU, number)


def _identity(plan: Plan, number: int) -> str:
    if number >= plan.amounts[Kind.UBUNTU]:
        return f"CVE-2026-{700_000 + number}"
    return nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[Kind.UBUNTU])


def _osv(plan: Plan) -> Iterator[tuple[str, bytes]]:
    for cve, package, number, state, chances in _issues(plan):
        affected = [*_affected(package, number, state)]
        document = {
            "schema_version": "1.7.0",
            "id": f"UBUNTU-{cve}",
            "details": texts.sentence(chances, 30, 70),
            "aliases": [],
            "upstream": [cve],
            "related": [],
            "severity": [{"type": "Ubuntu", "score": _PRIORITIES[int(chances.random() * len(_PRIORITIES))]}],
            "published": "2026-01-09T10:15:00Z",
            "modified": f"{plan.moment(state.touched):%Y-%m-%dT%H:%M:%SZ}",
            "affected": affected,
            "references": [{"type": "REPORT", "url": f"https://ubuntu.com/security/{cve}"}],
        }
        yield f"osv/cve/{cve[4:8]}/UBUNTU-{cve}.json", json.dumps(document).encode()
        if number % _NOTICED == 0:
            notice = f"USN-{number // _NOTICED + 1}-1"
            for item in affected:
                item["database_specific"] = {"cves_map": {"cves": [{"id": cve}]}}
            document = {**document, "id": notice, "upstream": [f"UBUNTU-{cve}"]}
            yield f"osv/usn/{notice}.json", json.dumps(document).encode()


def _affected(package: str, number: int, state: State) -> Iterator[dict[str, Any]]:
    for place, (version, codename) in enumerate(LIVING):
        pro = place < 3 and number % 2 == 0
        at = f"{texts.version(number % 300)}-{1 + state.revision}ubuntu{place}{'+esm1' if pro else ''}"
        fixed = [{"fixed": at}] if (number + place) % 4 else []
        distro = f"esm-infra/{codename}" if pro else codename
        yield {
            "package": {
                "ecosystem": f"Ubuntu:{'Pro:' if pro else ''}{version}:LTS",
                "name": package,
                "purl": f"pkg:deb/ubuntu/{package}@{at}?arch=source&distro={distro}",
            },
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, *fixed]}],
            "versions": [f"{texts.version(back)}-1ubuntu{place}" for back in range(number % 300 % 12)],
            "ecosystem_specific": {
                "binaries": [{"binary_name": f"{package}{end}", "binary_version": at} for end in _BINARIES]
            },
        }


def _vex(plan: Plan) -> Iterator[tuple[str, bytes]]:
    for cve, package, number, _, _ in _issues(plan):
        places = [codename for place, (_, codename) in enumerate(LIVING) if (number + place) % 4 == 0]
        statement = {
            "vulnerability": {"name": cve},
            "timestamp": "2026-01-09T10:15:00Z",
            "status": "affected",
            "action_statement": _UNFIXED[number % 2],
            "products": [_product(package, codename, end, arch) for codename in places for end, arch in _each()],
        }
        others = [
            _product(f"{package}-compat", codename, end, arch) for _, codename in LIVING for end, arch in _each()
        ]
        never = {**statement, "status": "not_affected", "justification": "vulnerable_code_not_present"}
        document = {"author": "Canonical Ltd.", "statements": [statement, {**never, "products": others}]}
        yield f"vex/cve/{cve[4:8]}/{cve}.json", json.dumps(document).encode()


def _each() -> Iterator[tuple[str, str]]:
    for arch in _ARCHITECTURES:
        for end in _BINARIES[:1] if arch == "source" else _BINARIES:
            yield end, arch


def _product(package: str, codename: str, end: str, arch: str) -> dict[str, str]:
    return {"@id": f"pkg:deb/ubuntu/{package}{end}@1.0-1?arch={arch}&distro={codename}"}


def _tree(plan: Plan) -> Iterator[tuple[str, bytes]]:
    for cve, package, number, state, chances in _issues(plan):
        said = ("DNE", "needed", f"released ({texts.version(number % 300)}-{1 + state.revision})", "not-affected")
        lines = [
            f"Candidate: {cve}",
            "Description:",
            f" {texts.sentence(chances, 30, 70)}",
            f"Priority: {_PRIORITIES[int(chances.random() * len(_PRIORITIES))]}",
            f"Patches_{package}:",
            *(f"{codename}_{package}: {said[(number + place) % 4]}" for place, codename in enumerate(ENDED)),
            *(f"{codename}_{package}: needed" for _, codename in LIVING),
        ]
        home = "active" if number % 3 == 0 else "retired"
        yield f"ubuntu-cve-tracker-master/{home}/{cve}", "\n".join([*lines, ""]).encode()
