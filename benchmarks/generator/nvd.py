"""The NVD's yearly feed files, the modified one and their metas, in form 2.0."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import msgspec
from isal import igzip

from benchmarks.generator import folder, texts
from benchmarks.generator.plan import Kind, Plan, State
from benchmarks.generator.scores import metrics

HOST_PATH: Final = "nvd.nist.gov/feeds/json/cve/2.0"
YEARS: Final = {
    2002: 6.7, 2003: 1.5, 2004: 2.7, 2005: 4.7, 2006: 7.1, 2007: 6.5, 2008: 7.1, 2009: 5.0, 2010: 5.1,
    2011: 4.8, 2012: 5.8, 2013: 6.6, 2014: 8.9, 2015: 8.6, 2016: 10.5, 2017: 18.0, 2018: 17.0, 2019: 17.0,
    2020: 20.0, 2021: 23.0, 2022: 26.0, 2023: 31.0, 2024: 39.0, 2025: 45.0, 2026: 12.4,
}  # fmt: skip
"""Thousands of CVEs by yearly file; 2002 holds those since 1999."""
NEWEST: Final = max(YEARS)
REACH_DAYS: Final = 8
"""How far the modified feed reaches back."""

_FIRST: Final = b'{\r\n  "resultsPerPage" : %d,\r\n  "startIndex" : 0,\r\n  "totalResults" : %d,\r\n'
_HEAD: Final = b'  "format" : "NVD_CVE",\r\n  "version" : "2.0",\r\n  "timestamp" : "%s",\r\n  "vulnerabilities" : [ '
_CNAS: Final = ("cve@mitre.org", "cna@vuldb.com", "security@vendor.example", "secure@vendor.example")
_NVD: Final = "nvd@nist.gov"
_PRODUCTS: Final = 60_000
_MATCHES: Final = ((0.10, 0, 0), (0.55, 1, 1), (0.75, 2, 3), (0.90, 4, 10), (0.99, 11, 40), (1.0, 41, 180))
"""(up to this chance, fewest, most) matches in a CVE's configurations."""


def write(plan: Plan, root: Path) -> None:
    """Write all feed files and metas below a folder mirror."""
    target = root / HOST_PATH
    for year in YEARS:
        numbers = list(_numbers(plan, year))
        _write(plan, target, str(year), numbers)
    recent = [
        (number, state) for year in YEARS for number, state in _numbers(plan, year) if _is_recent(plan, number, state)
    ]
    _write(plan, target, "modified", recent)


def identity(plan: Plan, number: int) -> str:
    """Return the CVE id of a number."""
    year, place = _place(plan, number)
    shown = 1999 + place % 4 if year == min(YEARS) else year
    return f"CVE-{shown}-{place + 1000:04}"


def item(plan: Plan, number: int, state: State) -> bytes:
    """Return one element of `vulnerabilities`, without layout."""
    chances = plan.random(Kind.NVD, number)
    year, _ = _place(plan, number)
    published = datetime(year, 1, 1, tzinfo=UTC) + timedelta(
        minutes=int(chances.random() * 86_000 if year == NEWEST else chances.random() * 525_000)
    )
    cna = _CNAS[int(chances.random() * len(_CNAS))]
    rejected = chances.random() < 0.04 or state.removed
    cve: dict[str, Any] = {
        "id": identity(plan, number),
        "sourceIdentifier": cna,
        "published": _stamp(published),
        "lastModified": _stamp(_modified(plan, number, state, published)),
        "vulnStatus": "Rejected" if rejected else "Analyzed" if year >= 2020 else "Deferred",
        "cveTags": [],
        "descriptions": _descriptions(chances, state, rejected=rejected),
    }
    if rejected:
        return msgspec.json.encode({"cve": {**cve, "metrics": {}, "references": []}})
    cve["metrics"] = metrics(chances, year, cna, revised=state.revision % 2 == 1)
    cve["weaknesses"] = [_weakness(chances, source) for source in (_NVD, cna)[: 1 + (chances.random() < 0.4)]]
    if configurations := _configurations(plan, chances, number, state):
        cve["configurations"] = configurations
    cve["references"] = _references(chances, cna, year)
    return msgspec.json.encode({"cve": cve})


# --- files --------------------------------------------------------------------------------------------------------


def _write(plan: Plan, target: Path, name: str, numbers: list[tuple[int, State]]) -> None:
    path = target / f"nvdcve-2.0-{name}.json.gz"
    # The file of a year is made anew only when something in it changed.
    day = max((state.touched for _, state in numbers), default=1) if name != "modified" else plan.day
    made_at = plan.moment(day)
    digest, size = hashlib.sha256(), 0
    with folder.replacing(path) as file:
        packer: Any = igzip.IGzipFile
        with packer(filename="", fileobj=file, mode="wb", compresslevel=2, mtime=0) as packed:
            for piece in _document(plan, numbers, made_at):
                packed.write(piece)
                digest.update(piece)
                size += len(piece)
        packed_size = file.tell()
    meta = {
        "lastModifiedDate": made_at.isoformat(),
        "size": size,
        "zipSize": packed_size + 136,
        "gzSize": packed_size,
        "sha256": digest.hexdigest().upper(),
    }
    text = "".join(f"{key}:{value}\r\n" for key, value in meta.items())
    folder.write(target / f"nvdcve-2.0-{name}.meta", text.encode())


def _document(plan: Plan, numbers: list[tuple[int, State]], made_at: datetime) -> Iterable[bytes]:
    yield _FIRST % (len(numbers), len(numbers))
    yield _HEAD % _stamp(made_at).encode()
    for place, (number, state) in enumerate(numbers):
        laid_out = msgspec.json.format(item(plan, number, state), indent=2).replace(b"\n", b"\r\n  ")
        yield laid_out if place == 0 else b", " + laid_out
    yield b" ]\r\n}"


def _numbers(plan: Plan, year: int) -> Iterator[tuple[int, State]]:
    starts = _starts(plan)
    place = list(YEARS).index(year)
    spans = [range(starts[place], starts[place + 1])]
    if year == NEWEST:
        spans.append(range(plan.amounts[Kind.NVD], plan.total(Kind.NVD)))
    for span in spans:
        for number in span:
            yield number, plan.state(Kind.NVD, number)


def _place(plan: Plan, number: int) -> tuple[int, int]:
    """Return the year of a number and its place in it."""
    starts = _starts(plan)
    if number >= plan.amounts[Kind.NVD]:
        return NEWEST, number - starts[-2]
    place = bisect_right(starts, number) - 1
    return list(YEARS)[place], number - starts[place]


@lru_cache(maxsize=8)
def _starts(plan: Plan) -> list[int]:
    """Return the first number of each year, and the end."""
    sums = [0.0, *accumulate(YEARS.values())]
    return [round(plan.amounts[Kind.NVD] * part / sums[-1]) for part in sums]


def _is_recent(plan: Plan, number: int, state: State) -> bool:
    if state.touched > 1:
        return state.touched > plan.day - REACH_DAYS
    # On day 1 too something has happened in the days before.
    return plan.day < REACH_DAYS and number % 250 == 0


def _modified(plan: Plan, number: int, state: State, published: datetime) -> datetime:
    if state.touched > 1:
        return plan.moment(state.touched) - timedelta(hours=1, seconds=number % 80_000)
    if number % 250 == 0:
        return plan.moment(1) - timedelta(days=1, seconds=number % 80_000)
    return min(published + timedelta(days=number % 700), plan.moment(1) - timedelta(days=REACH_DAYS + 1))


# --- parts of an item ---------------------------------------------------------------------------------------------


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000")


def _descriptions(chances: random.Random, state: State, *, rejected: bool) -> list[dict[str, str]]:
    text = texts.sentence(chances, 25, 70)
    found = [{"lang": "en", "value": f"{text} Analysis {state.revision}." if state.revision else text}]
    if rejected:
        found[0]["value"] = f"Rejected reason: {text}"
    elif chances.random() < 0.75:
        found.append({"lang": "es", "value": texts.sentence(chances, 25, 70)})
    return found


def _weakness(chances: random.Random, source: str) -> dict[str, Any]:
    number = (79, 89, 119, 787, 20, 125, 416, 22)[int(chances.random() * 8)]
    kind = "Primary" if source == _NVD else "Secondary"
    return {"source": source, "type": kind, "description": [{"lang": "en", "value": f"CWE-{number}"}]}


def _references(chances: random.Random, cna: str, year: int) -> list[dict[str, Any]]:
    count = 1 + int(chances.random() ** 2 * (12 if year < 2020 else 7))
    found: list[dict[str, Any]] = []
    for _ in range(count):
        number = int(chances.random() * 1_000_000)
        url = f"https://{texts.name(number % 4000)}.example/{texts.name(number % 977)}/advisories/{number}"
        found.append({"url": url, "source": cna, "tags": ["Vendor Advisory", "Patch"][: number % 3]})
    return found


def _configurations(plan: Plan, chances: random.Random, number: int, state: State) -> list[dict[str, Any]]:
    drawn = chances.random()
    least, most = next((least, most) for upto, least, most in _MATCHES if drawn < upto)
    count = least + int(chances.random() * (most - least + 1))
    if count == 0:
        return []
    year, _ = _place(plan, number)
    ranges = 0.45 if year >= 2018 else 0.05
    matches: list[dict[str, Any]] = []
    product = _product(plan, chances)
    while len(matches) < count:
        if chances.random() < ranges:
            matches.append(_range(chances, product))
            product = _product(plan, chances)
        else:
            begin = int(chances.random() * _versions(product))
            run = min(count - len(matches), _versions(product) - begin)
            matches += [_match(product, texts.version(begin + step)) for step in range(run)]
    if state.revision and count > 1:
        matches = matches[: -(state.revision % count) or None]
    nodes = [{"operator": "OR", "negate": False, "cpeMatch": matches}]
    if chances.random() >= 0.08:
        return [{"nodes": nodes}]
    hardware = {**_match(product, "-", part="h"), "vulnerable": False}
    nodes.append({"operator": "OR", "negate": False, "cpeMatch": [hardware]})
    return [{"operator": "AND", "nodes": nodes}]


def _product(plan: Plan, chances: random.Random) -> int:
    """Return a product: a few have thousands of CVEs, most have one."""
    return int(max(50, _PRODUCTS * plan.scale) * chances.random() ** 3)


def _versions(product: int) -> int:
    """Return how many versions a product has."""
    return 4 + min(500, 4000 // (product + 1))


def _range(chances: random.Random, product: int) -> dict[str, Any]:
    count = _versions(product)
    high = 1 + int(chances.random() * (count - 1))
    found = _match(product, "*")
    if chances.random() < 0.6:
        found["versionStartIncluding"] = texts.version(max(0, high - 1 - int(chances.random() * 40)))
    found["versionEndExcluding" if chances.random() < 0.8 else "versionEndIncluding"] = texts.version(high)
    return found


def _match(product: int, version: str, part: str = "") -> dict[str, Any]:
    kind = part or ("o" if product % 7 == 0 else "a")
    return {
        "vulnerable": True,
        "criteria": f"cpe:2.3:{kind}:{texts.name(product // 4)}:{texts.name(product)}:{version}:*:*:*:*:*:*:*",
        "matchCriteriaId": f"{product:08X}-{len(version):04X}-4E5F-8A9B-{hash_of(version):012X}",
    }


@lru_cache(maxsize=4096)
def hash_of(version: str) -> int:
    """Return 48 bits that stand for a version in a match's id."""
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:6], "big")
