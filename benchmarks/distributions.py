"""The least that reading the documents of the smaller distributions costs: what benchmarks.bound does with them."""

from __future__ import annotations

import gzip
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import ijson
import msgspec
import zstandard

Parsed = Iterator[tuple[str, Any]]
"""(key, value) of each record."""


def secdb(workspace: Path, store: str) -> Parsed:
    """Yield the fixes of each id of the one secdb document."""
    packed = workspace / "secdb.json.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else (workspace / "security.json").read_bytes()
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for package in msgspec.json.decode(data)["packages"]:
        for version, ids in package["pkg"]["secfixes"].items():
            for text in ids or ():
                for word in text.split():
                    found[word].append((package["pkg"]["name"], version))
    yield from found.items()


def echo(workspace: Path, store: str) -> Parsed:
    """Yield what is said of each id; the document is parsed as a stream, as its ceiling asks for."""
    found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    with (workspace / "data.json").open("rb") as file:
        for package, said in ijson.kvitems(file, "", use_float=True):
            for word, state in said.items():
                found[word].append((package, state))
    yield from found.items()


def alma(workspace: Path, store: str) -> Parsed:
    """Yield the advisories of the archive."""
    with tarfile.open(workspace / "osv-database.tar.gz", "r|gz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.endswith(".json"):
                document = msgspec.json.decode(content.read())
                yield document["id"], (document["summary"], document["affected"], document["related"])


def rocky(workspace: Path, store: str) -> Parsed:
    """Yield the advisories of all pages."""
    for path in sorted((workspace / "pages").glob("page-*.json")):
        for document in msgspec.json.decode(path.read_bytes())["advisories"]:
            yield document["id"], (document["summary"], document["affected"], document["related"])


def photon(workspace: Path, store: str) -> Parsed:
    """Yield the rows of each CVE of each release; the documents are parsed as a stream."""
    for path in sorted(workspace.glob("cve_data_photon*.json")):
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        with path.open("rb") as file:
            for row in ijson.items(file, "item", use_float=True):
                found[row["cve_id"]].append((row["pkg"], row["res_ver"]))
        yield from found.items()


def arch(workspace: Path, store: str) -> Parsed:
    """Yield the groups of vulnerabilities."""
    for avg in msgspec.json.decode((workspace / "all.json").read_bytes()):
        yield avg["name"], avg


def fedora(workspace: Path, store: str) -> Parsed:
    """Yield the packages of each security update; the documents are parsed as a stream."""
    for path in sorted(workspace.glob("*/updateinfo")):
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            for _, element in ElementTree.iterparse(stream):
                if element.tag != "update":
                    continue
                if element.get("type") == "security":
                    builds = {
                        f"{one.get('name')} {one.get('version')}-{one.get('release')}"
                        for one in element.iter("package")
                    }
                    bugs = [one.get("title") for one in element.iter("reference")]
                    yield element.findtext("id") or "", [sorted(builds), bugs]
                element.clear()


PARSERS: Final[dict[str, Callable[[Path, str], Parsed]]] = {
    "wolfi": secdb,
    "chainguard": secdb,
    "minimos": secdb,
    "secureos": secdb,
    "echo": echo,
    "alma": alma,
    "rocky": rocky,
    "photon": photon,
    "arch": arch,
    "fedora": fedora,
}
