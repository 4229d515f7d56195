"""Archives of made-up OSV documents, as the sources of driver osv have them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

from vulnfeeds.drivers.github.ecosystems import OF_OSV

Document = dict[str, Any]
Files = dict[str, bytes]

RUST = next(name for name, ours in OF_OSV.items() if ours == "rust")


def document(identity: str, ecosystem: str = "Bitnami", name: str = "moss", **fields: Any) -> Document:
    """Return a document about one package; `events`, `versions` and what is its own may be given."""
    events = fields.pop("events", [{"introduced": "0"}, {"fixed": "2.0.0"}])
    kind = fields.pop("kind", "SEMVER")
    affected: Document = {"package": {"ecosystem": ecosystem, "name": name}}
    if events:
        affected["ranges"] = [{"type": kind, "events": events}]
    affected |= fields.pop("affects", {})
    return {
        "schema_version": "1.5.0",
        "id": identity,
        "modified": "2024-08-20T10:00:00Z",
        "published": "2024-08-01T10:00:00Z",
        "summary": "moss takes any password",
        "affected": [affected],
        **fields,
    }


def packed(files: Files) -> bytes:
    """Return a tar.gz of files, the same for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


def zipped(files: Files) -> bytes:
    """Return a zip of files, the same for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def files_of(folder: str, *documents: Document) -> Files:
    """Return documents as files below a folder, named after their ids."""
    return {f"{folder}{each['id']}.json": json.dumps(each, indent=1).encode() for each in documents}


def repacked(change: Callable[[Files], None]) -> Callable[[bytes], bytes]:
    """Return a change of the files in a tar.gz."""

    def repack(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {member.name: content.read() for member in archive if (content := archive.extractfile(member))}
        change(files)
        return packed(files)

    return repack


def replacing(name: str, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change of one file in a tar.gz."""

    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return repacked(change)
