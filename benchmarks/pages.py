"""How fast a ready page is served, beside nginx serving the same bytes from a file.

python -m benchmarks.pages [--seconds N] [--connections N...] [--encodings NAME...] [--records N]

The second table is of a group of its own, with N records: while nothing else happens, and while another process
publishes to it four times a second. nginx then serves the same bytes throughout, beside the same publisher.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import free_port, measure, replay, service_environment
from benchmarks.publisher import PATH, publish, publisher
from vulnfeeds.store import open_store

GROUPS = ("/v1/feeds/vulnerabilities/alpine:3.18", "/v1/feeds/nvdv2/nvdv2:cves")
"""Pages of the smallest and of the largest records."""
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/json;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; location / {{ add_header Content-Encoding {encoding}; }} }}
}}
"""


@dataclass(frozen=True)
class Rate:
    """What a server did under load."""

    per_second: float
    cpu_ms: float
    """CPU time of the server's processes for one request."""
    p50_ms: float
    p99_ms: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--encodings", nargs="+", default=["gzip", "identity"])
    parser.add_argument("--records", type=int, default=20_000)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("skipped: needs wrk to make the load")
    ready = table_of("Ready pages of two groups, beside nginx with the same bytes in a file", "coding")
    during = table_of(f"Pages of a group of {options.records:,} records, gzip", "meanwhile")
    with (
        tempfile.TemporaryDirectory(prefix="vulnfeeds-pages-") as folder,
        service(Path(folder)) as (address, process),
    ):
        for name, path in paths(address, GROUPS):
            for encoding in options.encodings:
                page = fetch(address + path, encoding)
                with nginx_of(Path(folder), page, encoding) as (file, nginx):
                    for connections in options.connections:
                        asked = (encoding, connections, options.seconds)
                        ours = load(address + path, process, *asked)
                        theirs = load(file, nginx, *asked) if nginx else None
                        add_rows(ready, [name, f"{len(page) / 1e3:.0f}", encoding, str(connections)], ours, theirs)
        while_publishing(during, options, Path(folder), address, process)
        memory = process.memory_info().rss / 1e6
    console = Console(width=130)
    console.print(ready)
    console.print(during)
    print(f"memory of the service at the end: {memory:.0f} MB; load average {os.getloadavg()[0]:.1f}")


def while_publishing(
    table: Table, options: argparse.Namespace, home: Path, address: str, process: psutil.Process
) -> None:
    """Measure the first and the last page of the publisher's group, without it and with it."""
    url = f"sqlite:///{home}/vulnfeeds.sqlite"
    with contextlib.closing(open_store(url)) as store:
        publish(store, range(options.records), 0)
    for name, path in paths(address, (PATH,)):
        page = fetch(address + path, "gzip")
        with nginx_of(home, page, "gzip") as (file, nginx):
            for meanwhile in ("nothing", "publishes"):
                with publisher(url, options.records) if meanwhile == "publishes" else contextlib.nullcontext():
                    for connections in options.connections:
                        asked = ("gzip", connections, options.seconds)
                        ours = load(address + path, process, *asked)
                        theirs = load(file, nginx, *asked) if nginx else None
                        add_rows(table, [name, f"{len(page) / 1e3:.0f}", meanwhile, str(connections)], ours, theirs)


def table_of(title: str, third: str) -> Table:
    """Return an empty table."""
    table = Table(title=title)
    names = (
        "page",
        "kB",
        third,
        "at once",
        "server",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "of nginx",
        "CPU x",
    )
    for name in names:
        table.add_column(name, justify="left" if name in ("page", "server", third) else "right")
    return table


def add_rows(table: Table, left: list[str], ours: Rate, theirs: Rate | None) -> None:
    """Add a row for the service and one for nginx."""
    for server, rate in (("vulnfeeds", ours), ("nginx", theirs)):
        table.add_row(*left, server, *shown(rate, theirs))


def paths(address: str, groups: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the first and the last page of each group: what it is, and its path."""
    for group in groups:
        name = group.rpartition("/")[2]
        yield f"{name}, first", group
        token = json.loads(fetch(address + group, "identity"))["next_token"]
        last = token
        while token:
            last = token
            token = json.loads(fetch(f"{address}{group}?next_token={token}", "identity"))["next_token"]
        yield f"{name}, last", f"{group}?next_token={last}"


def shown(rate: Rate | None, nginx: Rate | None) -> list[str]:
    """Return the columns of one measurement; the last two compare requests a second and CPU a request with nginx."""
    if rate is None:
        return ["not installed", "", "", "", "", ""]
    beside = [f"{rate.per_second / nginx.per_second:.2f}", f"{rate.cpu_ms / nginx.cpu_ms:.1f}"] if nginx else ["", ""]
    return [f"{rate.per_second:,.0f}", f"{rate.p50_ms:.2f}", f"{rate.p99_ms:.1f}", f"{rate.cpu_ms:.3f}", *beside]


@contextlib.contextmanager
def service(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Sync two drivers from the replay and serve them; gives the service's address and its process."""
    port = free_port()
    with replay(home / "replay") as mirror:
        environment = service_environment(home, mirror, PORT=port)
        measure([sys.executable, "-m", "vulnfeeds", "sync", "nvdv2", "alpine"], environment, home / "log")
        url = f"http://127.0.0.1:{port}"
        with (home / "log").open("ab") as log:
            command = [sys.executable, "-m", "vulnfeeds", "serve"]
            process = psutil.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(f"{url}/health")
            yield url, process
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def nginx_of(home: Path, page: bytes, encoding: str) -> Iterator[tuple[str, psutil.Process | None]]:
    """Serve the same bytes with nginx; gives their address and its process, None when it is not installed."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if nginx is None:
        yield "", None
        return
    # nginx's worker is another user when it is started by root, so the folder must let it in.
    home.chmod(0o755)
    (home / "www").mkdir(exist_ok=True)
    (home / "www" / "page").write_bytes(page)
    port = free_port()
    settings = home / "nginx.conf"
    settings.write_text(NGINX.format(folder=home, port=port, encoding=encoding))
    process = psutil.Popen([nginx, "-p", str(home), "-c", str(settings)])
    try:
        url = f"http://127.0.0.1:{port}/page"
        wait_for(url)
        assert fetch(url, encoding) == page, "nginx serves other bytes"
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def load(url: str, process: psutil.Process, encoding: str, connections: int, seconds: int) -> Rate:
    """Ask for a page as fast as one thread of wrk can."""
    before = cpu_seconds(process)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "20s",
        "-H",
        f"Accept-Encoding: {encoding}",
    ]
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(process) - before
    count = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    times = {
        name: float(value) * UNITS[unit] for name, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", said)
    }
    if count is None or rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"the load went wrong:\n{said}")
    return Rate(float(rate[1]), spent / int(count[1]) * 1e3, times["50"], times["99"])


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children so far."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        times = member.cpu_times()
        total += times.user + times.system
    return total


def fetch(url: str, encoding: str) -> bytes:
    """Return a page as it comes in a coding."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.headers.get("Content-Encoding") or "identity") == encoding
        body: bytes = answer.read()
        return body


def wait_for(url: str) -> None:
    """Wait until something answers."""
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        if time.monotonic() > end:
            raise RuntimeError(f"nothing answers at {url}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
