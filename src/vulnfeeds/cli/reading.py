"""Commands that look: feeds, groups, records, tasks, drivers, hosts. They change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from vulnfeeds.api.filters import parse_filter
from vulnfeeds.api.since import parse_since
from vulnfeeds.cli.compose import list_hosts, open_reader, read_settings
from vulnfeeds.cli.options import Output
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.errors import BadRequestError, NotFoundError
from vulnfeeds.publish.lifecycles import Lifecycles
from vulnfeeds.records.lifecycle import Support
from vulnfeeds.store.interface import GroupRow, RecordVersion, Store, TaskFilter

DEFAULT_LIMIT = 20
_OUTPUT = Output()


def feeds(*, output: Output = _OUTPUT) -> None:
    """List the feeds with their groups and records."""
    with open_reader(output) as store:
        rows = []
        for feed in store.feeds():
            groups = store.groups(feed.name)
            rows.append(
                {
                    "feed": feed.name,
                    "groups": len(groups),
                    "records": sum(group.records for group in groups),
                    "published_at": max((group.published_at for group in groups), default=None),
                }
            )
    Terminal(as_json=output.json).rows(
        {"feed": "FEED", "groups": "GROUPS", "records": "RECORDS", "published_at": "PUBLISHED"},
        rows,
        nothing="no feeds yet: nothing was synced into this store",
    )


def groups(feed: str | None = None, /, *, output: Output = _OUTPUT) -> None:
    """List the groups of a feed, or of all feeds.

    Parameters
    ----------
    feed
        Name of a feed.
    """
    with open_reader(output) as store:
        found = store.groups(feed)
        if feed is not None and not found and feed not in {row.name for row in store.feeds()}:
            raise NotFoundError(f"no feed {feed!r} in this store")
        supported = Lifecycles(store).of(found)
    rows = [_renamed(group, supported.get((group.feed, group.name), Support())) for group in found]
    Terminal(as_json=output.json).rows(
        {
            "feed": "FEED",
            "group": "GROUP",
            "records": "RECORDS",
            "withdrawn": "WITHDRAWN",
            "sequence": "SEQUENCE",
            "published_at": "PUBLISHED",
            "frozen_at": "FROZEN",
            "eol": "END OF LIFE",
        },
        rows,
        nothing="no groups yet",
    )


def records(
    feed: str,
    group: str,
    key: str | None = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most records to show.")] = DEFAULT_LIMIT,
    since: Annotated[str | None, Parameter(help="Only those published at or after this time (UTC).")] = None,
    history: Annotated[bool, Parameter(help="All kept versions of the record KEY.", negative="")] = False,
    output: Output = _OUTPUT,
) -> None:
    """Show the records of a group, or one record.

    Parameters
    ----------
    feed
        Name of the feed.
    group
        Name of the group.
    key
        Key of one record, such as CVE-2021-44228.
    """
    if history and key is None:
        raise BadRequestError("--history needs the key of a record")
    if limit < 1:
        raise BadRequestError("--limit must be 1 or more")
    terminal = Terminal(as_json=output.json)
    with open_reader(output) as store:
        head = store.group(feed, group)
        if head is None:
            raise NotFoundError(f"no group {group!r} in feed {feed!r}")
        if key is None:
            _show_many(terminal, list(_of_group(store, head, limit, since)))
            return
        versions = store.history(feed, group, key) if history else _current(store, feed, group, key)
    if not versions:
        raise NotFoundError(f"no record {key!r} in group {group!r} of feed {feed!r}")
    rows = [{**msgspec.structs.asdict(version), "body": msgspec.Raw(version.body)} for version in versions]
    if terminal.as_json:
        terminal.value(rows)
        return
    for row, version in zip(rows, versions, strict=True):
        terminal.facts({name: value for name, value in row.items() if name != "body"})
        terminal.text(msgspec.json.format(version.body, indent=2).decode())


def tasks(
    task_id: int | None = None,
    /,
    *,
    filter: Annotated[str, Parameter(help="Terms by comma: driver_id=alpine,task_id>470,status=failed.")] = "",  # noqa: A002
    details: Annotated[bool, Parameter(help="Results, errors and progress too.", negative="")] = False,
    limit: Annotated[int, Parameter(help="Most tasks to show.")] = DEFAULT_LIMIT,
    output: Output = _OUTPUT,
) -> None:
    """List tasks, newest first, or show one with its sub-tasks.

    Parameters
    ----------
    task_id
        Number of one task.
    """
    terminal = Terminal(as_json=output.json)
    with open_reader(output) as store:
        wanted = parse_filter(filter)
        if task_id is None:
            found = [] if wanted.nothing else store.tasks(wanted.tasks, limit=limit)
        else:
            found = store.tasks(TaskFilter(task_id=task_id))
            if not found:
                raise NotFoundError(f"no task {task_id}")
            found += store.children(task_id)
    details = details or task_id is not None
    rows = [msgspec.structs.asdict(task) for task in found]
    for row in rows:
        if not details:
            row.pop("result")
            row.pop("progress")
    columns = {
        "task_id": "TASK",
        "task_type": "TYPE",
        "driver_id": "DRIVER",
        "status": "STATUS",
        "started_at": "STARTED",
        "ended_at": "ENDED",
        **({"result": "RESULT"} if details else {}),
    }
    terminal.rows(columns, rows, nothing="no tasks")


def drivers(*, output: Output = _OUTPUT) -> None:
    """List the drivers: which are on, what they feed, how their last run ended."""
    settings, registry = read_settings(output)
    with open_reader(output) as store:
        rows = [
            {
                "driver": name,
                "on": name in settings.drivers,
                "mode": driver.mode.value,
                "feeds": list(driver.feeds),
                "depends_on": list(driver.depends_on),
                **_last_run(store, name),
            }
            for name, driver in registry.items()
        ]
    Terminal(as_json=output.json).rows(
        {
            "driver": "DRIVER",
            "on": "ON",
            "mode": "MODE",
            "feeds": "FEEDS",
            "depends_on": "AFTER",
            "last_status": "LAST RUN",
            "last_ended_at": "ENDED",
            "last_error": "ERROR",
        },
        rows,
    )


def hosts(
    *,
    all: Annotated[bool, Parameter(help="Those of drivers that are off too.", negative="")] = False,  # noqa: A002
    output: Output = _OUTPUT,
) -> None:
    """List every address that a request can be sent to, and where the settings lead it."""
    settings, registry = read_settings(output)
    Terminal(as_json=output.json).rows(
        {"host": "HOST", "driver": "DRIVER", "on": "ON", "url": "UPSTREAM", "via": "VIA", "address": "ASKED"},
        list_hosts(settings, registry, include_off=all),
        nothing="no driver is on",
    )


def _renamed(group: GroupRow, support: Support) -> dict[str, Any]:
    row = msgspec.structs.asdict(group)
    return {"feed": row.pop("feed"), "group": row.pop("name"), **row, **msgspec.structs.asdict(support)}


def _of_group(store: Store, head: GroupRow, limit: int, since: str | None) -> Iterator[bytes]:
    if since is None:
        rows = store.slice(head.feed, head.name, as_of=head.sequence, first_key="", before_key=None, limit=limit)
        yield from (body for _, body in rows)
        return
    after = store.position_at(head.feed, head.name, parse_since(since, "--since"))
    yield from (body for _, body in store.delta(head.feed, head.name, after=after, upto=head.sequence, limit=limit))


def _current(store: Store, feed: str, group: str, key: str) -> list[RecordVersion]:
    found = store.record(feed, group, key)
    return [] if found is None else [found]


def _show_many(terminal: Terminal, bodies: list[bytes]) -> None:
    if terminal.as_json:
        terminal.value([msgspec.Raw(body) for body in bodies])
        return
    for body in bodies:
        terminal.text(body.decode())
    if not bodies:
        terminal.say("no records")


def _last_run(store: Store, driver: str) -> dict[str, Any]:
    last = next(iter(store.tasks(TaskFilter(driver_id=driver), limit=1)), None)
    if last is None:
        return {"last_status": None, "last_ended_at": None, "last_error": None, "last_task_id": None}
    return {
        "last_status": last.status,
        "last_ended_at": last.ended_at,
        "last_error": (last.result or {}).get("error"),
        "last_task_id": last.task_id,
    }
