"""What grype itself does with a database of ours, made of the sample: updates good and bad, feeds, channels, formats.

All of it needs a grype on PATH, and is skipped without one: the rows are checked elsewhere.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.api.filling import publish
from tests.end_to_end.scanning import GRYPE, OLD_GRYPE, Grype, grype_with
from tests.publish.grypedb.records import fixed_in, os_record
from vulnfeeds.cli.compose import sample_upstream
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.store import open_store

pytestmark = pytest.mark.skipif(GRYPE is None, reason="no grype on PATH")

CVE = "CVE-2024-7777"
RELEASES = {
    "rhel:8": fixed_in("rhel:8", "lockbox", "0:5-9.el8", "rpm"),
    "rhel:8.4+eus": fixed_in("rhel:8.4+eus", "lockbox", "0:5-3.el8_4", "rpm"),
    "ubuntu:22.04": fixed_in("ubuntu:22.04", "lockbox", "None"),
    "ubuntu:22.04+esm": fixed_in("ubuntu:22.04+esm", "lockbox", "5-1ubuntu1+esm1"),
    "alpine:3.17": fixed_in("alpine:3.17", "lockbox", "5-r1", "apk"),
    "debian:13": fixed_in("debian:13", "lockbox", "5-1"),
}
"""One CVE in releases, in the channels beside them, and in a release that is supported no more."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ArchiveFolder:
    """Archives of both schemas, as a web server would show them."""
    home = tmp_path_factory.mktemp("sample") / "home"
    environment = {
        **os.environ,
        "VULNFEEDS_HOME": str(home),
        "VULNFEEDS_UPSTREAM_MIRROR": str(sample_upstream()),
        "VULNFEEDS_DRIVERS": "nvdv2,sles,github,kev,epss,eol",
        "VULNFEEDS_GRYPEDB__OLD": "true",
    }
    vulnfeeds = [sys.executable, "-m", "vulnfeeds"]
    subprocess.run([*vulnfeeds, "sync"], env=environment, check=True, capture_output=True, timeout=120)
    with closing(open_store(f"sqlite:///{home / 'vulnfeeds.sqlite'}")) as store:
        for group, fix in RELEASES.items():
            publish(store, "vulnerabilities", group, {CVE: os_record(group, CVE, fix)}, driver=group)
    web = home.parent / "web"
    build = [*vulnfeeds, "grypedb", "build", "--to", str(web)]
    subprocess.run(build, env=environment, check=True, capture_output=True, timeout=120)
    return ArchiveFolder(web)


@contextmanager
def shown(folder: Path, certificates: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """Show a folder over HTTP, or HTTPS with a private authority; give its address, and what is asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        """Notes requests instead of writing them to the terminal."""

        def log_message(self, *said: object) -> None:
            """Note a request."""
            asked.append(str(said[1]))

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    scheme = "http" if certificates is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def grype(folder: ArchiveFolder, tmp_path_factory: pytest.TempPathFactory) -> Grype:
    """grype with the database in its cache, which asks nobody any more."""
    with shown(folder.root) as (address, _):
        found = grype_with(tmp_path_factory.mktemp("cache"), address)
        found.run("db", "update")
    return found.but(GRYPE_DB_AUTO_UPDATE="false")


def test_a_second_update_downloads_nothing(folder: ArchiveFolder, tmp_path: Path) -> None:
    """The archive is asked for once; then the document says that it is still the newest."""
    with shown(folder.root) as (address, asked):
        client = grype_with(tmp_path, address)
        client.run("db", "update")
        assert [line for line in asked if line.startswith("GET") and ".tar.zst" in line]
        asked.clear()
        client.run("db", "update")
        client.run("db", "check", code=0)
    assert asked
    assert not [line for line in asked if ".tar.zst" in line]


def test_an_update_comes_through_tls_with_a_private_authority(
    folder: ArchiveFolder, certificates: Path, tmp_path: Path
) -> None:
    """Named, the authority is trusted; not named, nothing is downloaded."""
    with shown(folder.root, certificates) as (address, asked):
        client = grype_with(tmp_path, address)
        client.run("db", "update", code=1)
        assert asked == []
        client.but(GRYPE_DB_CA_CERT=str(certificates / "ca.pem")).run("db", "update")


@pytest.mark.parametrize("damage", ["archive", "checksum"])
def test_what_is_not_as_the_document_says_is_refused(folder: ArchiveFolder, tmp_path: Path, damage: str) -> None:
    """An archive that was damaged on its way, or another one than was meant."""
    web = tmp_path / "web"
    shutil.copytree(folder.root, web)
    document = web / "v6" / "latest.json"
    latest = json.loads(document.read_bytes())
    if damage == "archive":
        archive = web / "v6" / latest["path"]
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.write_bytes(content)
    else:
        document.write_text(json.dumps({**latest, "checksum": f"sha256:{'0' * 64}"}))
    with shown(web) as (address, _):
        client = grype_with(tmp_path / "cache", address)
        client.run("db", "update", code=1)
        client.run("db", "status", code=1)


def test_a_package_of_npm_has_the_advisory_with_its_fix(grype: Grype) -> None:
    """The sample: brook < 1.1.9 and >= 1.2.0 < 1.4.3 in GHSA-2222-3333-cccc, one of them fixed by 1.4.3."""
    found = grype.matches("pkg:npm/brook@1.3.0")
    advisory = found["GHSA-2222-3333-cccc"]
    assert advisory["fix"] == {"versions": ["1.4.3"], "state": "fixed"}
    assert advisory["severity"] == "High"
    assert advisory["cvss"][0]["metrics"]["baseScore"] == 7.5
    assert advisory["urls"] == ["https://brooks.example/GHSA-2222-3333-cccc"]
    assert "GHSA-2222-3333-cccc" not in grype.scan("pkg:npm/brook@1.1.9")


def test_a_withdrawn_advisory_matches_nothing(grype: Grype) -> None:
    """The sample: GHSA-2222-3333-xxxx, brook < 9.0.0, withdrawn."""
    assert "GHSA-2222-3333-xxxx" not in grype.scan("pkg:npm/brook@1.3.0")


def test_scores_and_exploitation_are_shown_with_a_match(grype: Grype) -> None:
    """The sample: quillfs of SLES 15.3 before 2.3-150300.5.1; CVE-2024-0001 scored 0.35964 and is exploited."""
    purl = "pkg:rpm/suse/quillfs@{}?distro=sles-15.3"
    found = grype.matches(purl.format("2.3-150300.1.1"))["CVE-2024-0001"]
    assert [(each["epss"], each["percentile"], each["date"]) for each in found["epss"]] == [
        (0.35964, 0.4, "2024-08-30")
    ]
    assert [(each["cve"], each["dateAdded"]) for each in found["knownExploited"]] == [("CVE-2024-0001", "2024-08-01")]
    assert "CVE-2024-0001" not in grype.scan(purl.format("2.3-150300.5.1"))


@pytest.mark.parametrize(("threshold", "code"), [("high", 2), ("critical", 0)])
def test_a_scan_of_spdx_ends_with_the_code_for_its_severity(
    grype: Grype, tmp_path: Path, threshold: str, code: int
) -> None:
    """An advisory of high severity ends a scan that must not have one, with code 2."""
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": "pkg:npm/brook@1.1.0",
    }
    package = {
        "SPDXID": "SPDXRef-brook",
        "name": "brook",
        "versionInfo": "1.1.0",
        "downloadLocation": "NOASSERTION",
        "externalRefs": [reference],
    }
    sbom = tmp_path / "sbom.spdx.json"
    sbom.write_text(
        json.dumps(
            {
                "spdxVersion": "SPDX-2.3",
                "dataLicense": "CC0-1.0",
                "SPDXID": "SPDXRef-DOCUMENT",
                "name": "sample",
                "documentNamespace": "https://sample.example/spdx",
                "creationInfo": {"created": "2024-01-01T00:00:00Z", "creators": ["Tool: by-hand"]},
                "packages": [package],
            }
        )
    )
    assert "GHSA-2222-3333-cccc" in grype.scan(f"sbom:{sbom}")
    grype.run(f"sbom:{sbom}", "--fail-on", threshold, code=code)


@pytest.mark.parametrize(
    ("purl", "release", "channel"),
    [
        ("pkg:rpm/redhat/lockbox@5-2.el8_4?distro=rhel-8.4", ["0:5-9.el8"], ["0:5-3.el8_4", "0:5-9.el8"]),
        ("pkg:rpm/redhat/lockbox@5-3.el8_4?distro=rhel-8.4", ["0:5-9.el8"], None),
        ("pkg:deb/ubuntu/lockbox@5-1ubuntu1?distro=ubuntu-22.04", [], ["5-1ubuntu1+esm1"]),
    ],
)
def test_a_channel_counts_for_hosts_that_take_fixes_from_it(
    grype: Grype, purl: str, release: list[str], channel: list[str] | None
) -> None:
    """A host of EUS or ESM says so by its distribution (`rhel-8.4+eus`); a fix of its channel is enough then."""
    word = "eus" if "rhel" in purl else "esm"
    assert grype.matches(purl)[CVE]["fix"]["versions"] == release
    found = grype.matches(f"{purl}%2B{word}").get(CVE)
    assert (found and found["fix"]["versions"]) == channel
    never = grype.but(GRYPE_FIX_CHANNEL_REDHAT_EUS_APPLY="never", GRYPE_FIX_CHANNEL_UBUNTU_ESM_APPLY="never")
    assert never.matches(f"{purl}%2B{word}")[CVE]["fix"]["versions"] == release


@pytest.mark.parametrize(
    ("purl", "ended"),
    [("pkg:apk/alpine/x@1?distro=alpine-3.17", True), ("pkg:deb/debian/x@1?distro=debian-13", False)],
)
def test_a_host_that_nobody_mends_any_more_is_told_of(grype: Grype, purl: str, ended: bool) -> None:
    """The sample: Alpine 3.17 ended on 2024-11-22, Debian 13 is supported until 2030."""
    said = json.loads(grype.run(purl, "-o", "json")).get("alertsByPackage", [])
    assert [alert["type"] for each in said for alert in each["alerts"]] == ["distro-eol"] * ended


@pytest.mark.skipif(OLD_GRYPE is None, reason="no grype-0.27 on PATH, and none in VULNFEEDS_TEST_GRYPE3")
def test_a_grype_of_anchore_engine_reads_schema_3(folder: ArchiveFolder, tmp_path: Path) -> None:
    """It imports the archive, and finds what is in it."""
    newest = folder.newest(3)
    assert newest is not None
    assert OLD_GRYPE is not None
    old = Grype({**grype_with(tmp_path, "").environment, "GRYPE_DB_AUTO_UPDATE": "false"}, OLD_GRYPE)
    old.run("db", "import", str(folder.path(newest)))
    project = tmp_path / "project"
    project.mkdir()
    packages = {"brook": {"version": "1.3.0", "resolved": "https://registry.example/brook-1.3.0.tgz"}}
    lock = {"name": "project", "version": "1.0.0", "lockfileVersion": 1, "requires": True, "dependencies": packages}
    (project / "package-lock.json").write_text(json.dumps(lock))
    assert "GHSA-2222-3333-cccc" in old.run(f"dir:{project}", "-o", "json")
