"""secdb documents of the distributions of apk packages without releases: Wolfi, Chainguard, MinimOS, SecureOS.

A library's CVE is fixed in every package that is built with it, so most of a document is the same ids again:
Chainguard's has 1,000,000 fixes of 30,000 vulnerabilities.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

SECUREOS: Final = "security.secureos.io/v1/"
_HEAD: Final = {
    "apkurl": "{{urlprefix}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk",
    "archs": ["x86_64", "aarch64"],
    "reponame": "os",
}
_NEVER: Final = 7
"""Every so many fixes say that the package was never affected."""
_ENDS: Final = ("", "-dev", "-doc", "-compat", "-fips", "-cli", "-static", "-iamguarded", "-libs", "-bin")


@dataclass(frozen=True)
class Distribution:
    """What a document has at scale 1."""

    kind: Kind
    address: str
    packages: int
    widest: int
    """Packages that the vulnerability with most of them is fixed in; the mean is a sixth of it."""


DISTRIBUTIONS: Final = {
    "wolfi": Distribution(Kind.WOLFI, "packages.wolfi.dev/os/security.json", 6_000, 72),
    "chainguard": Distribution(Kind.CHAINGUARD, "packages.cgr.dev/chainguard/security.json", 20_000, 200),
    "minimos": Distribution(Kind.MINIMOS, "packages.mini.dev/advisories/secdb/security.json", 5_000, 60),
    "secureos": Distribution(Kind.SECUREOS, SECUREOS, 600, 60),
}


def write(name: str, plan: Plan, root: Path) -> None:
    """Write one distribution's document below a folder mirror; SecureOS' with the pointer that leads to it."""
    one = DISTRIBUTIONS[name]
    if one.address != SECUREOS:
        with folder.replacing(root / one.address) as file:
            for piece in _document(plan, one, ", "):
                file.write(piece)
        return
    packed = gzip.compress(b"".join(_document(plan, one, ",")), 6, mtime=int(FIRST_DAY.timestamp()))
    digest = hashlib.sha256(packed).hexdigest()
    folder.write(root / SECUREOS / "secdb.json.gz", packed)
    pointer = {
        "latest_url": f"https://{SECUREOS}secdb.json.gz",
        "sha256": digest,
        "published_at": int(plan.moment(plan.day).timestamp()),
        "version": "v1",
    }
    folder.write(root / SECUREOS / "latest.json", json.dumps(pointer, indent=1).encode())


PARTS: Final[dict[str, Callable[[Plan, Path], None]]] = {name: partial(write, name) for name in DISTRIBUTIONS}


def fixes(plan: Plan, name: str) -> int:
    """Return how many fixes a distribution's document holds."""
    one = DISTRIBUTIONS[name]
    numbers = (pair for pair in plan.numbers(one.kind) if not pair[1].removed)
    return sum(sum(1 for _ in _fixes(plan, one, *pair)) for pair in numbers)


def identity(plan: Plan, kind: Kind, number: int) -> str:
    """Return the id of a vulnerability: two in three are CVEs, the others GitHub's."""
    if number % 3 == 2:
        return f"GHSA-{_part(number)}-{_part(number * 7919)}-{_part(kind * 101)}"
    if number >= plan.amounts[kind]:
        return f"CVE-2026-{800_000 + number}"
    return nvd.identity(plan, number * plan.amounts[Kind.NVD] // plan.amounts[kind])


def _part(number: int) -> str:
    letters = "23456789cfghjmpqrvwx"
    return "".join(letters[number // 20**place % 20] for place in range(4))


def _document(plan: Plan, one: Distribution, comma: str) -> Iterator[bytes]:
    """Yield a document piece by piece, sorted by package as upstream's."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for number, state in plan.numbers(one.kind):
        if not state.removed:
            word = identity(plan, one.kind, number)
            for package, version in _fixes(plan, one, number, state):
                found[package][version].append(word)
    start = json.dumps({**_HEAD, "urlprefix": f"https://{one.address.partition('/')[0]}"})[:-1] + ', "packages": ['
    for package in sorted(found):
        entry = {"pkg": {"name": package, "secfixes": found[package]}}
        yield f"{start}{json.dumps(entry, separators=(comma, ': '))}".encode()
        start = comma
    yield b"]}"


def _fixes(plan: Plan, one: Distribution, number: int, state: State) -> Iterator[tuple[str, str]]:
    chances = plan.random(one.kind, number)
    most = max(20, int(one.packages * plan.scale))
    wide = min(most, 1 + int(one.widest * chances.random() ** 5))
    first = int(chances.random() ** 2 * most)
    for place in range(first, first + wide):
        package = f"{texts.name(place % most // len(_ENDS))}{_ENDS[place % len(_ENDS)]}"
        never = (number + place) % _NEVER == 0
        yield package, "0" if never else f"{texts.version((number + place) % 40)}-r{state.revision}"
