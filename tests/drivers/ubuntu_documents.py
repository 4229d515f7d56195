"""Edits of the sample's archives, for the tests of driver ubuntu."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from typing import Any

from vulnfeeds.testing.driver_suite import Edit

OSV = "security-metadata.canonical.com/osv/osv-all.tar.xz"
VEX = "security-metadata.canonical.com/vex/vex-all.tar.xz"
TRACKER = "git.launchpad.net/ubuntu-cve-tracker/snapshot/ubuntu-cve-tracker-master.tar.gz"
TREE = "ubuntu-cve-tracker-master"

Change = Callable[[bytes], bytes]


def members(path: str, change: Callable[[dict[str, bytes]], None]) -> Edit:
    """Return an edit of an archive's members."""

    def repacked(data: bytes) -> bytes:
        plain = lzma.decompress(data) if path.endswith(".xz") else gzip.decompress(data)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            found = {member.name: file.read() for member in archive if (file := archive.extractfile(member))}
        change(found)
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            for name, content in found.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return lzma.compress(made.getvalue()) if path.endswith(".xz") else gzip.compress(made.getvalue())

    return Edit(path, repacked)


def member(path: str, name: str, change: Change) -> Edit:
    """Return an edit of one member of an archive; a member that is not there begins empty."""
    return members(path, lambda found: found.update({name: change(found.get(name, b""))}))


def osv(cve: str, change: Change) -> Edit:
    """Return an edit of a CVE's document in the OSV archive."""
    return member(OSV, f"osv/cve/{cve[4:8]}/UBUNTU-{cve}.json", change)


def vex(cve: str, change: Change) -> Edit:
    """Return an edit of a document in the VEX archive."""
    return member(VEX, f"vex/cve/{cve[4:8]}/{cve}.json", change)


def fields(change: Callable[[dict[str, Any]], None]) -> Change:
    """Return a change of a JSON document."""

    def changed(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return changed


def of_product(product: str) -> Change:
    """Return a change of a VEX document: its first statement is on one product."""
    return fields(lambda document: document["statements"][0].update(products=[{"@id": product}]))


def without(release: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the OSV archive: it carries a release no more."""

    def drop(found: dict[str, bytes]) -> None:
        for name, content in found.items():
            document = json.loads(content)
            document["affected"] = [
                affected for affected in document["affected"] if release not in affected["package"]["ecosystem"]
            ]
            found[name] = json.dumps(document).encode()

    return drop


def emptied(path: str) -> Edit:
    """Return an edit that leaves an archive without any member that is wanted."""
    return members(path, lambda found: (found.clear(), found.update({"README": b"none"}))[0])
