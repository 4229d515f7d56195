"""Tasks: one row per cycle and run, with an owner whose life is watched.

A running task belongs to the process that opened it. It ends once: by its owner, by the publish, or, when the owner
is gone, by whoever looks next.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values are parameters.

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from vulnfeeds.errors import ConflictError, DriverBusyError
from vulnfeeds.store import moments, ownership
from vulnfeeds.store.database import BusyError, DuplicateRowError, Row, Session
from vulnfeeds.store.interface import TaskFilter, TaskRow
from vulnfeeds.store.part import Part

ABORTED: Final = "task aborted due to service restart"
SILENCE: Final = 60_000_000
"""Microseconds without a beat after which an owner counts as gone, on whatever host."""
_PROGRESS_PATIENCE: Final = 0.2
_BEAT_PATIENCE: Final = 10.0
_COLUMNS: Final = "id, task_type, status, started_at, feed_id, driver_id, parent_task_id, ended_at, result, progress"
_TERMS: Final = {
    "feed_id": "feed_id = :feed_id",
    "driver_id": "driver_id = :driver_id",
    "task_type": "task_type = :task_type",
    "status": "status = :status",
    "after_id": "id > :after_id",
    "before_id": "id < :before_id",
    "task_id": "id = :task_id",
}


class Tasks(Part):
    """The part of the store that keeps tasks."""

    def open_task(
        self, task_type: str, *, driver: str | None = None, feed: str | None = None, parent: int | None = None
    ) -> int:
        """Start a task as running and return its id; DriverBusyError when the driver has a live one."""
        try:
            with self._database.write() as session:
                now = self._now()
                if driver is not None:
                    self._make_way(session, driver, now)
                return session.insert(
                    "INSERT INTO tasks (task_type, status, driver_id, feed_id, parent_task_id, started_at, owner,"
                    " beat_at) VALUES (:type, 'running', :driver, :feed, :parent, :now, :owner, :now)",
                    {
                        "type": task_type,
                        "driver": driver,
                        "feed": feed,
                        "parent": parent,
                        "now": now,
                        "owner": self.owner,
                    },
                )
        except DuplicateRowError as error:
            raise DriverBusyError(f"another run of {driver} began at the same moment") from error

    def beat(self, task_ids: Sequence[int]) -> None:
        """Say that the owner of these running tasks is alive; lost quietly while a long publish holds the store."""
        if not task_ids:
            return
        with suppress(BusyError), self._database.write(patience=_BEAT_PATIENCE) as session:
            session.run(
                "UPDATE tasks SET beat_at = :now WHERE status = 'running' AND id IN (:ids[])",
                {"now": self._now(), "ids": list(task_ids)},
            )

    def progress(self, task_id: int, progress: dict[str, Any]) -> None:
        """Replace a running task's progress and beat; lost quietly when the store is busy."""
        with suppress(BusyError), self._database.write(patience=_PROGRESS_PATIENCE) as session:
            session.run(
                "UPDATE tasks SET progress = :progress, beat_at = :now WHERE status = 'running' AND id = :id",
                {"progress": json.dumps(progress), "now": self._now(), "id": task_id},
            )

    def close_task(self, task_id: int, status: str, result: dict[str, Any]) -> bool:
        """End a running task; False when it was not running any more."""
        with self._database.write() as session:
            return end(session, task_id, status, result, now=self._now(), owner=None)

    def abort_orphans(self) -> list[int]:
        """Fail running tasks whose owner is gone; return their ids."""
        with self._database.write() as session:
            now = self._now()
            rows = session.rows("SELECT id, owner, beat_at FROM tasks WHERE status = 'running' ORDER BY id")
            return [number for number, owner, beat in rows if _gone(owner, beat, now) and _abort(session, number)]

    def tasks(self, wanted: TaskFilter, *, limit: int | None = None) -> list[TaskRow]:
        """Return tasks newest first."""
        given = {term: value for term in _TERMS if (value := getattr(wanted, term)) is not None}
        where = " AND ".join(_TERMS[term] for term in given)
        statement = f"SELECT {_COLUMNS} FROM tasks{' WHERE ' + where if where else ''} ORDER BY id DESC"
        if limit is not None:
            statement += " LIMIT :limit"
            given["limit"] = limit
        with self._database.read() as session:
            return [_task(row) for row in session.rows(statement, given)]

    def children(self, task_id: int) -> list[TaskRow]:
        """Return the sub-tasks of a task, newest first."""
        with self._database.read() as session:
            rows = session.rows(
                f"SELECT {_COLUMNS} FROM tasks WHERE parent_task_id = :id ORDER BY id DESC",
                {"id": task_id},
            )
        return [_task(row) for row in rows]

    def _make_way(self, session: Session, driver: str, now: int) -> None:
        row = session.row(
            "SELECT id, owner, beat_at FROM tasks WHERE status = 'running' AND driver_id = :driver",
            {"driver": driver},
        )
        if row is None:
            return
        number, owner, beat = row
        if not _gone(owner, beat, now):
            raise DriverBusyError(f"{driver} is being run by task {number} of {owner}")
        _abort(session, number)


def must_run(session: Session, task_id: int, owner: str) -> None:
    """Raise ConflictError unless the task is running and belongs to the owner."""
    row = session.row("SELECT status, owner FROM tasks WHERE id = :id", {"id": task_id})
    if row is None or row[0] != "running":
        raise ConflictError(f"task {task_id} is not running: {row[0] if row else 'there is none'}")
    if row[1] != owner:
        raise ConflictError(f"task {task_id} belongs to {row[1]}, not to {owner}")


def end(session: Session, task_id: int, status: str, result: dict[str, Any], *, now: int, owner: str | None) -> bool:
    """End a running task (of the owner, when one is given); False when there was none to end."""
    mine = "" if owner is None else " AND owner = :owner"
    params: dict[str, Any] = {"id": task_id, "status": status, "result": _json(result), "now": now}
    params |= {} if owner is None else {"owner": owner}
    ended = session.run(
        "UPDATE tasks SET status = :status, result = :result, ended_at = :now"
        f" WHERE id = :id AND status = 'running'{mine}",
        params,
    )
    return ended > 0


def _json(value: dict[str, Any]) -> str:
    """Return JSON without halves of surrogate pairs, which upstreams may write and readers of the API cannot take."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _gone(owner: str, beat: int, now: int) -> bool:
    return now - beat > SILENCE or ownership.is_gone(owner)


def _abort(session: Session, task_id: int) -> bool:
    """Fail an orphan; when it really ended nobody knows, so its end stays empty."""
    aborted = session.run(
        "UPDATE tasks SET status = 'failed', result = :result WHERE id = :id AND status = 'running'",
        {"id": task_id, "result": json.dumps({"error": ABORTED})},
    )
    return aborted > 0


def _task(row: Row) -> TaskRow:
    number, task_type, status, started, feed, driver, parent, ended, result, progress = row
    return TaskRow(
        number,
        task_type,
        status,
        moments.from_micros(started),
        feed,
        driver,
        parent,
        moments.maybe_from_micros(ended),
        None if result is None else json.loads(result),
        None if progress is None else json.loads(progress),
    )
