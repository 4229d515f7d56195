"""The commands of the Grype database, and its build after a cycle, as processes over the sample."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.api.filling import publish
from tests.cli.conftest import COMMAND, Vulnfeeds
from tests.publish.grypedb.records import fixed_in, os_record
from vulnfeeds.cli.compose import sample_upstream
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.packing import unpack
from vulnfeeds.store import open_store

GROUP = "alpine:3.99"
KEYS = [f"CVE-2024-{number:05}" for number in range(200)]
SYNC = {"VULNFEEDS_UPSTREAM_MIRROR": str(sample_upstream()), "VULNFEEDS_DRIVERS": "kev"}


@pytest.fixture(scope="module")
def home(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample, 200 records more, and one archive that a cycle built."""
    home = tmp_path_factory.mktemp("built") / "home"
    shutil.copytree(filled_home, home)
    put(home, KEYS)
    cycle = Vulnfeeds(home).json("sync", **SYNC, VULNFEEDS_GRYPEDB__ENABLED="true")
    assert outcome(cycle, "grypedb")["status"] == "completed"
    return home


@pytest.fixture
def built(home: Path) -> Vulnfeeds:
    """The command over that folder, for commands that only look."""
    return Vulnfeeds(home)


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Vulnfeeds:
    """The command over a copy of that folder."""
    shutil.copytree(home, tmp_path / "home")
    return Vulnfeeds(tmp_path / "home")


@contextlib.contextmanager
def unpacked(home: Path, to: Path) -> Iterator[Path]:
    """The newest archive's database."""
    folder = ArchiveFolder(home / "grypedb")
    newest = folder.newest()
    assert newest is not None
    unpack(folder.path(newest), to)
    yield to


def put(home: Path, keys: list[str]) -> None:
    """Let the group have records of these keys, and no others."""
    store = open_store(f"sqlite:///{home / 'vulnfeeds.sqlite'}")
    with closing(store):
        records = {key: os_record(GROUP, key, fixed_in(GROUP, f"p-{key}", "1-r1", "apk")) for key in keys}
        gone = {key: os_record(GROUP, key) for key in KEYS if key not in records}
        publish(store, "vulnerabilities", GROUP, records, withdrawn=gone, driver="alpine")


def outcome(cycle: Any, driver: str) -> dict[str, Any]:
    """What a cycle says of a driver; empty when it did not run."""
    return next((row for row in cycle["drivers"] if row["driver"] == driver), {})


def archive_of(vulnfeeds: Vulnfeeds) -> Path:
    """The one archive of a folder."""
    (archive,) = (vulnfeeds.home / "grypedb" / "v6").glob("*.tar.zst")
    return archive


def test_a_cycle_in_which_nothing_changed_builds_nothing(built: Vulnfeeds) -> None:
    """The archive of today is the newest still."""
    cycle = built.json("sync", **SYNC, VULNFEEDS_GRYPEDB__ENABLED="true")
    assert outcome(cycle, "kev")["status"] == "completed"
    assert outcome(cycle, "grypedb") == {}


def test_archives_are_listed(built: Vulnfeeds) -> None:
    """Newest first, with schema, time and size."""
    (row,) = built.json("grypedb", "list")
    assert (row["schema"], row["name"]) == (6, archive_of(built).name)
    assert row["bytes"] == archive_of(built).stat().st_size


def test_without_an_archive_the_list_is_empty_and_nothing_is_exported(vulnfeeds: Vulnfeeds) -> None:
    """The refusal says how to get one."""
    assert vulnfeeds.json("grypedb", "list") == []
    refused = vulnfeeds.run("grypedb", "export", str(vulnfeeds.home / "out"), code=6)
    assert "`vulnfeeds grypedb build` builds one" in refused.stderr


def test_a_good_archive_passes_and_says_what_is_in_it(built: Vulnfeeds) -> None:
    """By origin and by package type."""
    said = built.json("grypedb", "check", str(archive_of(built)))
    assert said["vulnerabilities"]["nvd"] > 0
    assert said["packages"]["apk"] >= len(KEYS)
    assert said["exploited"] > 0


def test_a_damaged_archive_is_refused_with_the_reason(built: Vulnfeeds, tmp_path: Path) -> None:
    """Cut short on its way, or rows that clients would fail on."""
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(archive_of(built).read_bytes()[:-1000])
    assert "cut.tar.zst" in built.run("grypedb", "check", str(cut), code=1).stderr
    with unpacked(built.home, tmp_path / "bad.db") as bad, closing(sqlite3.connect(bad)) as connection, connection:
        connection.execute("DELETE FROM providers WHERE id = 'nvd'")
    assert "refers to a row of providers" in built.run("grypedb", "check", str(bad), code=1).stderr


def test_a_difference_is_told(own: Vulnfeeds, tmp_path: Path) -> None:
    """Between an archive and a database, or an archive and itself."""
    before = archive_of(own)
    assert own.json("grypedb", "diff", str(before), str(before)) == {"totals": [], "changes": []}
    put(own.home, KEYS[1:])
    built = own.json("grypedb", "build", "--to", str(tmp_path / "out"))
    after = tmp_path / "out" / "v6" / built["archive"]["name"]
    said = own.json("grypedb", "diff", str(before), str(after))
    assert {(row["what"], row["change"], row["vulnerability"]) for row in said["changes"]} == {
        ("vulnerability", "removed", KEYS[0]),
        ("package", "removed", KEYS[0]),
    }


def test_an_export_is_what_a_web_server_needs(built: Vulnfeeds, tmp_path: Path) -> None:
    """The document and the archive beside it; not into the service's own folder."""
    built.run("grypedb", "export", str(tmp_path / "web"))
    latest = json.loads((tmp_path / "web" / "v6" / "latest.json").read_bytes())
    assert (tmp_path / "web" / "v6" / latest["path"]).read_bytes() == archive_of(built).read_bytes()
    own = built.run("grypedb", "export", str(built.home / "grypedb"), code=1)
    assert "the folder of the service itself" in own.stderr


def test_a_refused_build_is_a_failed_task_and_the_archive_before_it_stays(own: Vulnfeeds) -> None:
    """Half of a distribution is gone: nobody gets that, until the operator accepts it."""
    before = archive_of(own)
    put(own.home, KEYS[::2])
    cycle = own.json("sync", code=5, **SYNC, VULNFEEDS_GRYPEDB__ENABLED="true")
    assert outcome(cycle, "grypedb")["status"] == "failed"
    assert "the database lost too much: vulnerabilities of alpine" in str(outcome(cycle, "grypedb")["error"])
    (task,) = [
        row for row in own.json("tasks", "--details") if row["driver_id"] == "grypedb" and row["status"] == "failed"
    ]
    assert "lost too much" in str(task)
    assert archive_of(own) == before
    own.run("grypedb", "build", "--accept")
    assert own.json("grypedb", "list")[0]["name"] != before.name


def test_a_build_that_is_killed_leaves_nothing_to_clients(own: Vulnfeeds) -> None:
    """The documents name what they did, and the next build takes its leavings away."""
    folder = own.home / "grypedb"
    latest = (folder / "v6" / "latest.json").read_bytes()
    process = subprocess.Popen([*COMMAND, "grypedb", "build"], env=own.environment(), stderr=subprocess.DEVNULL)
    while not list(folder.glob(".building-*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert list(folder.glob(".building-*"))
    assert (folder / "v6" / "latest.json").read_bytes() == latest
    own.run("grypedb", "build")
    assert [path for path in folder.rglob("*") if path.name.startswith(".")] == []
