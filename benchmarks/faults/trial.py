"""One installation of one driver through a day on which its upstream breaks, and the law that it must keep.

The law: each record that readers see is one that upstream said on day 1 or on day 2, and none is lost; the task says
what, where and why, unless all of day 2 is there; the next good run gives what a run without a fault gives, and the
run after it changes nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.faults.days import Documents, Upstream
from benchmarks.faults.kinds import Kind
from vulnfeeds import errors
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.store.opening import open_store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.run import execute
from vulnfeeds.testing.driver_suite import NOW
from vulnfeeds.testing.upstream import UpstreamSimulator

ALL = "everything at once"
"""The target of a fault that meets every request."""
Records = dict[tuple[str, str], bytes]
"""Canonical body by group and key, withdrawn ones too."""

_PATIENT = FetchSettings(
    connect_seconds=10,
    read_seconds=10,
    attempts=2,
    backoff_first_seconds=0.001,
    throttled_seconds=0.001,
    max_seconds=60,
)
_QUICK = msgspec.structs.replace(_PATIENT, read_seconds=0.3, min_bytes_per_second=2000.0, rate_window_seconds=0.3)
"""For a silent upstream: as patient as the service, in a two-hundredth of the time."""


@dataclass(frozen=True)
class Cell:
    """What one fault at one target came to."""

    upstream: str
    kind: str
    target: str
    outcome: str
    """failed, whole (all of day 2 is there), part (what could not be had is as on day 1)."""
    error: str
    """Class of the error of a failed run."""
    place: str
    """Where it arose."""
    says: str
    """What the task says, shortened."""
    before: int
    """Records that readers saw on day 1, without withdrawn ones."""
    after: int
    """The same after the run with the fault."""
    broken: tuple[str, ...]
    """Which parts of the law did not hold."""


@dataclass
class Trial:
    """A driver whose day 1 is published in `folder`, to be copied for each fault."""

    name: str
    upstream: Upstream
    folder: Path
    simulator: UpstreamSimulator
    documents: Documents = field(default_factory=dict)
    day1: Records = field(default_factory=dict)
    day2: Records = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    """URLs that a run of day 2 asks for."""

    def begin(self) -> None:
        """Publish day 1, and find out what day 2 is without a fault."""
        self.simulator.serve("http", self._find)
        self._day(1)
        home = self.folder / "day-1"
        home.mkdir(parents=True)
        first = self._run(home, _PATIENT)
        self.day1 = self._served(home)
        self._day(2)
        seen = len(self.simulator.log)
        reference = self._copy("day-2")
        second = self._run(reference, _PATIENT)
        self.targets = sorted({_plain(one.url) for one in self.simulator.log[seen:] if one.status in (200, 206, 304)})
        self.day2 = self._served(reference)
        for result in (first, second):
            told = {reason for reason in result.result["skipped"].values() if reason != "unchanged"}
            if result.status != "completed" or told:
                raise RuntimeError(f"{self.name} does not work without a fault: {result}")
        if self.day1 == self.day2:
            raise RuntimeError(f"{self.name}: day 2 is like day 1")
        shutil.rmtree(reference)

    def cells(self, kinds: tuple[Kind, ...], targets: list[str] | None = None) -> Iterator[Cell]:
        """Yield what becomes of each kind of fault at each target."""
        for kind in kinds:
            for target in self.all_targets() if targets is None else targets:
                if (cell := self.cell(kind, target)) is not None:
                    yield cell

    def all_targets(self) -> list[str]:
        """Return each document, after them all at once where there are several."""
        return self.targets if len(self.targets) == 1 else [ALL, *self.targets]

    def cell(self, kind: Kind, target: str) -> Cell | None:
        """Let a fault happen on day 2 and look at the law; None where the target cannot have it."""
        if not self._inject(kind, target):
            return None
        home = self._copy("trial")
        try:
            if kind.forgetful:
                for file in home.rglob("*.validators.json"):
                    file.unlink()
            result = self._run(home, _QUICK if kind.quiet else _PATIENT)
            served = self._served(home)
            broken = [*self._keeps(served), *self._tells(result, served, kind, target)]
            self.simulator.heal()
            broken += self._recovers(home)
            return self._described(kind, target, result, served, tuple(broken))
        finally:
            self.simulator.heal()
            shutil.rmtree(home)

    # --- the law ----------------------------------------------------------------------------------------------------

    def _keeps(self, served: Records) -> Iterator[str]:
        lost = self.day1.keys() - served.keys()
        if lost:
            yield f"{len(lost)} records are lost: {sorted(lost)[:3]}"
        wrong = [
            key for key, body in served.items() if body not in (self.day1.get(key, b""), self.day2.get(key, b""))
        ]
        if wrong:
            yield f"{len(wrong)} records are neither of day 1 nor of day 2: {sorted(wrong)[:3]}"
        for group in {group for group, _ in self.day1}:
            least = min(_live(self.day1, group), _live(self.day2, group))
            if _live(served, group) < least:
                yield f"{group} has {_live(served, group)} records, fewer than {least}"

    def _tells(self, result: RunResult, served: Records, kind: Kind, target: str) -> Iterator[str]:
        said = result.result
        if result.status == "failed":
            if kind.passes:
                yield f"a fault that passes ends the run: {said['error']}"
            if not issubclass(getattr(errors, said["error_class"], int), errors.VulnfeedsError):
                yield f"{said['error_class']} is no error of ours: {said['error']}"
            if served != self.day1:
                yield "a failed run changed records"
            text = " ".join([said["place"], said["error"], *said["notes"]])
        elif served == self.day2:
            return
        else:
            told = [reason for reason in said["skipped"].values() if reason != "unchanged"]
            text = " ".join([*told, *(group for group in said["skipped"]), *said["notes"]])
            if not told and not said["notes"] and not said["quarantined"]:
                yield f"the task says nothing of what is not as on day 2: {json.dumps(said)[:300]}"
            if said["quarantined"]:
                # What was refused is in quarantine under its group and key, with the reason.
                return
        if target != ALL and not any(name in text for name in (*_names(target), *self.upstream.called)):
            yield f"the task does not name {_file(target)}: {text[:300]}"

    def _recovers(self, home: Path) -> Iterator[str]:
        good = self._run(home, _PATIENT)
        if good.status != "completed":
            yield f"the next good run fails: {good.result['error']}"
            return
        if (served := self._served(home)) != self.day2:
            differing = [key for key in served.keys() | self.day2.keys() if served.get(key) != self.day2.get(key)]
            yield f"the next good run gives something else: {sorted(differing)[:3]}"
        again = self._run(home, _PATIENT)
        changes = [counts for counts in again.result.get("changes", {}).values() if any(counts.values())]
        if again.status != "completed" or changes:
            yield f"a run with nothing new changes something: {again.result}"

    # --- running ----------------------------------------------------------------------------------------------------

    def _inject(self, kind: Kind, target: str) -> bool:
        """Set the fault up; False when no document of the target can have it."""
        done = False
        for url in self.targets if target == ALL else [target]:
            body = self._find(url)
            fields = kind.make(body) if body is not None else None
            if fields is not None:
                done = True
                self.simulator.fault(url, exact=True, **fields)
        return done

    def _day(self, number: int) -> None:
        self.documents = self.upstream.documents(number)

    def _find(self, url: str) -> bytes | None:
        if "?" in url:
            # As at a folder mirror, where a driver asks for the whole list.
            return None
        path = _path(url)
        return self.documents.get(path, self.documents.get(f"{path.rstrip('/')}/index.html"))

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "day-1", self.folder / name))

    def _run(self, home: Path, settings: FetchSettings) -> RunResult:
        driver = self.upstream.driver()
        store = open_store(f"sqlite:///{home / 'store.sqlite'}")
        try:
            task = store.open_task("DriverExecutionTask", driver=driver.name, feed=driver.feeds[0])
            with self.simulator.fetcher(settings, allowed=driver.upstreams) as fetcher:
                return execute(driver, store=store, fetcher=fetcher, home=home, task_id=task, clock=lambda: NOW)
        finally:
            store.close()

    def _served(self, home: Path) -> Records:
        store = open_store(f"sqlite:///{home / 'store.sqlite'}")
        try:
            return {
                (row.name, key): body
                for row in store.groups()
                for key, body in store.slice(row.feed, row.name, as_of=row.sequence, first_key="", before_key=None)
            }
        finally:
            store.close()

    def _described(
        self, kind: Kind, target: str, result: RunResult, served: Records, broken: tuple[str, ...]
    ) -> Cell:
        said = result.result
        failed = result.status == "failed"
        notes = [f"{group}: {reason}" for group, reason in said["skipped"].items() if reason != "unchanged"]
        return Cell(
            upstream=self.name,
            kind=kind.name,
            target=target,
            outcome="failed" if failed else "whole" if served == self.day2 else "part",
            error=said.get("error_class", ""),
            place=said.get("place", ""),
            says=said["error"] if failed else "; ".join([*notes, *said["notes"]]),
            before=sum(_live(self.day1, group) for group in {group for group, _ in self.day1}),
            after=sum(_live(served, group) for group in {group for group, _ in served}),
            broken=broken,
        )


def _live(records: Records, group: str) -> int:
    """Return how many records of a group are not withdrawn."""
    bodies = [msgspec.json.decode(body) for (name, _), body in records.items() if name == group]
    return sum(body.get("Vulnerability", {}).get("FixedIn", [1]) != [] for body in bodies)


def _path(url: str) -> str:
    return url.partition("?")[0].partition("://")[2]


def _plain(url: str) -> str:
    """Return a URL by which a fault meets all its queries."""
    return url.partition("?")[0]


def _names(url: str) -> list[str]:
    """Return the names by which a task may tell of a document: the end of its URL, or an archive's repository."""
    name = _file(url)
    return [name, name.removesuffix("-master.tar.gz"), *(url.split("/")[4:5] if "//github.com/" in url else ())]


def _file(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]
