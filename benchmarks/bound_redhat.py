"""The least that reading Red Hat's documents can cost; they come from the mirror, as a workspace keeps parts only."""

from __future__ import annotations

import http.client
import io
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import msgspec
import zstandard

HYDRA: Final = "access.redhat.com/hydra/rest/securitydata/"
CSAF: Final = "security.access.redhat.com/data/csaf/v2/"


class _Release(msgspec.Struct):
    product_name: str
    advisory: str = ""
    package: str = ""


class _State(msgspec.Struct):
    product_name: str
    fix_state: str
    package_name: str = ""


class _CVE(msgspec.Struct):
    name: str
    threat_severity: str = ""
    details: list[str] = []
    affected_release: list[_Release] = []
    package_state: list[_State] = []


class _Helper(msgspec.Struct):
    cpe: str = ""
    purl: str = ""


class _Product(msgspec.Struct):
    product_id: str
    product_identification_helper: _Helper | None = None


class _Branch(msgspec.Struct):
    branches: list[_Branch] = []
    product: _Product | None = None


class _Relation(msgspec.Struct):
    full_product_name: _Product
    product_reference: str
    relates_to_product_reference: str


class _Tree(msgspec.Struct):
    branches: list[_Branch] = []
    relationships: list[_Relation] = []


class _Remedy(msgspec.Struct):
    category: str
    product_ids: list[str] = []
    url: str = ""


class _Said(msgspec.Struct):
    cve: str = ""
    product_status: dict[str, list[str]] = {}
    remediations: list[_Remedy] = []


class _Document(msgspec.Struct):
    product_tree: _Tree | None = None
    vulnerabilities: list[_Said] = []


class Mirror:
    """The documents, from a folder or over one connection."""

    def __init__(self) -> None:
        self._address = os.environ["VULNFEEDS_UPSTREAM_MIRROR"]
        self._connection: http.client.HTTPConnection | None = None
        if self._address.startswith("http"):
            self._connection = http.client.HTTPConnection(urlsplit(self._address).netloc)

    def get(self, path: str) -> bytes:
        """Return a document."""
        if self._connection is None:
            return (Path(self._address) / path.partition("?")[0]).read_bytes()
        self._connection.request("GET", f"/{path}")
        return self._connection.getresponse().read()

    def listed(self) -> list[str]:
        """Return the CVEs of the list."""
        found: list[str] = []
        page = 1
        while rows := msgspec.json.decode(self.get(f"{HYDRA}cve.json?per_page=1000&page={page}")):
            found += [row["CVE"] for row in rows]
            if self._connection is None:
                break
            page += 1
        return found

    def archived(self, kind: str) -> Iterator[tuple[str, _Document]]:
        """Yield (path, document) of an archive, one document in memory at a time."""
        decoder = msgspec.json.Decoder(_Document)
        name = self.get(f"{CSAF}{kind}/archive_latest.txt").decode().strip()
        packed = io.BytesIO(self.get(f"{CSAF}{kind}/{name}"))
        with (
            zstandard.ZstdDecompressor().stream_reader(packed) as stream,
            tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|") as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, decoder.decode(content.read())


def hydra() -> Iterator[tuple[str, Any]]:
    """Yield what is said of each product of a CVE; advisories are read, and their packages by product."""
    mirror = Mirror()
    for path, document in mirror.archived("advisories"):
        yield path, [dict(_packages(document, said)) for said in document.vulnerabilities]
    decoder = msgspec.json.Decoder(_CVE)
    for cve in mirror.listed():
        said = decoder.decode(mirror.get(f"{HYDRA}cve/{cve}.json"))
        found: dict[str, list[Any]] = defaultdict(list)
        for part in (*said.affected_release, *said.package_state):
            found[part.product_name].append(part)
        for product, parts in found.items():
            yield f"{product} {cve}", (said.threat_severity, said.details[-1:], parts)


def vex() -> Iterator[tuple[str, Any]]:
    """Yield what is said of each product of a CVE."""
    for path, document in Mirror().archived("vex"):
        for said in document.vulnerabilities:
            for product, packages in _packages(document, said).items():
                yield f"{product} {path}", packages


def advisories() -> Iterator[tuple[str, Any]]:
    """Yield what an advisory says of each product."""
    for path, document in Mirror().archived("advisories"):
        found: dict[str, set[Any]] = defaultdict(set)
        for said in document.vulnerabilities:
            for product, packages in _packages(document, said).items():
                found[product].update(map(tuple, packages))
        for product, parts in found.items():
            yield f"{product} {path}", sorted(parts)


def _packages(document: _Document, said: _Said) -> dict[str, list[tuple[str, str]]]:
    """Return (status, package) by the platform's CPE; of binaries of one name one."""
    tree = document.product_tree or _Tree()
    cpes: dict[str, str] = {}
    purls: dict[str, str] = {}
    waiting = list(tree.branches)
    while waiting:
        branch = waiting.pop()
        waiting += branch.branches
        if branch.product and (helper := branch.product.product_identification_helper):
            cpes[branch.product.product_id] = helper.cpe
            purls[branch.product.product_id] = helper.purl
    relations = {
        relation.full_product_name.product_id: (relation.relates_to_product_reference, relation.product_reference)
        for relation in tree.relationships
    }
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for status, ids in said.product_status.items():
        for name in ids:
            platform, component = relations[name]
            found[cpes.get(platform, "")].add((status, _package(purls.get(component, component))))
    return {cpe: sorted(parts) for cpe, parts in found.items()}


@lru_cache(maxsize=65536)
def _package(purl: str) -> str:
    return purl.partition("?")[0].rpartition("/")[2]
