"""What clients' syncs of all groups cost: the strict client alone, then light clients all at once.

python -m benchmarks.clients [--clients N] [--scale S]

First day 1 is synced and every client gets it whole, then day 2, and every client gets what changed since. Documents
are the recorded ones; with --scale those of benchmarks.generate. A light client asks what the strict one asks and
unpacks it, but neither checks nor keeps it, so that the load is the service's and not the clients'.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Replay, free_port, measure, replay, service_environment
from benchmarks.pages import cpu_seconds, wait_for
from vulnfeeds.testing.client.strict import StrictClient

TOKEN = re.compile(rb'"next_token":"([^"]*)"}$')
FEEDS = ("vulnerabilities", "nvdv2")
HEADERS = {"Accept-Encoding": "gzip, deflate", "Accept": "*/*"}


def main() -> None:
    """Measure and print a table, or be one light client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--light", nargs=2, metavar=("URL", "SINCE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.light:
        print(json.dumps(walk_all(*options.light)))
        return
    table = Table(title="Clients' syncs of all groups; CPU and memory are the service's")
    for name in ("clients", "sync", "wall s", "pages", "records", "MB", "CPU s", "CPU ms a page", "peak MB"):
        table.add_column(name, justify="left" if name in ("clients", "sync") else "right")
    with (
        tempfile.TemporaryDirectory(prefix="vulnfeeds-clients-") as folder,
        upstream(Path(folder), options) as (mirror, next_day),
    ):
        home = Path(folder)
        port = free_port()
        environment = service_environment(home, mirror, PORT=port, SINCE_MARGIN_SECONDS=0)
        sync = [sys.executable, "-m", "vulnfeeds", "sync"]
        measure(sync, environment, home / "log")
        began = datetime.now(UTC).replace(tzinfo=None).isoformat()
        with (
            serving(home, environment, port) as (url, process),
            strict(url) as client,
        ):
            table.add_row("1 strict", "whole, pages not yet made", *of_strict(client, process))
            table.add_row("1 light", "whole", *of_light(url, "", 1, process))
            table.add_row(f"{options.clients} light", "whole", *of_light(url, "", options.clients, process))
            next_day()
            measure(sync, environment, home / "log")
            table.add_row("1 strict", "changes", *of_strict(client, process))
            table.add_row("1 light", "changes", *of_light(url, began, 1, process))
            table.add_row(f"{options.clients} light", "changes", *of_light(url, began, options.clients, process))
    Console(width=120).print(table)
    print(f"load average {os.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def upstream(home: Path, options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give a mirror with the documents of day 1, and what turns them into those of day 2."""
    if options.scale is None:
        with replay(home / "replay") as mirror:
            yield mirror, lambda: Replay(mirror).day(2)
        return
    folder = home / "upstream"

    def make(day: int) -> None:
        command = [sys.executable, "-m", "benchmarks.generate", "--scale", str(options.scale), "--day", str(day)]
        subprocess.run([*command, str(folder)], check=True, stdout=subprocess.DEVNULL)

    make(1)
    yield str(folder), lambda: make(2)


@contextlib.contextmanager
def serving(home: Path, environment: dict[str, str], port: int) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the store; gives the address and the service's process."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "vulnfeeds", "serve"]
    with (home / "log").open("ab") as log:
        process = psutil.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(f"{url}/health")
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def strict(url: str) -> StrictClient:
    """Return a strict client that knows nothing yet."""
    return StrictClient(f"{url}/v1/feeds", ":memory:")


def of_strict(client: StrictClient, process: psutil.Process) -> list[str]:
    """Sync the strict client once and return the columns."""
    with Watch(process) as watch:
        report = client.sync(FEEDS)
    if report.problems:
        raise RuntimeError(f"the strict client came to grief: {report.problems[:3]}")
    pages = sum(group.pages for group in report.groups)
    return watch.columns(pages, report.records, sum(group.wire_bytes for group in report.groups))


def of_light(url: str, since: str, number: int, process: psutil.Process) -> list[str]:
    """Let light clients sync all at once and return the columns, sums over all of them."""
    command = [sys.executable, "-m", "benchmarks.clients", "--light", url, since]
    with Watch(process) as watch:
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(number)]
        said = [client.communicate()[0] for client in clients]
    if any(client.returncode for client in clients):
        raise RuntimeError("a light client came to grief")
    found = [json.loads(each) for each in said]
    return watch.columns(*(sum(each[name] for each in found) for name in ("pages", "records", "bytes")))


class Watch:
    """Measures the service while a block runs: wall time, its CPU time, its largest memory."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._peak = 0

    def __enter__(self) -> Watch:
        self._cpu = cpu_seconds(self._process)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self.cpu = cpu_seconds(self._process) - self._cpu
        self._done.set()
        self._thread.join()

    def columns(self, pages: int, records: int, size: int) -> list[str]:
        """Return the columns of the table."""
        left = [f"{self.seconds:.1f}", f"{pages:,}", f"{records:,}", f"{size / 1e6:.1f}"]
        return [*left, f"{self.cpu:.2f}", f"{self.cpu / max(pages, 1) * 1e3:.2f}", f"{self._peak / 1e6:.0f}"]

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, self._process.memory_info().rss)
            if self._done.wait(0.05):
                return


def walk_all(url: str, since: str) -> dict[str, int]:
    """Ask for every page of every group, and unpack it; return how many pages, records and bytes came."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
    total = {"pages": 0, "records": 0, "bytes": 0}

    def get(path: str) -> bytes:
        connection.request("GET", path, headers=HEADERS)
        answer = connection.getresponse()
        raw = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status}")
        total["bytes"] += len(raw)
        return gzip.decompress(raw) if answer.headers["Content-Encoding"] == "gzip" else raw

    for feed in json.loads(get("/v1/feeds"))["feeds"]:
        if feed["name"] not in FEEDS:
            continue
        for group in json.loads(get(f"/v1/feeds/{feed['name']}"))["groups"]:
            path = f"/v1/feeds/{feed['name']}/{quote(group['name'])}?" + (f"since={since}&" if since else "")
            token = ""
            while True:
                page = get(path + (f"next_token={token}" if token else ""))
                found = TOKEN.search(page)
                assert found is not None, "a page without its end"
                token = found[1].decode()
                total["pages"] += 1
                total["records"] += page.count(b'"Vulnerability":{') + page.count(b'"cve":{')
                if not token:
                    break
    return total


if __name__ == "__main__":
    main()
