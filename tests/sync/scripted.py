"""A driver whose upstream is a JSON file that the test writes, and what is needed to run it on a real store.

The file, fetched by the real fetcher through a folder mirror:

    {"records": [["test:1", "CVE-2024-0001", "1.0-r1", "Unknown"], ...], "cover": ["test:1"],
     "skip": {"test:2": "reason"}, "fail_at": 3, "bodies": {"CVE-2024-0002": {...}}}

A record is (group, key, fixed version, severity); severity "Unknown" is one that takes NVD's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Mode, Unchanged
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records.record import Record, Score
from vulnfeeds.records.vulnerability import FixedIn, OSRecord, Vulnerability
from vulnfeeds.store.interface import Store
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute

HOST = "upstream.example"
FEED = "vulnerabilities"


class ScriptedError(Exception):
    """An error that no contract names."""


class ScriptedSettings(DriverSettings, frozen=True, kw_only=True):
    """A setting that shapes records."""

    link: str = "http://link"


class Scripted(Driver):
    """Feed vulnerabilities from scripted.json."""

    name = "scripted"
    feeds = (FEED,)
    upstreams = (f"https://{HOST}/",)
    takes_severities = True
    Settings = ScriptedSettings
    settings: ScriptedSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the script."""
        url = f"https://{HOST}/{self.name}.json"
        download = context.fetcher.download(url, context.workspace / "script.json", expect=("json",))
        last = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if download.sha256 == last else Checkpoint(download.sha256, {"size": 1})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield what the script says."""
        script = json.loads((context.workspace / "script.json").read_bytes())
        for position, (group, key, version, severity) in enumerate(script.get("records", [])):
            if position == script.get("fail_at"):
                raise ScriptedError("as the script says")
            body = script.get("bodies", {}).get(key) or self.body(group, key, version, severity)
            yield Record(FEED, group, key, body, takes_severity=severity == "Unknown")
            time.sleep(script.get("pause", 0))
        if script.get("fail_at") == len(script.get("records", [])):
            raise ScriptedError("as the script says")
        for group in script.get("cover", []):
            context.cover(FEED, group)
        for group, reason in script.get("skip", {}).items():
            context.skip(FEED, group, reason)

    def body(self, group: str, key: str, version: str, severity: Any) -> OSRecord:
        """Return a record's body."""
        fix = FixedIn("package", group, version, "apk")
        return OSRecord(Vulnerability(key, group, severity, self.settings.link, (fix,)))


class ScriptedDelta(Scripted):
    """The same as DELTA."""

    name = "delta"
    mode = Mode.DELTA


class ScriptedNVD(Driver):
    """Feed nvdv2 from nvd.json: {"CVE-2024-0001": [newest, CVSS 2 score or null]}."""

    name = "nvdv2"
    feeds = ("nvdv2",)
    upstreams = (f"https://{HOST}/",)

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the script."""
        download = context.fetcher.download(f"https://{HOST}/nvd.json", context.workspace / "nvd.json")
        last = context.checkpoint.fingerprint if context.checkpoint else ""
        return UNCHANGED if download.sha256 == last else Checkpoint(download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record a CVE."""
        for cve, (newest, cvss2) in json.loads((context.workspace / "nvd.json").read_bytes()).items():
            body = {
                "cve": {"CVE_data_meta": {"ID": cve}, "description": {"description_data": [{"value": "text"}]}},
                "severity": newest,
                "vulnerable_cpes": [],
                "cvss": cvss2,
            }
            score = Score(newest, cvss2, None if cvss2 is None else "AV:N/AC:L/Au:N/C:P/I:P/A:P")
            yield Record("nvdv2", "nvdv2:cves", cve, body, score=score)
        context.cover("nvdv2", "nvdv2:cves")


DRIVERS: dict[str, type[Driver]] = {driver.name: driver for driver in (Scripted, ScriptedDelta, ScriptedNVD)}


def write_script(home: Path, name: str, script: dict[str, Any]) -> None:
    """Make this the upstream's state."""
    target = home / "upstream" / HOST / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(script))


def fetcher_of(home: Path) -> HTTPFetcher:
    """Return the real fetcher with the test's folder in the place of all upstreams."""
    return HTTPFetcher(FetchSettings(), UpstreamMap(str(home / "upstream"), {}), [f"https://{HOST}/"])


def run(
    store: Store, home: Path, driver: Driver | None = None, *, task_id: int | None = None, **options: Any
) -> RunResult:
    """Run a driver once, here; its task is opened unless one is given."""
    driver = driver or Scripted()
    if task_id is None:
        task_id = store.open_task("DriverExecutionTask", driver=driver.name, feed=driver.feeds[0])
    options.setdefault("clock", time.time)
    with fetcher_of(home) as fetcher:
        return execute(driver, store=store, fetcher=fetcher, home=home, task_id=task_id, **options)


def enter(order: dict[str, Any], tell: Any) -> RunResult:
    """Run a driver in a child process; `order` is {"url", "owner", "home", "driver", "task_id"}."""
    store = open_store(order["url"], owner=order["owner"])
    try:
        home = Path(order["home"])
        return run(store, home, DRIVERS[order["driver"]](), task_id=order["task_id"], progress=tell)
    finally:
        store.close()
