"""From real upstream documents to what a scan finds: expectations read in the documents by hand.

They are put to the rows of the database always, and to grype itself where one is on PATH.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Replay
from tests.end_to_end.matching import Host, matches
from tests.end_to_end.scanning import GRYPE, Grype, grype_with
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.packing import unpack

DRIVERS = ("nvdv2", "debian", "ubuntu", "alpine", "rhel", "ol", "amzn", "alma", "kev")

DEBIAN = Host("debian", "12", "bookworm")
COSMIC = Host("ubuntu", "18.10", "cosmic")
ALPINE = Host("alpine", "3.19.1")


@dataclass(frozen=True)
class Expected:
    """A package of a host, and vulnerabilities that it has or has not."""

    host: Host
    purl: str
    """As a scan of one package is asked for."""
    package: str
    version: str
    has: tuple[str, ...] = ()
    has_not: tuple[str, ...] = ()


def deb(host: Host, package: str, version: str, **more: Any) -> Expected:
    """A package of Debian or Ubuntu."""
    distro = f"{host.name}-{host.version}"
    return Expected(host, f"pkg:deb/{host.name}/{package}@{version}?distro={distro}", package, version, **more)


def rpm(distro: str, host: Host, package: str, version: str, **more: Any) -> Expected:
    """A package of a distribution with rpm; `version` with its epoch."""
    epoch, _, plain = version.rpartition(":")
    purl = f"pkg:rpm/{distro}/{package}@{plain}?distro={distro}-{host.version}&epoch={epoch or 0}"
    return Expected(host, purl, package, version, **more)


EXPECTED = (
    # Debian's tracker: openssl, CVE-2024-0727, bookworm: fixed_version 3.0.13-1~deb12u1.
    deb(DEBIAN, "openssl", "3.0.11-1~deb12u2", has=("CVE-2024-0727",)),
    deb(DEBIAN, "openssl", "3.0.13-1~deb12u1", has_not=("CVE-2024-0727",)),
    # The same: CVE-2010-0928 is open in every release.
    deb(DEBIAN, "openssl", "3.0.13-1~deb12u1", has=("CVE-2010-0928",)),
    # Ubuntu's tracker: cosmic_openssl: released (1.1.1-1ubuntu2.1) of CVE-2018-0734.
    deb(COSMIC, "openssl", "1.1.1-1ubuntu2", has=("CVE-2018-0734",)),
    deb(COSMIC, "openssl", "1.1.1-1ubuntu2.1", has_not=("CVE-2018-0734",)),
    # Alpine's secdb, v3.19 main: openssl 1.1.1b-r1 fixes CVE-2019-1543; under "0": CVE-2023-4807 never concerned it.
    Expected(
        ALPINE,
        "pkg:apk/alpine/openssl@1.1.1a-r0?distro=alpine-3.19.1",
        "openssl",
        "1.1.1a-r0",
        has=("CVE-2019-1543",),
        has_not=("CVE-2023-4807",),
    ),
    # Hydra: CVE-2021-3449, Red Hat Enterprise Linux 8: openssl-1:1.1.1g-15.el8_3 by RHSA-2021:1024.
    rpm("rhel", Host("redhat", "8.3"), "openssl", "1:1.1.1g-12.el8_3", has=("CVE-2021-3449",)),
    rpm("rhel", Host("redhat", "8"), "openssl", "1:1.1.1g-15.el8_3", has_not=("CVE-2021-3449",)),
    # Hydra: CVE-2019-1551, Red Hat Enterprise Linux 7: will not fix; Red Hat Enterprise Linux 6: not affected.
    rpm("rhel", Host("redhat", "7.9"), "openssl", "1:1.0.2k-26.el7_9", has=("CVE-2019-1551",)),
    rpm("rhel", Host("redhat", "6.10"), "openssl", "1:1.0.1e-60.el6", has_not=("CVE-2019-1551",)),
    # Hosts of Rocky Linux and CentOS take the rows of RHEL.
    rpm("rocky", Host("rockylinux", "8.3"), "openssl", "1:1.1.1g-12.el8_3", has=("CVE-2021-3449",)),
    rpm("centos", Host("centos", "7"), "openssl", "1:1.0.2k-26.el7_9", has=("CVE-2019-1551",)),
    # AlmaLinux: disclosed by RHEL (CVE-2020-8597, ppp before 0:2.4.7-26.el8_1), fixed by ALSA-2020:0633 at the same.
    rpm("almalinux", Host("almalinux", "8.3"), "ppp", "0:2.4.7-25.el8", has=("CVE-2020-8597",)),
    rpm("almalinux", Host("almalinux", "8.3"), "ppp", "0:2.4.7-26.el8_1", has_not=("CVE-2020-8597",)),
    # ELSA-2019-3134: java-1.8.0-openjdk is earlier than 1:1.8.0.232.b09-0.el8_0.
    rpm("ol", Host("oraclelinux", "8.1"), "java-1.8.0-openjdk", "1:1.8.0.222.b10-0.el8_0", has=("ELSA-2019-3134",)),
    rpm(
        "ol", Host("oraclelinux", "8.1"), "java-1.8.0-openjdk", "1:1.8.0.232.b09-0.el8_0", has_not=("ELSA-2019-3134",)
    ),
    # ALAS2-2018-1082: bind 32:9.9.4-61.amzn2.1.1.
    rpm("amzn", Host("amazonlinux", "2"), "bind", "32:9.9.4-60.amzn2", has=("ALAS-2018-1082",)),
    rpm("amzn", Host("amazonlinux", "2"), "bind", "32:9.9.4-61.amzn2.1.1", has_not=("ALAS-2018-1082",)),
)


@pytest.fixture(scope="module")
def home(replay_process: Replay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the real documents of day 1 were synced and the database built."""
    replay_process.clear()
    replay_process.day(1)
    folder = tmp_path_factory.mktemp("grype") / "home"
    environment = {
        **os.environ,
        "VULNFEEDS_HOME": str(folder),
        "VULNFEEDS_UPSTREAM_MIRROR": replay_process.address,
        "VULNFEEDS_DRIVERS": ",".join(DRIVERS),
        "VULNFEEDS_GRYPEDB__ENABLED": "true",
    }
    command = [sys.executable, "-m", "vulnfeeds", "sync", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    outcomes = {row["driver"]: row["status"] for row in json.loads(done.stdout)["drivers"]}
    assert outcomes == dict.fromkeys([*DRIVERS, "grypedb"], "completed")
    return folder


@pytest.fixture(scope="module")
def database(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """The database of the newest archive."""
    path = tmp_path_factory.mktemp("unpacked") / "vulnerability.db"
    folder = ArchiveFolder(home / "grypedb")
    newest = folder.newest()
    assert newest is not None
    unpack(folder.path(newest), path)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.purl)
def test_the_rows_say_what_the_documents_say(database: sqlite3.Connection, expected: Expected) -> None:
    """Looked up as grype does, a package has exactly those of the named vulnerabilities that it should."""
    found = matches(database, expected.host, expected.package, expected.version)
    assert set(expected.has) <= found
    assert not set(expected.has_not) & found


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[str]:
    """The address of a service over the data folder."""
    command = [sys.executable, "-m", "vulnfeeds", "serve", "--host", "127.0.0.1", "--port", "0"]
    environment = {**os.environ, "VULNFEEDS_HOME": str(home)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "address=" in line:
            yield line.partition("address=")[2].split()[0]
            break
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def grype(served: str, tmp_path_factory: pytest.TempPathFactory) -> Grype:
    """grype, told where our databases are."""
    if GRYPE is None:
        pytest.skip("no grype on PATH")
    cache = tmp_path_factory.mktemp("cache")
    found = grype_with(cache, f"{served}/v1/databases")
    found.run("db", "check", code=100)
    found.run("db", "update")
    return found


def test_grype_takes_the_database_and_calls_it_current(grype: Grype) -> None:
    """No second download: the time in the file and in the document are the same."""
    status = json.loads(grype.run("db", "status", "-o", "json"))
    assert (status["schemaVersion"], status["valid"]) == ("v6.1.9", True)
    grype.run("db", "check", code=0)


def test_grype_names_our_origins(grype: Grype) -> None:
    """Each driver's records have one."""
    named = {row["name"] for row in json.loads(grype.run("db", "providers", "-o", "json"))}
    assert named == {"nvd", "debian", "ubuntu", "alpine", "rhel", "oracle", "amazon", "alma", "kev"}


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.purl)
def test_grype_finds_what_the_documents_say(grype: Grype, expected: Expected) -> None:
    """A scan of one package finds exactly those of the named vulnerabilities that it should."""
    found = grype.scan(expected.purl)
    assert set(expected.has) <= found
    assert not set(expected.has_not) & found


def test_a_scan_of_an_sbom_ends_with_the_code_for_its_severity(grype: Grype, tmp_path: Path) -> None:
    """CycloneDX with the distribution of the host; `--fail-on` gives code 2."""
    component = {
        "type": "library",
        "bom-ref": "p",
        "name": "openssl",
        "version": "1:1.1.1g-12.el8_3",
        "purl": "pkg:rpm/redhat/openssl@1.1.1g-12.el8_3?epoch=1&arch=x86_64&distro=rhel-8.3",
    }
    system = {"type": "operating-system", "bom-ref": "os", "name": "rhel", "version": "8.3"}
    sbom = tmp_path / "sbom.json"
    sbom.write_text(
        json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [component, system]})
    )
    assert "CVE-2021-3449" in grype.scan(f"sbom:{sbom}")
    grype.run(f"sbom:{sbom}", "--fail-on", "high", code=2)


def test_a_search_finds_a_vulnerability_with_what_is_known_of_it(grype: Grype) -> None:
    """Log4Shell is known to be exploited, and RHEL's record says which versions."""
    (found,) = [
        row
        for row in json.loads(grype.run("db", "search", "vuln", "CVE-2021-44228", "-o", "json"))
        if row["provider"] == "rhel"
    ]
    assert found["known_exploited"][0]["cve"] == "CVE-2021-44228"


def test_grype_refuses_a_database_that_is_too_old(grype: Grype) -> None:
    """The age in the file is what it looks at."""
    aged = Grype({**grype.environment, "GRYPE_DB_MAX_ALLOWED_BUILT_AGE": "1s", "GRYPE_DB_AUTO_UPDATE": "false"})
    aged.run("pkg:apk/alpine/openssl@1.1.1a-r0?distro=alpine-3.19.1", code=1)
