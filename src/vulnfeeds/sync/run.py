"""One run of one driver: fetch, parse, compare, stage, guard, publish; it always ends its task.

Nothing that readers see changes before the last step, and that step is one transaction. This is the only place that
catches every exception, because a driver may raise any: a run becomes a failed task, and the cycle goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, Mode, Unchanged
from vulnfeeds.errors import GuardError, ParseError, StoreError, UpstreamError
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.store.interface import Publication, Store, TaskFilter
from vulnfeeds.sync import checkpoints, groups, guard, quarantine, stage, usage
from vulnfeeds.sync.changes import Comparison
from vulnfeeds.sync.checkpoints import Envelope
from vulnfeeds.sync.groups import Group
from vulnfeeds.sync.outcome import COMPLETED, FAILED, RunResult, describe
from vulnfeeds.sync.published import PublishedRecords
from vulnfeeds.sync.reporting import DownloadRelay, MeteredFetcher, Progress, Tell
from vulnfeeds.sync.severities import Scores, SeveritySource

STAGING: Final = "staging"
"""Folder of stage files under way."""


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

    reporting = Progress(tell, clock)
    if downloads is not None:
        downloads.lead_to(reporting)
    now = checkpoints.circumstances(driver, severity_source)
    last = checkpoints.decode(store.checkpoint(driver.name))
    metered = MeteredFetcher(fetcher, reporting.brought, timer=clock)
    context = Context(
        fetcher=metered,
        workspace=home / "workspace" / driver.name,
        published=PublishedRecords(store),
        checkpoint=last.checkpoint if last is not None and last.fits(now) else None,
        secrets=secrets,
        forced=forced,
        selection=driver.settings.selection,
        report=reporting.report,
        now=clock,
    )
    run = _Run(
        driver, store=store, home=home, task_id=task_id, context=context, progress=reporting, now=now, last=last
    )
    try:
        return run.go(severity_source)
    except Exception as error:  # noqa: BLE001 - see above
        if isinstance(error, ParseError | UpstreamError):
            metered.distrust()
        return run.fail(error)


def attempt(call: Callable[[], RunResult]) -> RunResult:
    """Return what `call` returns, or how it failed: for the process of a run, which must answer."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - see above
        return RunResult(FAILED, describe(error))


class _Run:
    """The state of one run while it goes through its phases."""

    def __init__(
        self,
        driver: Driver,
        *,
        store: Store,
        home: Path,
        task_id: int,
        context: Context,
        progress: Progress,
        now: Envelope,
        last: Envelope | None,
    ) -> None:
        self.driver = driver
        self.store = store
        self.home = home
        self.task_id = task_id
        self.context = context
        self.progress = progress
        self.now = now
        """The circumstances of this run."""
        self.last = last
        """What the driver's last publish kept."""
        self.comparison: Comparison | None = None
        self.kept_as: int | None = None
        self.seconds: dict[str, float] = {}
        self._phase_began = context.now()

    # --- phases -------------------------------------------------------------------------------------------------

    def go(self, source: SeveritySource) -> RunResult:
        self.context.workspace.mkdir(parents=True, exist_ok=True)
        self._clear_staging()
        fetched = self.driver.fetch(self.context)
        self._phase_ended("fetch")
        upto, cves = self._scores_changed()
        if isinstance(fetched, Unchanged):
            # What is not parsed again was made under the circumstances of the last run.
            made_under = self.last or self.now
            checkpoint = made_under.checkpoint
            if cves is not None and not cves:
                return self._end_unchanged(checkpoint)
        else:
            made_under, checkpoint = self.now, fetched
        envelope = msgspec.structs.replace(
            made_under, checkpoint=checkpoint, scores_upto=upto, severity_source=self.now.severity_source
        )
        path = self.home / STAGING / f"{self.task_id}.stage"
        try:
            with stage.Stage(path) as made:
                self.comparison = comparison = Comparison(
                    self.driver,
                    held=self.store,
                    stage=made,
                    scores=Scores(self.store, source),
                    rescored=cves or frozenset(),
                )
                self._compare(comparison, cves, parse=not isinstance(fetched, Unchanged))
                made.seal()
            self._phase_ended("parse")
            return self._publish(comparison, path, envelope, parsed=not isinstance(fetched, Unchanged))
        finally:
            path.unlink(missing_ok=True)

    def fail(self, error: Exception) -> RunResult:
        """End the task as failed; what was found out until then stays in its result."""
        result = {**self._facts(), **describe(error)}
        if self.kept_as is not None:
            result["quarantined_run"] = self.kept_as
        self.store.close_task(self.task_id, FAILED, result)
        return RunResult(FAILED, result)

    def _end_unchanged(self, checkpoint: Checkpoint) -> RunResult:
        result = self._result(checkpoint, unchanged=True, frozen=())
        self.store.close_task(self.task_id, COMPLETED, result)
        return RunResult(COMPLETED, result)

    def _clear_staging(self) -> None:
        """Remove stage files that killed runs left."""
        for left in (self.home / STAGING).glob("*.stage"):
            if not left.stem.isdecimal():
                continue
            found = self.store.tasks(TaskFilter(task_id=int(left.stem)))
            if not found or found[0].status != "running":
                left.unlink(missing_ok=True)

    def _compare(self, comparison: Comparison, cves: frozenset[str] | None, *, parse: bool) -> None:
        covered: Set[Group] = frozenset()
        if parse:
            for reported in comparison.take(self.context.selection.of(self.driver.parse(self.context))):
                self.progress.compared(reported)
            if self.driver.mode is Mode.FULL:
                covered = groups.covered(self.context)
                comparison.withdraw_unreported(covered, self._moment().strftime("%Y-%m-%dT%H:%M:%SZ"))
        if self.driver.takes_severities and (cves is None or cves):
            comparison.refill(groups.own(self.store, self.driver).keys() - covered, cves)
        comparison.finish()

    def _publish(self, comparison: Comparison, path: Path, envelope: Envelope, *, parsed: bool) -> RunResult:
        frozen: frozenset[Group] = frozenset()
        alive: frozenset[Group] = frozenset()
        if parsed:
            own = groups.own(self.store, self.driver)
            frozen, alive = groups.freezes(self.driver, self.context, comparison.reported_groups(), own)
        publication = Publication(
            task_id=self.task_id,
            driver=self.driver.name,
            staged=(),
            expected=comparison.expected(),
            frozen=frozen,
            alive=alive,
            checkpoint=checkpoints.encode(envelope),
            result=self._result(envelope.checkpoint, unchanged=not parsed, frozen=frozen),
        )
        quarantine.keep_records(self.store, self.driver.name, self.task_id, comparison.refused, now=self._moment())
        try:
            self._guard(comparison, parsed=parsed)
        except GuardError as refused:
            self.kept_as = quarantine.keep_run(
                self.store, self.home, publication, path, comparison.counts(), reason=str(refused), now=self._moment()
            )
            raise
        self.progress.report("publish", 0)
        changes = self.store.publish(msgspec.structs.replace(publication, staged=stage.read(path)))
        self._phase_ended("publish")
        # The run has completed, whatever becomes of rows that only say what was wrong before it.
        with suppress(StoreError):
            quarantine.release_records(self.store, self.driver.name, comparison.groups, comparison.refused)
        return RunResult(COMPLETED, {**publication.result, "changes": changes, "seconds": self.seconds})

    # --- decisions ------------------------------------------------------------------------------------------------

    def _scores_changed(self) -> tuple[int, frozenset[str] | None]:
        """Return the number up to which scores are read, and the CVEs to make anew; None for all of them."""
        if not self.driver.takes_severities:
            return 0, frozenset()
        upto, cves = self.store.scores_changed(self.last.scores_upto if self.last else 0)
        if self.last is None or self.last.severity_source != self.now.severity_source:
            return upto, None
        return upto, frozenset(cves) if self.now.severity_source != "none" else frozenset()

    def _guard(self, comparison: Comparison, *, parsed: bool) -> None:
        guard.check(
            guard.RunCounts(
                # Only severities were made anew: nothing was expected to be reported.
                mode=self.driver.mode if parsed else Mode.DELTA,
                reported=comparison.reported,
                quarantined=comparison.refused_count,
                skipped_groups=len(self.context.skipped),
                remade=self.last is not None and not self.last.fits(self.now),
                groups=[state.counts for state in comparison.groups.values()],
            ),
            self.driver.settings,
        )

    # --- telling --------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """Return what is known of the run at any time."""
        context, comparison = self.context, self.comparison
        return {
            "records": comparison.reported if comparison else 0,
            "quarantined": comparison.refused_count if comparison else 0,
            "fetched_bytes": self.progress.fetched_bytes,
            "seconds": self.seconds,
            "peak_mb": round(usage.peak_mb(), 1),
            "cpu_seconds": round(usage.cpu_seconds(), 2),
            "skipped": {group: reason for (_, group), reason in sorted(context.skipped.items())},
            "notes": context.notes,
            "unknown_values": context.unknown_values,
        }

    def _result(self, checkpoint: Checkpoint, *, unchanged: bool, frozen: Iterable[Group]) -> dict[str, Any]:
        left_out = groups.left_out(self.context, groups.own(self.store, self.driver))
        return {
            "changes": {},
            "execution_state": checkpoints.execution_state(checkpoint),
            "unchanged": unchanged,
            "frozen": sorted(group for _, group in frozen),
            "left_out": {group: reason for (_, group), reason in sorted(left_out.items())},
            **self._facts(),
        }

    def _phase_ended(self, phase: str) -> None:
        now = self.context.now()
        self.seconds[phase] = round(max(0.0, now - self._phase_began), 3)
        self._phase_began = now

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.context.now(), UTC)
