"""How fast identifiers, packages and products are found in a full store: hot and cold ones, deep pages, both stores.

python -m benchmarks.search [--scale S] [--rounds N] [--store sqlite|postgresql|both] [--filled URL...] [--folder DIR]

The store has the generated NVD (340,000 records at scale 1, in two feeds) and every other document of the replay.
Each kind of question is asked in turns over many different identifiers, packages and products, on one connection.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.generate import generate
from benchmarks.generator.plan import Plan
from benchmarks.measure import measure, postgres, replay, service_environment
from benchmarks.pages import cpu_seconds
from benchmarks.tasks import service
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.records.handles import Kind
from vulnfeeds.store import open_store
from vulnfeeds.store.opening import SQLStore

ABSENT: Final = frozenset({"fedora"})
"""Drivers for which the replay has no documents."""
HOTTEST: Final = 20
COLD: Final = 200
COMMAND: Final = (sys.executable, "-m", "vulnfeeds", "sync")


@dataclass(frozen=True)
class Asking:
    """A kind of question and the paths that ask it."""

    name: str
    paths: list[str]
    walk: bool = False
    """Follow each to its last page; the times are those of the pages behind the first."""


def main() -> None:
    """Fill what is not filled, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the generated NVD")
    parser.add_argument("--rounds", type=int, default=400, help="requests of each kind")
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--filled", nargs="*", default=[], metavar="URL", help="stores that are filled already")
    parser.add_argument("--folder", type=Path, help="where the work is done")
    options = parser.parse_args()
    table = Table(title="Finding across groups")
    for name in ("question", "store", "asked", "records", "kB", "p50 ms", "p95 ms", "p99 ms", "CPU ms"):
        table.add_column(name, justify="left" if name in ("question", "store") else "right")
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-search-", dir=options.folder) as made:
        for url in stores(options, Path(made)):
            kind = "SQLite" if url.startswith("sqlite") else "PostgreSQL"
            with contextlib.closing(open_store(url)) as store:
                asked = list(askings(store))
                records = sum(group.records for group in store.groups())
                print(f"{kind}: {records:,} records, {store.size() / 1e6:.0f} MB, lagging: {len(store.lagging())}")
            with service(Path(made), url) as (address, process):
                for asking in asked:
                    table.add_row(asking.name, kind, *ask(address, process, asking, options.rounds))
    Console(width=130).print(table)


def stores(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Yield the addresses of filled stores."""
    yield from options.filled
    if options.filled:
        return
    generate(Plan(options.scale, 1, 0.01, 1), folder / "generated", ["nvd"])
    if options.store != "postgresql":
        url = f"sqlite:///{folder}/store.sqlite"
        fill(folder, url)
        yield url
    if options.store != "sqlite":
        with postgres(folder / "server") as url:
            fill(folder, url)
            yield url


def fill(folder: Path, url: str) -> None:
    """Load the generated NVD, then everything that the replay has."""
    drivers = [name for name in load_drivers([]) if name not in ABSENT]
    home = folder / f"home-{len(list(folder.glob('home-*')))}"
    home.mkdir()
    with replay(folder / "replay") as address:
        for name in sorted(drivers, key=lambda name: (name != "nvdv2", name != "nvddb")):
            mirror = str(folder / "generated") if name == "nvdv2" else address
            environment = service_environment(home, mirror, STORE=url, DRIVERS=",".join(drivers))
            measure([*COMMAND, name], environment, home / "log")


def askings(store: SQLStore) -> Iterator[Asking]:
    """Yield kinds of questions, with what the store has of each."""
    chance = random.Random(1)
    hot, cold = ids(store, chance)
    packages, products = words(store, Kind.PACKAGE), words(store, Kind.PRODUCT)
    about, search = "/v1/vulnerabilities/", "/v1/search?"
    yield Asking("hot ids", [about + cve for cve in hot])
    yield Asking("hot ids, with kev,cvss,cwe", [f"{about}{cve}?with=kev,cvss,cwe" for cve in hot])
    yield Asking("cold ids (NVD only)", [about + cve for cve in cold])
    yield Asking("advisories, most cited", [about + quote(word) for word in words(store, Kind.CITES)[:HOTTEST]])
    yield Asking("advisories, any", [about + quote(word) for word in chance.sample(words(store, Kind.CITES), COLD)])
    yield Asking("ids that nobody has", [f"{about}CVE-1990-{number}" for number in range(HOTTEST)])
    yield Asking("hot packages", [search + urlencode({"package": word}) for word in packages[:HOTTEST]])
    yield Asking("any package", [search + urlencode({"package": word}) for word in chance.sample(packages, COLD)])
    yield Asking(
        "hot packages in debian:*, a version",
        [search + urlencode({"package": w, "group": "debian:*", "version": "1.2.3-4"}) for w in packages[:HOTTEST]],
    )
    yield Asking(
        "purl with release and version",
        [f"{search}purl=pkg:deb/debian/{quote(w)}@1.2.3-4%3Fdistro=debian-11" for w in packages[:HOTTEST]],
    )
    yield Asking("hot products by CPE", [search + urlencode({"cpe": cpe(word)}) for word in products[:HOTTEST]])
    yield Asking("any product", [search + urlencode({"cpe": cpe(w)}) for w in chance.sample(products, COLD)])
    yield Asking(
        "hot products, a version", [search + urlencode({"cpe": f"{cpe(word)}:1.0.0"}) for word in products[:HOTTEST]]
    )
    yield Asking("deep pages of hot packages", [search + urlencode({"package": w}) for w in packages[:5]], walk=True)
    yield Asking("deep pages of hot products", [search + urlencode({"cpe": cpe(w)}) for w in products[:5]], walk=True)
    yield Asking("pages of 1000", [search + urlencode({"package": w, "limit": 1000}) for w in packages[:HOTTEST]])


def cpe(word: str) -> str:
    """Return the CPE name of a product."""
    return f"cpe:2.3:a:{word}"


def ids(store: SQLStore, chance: random.Random) -> tuple[list[str], list[str]]:
    """Return CVEs that the most groups have, and some that only the NVD has."""
    with store._database.read() as session:
        rows = session.rows("SELECT key, count(*) FROM current_records GROUP BY key ORDER BY 2 DESC, 1")
    cold = [key for key, count in rows if count <= 2 and key.startswith("CVE-")]
    return [key for key, _ in rows[:HOTTEST]], chance.sample(cold, COLD)


def words(store: SQLStore, kind: Kind) -> list[str]:
    """Return the words of a kind, those of the most records first."""
    statement = "SELECT word, count(*) FROM record_handles WHERE kind = :kind GROUP BY word ORDER BY 2 DESC, 1"
    with store._database.read() as session:
        return [word for word, _ in session.rows(statement, {"kind": int(kind)})]


def ask(address: str, process: psutil.Process, asking: Asking, rounds: int) -> list[str]:
    """Ask, and return how often, the most records and kB of an answer, p50, p95, p99, and the service's CPU time."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    times: list[float] = []
    records = size = 0
    get(connection, asking.paths[0])
    spent = cpu_seconds(process)
    while len(times) < rounds:
        for path in asking.paths[: rounds - len(times)]:
            token = ""
            while True:
                mark = "&" if "?" in path else "?"
                took, body = get(connection, f"{path}{mark}next_token={token}" if token else path)
                found = json.loads(body)
                if token or not asking.walk:
                    times.append(took)
                records, size = max(records, len(found.get("records", ()))), max(size, len(body))
                token = found.get("next_token", "") if asking.walk else ""
                if not token:
                    break
    spent = cpu_seconds(process) - spent
    connection.close()
    times.sort()
    at = [times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.95, 0.99)]
    shown = [*at, spent / len(times)]
    return [f"{len(times):,}", f"{records:,}", f"{size / 1e3:.0f}", *(f"{value * 1e3:.1f}" for value in shown)]


def get(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    """Return how long an answer took and its body."""
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 404):
        raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
    return time.perf_counter() - began, body


if __name__ == "__main__":
    main()
