"""The archive of Bitnami's advisories, as driver osv reads it: OSV documents, many of several ranges."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

ARCHIVE: Final = "github.com/bitnami/vulndb/archive/refs/heads/main.tar.gz"

_TOP: Final = "vulndb-main/data"
_SEVERITIES: Final = ("Low", "Medium", "Medium", "Medium", "High", "High", "Critical")
_IMPACTS: Final = "NLH"
_COMPONENTS: Final = 300


def write(plan: Plan, root: Path) -> None:
    """Write the archive below a folder mirror."""
    with (
        folder.replacing(root / ARCHIVE) as file,
        gzip.GzipFile("", "wb", 6, file, mtime=int(FIRST_DAY.timestamp())) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for number, state in plan.numbers(Kind.OSV):
            if state.removed:
                continue
            component = texts.name(number % _COMPONENTS)
            identity = f"BIT-{component}-2024-{number + 1000}"
            content = json.dumps(_document(plan, identity, component, number, state), indent=2).encode()
            member = tarfile.TarInfo(f"{_TOP}/{component}/{identity}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            # The library keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]


def _document(plan: Plan, identity: str, component: str, number: int, state: State) -> dict[str, Any]:
    chances = plan.random(Kind.OSV, number)
    vector = "".join(f"/{name}:{chances.choice(_IMPACTS)}" for name in "CIA")
    events: list[dict[str, str]] = []
    for branch in range(1 + int(chances.random() * 4)):
        low = branch * 40
        events += [
            {"introduced": texts.version(low) if branch else "0"},
            {"fixed": texts.version(low + 5 + state.revision)},
        ]
    return {
        "schema_version": "1.5.0",
        "id": identity,
        "details": texts.sentence(chances, 30, 90),
        "aliases": [nvd.identity(plan, number % plan.amounts[Kind.NVD])],
        "affected": [
            {
                "package": {"ecosystem": "Bitnami", "name": component, "purl": f"pkg:bitnami/{component}"},
                "severity": [{"type": "CVSS_V3", "score": f"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U{vector}"}],
                "ranges": [{"type": "SEMVER", "events": events}],
            }
        ],
        "database_specific": {
            "severity": _SEVERITIES[number % len(_SEVERITIES)],
            "cpes": [f"cpe:2.3:a:{component}:{component}:*:*:*:*:*:*:*:*"],
        },
        "references": [{"type": "WEB", "url": f"https://vendor.example/{texts.name(number)}"}],
        "published": f"{FIRST_DAY:%Y-%m-%dT%H:%M:%SZ}",
        "modified": f"{plan.moment(state.touched):%Y-%m-%dT%H:%M:%SZ}",
    }
