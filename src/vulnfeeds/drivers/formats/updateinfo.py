"""updateinfo: the advisories of an RPM repository, and where its index has them (Amazon Linux, Fedora, ...).

    <updates><update type="security" status="final"><id>ALAS2-2023-1985</id><severity>important</severity>
      <references><reference type="cve" id="CVE-2023-22809" href="..." title=""/></references>
      <pkglist><collection><package name="sudo" epoch="0" version="1.8.23" release="10.amzn2.3.1" arch="x86_64"/>

A repository's `repodata/repomd.xml` names the file, packed in whatever way, and its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from vulnfeeds.drivers.formats import elements
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.fetch.decompress import open_bounded

INDEX: Final = "repodata/repomd.xml"
"""Where a repository has its index, under its base address."""
MAX_BYTES: Final = 2 << 30
"""Most decompressed bytes of one document; true ones have 100 MB."""
_INDEX_BYTES: Final = 4 << 20
_DIGESTS: Final = {"sha": "sha1", "sha1": "sha1", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}


class Location(NamedTuple):
    """Where a repository has its advisories."""

    path: str
    """Under the repository's base address."""
    algorithm: str
    """Of the digest, by hashlib's name; "" when the index gives none that we know."""
    digest: str
    """Of the file as it is downloaded, in hexadecimal."""


class Reference(NamedTuple):
    """Something that an update refers to: a CVE, a bug."""

    kind: str
    """cve, bugzilla, self, ..."""
    id: str
    href: str
    title: str


class Package(NamedTuple):
    """A build that an update brings."""

    name: str
    epoch: str
    """"" where it is not known; a document that leaves it out means 0."""
    version: str
    release: str
    arch: str

    @property
    def evr(self) -> str:
        """The whole version with its epoch, where that is known: 0:1.8.23-10.amzn2.3.1."""
        return f"{self.epoch}{':' if self.epoch else ''}{self.version}-{self.release}"


class Update(NamedTuple):
    """One advisory."""

    id: str
    kind: str
    """security, bugfix, enhancement, newpackage."""
    status: str
    title: str
    severity: str
    """As the vendor writes it; "" when it gives none."""
    description: str
    issued: str
    """As the vendor writes it: 2023-03-02 22:36."""
    references: tuple[Reference, ...]
    packages: tuple[Package, ...]


def find(path: Path, place: str) -> Location | None:
    """Return where the index at `path` has the advisories; None when the repository has none.

    Raises ParseError, naming `place`, for a document of another shape, and for a location out of the repository.
    """
    found: Location | None = None
    with open_bounded(path, max_bytes=_INDEX_BYTES, url=place) as stream:
        for data in elements.children(stream, place, "repomd"):
            if data.tag == "data" and data.get("type") == "updateinfo":
                found = found or _location(data, place)
    return found


def verify(path: Path, location: Location, url: str) -> None:
    """Raise DownloadError, naming `url`, when the file at `path` is not the one that the index speaks of."""
    if not location.algorithm:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, location.algorithm).hexdigest()
    if digest != location.digest:
        raise DownloadError(url, f"its {location.algorithm} is {digest}, the index says {location.digest}")


def read(path: Path, place: str) -> Iterator[Update]:
    """Yield the updates of a document (plain, gzip, bzip2, xz or zstd) one by one, in its order.

    Raises ParseError, naming `place` and the update, for another shape; DownloadError and LimitError, as
    `open_bounded` does, for packed bytes that are broken or stand for too many.
    """
    with open_bounded(path, max_bytes=MAX_BYTES, url=place) as stream:
        for number, element in enumerate(elements.children(stream, place, "updates"), 1):
            if element.tag == "update":
                yield _update(element, f"{place} update {number}")


def _location(data: Element, name: str) -> Location:
    where = data.find("location")
    path = where.get("href", "") if where is not None else ""
    if not path:
        raise ParseError(name, "the index gives no location for updateinfo")
    if path.startswith("/") or ".." in path.split("/") or "\\" in path or ":" in path:
        raise ParseError(name, f"the location of updateinfo leads out of the repository: {path[:120]!r}")
    checksum = data.find("checksum")
    kind = checksum.get("type", "").lower() if checksum is not None else ""
    return Location(path, _DIGESTS.get(kind, ""), elements.text_of(data, "checksum").lower())


def _update(element: Element, place: str) -> Update:
    name = elements.text_of(element, "id")
    if not name:
        raise ParseError(place, "no id")
    place = f"{place} ({name[:80]})"
    issued = element.find("issued")
    return Update(
        id=name,
        kind=element.get("type", ""),
        status=element.get("status", ""),
        title=elements.text_of(element, "title"),
        severity=elements.text_of(element, "severity"),
        description=elements.text_of(element, "description"),
        issued=issued.get("date", "") if issued is not None else "",
        references=tuple(
            Reference(one.get("type", ""), one.get("id", ""), one.get("href", ""), one.get("title", ""))
            for one in element.iterfind("references/reference")
        ),
        packages=tuple(_package(one, place) for one in element.iterfind("pkglist/collection/package")),
    )


def _package(element: Element, place: str) -> Package:
    name, version, release = element.get("name"), element.get("version"), element.get("release")
    if not name or not version or not release:
        raise ParseError(f"{place} package {name or '?'}", "no name, version or release")
    return Package(name, element.get("epoch") or "0", version, release, element.get("arch", ""))
