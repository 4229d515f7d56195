"""Alpine's secdb: an index, an index for each release, and a file for each of its repositories."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan, State

HOST: Final = "secdb.alpinelinux.org"
RELEASES: Final = (*(f"v3.{number}" for number in range(2, 41)), "edge")
REPOSITORIES: Final = ("main", "community")
ARCHITECTURES: Final = ("aarch64", "armhf", "armv7", "ppc64le", "s390x", "x86", "x86_64")
_PAGE: Final = (
    "<html>\n<head><title>Index of /{0}</title></head>\n<body>\n<h1>Index of /{0}</h1><hr><pre>{1}\n</pre><hr>"
    "</body>\n</html>\n"
)


def write(plan: Plan, root: Path) -> None:
    """Write all releases below a folder mirror."""
    target = root / HOST
    fixes: list[tuple[int, State]] = [pair for pair in plan.numbers(Kind.ALPINE) if not pair[1].removed]
    for place, release in enumerate(RELEASES):
        there = [(number, state) for number, state in fixes if _first(plan, number) <= place]
        for repository in REPOSITORIES:
            chosen = [pair for pair in there if _package(plan, pair[0]) % 2 == REPOSITORIES.index(repository)]
            folder.write(target / release / f"{repository}.json", _document(plan, release, repository, chosen))
        names = [f"{repository}.json" for repository in REPOSITORIES]
        folder.write(target / release / "index.html", _index(f"{release}/", names))
    folder.write(target / "index.html", _index("", [*(f"{release}/" for release in RELEASES), "last-update"]))
    folder.write(target / "last-update", f"{plan.moment(plan.day):%Y-%m-%d}\n".encode())


def _first(plan: Plan, number: int) -> int:
    """Return the place of the first release that has a fix: most fixes live on in all later ones."""
    if number >= plan.amounts[Kind.ALPINE]:
        return len(RELEASES) - 2
    return max(0, int(plan.chance(Kind.ALPINE, number, -1 % (1 << 32)) * 63) - 23)


def _package(plan: Plan, number: int) -> int:
    return int(plan.chance(Kind.ALPINE, number // 3, 1 << 33) ** 2 * max(10, 900 * plan.scale))


def _document(plan: Plan, release: str, repository: str, fixes: list[tuple[int, State]]) -> bytes:
    packages: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for number, state in fixes:
        cve = nvd.identity(plan, int(plan.chance(Kind.ALPINE, number, 1 << 34) * plan.amounts[Kind.NVD]))
        # "0" says that the package was never affected.
        version = "0" if number % 50 == 0 else f"{texts.version(number // 3 % 300)}-r{state.revision}"
        packages[texts.name(_package(plan, number))][version].append(cve)
    return msgspec.json.encode(
        {
            "apkurl": "{{urlprefix}}/{{distroversion}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk",
            "archs": ARCHITECTURES,
            "reponame": repository,
            "urlprefix": "https://dl-cdn.alpinelinux.org/alpine",
            "distroversion": release,
            "packages": [{"pkg": {"name": name, "secfixes": packages[name]}} for name in sorted(packages)],
        }
    )


def _index(name: str, links: list[str]) -> bytes:
    lines = [
        '<a href="../">../</a>',
        *(f'<a href="{link}">{link}</a>{" " * 40}01-Mar-2026 00:00       -' for link in links),
    ]
    return _PAGE.format(name, "\n".join(lines)).encode()


def fixes(plan: Plan) -> int:
    """Return how many fixes all releases hold together."""
    numbers = (number for number, state in plan.numbers(Kind.ALPINE) if not state.removed)
    return sum(len(RELEASES) - _first(plan, number) for number in numbers)
