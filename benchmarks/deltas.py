"""What changes cost readers: deltas of growing size, and pages of a group while it is being published to.

python -m benchmarks.deltas [--records N] [--seconds N]

One group with made-up records of an operating system, about 400 bytes each. While pages are asked for, another
process publishes 100 changed records, spread over the group, again and again with a quarter of a second between.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    for name in ("records", "pages", "MB", "s", "CPU ms a page", "CPU ms a request without change"):
        deltas.add_column(name, justify="right")
    during = Table(title=f"Pages of a group of {options.records:,} records, 8 at once, gzip")
    for name in ("page", "meanwhile", "requests/s", "p50 ms", "p99 ms", "CPU ms"):
        during.add_column(name, justify="left" if name in ("page", "meanwhile") else "right")
    with tempfile.TemporaryDirectory(prefix="vulnfeeds-deltas-") as folder:
        home, url = Path(folder), f"sqlite:///{folder}/store.sqlite"
        with contextlib.closing(open_store(url)) as store:
            publish(store, range(options.records), 0)
        port = free_port()
        environment = service_environment(home, "", PORT=port, STORE=url)
        with serving(home, environment, port) as (address, process):
            for size in (10, 1_000, options.records):
                deltas.add_row(*delta(address, process, size, options.records))
            token = encode(FEED, GROUP, DeltaToken(options.records, options.records))
            nothing = load(f"{address}{PATH}?next_token={token}", process, "gzip", 8, options.seconds)
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
    """Get the last `size` changes, page after page, and return the columns."""
    token = encode(FEED, GROUP, DeltaToken(last - size, last))
    pages, received, spent, began = 0, 0, cpu_seconds(process), time.monotonic()
    rounds = max(1, 3_000 // size)
    for _ in range(rounds):
        following = token
        while following:
            raw = fetch(f"{address}{PATH}?next_token={following}", "gzip")
            following = token_in(raw)
            pages, received = pages + 1, received + len(raw)
    seconds, spent = time.monotonic() - began, cpu_seconds(process) - spent
    counts = [f"{size:,}", f"{pages // rounds:,}", f"{received / rounds / 1e6:.2f}"]
    return [*counts, f"{seconds / rounds:.3f}", f"{spent / pages * 1e3:.1f}", ""]


def token_of(address: str) -> str:
    """Return the token of the second page."""
    return token_in(fetch(address + PATH, "gzip"))


def token_in(raw: bytes) -> str:
    """Return the token of a page."""
    found = TOKEN.search(gzip.decompress(raw))
    assert found is not None, "a page without its end"
    return found[1].decode()


if __name__ == "__main__":
    main()
