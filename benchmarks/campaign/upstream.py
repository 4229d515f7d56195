"""An upstream whose state is a script, the two drivers that read it, and the model of what a store must then hold.

A script is {group: {key: version}}. `alpha` is FULL: what its script does not name is withdrawn. `beta` is DELTA.
The model's state of a group is {key: version, None when withdrawn}.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Mode, Unchanged
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import FixedIn, OSRecord, Vulnerability

HOST: Final = "upstream.example"
FEED: Final = "vulnerabilities"

Script = dict[str, dict[str, str]]
State = dict[str, str | None]
States = dict[str, State]


class AnyChange(DriverSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Guards wide open: here it is the store that is tried, not the guard."""

    max_shrink: float = 1.0
    max_growth: float = 1e9
    max_updated: float = 1.0


class Alpha(Driver):
    """Groups that are reported whole."""

    name = "alpha"
    feeds = (FEED,)
    upstreams = (f"https://{HOST}/",)
    Settings = AnyChange

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the script."""
        url = f"https://{HOST}/{self.name}.json"
        context.report("fetch", 0)
        download = context.fetcher.download(url, context.workspace / "script.json", expect=("json",))
        last = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if download.sha256 == last else Checkpoint(download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield what the script says."""
        script = json.loads((context.workspace / "script.json").read_bytes())
        for group, versions in script["groups"].items():
            for number, (key, version) in enumerate(versions.items()):
                yield Record(FEED, group, key, _body(group, key, version))
                if number % 64 == 0:
                    time.sleep(script["pause"])
            if self.mode is Mode.FULL:
                context.cover(FEED, group)


class Beta(Alpha):
    """A group of which only changes are reported."""

    name = "beta"
    mode = Mode.DELTA


DRIVERS: Final[dict[str, type[Alpha]]] = {"alpha": Alpha, "beta": Beta}


def _body(group: str, key: str, version: str) -> OSRecord:
    fix = FixedIn("package", group, version, "apk")
    text = f"{key} in {group}, fixed in {version}. " + "What it does is told at some length. " * 3
    return OSRecord(Vulnerability(key, group, "High", f"https://link.example/{key}", (fix,), description=text))


def state_of(body: bytes | dict[str, Any]) -> tuple[str, str | None]:
    """Return (key, version or None when withdrawn) that a record's body says."""
    record = msgspec.json.decode(body) if isinstance(body, bytes) else body
    said = record["Vulnerability"]
    fixes = said["FixedIn"]
    return said["Name"], fixes[0]["Version"] if fixes else None


def after(driver: str, script: Script, before: States) -> States:
    """Return what the groups must hold after a run of `driver` over `script`; groups that are not named stay."""
    states = dict(before)
    for group, versions in script.items():
        state: State = dict(before.get(group, {}))
        if DRIVERS[driver].mode is Mode.FULL:
            state = dict.fromkeys(state)
        state.update(versions)
        states[group] = state
    return states


def write_script(folder: Path, driver: str, script: Script, *, pause: float = 0.0) -> None:
    """Make this the upstream's state; `pause` seconds are slept after every 64 records of parsing."""
    target = folder / HOST / f"{driver}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"groups": script, "pause": pause}))


def fetcher_of(folder: Path) -> HTTPFetcher:
    """Return the real fetcher with a folder in the place of all upstreams."""
    return HTTPFetcher(FetchSettings(), UpstreamMap(str(folder), {}), [f"https://{HOST}/"])


def change(script: Script, rng: Random, *, share: float, keys: int) -> None:
    """Change about `share` of the script: new versions, keys that go, keys (of `keys` that there are) that come."""
    for versions in script.values():
        there = sorted(versions)
        for key in rng.sample(there, min(len(there), int(len(there) * share) + 1)):
            if rng.random() < 0.25 and len(versions) > keys // 2:
                del versions[key]
            else:
                versions[key] = _version(rng)
        for _ in range(rng.randrange(int(keys * share / 4) + 2)):
            versions.setdefault(name_of(rng.randrange(keys)), _version(rng))


def fresh(rng: Random, groups: list[str], keys: int) -> Script:
    """Return a script with three quarters of the keys in each group."""
    names = [name_of(number) for number in range(keys)]
    return {group: {key: _version(rng) for key in sorted(rng.sample(names, keys * 3 // 4))} for group in groups}


def name_of(number: int) -> str:
    """Return a CVE id."""
    return f"CVE-2024-{number:05}"


def _version(rng: Random) -> str:
    return f"{rng.randrange(1, 99)}.{rng.randrange(10**6)}-r{rng.randrange(9)}"
