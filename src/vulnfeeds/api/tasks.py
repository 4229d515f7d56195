"""The task routes: what ran, what runs, with what result."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vulnfeeds.api.answers import answer
from vulnfeeds.api.filters import Wanted, parse_filter
from vulnfeeds.api.parameters import flag, limit, number, parameters
from vulnfeeds.api.times import show
from vulnfeeds.errors import NotFoundError
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import Store, TaskRow

_CYCLE = "FeedSyncTask"
_RUNNING = "running"
_STARTED_BY = "system"
_LONGEST_ID = 18


class TaskRoutes:
    """The handlers of the task routes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tasks(self, request: Request) -> Response:
        """Answer tasks newest first; a Link header leads to older ones when `limit` cut the list."""
        given = parameters(request.scope["query_string"], ("filter", "details", "limit", "before"))
        details = flag(given, "details")
        most = limit(given)
        wanted = _before(parse_filter(given.get("filter", "")), number(given, "before"))
        rows = await run_in_threadpool(self._rows, wanted, None if most is None else most + 1)
        shown = rows[:most]
        response = answer(request, canonical.encode([show_task(row, result=details) for row in shown]))
        if len(rows) > len(shown):
            older = urlencode({**given, "before": shown[-1].task_id})
            response.headers["Link"] = f'<{request.scope["vulnfeeds.path"]}?{older}>; rel="next"'
        return response

    async def task(self, request: Request) -> Response:
        """Answer one task with its result; a FeedSyncTask with its sub-tasks."""
        text = request.path_params["task_id"]
        body = await run_in_threadpool(self._task, text)
        return answer(request, canonical.encode(body))

    def _rows(self, wanted: Wanted, most: int | None) -> list[TaskRow]:
        return [] if wanted.nothing else self._store.tasks(wanted.tasks, limit=most)

    def _task(self, text: str) -> dict[str, Any]:
        found = []
        if text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID:
            found = self._store.tasks(parse_filter(f"task_id={text}").tasks, limit=1)
        if not found:
            raise NotFoundError(f"task {text[:40]!r} does not exist")
        shown = show_task(found[0], result=True)
        if found[0].task_type == _CYCLE:
            children = self._store.children(found[0].task_id)
            shown["sub_tasks"] = [show_task(child, result=True) for child in children]
        return shown


def show_task(row: TaskRow, *, result: bool) -> dict[str, Any]:
    """Return a task as the API shows it: absent values left out, `result` only when asked for."""
    shown: dict[str, Any] = {
        "task_id": row.task_id,
        "task_type": row.task_type,
        "status": row.status,
        "start_time": show(row.started_at),
        "end_time": show(row.ended_at) if row.ended_at else None,
        "feed_id": row.feed_id,
        "driver_id": row.driver_id,
        "parent_task_id": row.parent_task_id,
        "started_by": _STARTED_BY,
        "result": row.result if result else None,
        "progress": row.progress or None if row.status == _RUNNING else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _before(wanted: Wanted, before: int | None) -> Wanted:
    """Return a filter narrowed to tasks older than `before`."""
    if before is None:
        return wanted
    bound = wanted.tasks.before_id
    narrowed = msgspec.structs.replace(wanted.tasks, before_id=before if bound is None else min(before, bound))
    return msgspec.structs.replace(wanted, tasks=narrowed)
