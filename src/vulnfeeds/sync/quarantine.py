"""What was refused and is kept for the operator: single records, and whole runs that the guard held back.

A run is kept as its stage file in `<home>/quarantine` and a row that says what publishing it would need. Only the
newest refused run of a driver is kept: an older one would publish an older upstream.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.errors import ConflictError, NotFoundError, RecordError, RunError, VulnfeedsError
from vulnfeeds.records import canonical
from vulnfeeds.records.contract import check
from vulnfeeds.store.interface import Publication, QuarantineRow, StagedRecord, Store
from vulnfeeds.sync import stage
from vulnfeeds.sync.changes import Refused
from vulnfeeds.sync.groups import Group
from vulnfeeds.sync.held import GroupState

RECORD: Final = "record"
RUN: Final = "run"
TASK_TYPE: Final = "DriverExecutionTask"


class KeptRun(msgspec.Struct, frozen=True, kw_only=True):
    """All that publishing a kept run needs, but the records, which are in its stage file."""

    changes: dict[str, dict[str, int]]
    """What it would change, per group."""
    expected: list[tuple[str, str, int]]
    """(feed, group, generation) that the run was compared with."""
    frozen: list[Group] = []
    alive: list[Group] = []
    checkpoint: str = ""
    """JSON for the driver's next run."""
    result: dict[str, Any] = {}


class Accepted(msgspec.Struct, frozen=True):
    """What accepting did."""

    task_id: int
    changes: dict[str, dict[str, int]]


def stage_path(home: Path, task_id: int) -> Path:
    """Return where the stage file of a kept run lies."""
    return home / "quarantine" / f"{task_id}.stage"


def keep_records(store: Store, driver: str, task_id: int, refused: Iterable[Refused], *, now: datetime) -> None:
    """Keep refused records; the store lets a new row take the place of an older one of the same record."""
    rows = [
        QuarantineRow(
            id=0,
            kind=RECORD,
            driver=driver,
            task_id=task_id,
            reason=record.reason,
            created_at=now,
            feed=record.feed,
            group=record.group,
            key=record.key,
            body=record.body,
        )
        for record in refused
    ]
    if rows:
        store.quarantine(rows)


def release_records(store: Store, driver: str, groups: dict[Group, GroupState], refused: Iterable[Refused]) -> None:
    """Drop the rows of records that a run reported again and that passed."""
    still = {(record.feed, record.group, record.key) for record in refused}
    rows = store.quarantined(driver=driver)
    passed = [row.id for row in rows if row.kind == RECORD and _seen(groups, row) and _identity(row) not in still]
    if passed:
        store.drop_quarantined(passed)


def keep_run(
    store: Store,
    home: Path,
    publication: Publication,
    staged: Path,
    changes: dict[str, dict[str, int]],
    *,
    reason: str,
    now: datetime,
) -> int:
    """Keep a run that the guard refused, with its stage file `staged`; return the id of its row.

    The store lets the row take the place of the driver's last refused run; that one's file goes here.
    """
    older = [row for row in store.quarantined(driver=publication.driver) if row.kind == RUN]
    target = stage_path(home, publication.task_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(staged, target)
    kept = KeptRun(
        changes=changes,
        expected=[(*group, generation) for group, generation in sorted(publication.expected.items())],
        frozen=sorted(publication.frozen),
        alive=sorted(publication.alive),
        checkpoint=(publication.checkpoint or b"").decode(),
        result=publication.result,
    )
    row = QuarantineRow(
        id=0,
        kind=RUN,
        driver=publication.driver,
        task_id=publication.task_id,
        reason=reason,
        created_at=now,
        body=msgspec.json.encode(kept),
    )
    number = store.quarantine([row])[0]
    for old in older:
        stage_path(home, old.task_id).unlink(missing_ok=True)
    return number


def drop(store: Store, number: int, home: Path) -> None:
    """Throw away one thing in quarantine, with its file; NotFoundError when there is no such id."""
    row = _row(store, number)
    store.drop_quarantined([number])
    if row.kind == RUN:
        stage_path(home, row.task_id).unlink(missing_ok=True)


def accept(store: Store, number: int, home: Path) -> Accepted:
    """Publish what is in quarantine as a task of its own, and take it out.

    Raises NotFoundError for an unknown id; RecordError for a record that clients would still refuse; ConflictError
    when its group was published meanwhile; RunError when the kept file is missing or damaged. Nothing
    is changed then.
    """
    row = _row(store, number)
    publication = _run(store, row, home) if row.kind == RUN else _record(store, row)
    feeds = sorted({feed for feed, _ in publication.expected})
    task_id = store.open_task(TASK_TYPE, driver=row.driver, feed=row.feed or (feeds[0] if feeds else None))
    try:
        changes = store.publish(msgspec.structs.replace(publication, task_id=task_id))
    except VulnfeedsError as error:
        store.close_task(task_id, "failed", {"error": str(error), "error_class": type(error).__name__})
        raise
    drop(store, number, home)
    return Accepted(task_id, changes)


def _run(store: Store, row: QuarantineRow, home: Path) -> Publication:
    kept = _kept(row)
    for feed, group, generation in kept.expected:
        head = store.group(feed, group)
        if (head.generation if head else 0) != generation:
            raise ConflictError(
                f"{group} was published since task {row.task_id} compared with it, so what is kept is out of date; "
                f"drop it and run the driver again: vulnfeeds sync {row.driver} --force"
            )
    return Publication(
        task_id=0,
        driver=row.driver,
        staged=stage.read(stage_path(home, row.task_id)),
        expected={(feed, group): generation for feed, group, generation in kept.expected},
        frozen=frozenset(kept.frozen),
        alive=frozenset(kept.alive),
        checkpoint=kept.checkpoint.encode() or None,
        result={**kept.result, "accepted": row.id, "refused_task": row.task_id},
    )


def _record(store: Store, row: QuarantineRow) -> Publication:
    body = row.body
    if body is None or row.feed is None or row.group is None or row.key is None:
        raise RecordError(f"what is kept as {row.id} has no body that could be published")
    try:
        check(row.feed, row.group, body)
        if canonical.encode(msgspec.json.decode(body)) != body:
            raise RecordError("its body is not in canonical form")
    except RecordError as error:
        raise RecordError(f"clients would refuse record {row.key}: {error}") from error
    state = GroupState(row.feed, row.group, store)
    change = state.change(row.key, canonical.digest(body))
    takes = row.key in store.keys_taking_severity(row.feed, row.group)
    score = store.scores([row.key]).get(row.key) if row.feed == "nvdv2" else None
    staged = [
        StagedRecord(row.feed, row.group, row.key, canonical.digest(body), packed, change, takes, score)
        for packed in store.pack(row.driver, [body])
        if change is not None
    ]
    return Publication(
        task_id=0,
        driver=row.driver,
        staged=staged,
        expected={(row.feed, row.group): state.generation} if staged else {},
        result={"accepted": row.id, "refused_task": row.task_id, "records": 1},
    )


def _row(store: Store, number: int) -> QuarantineRow:
    found = store.quarantined(id=number)
    if not found:
        raise NotFoundError(f"nothing in quarantine has the id {number}")
    return found[0]


def _kept(row: QuarantineRow) -> KeptRun:
    try:
        return msgspec.json.decode(row.body or b"", type=KeptRun)
    except msgspec.MsgspecError as error:
        raise RunError(f"what is kept as {row.id} cannot be read: {error}") from error


def _identity(row: QuarantineRow) -> tuple[str | None, str | None, str | None]:
    return (row.feed, row.group, row.key)


def _seen(groups: dict[Group, GroupState], row: QuarantineRow) -> bool:
    state = groups.get((row.feed or "", row.group or ""))
    return state is not None and row.key is not None and state.marks.was_seen(row.key)
