"""One run of one driver: fetch, parse, compare, stage, guard, publish; it always ends its task.

Nothing that readers see changes before the last step, and that step is one transaction. This is the only place that
catches every exception, because a driver may raise any: a run becomes a failed task, and the cycle goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, Mode, Unchanged
from vulnfeeds.errors import GuardError
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.store.interface import Publication, Store, TaskFilter
from vulnfeeds.sync import checkpoints, guard, quarantine, stage, usage
from vulnfeeds.sync.changes import Comparison
from vulnfeeds.sync.checkpoints import Envelope
from vulnfeeds.sync.outcome import COMPLETED, FAILED, RunResult, describe
from vulnfeeds.sync.quarantine import KeptRun
from vulnfeeds.sync.reporting import DownloadRelay, MeteredFetcher, Progress, Tell
from vulnfeeds.sync.severities import Scores, SeveritySource

STAGING: Final = "staging"
"""Folder of stage files under way."""
Group = tuple[str, str]


def execute(
    driver: Driver,
    *,
    store: Store,
    fetcher: Fetcher,
    home: Path,
    task_id: int,
    clock: Callable[[], float],
    severity_source: SeveritySource = "newest",
    secrets: dict[str, str] | None = None,
    forced: bool = False,
    progress: Tell | None = None,
    downloads: DownloadRelay | None = None,
) -> RunResult:
    """Run a driver for an open task and end that task, completed or failed; raise StoreError only.

    `clock` gives seconds since the epoch. `progress` gets what the task's progress gets, at most once a second.
    `downloads` is what the fetcher was given as its progress, if it was.
    """

    def tell(said: dict[str, Any]) -> None:
        store.progress(task_id, said)
        if progress is not None:
            progress(said)

    run = _Run(driver, store=store, home=home, task_id=task_id, clock=clock, source=severity_source, tell=tell)
    if downloads is not None:
        downloads.lead_to(run.progress)
    try:
        return run.go(fetcher, secrets or {}, forced=forced)
    except Exception as error:  # noqa: BLE001 - see above
        return run.fail(error)


def attempt(call: Callable[[], RunResult]) -> RunResult:
    """Return what `call` returns, or how it failed: for the process of a run, which must answer."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - see above
        return RunResult(FAILED, describe(error))


class _Published:
    """What a driver may see of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sequence(self, feed: str, group: str) -> int:
        head = self._store.group(feed, group)
        return head.sequence if head else 0

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        return self._store.changes(feed, group, after, upto)

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        return self._store.bodies(feed, group, keys)


class _Run:
    """The state of one run while it goes through its phases."""

    def __init__(
        self,
        driver: Driver,
        *,
        store: Store,
        home: Path,
        task_id: int,
        clock: Callable[[], float],
        source: SeveritySource,
        tell: Tell,
    ) -> None:
        self.driver = driver
        self.store = store
        self.home = home
        self.task_id = task_id
        self.clock = clock
        self.progress = Progress(tell, clock)
        self.scores = Scores(store, source)
        self.now = checkpoints.circumstances(driver, source)
        self.last = checkpoints.decode(store.checkpoint(driver.name))
        self.context: Context | None = None
        self.comparison: Comparison | None = None
        self.seconds: dict[str, float] = {}
        self._phase_began = clock()

    # --- phases -------------------------------------------------------------------------------------------------

    def go(self, fetcher: Fetcher, secrets: dict[str, str], *, forced: bool) -> RunResult:
        context = self._context(fetcher, secrets, forced=forced)
        self._clear_staging()
        fetched = self.driver.fetch(context)
        self._phase_ended("fetch")
        unchanged = isinstance(fetched, Unchanged)
        upto, cves = self._scores_changed()
        if unchanged and cves is not None and not cves:
            result = self._result(self._last_checkpoint(), unchanged=True)
            self.store.close_task(self.task_id, COMPLETED, result)
            return RunResult(COMPLETED, result)
        checkpoint = self._last_checkpoint() if isinstance(fetched, Unchanged) else fetched
        # What was not parsed again was made under the circumstances of the last run.
        made_under = self.last if unchanged and self.last is not None else self.now
        envelope = msgspec.structs.replace(
            made_under, checkpoint=checkpoint, scores_upto=upto, severity_source=self.now.severity_source
        )
        path = self.home / STAGING / f"{self.task_id}.stage"
        try:
            with stage.Stage(path) as made:
                self._compare(made, cves, parse=not unchanged)
                made.seal()
            self._phase_ended("parse")
            return self._publish(path, envelope, unchanged=unchanged)
        finally:
            path.unlink(missing_ok=True)

    def fail(self, error: Exception) -> RunResult:
        """End the task as failed; what was found out until then stays in its result."""
        result = {**self._facts(), **describe(error)}
        self.store.close_task(self.task_id, FAILED, result)
        return RunResult(FAILED, result)

    def _context(self, fetcher: Fetcher, secrets: dict[str, str], *, forced: bool) -> Context:
        workspace = self.home / "workspace" / self.driver.name
        workspace.mkdir(parents=True, exist_ok=True)
        usable = self.last is not None and self.last.fits(self.now)
        self.context = Context(
            fetcher=MeteredFetcher(fetcher, self.progress),
            workspace=workspace,
            published=_Published(self.store),
            checkpoint=self.last.checkpoint if self.last is not None and usable else None,
            secrets=secrets,
            forced=forced,
            report=self.progress.report,
            now=self.clock,
        )
        return self.context

    def _clear_staging(self) -> None:
        """Remove stage files that killed runs left."""
        for left in (self.home / STAGING).glob("*.stage"):
            if not left.stem.isdigit():
                continue
            found = self.store.tasks(TaskFilter(task_id=int(left.stem)))
            if not found or found[0].status != "running":
                left.unlink(missing_ok=True)

    def _compare(self, made: stage.Stage, cves: frozenset[str] | None, *, parse: bool) -> None:
        context, driver = self._ready(), self.driver
        comparison = Comparison(driver, held=self.store, stage=made, scores=self.scores, rescored=cves or frozenset())
        self.comparison = comparison
        if parse:
            for reported in comparison.take(driver.parse(context)):
                self.progress.compared(reported)
            if driver.mode is Mode.FULL:
                at = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                comparison.withdraw_unreported(self._covered(), at)
        if driver.takes_severities and (cves is None or cves):
            comparison.refill(self._own_groups().keys() - self._covered(), cves)
        comparison.finish()

    def _publish(self, path: Path, envelope: Envelope, *, unchanged: bool) -> RunResult:
        comparison = self._compared()
        now = datetime.fromtimestamp(self.clock(), UTC)
        frozen, alive = self._frozen() if not unchanged else (set(), set())
        result = self._result(envelope.checkpoint, unchanged=unchanged, frozen=frozen)
        kept_checkpoint = checkpoints.encode(envelope)
        expected = {
            identity: state.generation for identity, state in comparison.groups.items() if _touched(state.counts)
        }
        quarantine.keep_records(self.store, self.driver.name, self.task_id, comparison.refused, now=now)
        try:
            self._guard(unchanged=unchanged)
        except GuardError as refused:
            kept = KeptRun(
                changes=self._counts(),
                expected=[(*identity, generation) for identity, generation in sorted(expected.items())],
                frozen=sorted(frozen),
                alive=sorted(alive),
                checkpoint=kept_checkpoint.decode(),
                result=result,
            )
            self._keep(path, kept, refused, now)
            raise
        self.progress.report("publish", 0, None)
        changes = self.store.publish(
            Publication(
                task_id=self.task_id,
                driver=self.driver.name,
                staged=stage.read(path),
                expected=expected,
                frozen=frozenset(frozen),
                alive=frozenset(alive),
                checkpoint=kept_checkpoint,
                result=result,
            )
        )
        self._phase_ended("publish")
        quarantine.release_records(self.store, self.driver.name, comparison.groups, comparison.refused)
        return RunResult(COMPLETED, {**result, "changes": changes, "seconds": self.seconds})

    # --- decisions ------------------------------------------------------------------------------------------------

    def _scores_changed(self) -> tuple[int, frozenset[str] | None]:
        """Return the number up to which scores are read, and the CVEs to make anew; None for all of them."""
        if not self.driver.takes_severities:
            return 0, frozenset()
        if self.last is None or self.last.severity_source != self.now.severity_source:
            return self.store.scores_changed(self.last.scores_upto if self.last else 0)[0], None
        upto, cves = self.store.scores_changed(self.last.scores_upto)
        return upto, frozenset(cves) if self.scores.source != "none" else frozenset()

    def _last_checkpoint(self) -> Checkpoint:
        return self.last.checkpoint if self.last is not None else Checkpoint()

    def _own_groups(self) -> dict[Group, bool]:
        """Return the driver's groups in the store, and which of them are frozen."""
        rows = (row for feed in self.driver.feeds for row in self.store.groups(feed))
        return {(row.feed, row.name): row.frozen_at is not None for row in rows if row.driver == self.driver.name}

    def _covered(self) -> set[Group]:
        """Return the groups that the run reported wholly; one that is also skipped is not."""
        context = self._ready()
        return context.covered - context.skipped.keys()

    def _frozen(self) -> tuple[set[Group], set[Group]]:
        """Return the groups that upstream stopped publishing, and those that it took up again."""
        if self.driver.mode is not Mode.FULL:
            return set(), set()
        context, groups = self._ready(), self._own_groups()
        reported = {identity for identity, state in self._compared().groups.items() if state.seen}
        named = context.covered | context.skipped.keys() | reported
        frozen = {group for group, is_frozen in groups.items() if not is_frozen} - named
        return frozen, {group for group, is_frozen in groups.items() if is_frozen} & (context.covered | reported)

    def _guard(self, *, unchanged: bool) -> None:
        comparison = self._compared()
        guard.check(
            guard.RunCounts(
                mode=self.driver.mode if not unchanged else Mode.DELTA,
                reported=comparison.reported,
                quarantined=comparison.refused_count,
                skipped_groups=len(self._ready().skipped),
                remade=self.last is not None and not self.last.fits(self.now),
                groups=[state.counts for state in comparison.groups.values()],
            ),
            self.driver.settings,
        )

    def _keep(self, path: Path, kept: KeptRun, refused: GuardError, now: datetime) -> None:
        target = quarantine.stage_path(self.home, self.task_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        quarantine.keep_run(
            self.store, self.home, self.driver.name, self.task_id, kept=kept, reason=str(refused), now=now
        )

    # --- telling --------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """Return what is known of the run at any time."""
        context, comparison = self.context, self.comparison
        facts: dict[str, Any] = {
            "records": comparison.reported if comparison else 0,
            "quarantined": comparison.refused_count if comparison else 0,
            "fetched_bytes": self.progress.fetched_bytes,
            "seconds": self.seconds,
            "peak_mb": round(usage.peak_mb(), 1),
            "cpu_seconds": round(usage.cpu_seconds(), 2),
        }
        if context is not None:
            facts["skipped"] = {group: reason for (_, group), reason in sorted(context.skipped.items())}
            facts["notes"] = context.notes
            facts["unknown_values"] = context.unknown_values
        return facts

    def _result(self, checkpoint: Checkpoint, *, unchanged: bool, frozen: set[Group] | None = None) -> dict[str, Any]:
        return {
            "changes": {},
            "execution_state": checkpoints.execution_state(checkpoint),
            "unchanged": unchanged,
            "frozen": sorted(group for _, group in frozen or ()),
            **self._facts(),
        }

    def _counts(self) -> dict[str, dict[str, int]]:
        touched = (state.counts for state in self._compared().groups.values() if _touched(state.counts))
        return {
            counts.group: {
                "created": counts.created,
                "updated": counts.updated + counts.rescored,
                "deleted": counts.deleted,
            }
            for counts in touched
        }

    def _phase_ended(self, phase: str) -> None:
        now = self.clock()
        self.seconds[phase] = round(max(0.0, now - self._phase_began), 3)
        self._phase_began = now

    def _ready(self) -> Context:
        if self.context is None:
            raise RuntimeError("a run's phases go in order")
        return self.context

    def _compared(self) -> Comparison:
        if self.comparison is None:
            raise RuntimeError("a run's phases go in order")
        return self.comparison


def _touched(counts: guard.GroupCounts) -> bool:
    return bool(counts.created or counts.updated or counts.rescored or counts.deleted)
