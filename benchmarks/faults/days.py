"""Two days of each driver's upstream: the sample's documents, and what has become of them on the day after."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import zstandard
from tests.drivers import (
    test_alma,
    test_alpine,
    test_amzn,
    test_arch,
    test_debian,
    test_echo,
    test_eol,
    test_epss,
    test_fedora,
    test_kev,
    test_mariner,
    test_ol,
    test_osv_driver,
    test_photon,
    test_rocky,
    test_rolling,
    test_sles,
    test_ubuntu,
    test_vunnel,
    vunnel_workspaces,
)
from tests.drivers.github import test_archive
from tests.drivers.redhat import test_centos, test_rhel

from vulnfeeds.drivers.interface import Driver
from vulnfeeds.testing.driver_suite import DriverSuite

Documents = dict[str, bytes]
"""By path below the upstream folder: HOST/PATH."""


@dataclass(frozen=True)
class Upstream:
    """A driver, as its suite has it, and what changes on day 2 besides the suite's `changed`."""

    suite: type[DriverSuite]
    more: Callable[[Documents], None] = lambda documents: None
    instead: bool = False
    """Whether `more` is all that changes."""
    called: tuple[str, ...] = ()
    """Names by which the task may tell of the documents, where the ends of their URLs are none: `.../full`."""

    def driver(self) -> Driver:
        """Return the driver under the suite's settings."""
        return self.suite.driver(self.suite.settings)

    def documents(self, day: int) -> Documents:
        """Return the documents of day 1 or 2."""
        found: Documents = {}
        for host in sorted({url.split("/")[2] for url in self.driver().upstreams}):
            for path in sorted((self.suite.upstream / host).rglob("*")):
                if path.is_file():
                    found[path.relative_to(self.suite.upstream).as_posix()] = path.read_bytes()
        if day == 2:
            for edit in () if self.instead else self.suite.changed:
                found[edit.path] = edit.change(found[edit.path])
            self.more(found)
        return found


def _replace(documents: Documents, path: str, old: bytes, new: bytes) -> None:
    if old not in documents[path]:
        raise LookupError(f"{path} has no {old!r}")
    documents[path] = documents[path].replace(old, new)


def _new_snapshot(documents: Documents) -> None:
    """Let SecureOS publish another snapshot."""
    packed = gzip.compress(
        gzip.decompress(documents[test_rolling.SNAPSHOT]).replace(b"2.9.1-r2", b"2.9.1-r3"), mtime=0
    )
    name = "security.secureos.io/v1/secdb-20240830-101500.json.gz"
    pointer = json.loads(documents[test_rolling.POINTER])
    pointer |= {"sha256": hashlib.sha256(packed).hexdigest(), "snapshot_url": f"https://{name}"}
    documents[name] = packed
    documents[test_rolling.POINTER] = json.dumps(pointer).encode()


def _new_archive(documents: Documents, folder: str, kind: str) -> None:
    """Let Red Hat publish a newer archive of a folder; its list names it and what changed since."""
    latest = f"{folder}/archive_latest.txt"
    name = f"csaf_{kind}_2024-08-30.tar.zst"
    documents[f"{folder}/{name}"] = documents.pop(f"{folder}/{documents[latest].decode().strip()}")
    documents[latest] = name.encode()
    _replace(documents, f"{folder}/changes.csv", b"2024-08-29T06", b"2024-08-31T06")


def _advisories(documents: Documents) -> None:
    _new_archive(documents, test_rhel.ADVISORIES, "advisories")
    _replace(documents, test_rhel.ADVISORY, b"2.4.0-10.el9", b"2.4.0-11.el9")


def _security_data(documents: Documents) -> None:
    _advisories(documents)
    document = f"{test_rhel.API}/cve/CVE-2024-0014.json"
    _replace(documents, document, b"2.4.0-10.el9", b"2.4.0-11.el9")
    _replace(documents, f"{test_rhel.API}/cve.json", b'"CVE": "CVE-2024-0014"', b'"CVE": "CVE-2024-0014", "new": 1')


def _statements(documents: Documents) -> None:
    _new_archive(documents, test_rhel.VEX, "vex")
    _replace(documents, f"{test_rhel.VEX}/2024/cve-2024-0014.json", b"2.4.0-10.el9", b"2.4.0-11.el9")


def _new_workspace(documents: Documents) -> None:
    """Let a source of vunnel's have new results, in an archive of the same name that a new listing announces."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = zstandard.ZstdDecompressor().decompressobj().decompress(documents[VUNNEL])
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        workspace = folder / "arch"
        with closing(sqlite3.connect(workspace / "results" / "results.db")) as database, database:
            changed = "UPDATE results SET record = CAST(replace(CAST(record AS TEXT), '1.8.1-1', '1.8.1-2') AS BLOB)"
            database.execute(changed)
        vunnel_workspaces.seal(workspace, "arch")
        made = vunnel_workspaces.pack(folder)
        documents[test_vunnel.ARCH] = vunnel_workspaces.listing("arch", made, workspace, url=f"https://{VUNNEL}")
        documents[VUNNEL] = made


VUNNEL = "vunnel.example.org/arch/vunnel-arch.tar.zst"

UPSTREAMS: dict[str, Upstream] = {
    "alpine": Upstream(test_alpine.TestAlpine),
    "debian": Upstream(test_debian.TestDebian),
    "kev": Upstream(test_kev.TestKEV),
    "ubuntu": Upstream(test_ubuntu.TestUbuntu),
    "rhel": Upstream(test_rhel.TestFromTheAPI, _security_data, instead=True),
    "rhel from VEX": Upstream(test_rhel.TestFromVEX, _statements, instead=True),
    "centos": Upstream(test_centos.TestCentOS, _advisories, instead=True),
    "ol": Upstream(test_ol.TestOracle),
    "sles": Upstream(test_sles.TestSLES),
    "mariner": Upstream(test_mariner.TestMariner),
    "amzn": Upstream(test_amzn.TestAmzn),
    "amzn from pages": Upstream(test_amzn.TestAmznPages),
    "wolfi": Upstream(test_rolling.TestWolfi),
    "chainguard": Upstream(test_rolling.TestChainguard),
    "minimos": Upstream(test_rolling.TestMinimOS),
    "secureos": Upstream(test_rolling.TestSecureOS, _new_snapshot),
    "echo": Upstream(test_echo.TestEcho),
    "alma": Upstream(test_alma.TestAlma),
    "rocky": Upstream(test_rocky.TestRocky),
    "fedora": Upstream(test_fedora.TestFedora),
    "photon": Upstream(test_photon.TestPhoton),
    "arch": Upstream(test_arch.TestArch),
    "osv": Upstream(test_osv_driver.TestOSV),
    "github": Upstream(test_archive.TestGitHub),
    "epss": Upstream(test_epss.TestEPSS, called=("epss_scores.csv.gz",)),
    "eol": Upstream(test_eol.TestEOL, called=("products.json",)),
    "vunnel": Upstream(test_vunnel.TestVunnel, _new_workspace),
}
"""By name: a driver, once more for each other source that it may have."""
