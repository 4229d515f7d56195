"""How fast a ready page is served, beside nginx serving the same bytes from a file.

python -m benchmarks.pages [--seconds N] [--connections N]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import free_port, measure, replay, service_environment

GROUPS = ("/v1/feeds/vulnerabilities/alpine:3.18", "/v1/feeds/nvdv2/nvdv2:cves")
"""Pages of the smallest and of the largest records."""
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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("skipped: needs wrk to make the load")
    table = Table(title=f"First pages of two groups, gzip, {options.connections} connections")
    for name in ("page", "kB", "server", "requests/s", "MB/s", "CPU ms a request", "CPU x nginx"):
        table.add_column(name, justify="left" if name in ("page", "server") else "right")
    with (
        tempfile.TemporaryDirectory(prefix="vulnfeeds-pages-") as folder,
        service(Path(folder)) as (address, process),
    ):
        for group in GROUPS:
            page, encoding = fetch(address + group)
            ours = load(address + group, process, options)
            theirs = measure_nginx(Path(folder), page, encoding, options)
            for name, rate in (("vulnfeeds serve", ours), ("nginx, a file", theirs)):
                table.add_row(*row(group, page, name, rate, theirs))
    Console(width=110).print(table)


def row(group: str, page: bytes, name: str, rate: Rate | None, nginx: Rate | None) -> list[str]:
    """Return one row of the table."""
    left = [group.rpartition("/")[2], f"{len(page) / 1e3:.0f}", name]
    if rate is None:
        return [*left, "not installed", "", "", ""]
    factor = f"{rate.cpu_ms / nginx.cpu_ms:.1f}" if nginx else ""
    megabytes = f"{rate.per_second * len(page) / 1e6:,.0f}"
    return [*left, f"{rate.per_second:,.0f}", megabytes, f"{rate.cpu_ms:.3f}", factor]


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


def measure_nginx(home: Path, page: bytes, encoding: str, options: argparse.Namespace) -> Rate | None:
    """Serve the same bytes with nginx; None when it is not installed."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if nginx is None:
        return None
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
        served, _ = fetch(url)
        assert served == page, "nginx serves other bytes"
        return load(url, process, options)
    finally:
        process.terminate()
        process.wait(30)


def load(url: str, process: psutil.Process, options: argparse.Namespace) -> Rate:
    """Ask for a page as fast as one thread of wrk can."""
    before = cpu_seconds(process)
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-H", "Accept-Encoding: gzip", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(process) - before
    count = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if count is None or rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"the load went wrong:\n{said}")
    return Rate(float(rate[1]), spent / int(count[1]) * 1e3)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children so far."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        times = member.cpu_times()
        total += times.user + times.system
    return total


def fetch(url: str) -> tuple[bytes, str]:
    """Return a page as it comes with gzip, and its encoding."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read(), answer.headers.get("Content-Encoding") or "identity"


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
