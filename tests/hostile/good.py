"""Good upstreams, made to order: a group of COUNT records for each driver, and the same with one more."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

from tests.drivers.nvd import sample_documents as sample
from vulnfeeds.drivers import alpine, kev
from vulnfeeds.drivers.alpine import AlpineDriver
from vulnfeeds.drivers.debian.driver import ADVISORIES, TRACKER, DebianDriver
from vulnfeeds.drivers.github.database import ARCHIVE as GITHUB
from vulnfeeds.drivers.github.driver import GitHubDriver
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.kev import KEVDriver
from vulnfeeds.drivers.nvd.feeds import ADDRESS as FEED_FILES
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.drivers.nvd.overrides import ADDRESS as OVERRIDES
from vulnfeeds.drivers.nvd.plan import NVDv2Settings
from vulnfeeds.drivers.osv.driver import OSVDriver
from vulnfeeds.drivers.osv.settings import OSVSettings, SourceSettings

COUNT = 120
LAB = "https://lab.example.org/advisories.zip"
GITHUB_FOLDER = "advisory-database-main/advisories/github-reviewed/2024/08"
Documents = dict[str, bytes]

MAIN = f"{alpine.SECDB}v3.19/main.json"
OLD = f"{alpine.SECDB}v3.2/main.yaml"
INDEX = alpine.SECDB
REJECTED = f"{alpine.REJECTIONS}main.yaml"
CATALOG = kev.CATALOG
FEED_FILE = f"{FEED_FILES}nvdcve-2.0-2024.json.gz"
META = f"{FEED_FILES}nvdcve-2.0-2024.meta"
NOW = 1_725_000_000.0
"""30 August 2024: there is one yearly file from `first_year` 2024 on."""


def cve(number: int) -> str:
    """Return an id."""
    return f"CVE-2024-{number:05d}"


# --- documents ----------------------------------------------------------------------------------------------------


def secdb(names: list[str]) -> dict[str, Any]:
    """Return a secdb document in which each id is fixed in a package of its own."""
    return {
        "packages": [{"pkg": {"name": f"p{at}", "secfixes": {"1.0-r0": [name]}}} for at, name in enumerate(names)]
    }


def secdb_yaml(names: list[str]) -> bytes:
    """Return the same as YAML."""
    lines = ["packages:"]
    for at, name in enumerate(names):
        lines += ["  - pkg:", f"      name: p{at}", "      secfixes:", f"        1.0-r0:\n          - {name}"]
    return "\n".join(lines).encode() + b"\n"


def links(*names: str) -> bytes:
    """Return an index page."""
    rows = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
    return f"<html><head><title>Index</title></head><body>{rows}</body></html>".encode()


def tracker(names: list[str]) -> dict[str, Any]:
    """Return a tracker document in which each id has a package of its own and is fixed in one release."""
    fixed = {"bookworm": {"status": "resolved", "fixed_version": "1.0-1", "urgency": "low"}}
    return {f"p{at}": {name: {"description": "text", "releases": fixed}} for at, name in enumerate(names)}


def catalog_item(name: str) -> dict[str, Any]:
    """Return an item of the catalog."""
    return {
        "cveID": name,
        "vendorProject": "Vendor",
        "product": "Product",
        "vulnerabilityName": "Name",
        "dateAdded": "2024-01-01",
        "shortDescription": "text",
        "requiredAction": "Update.",
        "dueDate": "2024-02-01",
        "knownRansomwareCampaignUse": "Known",
        "notes": "",
        "cwes": ["CWE-79"],
    }


def catalog(names: list[str]) -> dict[str, Any]:
    """Return a catalog."""
    return {"title": "Catalog", "count": len(names), "vulnerabilities": [catalog_item(name) for name in names]}


def nvd_item(name: str) -> dict[str, Any]:
    """Return an NVD item with one vulnerable version."""
    return {
        "cve": {
            "id": name,
            "sourceIdentifier": "security@example.com",
            "published": "2024-01-01T00:00:00.000",
            "lastModified": "2024-01-02T00:00:00.000",
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": "text"}],
            "metrics": {"cvssMetricV2": [sample.metric2(7.5)]},
            "weaknesses": [
                {"source": sample.NVD, "type": "Primary", "description": [{"lang": "en", "value": "CWE-79"}]}
            ],
            "configurations": sample.anyone(*sample.exact(f"a:vendor:{name.lower()}", "1.0")),
            "references": [{"url": f"https://example.com/{name}", "source": "security@example.com"}],
        }
    }


def nvd_document(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a feed file's document."""
    return {
        "resultsPerPage": len(items),
        "startIndex": 0,
        "totalResults": len(items),
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": "2024-08-29T00:00:00.000",
        "vulnerabilities": items,
    }


def feed_file(document: bytes, packed: bytes | None = None, moment: str = "2024-08-29T00:00:00-04:00") -> Documents:
    """Return a feed file, packed by gzip unless it is given packed, with its meta."""
    body = gzip.compress(document, 6, mtime=0) if packed is None else packed
    return {FEED_FILE: body, META: sample.meta(document, body, moment)}


def override(name: str) -> bytes:
    """Return the override of a CVE."""
    said = {
        "_annotation": {"cna": "cna", "cve_id": name, "description": "text", "published": "2024-04-05T00:00:00.000"},
        "cve": {"configurations": sample.anyone(*sample.exact("a:vendor:other", "2.0"))},
    }
    return json.dumps(said).encode()


def tar_gz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a packed archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member, body in members:
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def override_member(name: str, body: bytes | None = None) -> tuple[tarfile.TarInfo, bytes]:
    """Return the member of an archive that holds an override."""
    content = override(name) if body is None else body
    return tarfile.TarInfo(f"nvd-data-overrides-main/data/2024/{name}.json"), content


# --- upstreams ----------------------------------------------------------------------------------------------------


def of_alpine(count: int = COUNT) -> Documents:
    """Return secdb with three releases, one of them in YAML, and the rejections."""
    names = [cve(number) for number in range(count)]
    community = secdb(["CVE-2024-99999"])
    return {
        INDEX: links("v3.2/", "v3.19/", "edge/"),
        f"{INDEX}v3.2/": links("main.yaml"),
        OLD: secdb_yaml(names),
        **{
            f"{INDEX}{release}/{name}": body
            for release in ("v3.19", "edge")
            for name, body in {
                "": links("main.json", "community.json"),
                "main.json": json.dumps(secdb(names)).encode(),
                "community.json": json.dumps(community).encode(),
            }.items()
        },
        REJECTED: b"p0:\n  - CVE-2024-88888\n",
        f"{alpine.REJECTIONS}community.yaml": b"p1:\n  - CVE-2024-88888\n",
    }


def of_debian(count: int = COUNT) -> Documents:
    """Return the tracker and the list of advisories."""
    advisories = "[01 Jan 2024] DSA-5000-1 p0 - security update\n\t{CVE-2024-00000}\n\t[bookworm] - p0 1.0-1\n"
    names = [cve(number) for number in range(count)]
    return {TRACKER: json.dumps(tracker(names)).encode(), ADVISORIES: advisories.encode()}


def of_kev(count: int = COUNT) -> Documents:
    """Return the catalog."""
    return {CATALOG: json.dumps(catalog([cve(number) for number in range(count)])).encode()}


def of_nvd(count: int = COUNT) -> Documents:
    """Return a yearly feed file and the overrides."""
    items = [nvd_item(cve(number)) for number in range(count)]
    return {
        **feed_file(json.dumps(nvd_document(items)).encode()),
        OVERRIDES: tar_gz(override_member(cve(0))),
    }


def of_github(count: int = COUNT) -> Documents:
    """Return the archive of GitHub's database with so many advisories."""
    return github_archive(*(github_member(number) for number in range(count)))


def tar_of_zeros() -> bytes:
    """Return a tar whose one document is 40 MB of blanks."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(f"{GITHUB_FOLDER}/a.json")
        info.size = 40 << 20
        archive.addfile(info, io.BytesIO(b" " * info.size))
    return out.getvalue()


def github_archive(*members: tuple[tarfile.TarInfo, bytes]) -> Documents:
    """Return the archive of GitHub's database with these members."""
    return {GITHUB: tar_gz(*members)}


def github_member(number: int, summary: bytes = b'"Advisory"') -> tuple[tarfile.TarInfo, bytes]:
    """Return an advisory of GitHub's database; `summary` is JSON."""
    name = f"GHSA-2222-2222-{number:04}"
    body = (
        b'{"id": "%b", "modified": "2024-08-01T00:00:00Z", "published": "2024-08-01T00:00:00Z", "aliases": ["%b"], '
        b'"summary": %b, "affected": [{"package": {"ecosystem": "npm", "name": "p%d"}, "ranges": [{"type": "SEMVER", '
        b'"events": [{"introduced": "0"}, {"fixed": "2.0"}]}]}], "database_specific": {"severity": "HIGH"}}'
    ) % (name.encode(), cve(number).encode(), summary, number)
    return tarfile.TarInfo(f"{GITHUB_FOLDER}/{name}/{name}.json"), body


def of_lab(count: int = COUNT) -> Documents:
    """Return the archive of a source of OSV documents with so many advisories."""
    return lab_archive(*(lab_document(number) for number in range(count)))


def lab_archive(*documents: tuple[str, bytes]) -> Documents:
    """Return a zip of these."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in documents:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return {LAB: out.getvalue()}


def lab_document(number: int, summary: bytes = b'"Advisory"', version: bytes = b'"2.0"') -> tuple[str, bytes]:
    """Return an OSV document; `summary` and `version` are JSON."""
    name = f"LAB-2024-{number:04}"
    body = (
        b'{"id": "%b", "modified": "2024-08-01T00:00:00Z", "aliases": ["%b"], "summary": %b, "affected": '
        b'[{"package": {"ecosystem": "npm", "name": "p%d"}, "ranges": [{"type": "SEMVER", "events": '
        b'[{"introduced": "0"}, {"fixed": %b}]}], "ecosystem_specific": {"imports": %b}}]}'
    ) % (name.encode(), cve(number).encode(), summary, number, version, summary)
    return f"{name}.json", body


DRIVERS: dict[str, tuple[Callable[[], Driver], Callable[[int], Documents]]] = {
    "alpine": (AlpineDriver, of_alpine),
    "debian": (DebianDriver, of_debian),
    "github": (GitHubDriver, of_github),
    "kev": (KEVDriver, of_kev),
    "osv": (lambda: OSVDriver(OSVSettings(presets=(), sources={"lab": SourceSettings(archive=LAB)})), of_lab),
    "nvdv2": (lambda: NVDv2Driver(NVDv2Settings(source="feeds", first_year=2024, overrides=True)), of_nvd),
    "nvdv2 by API": (lambda: NVDv2Driver(NVDv2Settings(first_year=2024)), of_nvd),
}
"""Makers of a driver and of its upstream's documents, by name."""
