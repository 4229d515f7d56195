"""A release that is new upstream is served without a change of ours; see also each driver's tests."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.drivers.driver_runs import SAMPLE, on_sample
from vulnfeeds.drivers.alma import AlmaDriver
from vulnfeeds.drivers.alpine import AlpineDriver, AlpineSettings
from vulnfeeds.drivers.debian.driver import DebianDriver
from vulnfeeds.drivers.eol import EOLDriver
from vulnfeeds.drivers.interface import Driver, DriverSettings
from vulnfeeds.drivers.mariner import MarinerDriver
from vulnfeeds.drivers.ol import OracleDriver
from vulnfeeds.drivers.redhat.centos import CentOSDriver, CentOSSettings
from vulnfeeds.drivers.redhat.rhel import RHELDriver, RHELSettings
from vulnfeeds.drivers.rocky import RockyDriver
from vulnfeeds.drivers.sles import SLESDriver
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute
from vulnfeeds.testing.driver_suite import NOW, Trial, copied

OVAL = "raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main"


def groups(trial: Trial) -> set[str]:
    """Return the groups of a run."""
    return {record.group for record in trial.run()[0]}


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Replace a text wherever a document says it."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def test_alpine(tmp_path: Path) -> None:
    """A folder that the index lists; one that it does not list can be asked for."""
    trial = on_sample(AlpineDriver, tmp_path)
    secdb = trial.folder / "secdb.alpinelinux.org"
    shutil.copytree(secdb / "v3.20", secdb / "v4.0")
    assert "alpine:4.0" not in groups(trial)
    told = on_sample(AlpineDriver, tmp_path / "told", AlpineSettings(releases=("4.0",)))
    shutil.copytree(secdb / "v4.0", told.folder / "secdb.alpinelinux.org" / "v4.0")
    assert "alpine:4.0" in groups(told)
    replace(secdb / "index.html", b'<a href="edge/">', b'<a href="v4.0/">v4.0/</a> <a href="edge/">')
    assert "alpine:4.0" in groups(trial)


def test_mariner(tmp_path: Path) -> None:
    """Nothing lists the documents: the next names are tried until there is none."""
    trial = on_sample(MarinerDriver, tmp_path)
    for release in ("4.0", "5.0", "7.0"):
        shutil.copy(
            trial.folder / OVAL / "azurelinux-3.0-oval.xml", trial.folder / OVAL / f"azurelinux-{release}-oval.xml"
        )
    assert groups(trial) == {f"mariner:{release}" for release in ("1.0", "2.0", "3.0", "4.0", "5.0")}


@pytest.fixture
def installation(tmp_path: Path) -> Callable[[type[Driver]], RunResult]:
    """Runs a driver as the service does, on the sample's documents below `upstream`, into one store."""
    copied(DebianDriver, SAMPLE, tmp_path / "upstream")
    copied(EOLDriver, SAMPLE, tmp_path / "eol")
    shutil.copytree(tmp_path / "eol", tmp_path / "upstream", dirs_exist_ok=True)

    def run(driver: type[Driver]) -> RunResult:
        with closing(open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")) as store:
            task = store.open_task("DriverExecutionTask", driver=driver.name, feed=driver.feeds[0])
            sources = UpstreamMap(default=str(tmp_path / "upstream"))
            with HTTPFetcher(FetchSettings(attempts=1), sources, driver.upstreams) as fetcher:
                return execute(driver(), store=store, fetcher=fetcher, home=tmp_path, task_id=task, clock=lambda: NOW)

    return run


def test_debian(tmp_path: Path, installation: Callable[[type[Driver]], RunResult]) -> None:
    """A codename of the tracker has no number until feed eol gives it, which is when the release is out."""
    tracker = tmp_path / "upstream/security-tracker.debian.org/tracker/data/json"
    replace(tracker, b'"bookworm": {', b'"zurg": {')
    first = installation(DebianDriver)
    assert first.result["unknown_values"] == {"release=zurg": 1}
    assert "release 'zurg' is not served" in first.result["notes"][0]
    (products,) = (path for path in (tmp_path / "upstream/endoflife.date").rglob("*") if path.is_file())
    document = json.loads(products.read_bytes())
    (debian,) = (product for product in document["result"] if product["name"] == "debian")
    debian["releases"].insert(0, {**debian["releases"][0], "name": "19", "codename": "Zurg"})
    products.write_text(json.dumps(document))
    assert installation(EOLDriver).status == "completed"
    replace(tracker, b'"debianbug"', b'"bug"')
    second = installation(DebianDriver)
    assert second.result["unknown_values"] == {}
    assert second.result["changes"]["debian:19"]["created"] > 0


@pytest.mark.parametrize(
    ("driver", "settings", "group"),
    [
        (RHELDriver, RHELSettings(), "rhel:19"),
        (RHELDriver, RHELSettings(source="vex"), "rhel:19"),
        (CentOSDriver, CentOSSettings(), "centos:19"),
    ],
)
def test_red_hat(tmp_path: Path, driver: type[Driver], settings: DriverSettings, group: str) -> None:
    """The number in the CPE of a platform, in whichever document."""
    trial = on_sample(driver, tmp_path, settings)
    for path in trial.folder.rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"redhat:enterprise_linux:9", b"redhat:enterprise_linux:19"))
    assert group in groups(trial)


def test_ol(tmp_path: Path) -> None:
    """A platform of the one document."""
    trial = on_sample(OracleDriver, tmp_path)
    path = trial.folder / "linux.oracle.com/security/oval/com.oracle.elsa-all.xml.bz2"
    path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes()).replace(b"Oracle Linux 9", b"Oracle Linux 19")))
    assert {"ol:19"} <= groups(trial)


def test_rocky(tmp_path: Path) -> None:
    """An ecosystem of the advisories."""
    trial = on_sample(RockyDriver, tmp_path)
    replace(trial.folder / "apollo.build.resf.org/api/v3/osv/index.html", b'"Rocky Linux:9', b'"Rocky Linux:19')
    assert "rocky:19" in groups(trial)


def test_alma(tmp_path: Path) -> None:
    """A folder of the archive."""
    trial = on_sample(AlmaDriver, tmp_path)
    (path,) = (path for path in trial.folder.rglob("osv-database/**/*") if path.is_file())
    made = io.BytesIO()
    with tarfile.open(path) as archive, tarfile.open(fileobj=made, mode="w:gz") as renamed:
        for member in archive:
            file = archive.extractfile(member)
            data = file.read().replace(b"AlmaLinux:9", b"AlmaLinux:19") if file else b""
            member.name, member.size = member.name.replace("almalinux9", "almalinux19"), len(data)
            renamed.addfile(member, io.BytesIO(data))
    path.write_bytes(made.getvalue())
    assert "alma:19" in groups(trial)


@pytest.mark.parametrize("release", ["15.9", "16.1"])
def test_sles(tmp_path: Path, release: str) -> None:
    """A service pack of a document, and a document of a new major version that the index lists."""
    trial = on_sample(SLESDriver, tmp_path)
    oval = trial.folder / "ftp.suse.com/pub/projects/security/oval"
    path = oval / "suse.linux.enterprise.server.15-affected.xml.gz"
    old = min(group for group in groups(trial) if group.startswith("sles:15.")).removeprefix("sles:")
    text = gzip.decompress(path.read_bytes()).replace(f">{old}<".encode(), f">{release}<".encode())
    major = release.partition(".")[0]
    replace(oval / "index.html", b"server.15-affected", f"server.{major}-affected".encode())
    path.rename(path.with_name(path.name.replace("15", major))).write_bytes(gzip.compress(text))
    assert f"sles:{release}" in groups(Trial(SLESDriver, trial.folder, tmp_path / "later"))
