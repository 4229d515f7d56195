"""A store with a few records of several feeds, and the database of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.filling import Clock, publish
from tests.publish.grypedb.records import (
    GROUP,
    cpe_match,
    either,
    fixed_in,
    ghsa_record,
    msrc_record,
    nvd_record,
    os_record,
)
from vulnfeeds.publish.grypedb.build import build
from vulnfeeds.store import Store, open_store

BUILT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def fill(store: Store) -> None:
    """Records of Debian 11 and 12, RHEL 9, npm, the NVD, KEV, EPSS, Microsoft, and ends of support."""
    for group, fixed in (("debian:11", "1.1"), (GROUP, "1.2")):
        records = {
            "CVE-2024-0001": os_record(group, "CVE-2024-0001", fixed_in(group, "bash", fixed)),
            "CVE-2024-0002": os_record(group, "CVE-2024-0002", fixed_in(group, "zsh", "None"), severity="Unknown"),
        }
        publish(store, "vulnerabilities", group, records)
    rhel = os_record("rhel:9", "CVE-2024-0001", fixed_in("rhel:9", "bash", "0:1.3-1.el9", "rpm"))
    publish(store, "vulnerabilities", "rhel:9", {"CVE-2024-0001": rhel}, driver="rhel")
    advisory = ghsa_record(
        "github:npm", "GHSA-aaaa", {"name": "left-pad", "range": ">= 1.0 < 1.3", "identifier": "1.3"}
    )
    publish(store, "github", "github:npm", {"GHSA-aaaa": advisory}, driver="github")
    app = cpe_match("cpe:2.3:a:vendor:app:*:*:*:*:*:*:*:*", end_excluding="2.0")
    cves = {name: nvd_record(name, either(app), vector=VECTOR) for name in ("CVE-2024-0001", "CVE-2024-0002")}
    publish(store, "nvdv2", "nvdv2:cves", cves, driver="nvdv2")
    known = {
        "cveID": "CVE-2024-0001",
        "vendorProject": "vendor",
        "product": "app",
        "vulnerabilityName": "hole",
        "dateAdded": "2024-05-01",
        "shortDescription": "a hole",
        "requiredAction": "mend it",
        "dueDate": "2024-06-01",
        "notes": "https://vendor.example/1; see there",
    }
    publish(store, "kev", "kev:known-exploited", {"CVE-2024-0001": known}, driver="kev")
    score = {"cve": "CVE-2024-0001", "epss": 0.25, "percentile": 0.5}
    publish(store, "epss", "epss:scores", {"CVE-2024-0001": score}, driver="epss")
    publish(
        store, "epss", "epss:model", {"current": {"model_version": "v4", "score_date": "2026-01-01", "scores": 1}}
    )
    cycles = [
        {"product": "debian", "name": "12", "eolFrom": "2028-06-30", "eoasFrom": "2026-06-10"},
        {"product": "rhel", "name": "9", "eolFrom": "2032-05-31", "eoasFrom": None},
        {"product": "nginx", "name": "1.29", "eolFrom": None},
    ]
    ends = {f"{cycle['product']}:{cycle['name']}": cycle for cycle in cycles}
    publish(store, "eol", "eol:products", ends, driver="eol")
    publish(store, "microsoft", "msrc:10852", {"CVE-2019-0671": msrc_record()}, driver="msrc")
    products = {"10852": {"family": "Windows", "id": "10852", "name": "Windows 10 Version 1607 for 32-bit Systems"}}
    publish(store, "microsoft", "msrc:products", products, driver="msrc")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a filled store and its database, made once for all tests: they take copies."""
    folder = tmp_path_factory.mktemp("grypedb")
    opened = open_store(f"sqlite:///{folder / 'store.sqlite'}", clock=Clock())
    fill(opened)
    build_into(opened, folder / "vulnerability.db")
    opened.close()
    return folder


@pytest.fixture
def store(originals: Path, tmp_path: Path) -> Iterator[Store]:
    """A filled store."""
    shutil.copy(originals / "store.sqlite", tmp_path)
    opened = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}", clock=Clock())
    yield opened
    opened.close()


def build_into(store: Store, path: Path, **more: Any) -> Any:
    """Build a database of a store, as of a fixed time."""
    return build(store, path, built=BUILT, processor="test", progress=lambda *said: None, **more)


@pytest.fixture
def database(originals: Path, tmp_path: Path) -> Path:
    """The database of the filled store."""
    return Path(shutil.copy(originals / "vulnerability.db", tmp_path))


@pytest.fixture
def ask(database: Path) -> Callable[[str], list[Any]]:
    """Put a question to the database."""
    return lambda statement: query(database, statement)


def query(path: Path, statement: str) -> list[Any]:
    """Return the rows of a statement over a database file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def change(path: Path, *statements: str) -> None:
    """Change a database file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
