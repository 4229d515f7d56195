"""The exact pair of the original service: the same input, served by ours, gives the records that it gave."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.service import Service

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]
FEED, GROUP = "vulnerabilities", "alpine:3.7"
DUMPED_AT = "2020-01-25T00:00:00.000"


@pytest.fixture(scope="module")
def pair(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked pair: input/v3.7/{main,community}.yaml and expected/page-{0,1}.json."""
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(shared / "golden" / "dev-exact-pair-alpine-3.7.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def expected(pair: Path) -> dict[str, dict[str, Any]]:
    """What the original served, by name."""
    pages = [json.loads((pair / "expected" / f"page-{number}.json").read_bytes()) for number in (0, 1)]
    records = [body["Vulnerability"] for page in pages for body in page["data"]]
    assert len(records) == 1395
    return {record["Name"]: record for record in records}


def nvd_items(expected: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield NVD items in form 2.0 with the CVSS 2 that the original saw when it made the records."""
    for name, record in expected.items():
        if not (nvd := record["Metadata"].get("NVD")):
            continue
        data = {
            "version": "2.0",
            "vectorString": f"{nvd['CVSSv2']['Vectors']}/A:P",
            "baseScore": nvd["CVSSv2"]["Score"],
        }
        yield {
            "id": name,
            "sourceIdentifier": "cve@mitre.org",
            "published": DUMPED_AT,
            "lastModified": DUMPED_AT,
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": f"about {name}"}],
            "metrics": {
                "cvssMetricV2": [{"source": "nvd@nist.gov", "type": "Primary", "cvssData": data, "baseSeverity": "X"}]
            },
            "references": [],
        }


def put_alpine(mirror: Path, pair: Path) -> None:
    """Lay out Alpine's site with the one release."""
    site = mirror / "secdb.alpinelinux.org"
    release = site / "v3.7"
    release.mkdir(parents=True)
    (site / "index.html").write_text('<html><body><a href="v3.7/">v3.7/</a></body></html>')
    names = ("main", "community")
    links = "".join(f'<a href="{name}.yaml">{name}.yaml</a>' for name in names)
    (release / "index.html").write_text(f"<html><body>{links}</body></html>")
    for name in names:
        (release / f"{name}.yaml").write_bytes((pair / "input" / "v3.7" / f"{name}.yaml").read_bytes())


def put_nvd(mirror: Path, items: list[dict[str, Any]]) -> None:
    """Lay out the NVD's feed files: all items in one year's, nothing in `modified`."""
    folder = mirror / "nvd.nist.gov" / "feeds" / "json" / "cve" / "2.0"
    folder.mkdir(parents=True)
    for name, held in (("2019", items), ("modified", [])):
        document = json.dumps(
            {
                "resultsPerPage": len(held),
                "startIndex": 0,
                "totalResults": len(held),
                "format": "NVD_CVE",
                "version": "2.0",
                "timestamp": DUMPED_AT,
                "vulnerabilities": [{"cve": item} for item in held],
            }
        ).encode()
        packed = gzip.compress(document)
        (folder / f"nvdcve-2.0-{name}.json.gz").write_bytes(packed)
        (folder / f"nvdcve-2.0-{name}.meta").write_text(
            f"lastModifiedDate:2020-01-25T03:00:00-05:00\r\nsize:{len(document)}\r\nzipSize:{len(packed)}\r\n"
            f"gzSize:{len(packed)}\r\nsha256:{hashlib.sha256(document).hexdigest().upper()}\r\n"
        )


def put_mirror(mirror: Path, pair: Path, expected: dict[str, dict[str, Any]]) -> None:
    """Lay out all that alpine and nvdv2 ask for."""
    put_alpine(mirror, pair)
    put_nvd(mirror, list(nvd_items(expected)))


def test_alpine_3_7_is_served_as_the_original_did(
    pair: Path, expected: dict[str, dict[str, Any]], store_url: str, tmp_path: Path
) -> None:
    """1395 records, equal in every key but for the order of fixes and the vectors' last part, which it cut off."""
    put_mirror(tmp_path / "mirror", pair, expected)
    settings = {"DRIVERS": "alpine,nvdv2", "SEVERITY_SOURCE": "cvss2"}
    with Service(tmp_path, store_url, str(tmp_path / "mirror"), **settings) as service:
        service.sync()
        service.serve()
        with service.client() as client:
            report = client.sync([FEED, "nvdv2"])
            assert [group.problem for group in report.groups if group.problem] == []
            assert report.of(FEED, GROUP).pages >= 2
            served = {body["Vulnerability"]["Name"]: body["Vulnerability"] for body in client.walk(FEED, GROUP)}
    assert set(served) == set(expected)
    for name, record in served.items():
        if nvd := record["Metadata"].get("NVD"):
            nvd["CVSSv2"]["Vectors"] = nvd["CVSSv2"]["Vectors"].rpartition("/")[0]
        assert record == {**expected[name], "FixedIn": sorted(expected[name]["FixedIn"], key=fix_key)}


def fix_key(fix: dict[str, str]) -> tuple[str, str]:
    """Return what tells the fixes of one record apart."""
    return fix["Name"], fix["Version"]


def test_a_release_that_left_upstream_stays(
    pair: Path, expected: dict[str, dict[str, Any]], sqlite_url: str, tmp_path: Path
) -> None:
    """As in the original, a record that left its document is served with no fixes, and the severity that it had."""
    mirror = tmp_path / "mirror"
    put_mirror(mirror, pair, expected)
    community = mirror / "secdb.alpinelinux.org" / "v3.7" / "community.yaml"
    document = yaml.load(community.read_text(), Loader=yaml.CBaseLoader)
    settings = {"DRIVERS": "alpine,nvdv2", "SEVERITY_SOURCE": "cvss2", "SINCE_MARGIN_SECONDS": 0}
    with Service(tmp_path, sqlite_url, str(mirror), **settings) as service:
        service.sync()
        service.serve()
        with service.client() as client:
            client.sync([FEED])
            kept = client.ids(FEED, GROUP)
            gone = next(package["pkg"] for package in document["packages"] if package["pkg"].get("secfixes"))
            document["packages"] = [package for package in document["packages"] if package["pkg"] != gone]
            community.write_text(yaml.safe_dump(document))
            service.sync("alpine")
            report = client.sync([FEED])
            assert report.problems == []
            assert client.ids(FEED, GROUP) == kept
            assert client.compare(service.records(FEED)) == []
            withdrawn = service.withdrawn()
            assert 0 < len(withdrawn) <= report.records < 100
            for feed, group, key in withdrawn:
                record = client.vulnerability(feed, group, key)
                assert record is not None
                assert record.children == ()
                assert record.row[0] == expected[key]["Severity"]
