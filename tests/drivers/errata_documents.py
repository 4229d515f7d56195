"""Made-up errata in OSV form, and archives of them, for the tests of alma and rocky."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]


def archive(files: dict[str, bytes]) -> bytes:
    """Return a tar.gz."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of a tar."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if (content := tar.extractfile(member)) is not None:
                files[member.name] = content.read()
    return files


def repacked(change: Callable[[dict[str, bytes]], object]) -> Callable[[bytes], bytes]:
    """Return a change of an archive that changes its files by name."""

    def applied(data: bytes) -> bytes:
        files = unpacked(data)
        change(files)
        return archive(files)

    return applied


def affected(ecosystem: str, package: str, *events: Document) -> Document:
    """Return what is affected of a package."""
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges}


def fixed(version: str) -> tuple[Document, Document]:
    """Return the events of a package that is affected until a version."""
    return {"introduced": "0"}, {"fixed": version}


def erratum(name: str, *packages: Document, **more: Any) -> Document:
    """Return an advisory."""
    return {
        "id": name,
        "modified": "2024-06-07T15:04:20Z",
        "published": "2024-06-04T00:00:00Z",
        "summary": "Moderate: something security update",
        "details": "Something.",
        "related": ["CVE-2024-0001"],
        "affected": list(packages),
        "references": [],
        **more,
    }


def written(document: Document) -> bytes:
    """Return the document's text."""
    return json.dumps(document, indent=1).encode()
