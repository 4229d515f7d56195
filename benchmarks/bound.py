"""The least that an ingest can cost: read, unpack, parse, hash, write rows. A plain script with the same libraries.

It knows no groups, no earlier state, no checks and no versions: each document is parsed, each record encoded,
hashed and written into one simple table. `benchmarks.ingest` runs it on the documents in a driver's workspace.

python -m benchmarks.bound DRIVER WORKSPACE STORE
"""

from __future__ import annotations

import argparse
import sqlite3
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import ijson
import msgspec
import psycopg
import xxhash
import zstandard
from isal import igzip

from benchmarks import bound_oval, bound_redhat, distributions
from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.nvd import items
from vulnfeeds.fetch.decompress import open_bounded
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import SCORED

Parsed = Iterator[tuple[str, Any]]
"""(key, value) of each record."""

_TABLE: Final = "CREATE TABLE bound (key TEXT, digest {0}, body {0})"
_BATCH: Final = 1000


class Document(msgspec.Struct):
    """An NVD document with the fields that records need."""

    vulnerabilities: list[items.Item]


def nvdv2(workspace: Path, store: str) -> Parsed:
    """Yield the items of the documents of the last run, one document in memory at a time."""
    decoder = msgspec.json.Decoder(Document)
    for name in msgspec.json.decode((workspace / "plan.json").read_bytes())["documents"]:
        raw = (workspace / name).read_bytes()
        packed = name.endswith(".gz")
        document = decoder.decode(igzip.decompress(raw) if packed else zstandard.decompress(raw))  # type: ignore[no-untyped-call]
        del raw
        for item in document.vulnerabilities:
            yield item.cve.id, item


def nvddb(workspace: Path, store: str) -> Parsed:
    """Yield the records that the store holds of nvdv2: there is no other document."""
    opened = open_store(store)
    try:
        head = opened.group(*SCORED)
        for key, body, _ in opened.changes(*SCORED, 0, head.sequence if head else 0):
            yield key, msgspec.json.decode(body)
    finally:
        opened.close()


def alpine(workspace: Path, store: str) -> Parsed:
    """Yield the fixes of each release by CVE."""
    fetched = msgspec.json.decode((workspace / "fetched.json").read_bytes())
    for release, names in fetched["releases"].items():
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name in names:
            for package in msgspec.json.decode((workspace / name).read_bytes())["packages"]:
                for version, ids in package["pkg"]["secfixes"].items():
                    for text in ids or ():
                        for word in text.split():
                            found[word].append((package["pkg"]["name"], version))
        for word, fixes in found.items():
            yield f"{release} {word}", fixes


def debian(workspace: Path, store: str) -> Parsed:
    """Yield what each release says of each CVE; the document is parsed as a stream, as its size asks for."""
    found: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    with (workspace / "tracker.json").open("rb") as file:
        for package, issues in ijson.kvitems(file, "", use_float=True):
            for cve, issue in issues.items():
                for codename, said in issue["releases"].items():
                    found[codename, cve].append((package, said))
    for (codename, cve), fixes in found.items():
        yield f"{codename} {cve}", fixes


def kev(workspace: Path, store: str) -> Parsed:
    """Yield the catalog's items."""
    catalog = msgspec.json.decode((workspace / "known_exploited_vulnerabilities.json").read_bytes())
    for item in catalog["vulnerabilities"]:
        yield item["cveID"], item


def ubuntu(workspace: Path, store: str) -> Parsed:
    """Yield what OSV says of each release of a CVE, then the files of the tracker; VEX is decoded only."""
    for _, content in _members(workspace / "vex-all.tar.xz"):
        msgspec.json.decode(content)
    for name, content in _members(workspace / "osv-all.tar.xz"):
        document = msgspec.json.decode(content)
        for affected in document["affected"] if "/cve/" in name else ():
            yield f"{affected['package']['ecosystem']} {document['id']}", affected["ranges"]
    for name, content in _members(workspace / "ubuntu-cve-tracker-master.tar.gz"):
        for line in content.decode().splitlines():
            place, _, said = line.partition(": ")
            if "_" in place and said:
                yield f"{place} {name}", said


def sles(workspace: Path, store: str) -> Parsed:
    """Yield what SUSE's documents say of each service pack of a CVE."""
    for path in sorted(workspace.glob("*.xml.gz")):
        yield from bound_oval.sles(path)


def ol(workspace: Path, store: str) -> Parsed:
    """Yield the advisories of Oracle's document."""
    return bound_oval.ol(workspace / "com.oracle.elsa-all.xml.bz2")


def mariner(workspace: Path, store: str) -> Parsed:
    """Yield the definitions of Microsoft's documents."""
    for path in sorted(workspace.glob("*-oval.xml")):
        yield from bound_oval.mariner(path)


def rhel(workspace: Path, store: str) -> Parsed:
    """Yield what Red Hat says of the products of a CVE, in the documents that the driver read."""
    return bound_redhat.vex() if (workspace / "vex.sqlite").exists() else bound_redhat.hydra()


def centos(workspace: Path, store: str) -> Parsed:
    """Yield what Red Hat's advisories say of each product."""
    return bound_redhat.advisories()


def amzn(workspace: Path, store: str) -> Parsed:
    """Yield the advisories of each repository."""
    for path in sorted(workspace.rglob("updateinfo")):
        with open_bounded(path, max_bytes=2 << 30, url=path.name) as stream:
            for _, element in ElementTree.iterparse(stream):
                if element.tag == "update":
                    packages = [package.attrib for package in element.iter("package")]
                    cves = [reference.get("id") for reference in element.iter("reference")]
                    said = [element.findtext(name) for name in ("title", "severity", "description")]
                    yield f"{path} {element.findtext('id')}", (said, cves, packages)
                    element.clear()


def github(workspace: Path, store: str) -> Parsed:
    """Yield the reviewed advisories of the archive, or what was kept of the API's answers."""
    if not (workspace / "advisory-database.tar.gz").exists():
        with sqlite3.connect(workspace / "advisories.sqlite") as kept:
            for name, body in kept.execute("SELECT name, body FROM document"):
                yield name, msgspec.json.decode(zstandard.decompress(body))
        return
    decoder = msgspec.json.Decoder(osv.OSVRecord)
    for name, content in _members(workspace / "advisory-database.tar.gz", "/github-reviewed/"):
        yield name, decoder.decode(content)


def bitnami(workspace: Path, store: str) -> Parsed:
    """Yield the documents of the one source that is generated."""
    decoder = msgspec.json.Decoder(osv.OSVRecord)
    for name, content in _members(workspace / "bitnami" / "bitnami", "/BIT-"):
        yield name, decoder.decode(content)


def _members(path: Path, part: str = "") -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r|*") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            content = archive.extractfile(member) if part in member.name else None
            if content is not None:
                yield member.name, content.read()


PARSERS: Final[dict[str, Callable[[Path, str], Parsed]]] = {
    "nvdv2": nvdv2,
    "nvddb": nvddb,
    "alpine": alpine,
    "debian": debian,
    "kev": kev,
    "ubuntu": ubuntu,
    "sles": sles,
    "ol": ol,
    "mariner": mariner,
    "rhel": rhel,
    "centos": centos,
    "amzn": amzn,
    "github": github,
    "osv": bitnami,
    **distributions.PARSERS,
}


def rows(parsed: Parsed) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (key, digest, body) of records."""
    encoder = msgspec.json.Encoder(order="sorted")
    for key, value in parsed:
        body = encoder.encode(value)
        yield key, xxhash.xxh3_128_digest(body), body


def to_sqlite(folder: Path, made: Iterator[tuple[str, bytes, bytes]]) -> None:
    """Write rows into one table of a new file."""
    database = sqlite3.connect(folder / "bound.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(_TABLE.format("BLOB"))
    database.execute("BEGIN")
    while batch := list(islice(made, _BATCH)):
        database.executemany("INSERT INTO bound VALUES (?, ?, ?)", batch)
    database.execute("COMMIT")
    database.close()


def to_postgres(url: str, made: Iterator[tuple[str, bytes, bytes]]) -> None:
    """Copy rows into one table, and remove it."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS bound")
        database.execute(_TABLE.format("BYTEA"))
        with database.cursor() as cursor, cursor.copy("COPY bound FROM STDIN") as copy:
            for row in made:
                copy.write_row(row)
        database.execute("DROP TABLE bound")


def main() -> None:
    """Do it once, for one driver's documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", choices=PARSERS)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("store", help="URL of the store, which tells where the rows go: SQLite or PostgreSQL")
    options = parser.parse_args()
    made = rows(PARSERS[options.driver](options.workspace, options.store))
    if options.store.startswith("postgresql"):
        to_postgres(options.store, made)
        return
    with tempfile.TemporaryDirectory(prefix="bound-", dir=options.workspace.parent) as folder:
        to_sqlite(Path(folder), made)


if __name__ == "__main__":
    main()
