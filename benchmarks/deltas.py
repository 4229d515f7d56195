"""What changes cost readers: deltas of growing size, and pages of a group while it is being published to.

python -m benchmarks.deltas [--records N] [--seconds N]

One group with made-up records of an operating system, about 400 bytes each. A delta is walked once by the client for
whom its pages are made, and once again by one who gets them as they were made; "since without change" is the CPU ms
of a request that has its own time and gets nothing. While pages are asked for, another process publishes
(`benchmarks.publisher`).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from benchmarks.clients import TOKEN, serving
from benchmarks.measure import free_port, service_environment
from benchmarks.pages import Rate, cpu_seconds, fetch, load
from benchmarks.publisher import FEED, GROUP, PATH, publish, publisher
from vulnfeeds.api.tokens import DeltaToken, encode
from vulnfeeds.store import open_store


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("skipped: needs wrk to make the load")
    deltas = Table(title="Deltas, gzip")
    for name in ("records", "pages", "MB", "s", "CPU ms a page", "again: s", "CPU ms a page", "since without change"):
        deltas.add_column(name, justify="right")
    during = Table(title=f"Pages of a group of {options.records:,} records, 8 at once, gzip")
    for name in ("page", "meanwhile", "requests/s", "p50 ms", "p99 ms", "CPU ms"):
        during.add_column(name, justify="left" if name in ("page", "meanwhile") else "right")
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-deltas-") as folder:
        home, url = Path(folder), f"sqlite:///{folder}/store.sqlite"
        with contextlib.closing(open_store(url)) as store:
            publish(store, range(options.records), 0)
        port = free_port()
        environment = service_environment(home, "", PORT=port, STORE=url, SINCE_MARGIN_SECONDS=0)
        with serving(home, environment, port) as (address, process):
            for size in (10, 1_000, options.records):
                deltas.add_row(*delta(address, process, size, options.records))
            nothing = load(f"{address}{PATH}?since=2999-01-01", process, "gzip", 8, options.seconds)
            deltas.columns[-1].footer = f"{nothing.cpu_ms:.2f}"
            deltas.show_footer = True
            deep = PATH + "?next_token=" + token_of(address)
            for meanwhile in ("nothing", "publishes"):
                with publisher(url, options.records) if meanwhile == "publishes" else contextlib.nullcontext():
                    for name, path in (("first", PATH), ("deep", deep)):
                        rate = load(address + path, process, "gzip", 8, options.seconds)
                        during.add_row(name, meanwhile, *shown(rate))
    console = Console(width=110)
    console.print(deltas)
    console.print(during)
    print(f"load average {os.getloadavg()[0]:.1f}")


def shown(rate: Rate) -> list[str]:
    """Return the columns of one measurement."""
    return [f"{rate.per_second:,.0f}", f"{rate.p50_ms:.2f}", f"{rate.p99_ms:.1f}", f"{rate.cpu_ms:.3f}"]


def delta(address: str, process: Any, size: int, last: int) -> list[str]:
    """Get `size` changes, page after page, and return the columns: made for the first who asks, and once again.

    Each round is between two other numbers, so that no page of it was asked for before.
    """
    rounds = max(1, min(300, 3_000 // size))
    tokens = [DeltaToken(last - each - size, last - each) for each in range(rounds)]
    made, again = (walk(address, process, tokens) for _ in range(2))
    counts = [f"{size:,}", f"{made.pages // rounds:,}", f"{made.size / rounds / 1e6:.2f}"]
    times = [
        text for each in (made, again) for text in (f"{each.s / rounds:.4f}", f"{each.cpu / each.pages * 1e3:.2f}")
    ]
    return [*counts, *times, ""]


@dataclass(frozen=True)
class Walked:
    """What walks over changes took, all of them together."""

    pages: int
    size: int
    """Bytes received."""
    s: float
    cpu: float
    """Seconds of the service."""


def walk(address: str, process: Any, tokens: list[DeltaToken]) -> Walked:
    """Get the changes between each two numbers, on one connection as clients do."""
    host = urlsplit(address)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    pages, received, spent, began = 0, 0, cpu_seconds(process), time.monotonic()
    for token in tokens:
        following = encode(FEED, GROUP, token)
        while following:
            connection.request("GET", f"{PATH}?next_token={following}", headers={"Accept-Encoding": "gzip"})
            raw = connection.getresponse().read()
            following = token_in(raw)
            pages, received = pages + 1, received + len(raw)
    connection.close()
    return Walked(pages, received, time.monotonic() - began, cpu_seconds(process) - spent)


def token_of(address: str) -> str:
    """Return the token of the second page."""
    return token_in(fetch(address + PATH, "gzip"))


def token_in(raw: bytes) -> str:
    """Return the token of a page; a small one comes as it is."""
    found = TOKEN.search(gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw)
    assert found is not None, "a page without its end"
    return found[1].decode()


if __name__ == "__main__":
    main()
