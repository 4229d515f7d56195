"""The installation that a campaign works on, its processes, and the model of what it must hold."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from benchmarks.campaign import clocks, parts, upstream
from benchmarks.campaign.readers import DeltaClient, LawBrokenError, Walk
from benchmarks.campaign.stores import PLACES
from benchmarks.campaign.upstream import FEED, Script, State, States
from benchmarks.measure import free_port
from vulnfeeds.store.interface import Manifest, Store
from vulnfeeds.store.opening import SQLStore, open_store
from vulnfeeds.testing.client import StrictClient

MARGINS: Final = (60, 7200, 21600)
"""Settings of since_margin_seconds that campaigns run with."""
_SLACK: Final = 20.0
KEYS: Final = 220
PATIENCE: Final = 60.0


class Saved(msgspec.Struct):
    """What a campaign needs to go on after it was stopped."""

    seed: int
    store: str
    step: int = 0
    hours: float = 0.0
    """How far all clocks have been moved on together."""
    margin: int = 60
    skews: dict[str, float] = {}
    """By party: how far its clock is off the common one, in seconds."""
    scripts: dict[str, Script] = {}
    states: States = {}
    """What the groups hold, as far as it was seen."""
    generations: dict[str, int] = {}
    orphans: bool = False
    """Whether a sync was killed since the last cycle: its tasks stay open until the next one begins."""
    counts: dict[str, int] = {}


class World:
    """Everything that is there while a campaign runs."""

    def __init__(self, folder: Path, saved: Saved) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.saved = saved
        self.counts = Counter(saved.counts)
        self.place = PLACES[saved.store](folder)
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.upstream = folder / "upstream"
        self.clocks = folder / "clocks.json"
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.seen: dict[str, dict[int, State]] = {
            group: {saved.generations[group]: state} for group, state in saved.states.items()
        }
        """States of each group by generation, from the oldest that a reader under way may be told of."""
        self.walks: list[Walk] = []
        self.ended_walks: list[Walk] = []
        self.deltas: list[DeltaClient] = []
        self.clients = [
            StrictClient(self.address, folder / f"client-{number}.sqlite", clock=self.client_clock, read_seconds=20)
            for number in range(3)
        ]
        self.set_clocks()

    # --- clocks -----------------------------------------------------------------------------------------------------

    def set_clocks(self) -> None:
        """Make the clocks show what `saved` says."""
        common = self.saved.hours * 3600
        offsets = {party: common + self.saved.skews.get(party, 0.0) for party in (clocks.SERVER, clocks.WRITER)}
        clocks.step(self.clocks, offsets)

    def client_clock(self) -> datetime:
        """Return the time of the clients."""
        ahead = self.saved.hours * 3600 + self.saved.skews.get("client", 0.0)
        return datetime.now(UTC) + timedelta(seconds=ahead)

    def most_skew(self) -> float:
        """Return how far off a clock may be, so that any two differ by less than the margin."""
        return max(0.0, self.saved.margin / 2 - _SLACK)

    # --- the service ------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where the feeds are listed."""
        return f"http://127.0.0.1:{self.port}/v1/feeds"

    def start_server(self, *, wait: bool = True) -> None:
        """Start `vulnfeeds serve`; when no clock is off it is the command itself."""
        plain = self.saved.hours == 0 and not self.saved.skews.get(clocks.SERVER)
        command = ["vulnfeeds", "serve"] if plain else ["benchmarks.campaign.processes", "serve", str(self.clocks)]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**environment(), **self._settings()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.counts["server starts"] += 1
        if wait:
            self.wait_for_server()

    def _settings(self) -> dict[str, str]:
        settings = {
            "HOME": self.home,
            "STORE": self.place.url,
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "SINCE_MARGIN_SECONDS": self.saved.margin,
        }
        return {f"VULNFEEDS_{name}": str(value) for name, value in settings.items()}

    def wait_for_server(self) -> None:
        """Wait until the server answers from the store."""
        url = f"http://127.0.0.1:{self.port}/v1/feeds"

        def answers() -> bool:
            assert self.server is not None
            if self.server.poll() is not None:
                raise LawBrokenError(f"the server ended by itself with {self.server.returncode}")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=10).close()
                return True
            return False

        _until(answers, "an answer of the server")

    def end_server(self, *, kill: bool) -> None:
        """End the server by SIGKILL or SIGTERM; the second must be orderly."""
        assert self.server is not None
        if kill:
            self.counts["kill -9 of the server"] += 1
            self.server.kill()
            self.server.wait(PATIENCE)
            return
        self.server.terminate()
        if code := self.server.wait(PATIENCE):
            raise LawBrokenError(f"the server ended with {code} after SIGTERM")

    def open(self) -> SQLStore:
        """Open the store, with the writer's clock."""
        return open_store(
            self.place.url, clock=clocks.SteppedClock(self.clocks, clocks.WRITER), page_sizes=parts.SIZES
        )

    # --- syncing ----------------------------------------------------------------------------------------------------

    def write_scripts(self, *, pause: float = 0.0) -> None:
        """Make the upstream say what the scripts say."""
        for driver, script in self.saved.scripts.items():
            upstream.write_script(self.upstream, driver, script, pause=pause)

    def sync(self, *, file_limit: int = 0, limited: str = "run") -> Syncing:
        """Start a process that runs a cycle."""
        order = parts.Order(
            url=self.place.url,
            home=str(self.home),
            upstream=str(self.upstream),
            clocks=str(self.clocks),
            file_limit=file_limit,
            limited=limited,
        )
        self.counts["cycles"] += 1
        return Syncing(order, self.folder / "sync.log")

    # --- the model --------------------------------------------------------------------------------------------------

    def expected(self) -> dict[str, States]:
        """Return by driver what its groups must hold once it has published its script."""
        return {
            driver: upstream.after(driver, script, {group: self.saved.states.get(group, {}) for group in script})
            for driver, script in self.saved.scripts.items()
        }

    def newest(self, group: str) -> int:
        """Return the newest generation of a group that was seen."""
        return self.saved.generations.get(group, 0)

    def take_in(self, group: str, generation: int, state: State) -> None:
        """Note a generation that has appeared."""
        self.saved.generations[group] = generation
        self.saved.states[group] = state
        self.seen.setdefault(group, {})[generation] = state
        self.counts["generations"] += 1

    def forget_unneeded(self) -> None:
        """Drop the states that no reader under way can be told of any more."""
        for group, states in self.seen.items():
            needed = [walk.first for walk in self.walks + self.ended_walks if walk.group == group]
            needed += [client.first for client in self.deltas if client.group == group and client.under_way]
            oldest = min([*needed, self.newest(group)])
            for generation in [number for number in states if number < oldest]:
                del states[generation]

    # --- life -------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write down what is needed to go on."""
        self.saved.counts = dict(self.counts)
        file = self.folder / "campaign.json"
        file.with_suffix(".new").write_bytes(msgspec.json.encode(self.saved))
        file.with_suffix(".new").replace(file)

    def close(self) -> None:
        """End everything."""
        for client in self.clients:
            client.close()
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait(PATIENCE)
        self.place.close()


class Syncing:
    """A cycle under way in a process of its own, and what it has said so far."""

    def __init__(self, order: parts.Order, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.campaign.processes", "sync", msgspec.json.encode(order).decode()],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self.said.append(json.loads(line))
        self._process.stdout.close()

    def is_over(self) -> bool:
        """Say whether the process has ended."""
        return self._process.poll() is not None

    def wait_for(self, driver: str, phase: str) -> None:
        """Wait until a run says that it is in a phase, or the process has ended."""

        def there() -> bool:
            return self.is_over() or any(
                (said.get("driver"), said.get("phase")) == (driver, phase) for said in self.said
            )

        _until(there, f"phase {phase}", every=0.001)

    def pid_of(self, driver: str) -> int | None:
        """Return the process of a driver's run, None when it has not begun."""
        return next((said["pid"] for said in self.said if said.get("driver") == driver and "pid" in said), None)

    def pids(self) -> list[int]:
        """Return the processes of all runs that have begun."""
        return [said["pid"] for said in self.said if "pid" in said]

    def kill(self) -> None:
        """Kill the process that supervises."""
        self._process.kill()

    def end(self) -> dict[str, Any] | None:
        """Wait for the process and its runs; return how the cycle ended, None when it could not say."""
        self._process.wait(PATIENCE * 2)
        self._reader.join(PATIENCE)
        for pid in self.pids():
            _until(lambda pid=pid: not _lives(pid), "the end of a run whose parent was killed")  # type: ignore[misc]
        last = self.said[-1] if self.said else {}
        return last if "completed" in last else None


def read_generation(store: Store, manifest: Manifest) -> State:
    """Return what a generation holds, page by page. Raises LawBrokenError when a page is not what its row says."""
    state: State = {}
    for number, page in enumerate(manifest.pages):
        before = manifest.pages[number + 1].first_key if number + 1 < len(manifest.pages) else None
        rows = store.slice(FEED, manifest.group, as_of=page.sequence, first_key=page.first_key, before_key=before)
        if len(rows) != page.records:
            raise LawBrokenError(f"{manifest.group}: page {number} has {len(rows)} of {page.records} records")
        state.update(upstream.state_of(body) for _, body in rows)
    return state


def first_scripts(rng: Random) -> dict[str, Script]:
    """Return what the upstream says at the beginning."""
    return {
        "alpha": upstream.fresh(rng, ["alpine:3.18", "alpine:3.19"], KEYS),
        "beta": upstream.fresh(rng, ["debian:12"], KEYS // 2),
    }


def environment() -> dict[str, str]:
    """Return the environment of our processes: none of the caller's settings, and this project on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VULNFEEDS_")}
    root = str(Path(__file__).resolve().parents[2])
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")]))}


def _lives(pid: int) -> bool:
    try:
        # A process that nobody has waited for is a zombie: it does nothing any more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(held: Callable[[], bool], what: str, *, every: float = 0.01) -> None:
    end = time.monotonic() + PATIENCE
    while not held():
        if time.monotonic() > end:
            raise LawBrokenError(f"{what}: not within {PATIENCE:g} s")
        time.sleep(every)


def records(store: Store) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield all current records, as the strict client compares them."""
    for row in store.groups():
        for key, body, _ in store.changes(row.feed, row.name, 0, row.sequence):
            yield row.feed, row.name, key, body
