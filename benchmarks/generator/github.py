"""The archive of GitHub's advisory database: reviewed advisories among ten times as many that nobody reviewed."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

ARCHIVE: Final = "github.com/github/advisory-database/archive/refs/heads/main.tar.gz"
UNREVIEWED: Final = 10
"""Advisories that nobody reviewed, for each reviewed one."""

_TOP: Final = "advisory-database-main/advisories"
_LETTERS: Final = "23456789cfghjmpqrvwx"
_ECOSYSTEMS: Final = (
    ("npm",) * 5 + ("PyPI",) * 4 + ("Maven",) * 6 + ("Packagist",) * 4 + ("Go", "Go", "RubyGems", "NuGet")
)
_SEVERITIES: Final = ("LOW", "MODERATE", "MODERATE", "MODERATE", "HIGH", "HIGH", "CRITICAL")
_IMPACTS: Final = "NLH"


def write(plan: Plan, root: Path) -> None:
    """Write the archive below a folder mirror."""
    with (
        folder.replacing(root / ARCHIVE) as file,
        gzip.GzipFile("", "wb", 6, file, mtime=int(FIRST_DAY.timestamp())) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for place, document in _documents(plan):
            # Every advisory lies in a folder of its own, which the archive lists.
            above = tarfile.TarInfo(f"{_TOP}/{place}/{document['id']}")
            above.type, above.mode = tarfile.DIRTYPE, 0o775
            archive.addfile(above)
            content = json.dumps(document, indent=2).encode()
            member = tarfile.TarInfo(f"{above.name}/{document['id']}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            # The library keeps every member that it has seen.
            archive.members = []  # type: ignore[attr-defined]


def identity(number: int) -> str:
    """Return the id of the advisory with a number."""
    letters = "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(12))
    return f"GHSA-{letters[8:]}-{letters[4:8]}-{letters[:4]}"


def _documents(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, state in plan.numbers(Kind.GITHUB):
        chances = plan.random(Kind.GITHUB, number)
        month = f"{2017 + number % 10}/{1 + number % 12:02}"
        if not state.removed:
            yield f"github-reviewed/{month}", _reviewed(plan, number, state, chances)
        for copy in range(UNREVIEWED):
            yield f"unreviewed/{month}", _unreviewed(plan, number * UNREVIEWED + copy, chances)


def _reviewed(plan: Plan, number: int, state: State, chances: random.Random) -> dict[str, Any]:
    vector = "".join(f"/{name}:{chances.choice(_IMPACTS)}" for name in "CIA")
    return {
        **_head(plan, identity(number), number, chances),
        "modified": f"{plan.moment(state.touched):%Y-%m-%dT%H:%M:%SZ}",
        "severity": [{"type": "CVSS_V3", "score": f"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U{vector}"}],
        "affected": [
            _affected(number, part, state, chances) for part in range(1 + int(1.6 * chances.random() ** 2 * 3))
        ],
        "database_specific": {
            "cwe_ids": [f"CWE-{20 + number % 900}"],
            "severity": _SEVERITIES[number % len(_SEVERITIES)],
            "github_reviewed": True,
            "github_reviewed_at": "2024-06-04T12:00:00Z",
            "nvd_published_at": None,
        },
    }


def _affected(number: int, part: int, state: State, chances: random.Random) -> dict[str, Any]:
    low = int(chances.random() * 30)
    fixed = texts.version(low + 5 + state.revision)
    events = [{"introduced": texts.version(low) if part % 2 else "0"}]
    found: dict[str, Any] = {
        "package": {
            "ecosystem": _ECOSYSTEMS[number % len(_ECOSYSTEMS)],
            "name": f"{texts.name(number % 9000)}-{part}",
        },
        "ranges": [{"type": "ECOSYSTEM", "events": [*events, *([{"fixed": fixed}] if number % 12 else [])]}],
    }
    if number % 15 == 1:
        found["database_specific"] = {"last_known_affected_version_range": f"<= {texts.version(low + 4)}"}
    return found


def _unreviewed(plan: Plan, number: int, chances: random.Random) -> dict[str, Any]:
    return {
        **_head(plan, identity(100_000_000 + number), number, chances),
        "severity": [],
        "affected": [],
        "database_specific": {
            "cwe_ids": [],
            "severity": None,
            "github_reviewed": False,
            "github_reviewed_at": None,
            "nvd_published_at": None,
        },
    }


def _head(plan: Plan, name: str, number: int, chances: random.Random) -> dict[str, Any]:
    cve = nvd.identity(plan, number % plan.amounts[Kind.NVD])
    return {
        "schema_version": "1.4.0",
        "id": name,
        "modified": f"{FIRST_DAY:%Y-%m-%dT%H:%M:%SZ}",
        "published": f"{FIRST_DAY:%Y-%m-%dT%H:%M:%SZ}",
        "aliases": [cve],
        "summary": texts.sentence(chances, 5, 10),
        "details": texts.sentence(chances, 30, 90),
        "references": [
            {"type": "ADVISORY", "url": f"https://nvd.nist.gov/vuln/detail/{cve}"},
            {"type": "WEB", "url": f"https://vendor.example/{texts.name(number)}"},
        ],
    }
