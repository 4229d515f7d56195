"""Workspaces and archives in the true form of vunnel's, small and hand-made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import xxhash
import zstandard

SCHEMAS = "https://raw.githubusercontent.com/anchore/vunnel/main/schema/"
OS = "vulnerability/os/schema-1.1.0.json"
OSV = "vulnerability/osv/schema-1.6.1.json"
GITHUB = "vulnerability/github-security-advisory/schema-1.0.3.json"
KEV = "vulnerability/known-exploited/schema-1.0.0.json"
STATE = "provider-workspace-state/schema-1.0.3.json"
LISTING = "provider-archive-listing/schema-1.0.0.json"
MADE = "2024-08-29T06:12:00.123456+00:00"
"""When the workspaces were made: the day before the time that drivers under test are told."""

Result = tuple[str, bytes]
"""(identifier, envelope)."""


def result(identifier: str, item: dict[str, Any], schema: str = OS) -> Result:
    """Return a result as vunnel stores it."""
    return identifier, json.dumps({"schema": SCHEMAS + schema, "identifier": identifier, "item": item}).encode()


def vulnerability(name: str, group: str, *fixes: dict[str, Any], **more: Any) -> Result:
    """Return a distribution's result; each fix says what differs from the plain one."""
    plain = {"Name": "acl", "NamespaceName": group, "Version": "1-1", "VersionFormat": "pacman"}
    item = {
        "Name": name,
        "NamespaceName": group,
        "Description": "",
        "Severity": "Medium",
        "Link": f"https://example.org/{name}",
        "Metadata": {},
        "CVSS": [],
        "FixedIn": [{**plain, **fix} for fix in fixes or ({},)],
        **more,
    }
    return result(f"{group}/{name.lower()}", {"Vulnerability": item})


def make(folder: Path, source: str, results: Iterable[Result], *, store: str = "sqlite", **metadata: Any) -> Path:
    """Write a finished workspace as vunnel leaves it; `metadata` replaces keys of metadata.json."""
    (folder / "results").mkdir(parents=True)
    (folder / "input").mkdir()
    (folder / "input" / "all.json").write_text("[]")
    if store == "sqlite":
        with closing(sqlite3.connect(folder / "results" / "results.db")) as database, database:
            database.execute(
                "CREATE TABLE results (\n\tid VARCHAR NOT NULL, \n\trecord BLOB, \n\tPRIMARY KEY (id)\n)"
            )
            database.execute("CREATE INDEX ix_results_id ON results (id)")
            database.executemany("INSERT INTO results VALUES (?, ?)", results)
    else:
        for identifier, data in results:
            file = folder / "results" / f"{identifier}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    seal(folder, source, store=store, **metadata)
    return folder


def seal(folder: Path, source: str, *, store: str = "sqlite", **metadata: Any) -> None:
    """Write `checksums` and `metadata.json` for the results that are there."""
    files = sorted(path for path in (folder / "results").rglob("*") if path.is_file())
    lines = [f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / "checksums").write_text("".join(lines))
    state = {
        "provider": source,
        "urls": ["https://example.org/all.json"],
        "store": store,
        "timestamp": MADE,
        "version": 1,
        "distribution_version": 1,
        "processor": "vunnel@0.44.0",
        "listing": {"digest": digest(folder / "checksums"), "path": "checksums", "algorithm": "xxh64"},
        "schema": {"version": "1.0.3", "url": SCHEMAS + STATE},
        "stale": False,
        **metadata,
    }
    (folder / "metadata.json").write_text(json.dumps(state, indent=2))


def digest(path: Path) -> str:
    """Return the digest that `checksums` has of a file."""
    return xxhash.xxh64(path.read_bytes()).hexdigest()


def pack(folder: Path, *, root: str = "", packing: str = "zst", more: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """Return an archive of a workspace, the same for the same files; `more` members follow."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = tarfile.TarInfo("/".join(filter(None, (root, path.relative_to(folder).as_posix()))))
            data = path.read_bytes()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in more:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return zstandard.compress(raw.getvalue()) if packing == "zst" else gzip.compress(raw.getvalue(), mtime=0)


def listing(source: str, archive: bytes, workspace: Path, **entry: Any) -> bytes:
    """Return a listing.json that names an older archive and this one; `entry` replaces keys of the newer entry."""
    old = {
        "built": "2024-08-01T00:00:00+00:00",
        "url": "https://vunnel.example.org/gone.tar.zst",
        "distribution_checksum": f"sha256:{'0' * 64}",
        "enclosed_checksum": "xxh64:0000000000000000",
        "distribution_version": 1,
    }
    new = {
        **old,
        "built": MADE,
        "distribution_checksum": f"sha256:{hashlib.sha256(archive).hexdigest()}",
        "enclosed_checksum": f"xxh64:{digest(workspace / 'checksums')}",
        **entry,
    }
    schema = {"version": "1.0.0", "url": SCHEMAS + LISTING}
    return json.dumps({"schema": schema, "provider": source, "available": {"1": [old, new]}}, indent=2).encode()
