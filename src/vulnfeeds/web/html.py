"""HTML for people from plain data: the contract, and the state of the service.

Pages stand alone: no script, no font, no picture and no address outside, so that they work in a closed network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from vulnfeeds.store.interface import GroupRow, TaskRow

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}
"""What a page is sent with: it may load nothing and run nothing."""

_CODE = re.compile(r"`([^`]+)`")
_STEPS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def docs_page(contract: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document of ours."""
    routes: dict[str, list[tuple[str, dict[str, Any]]]] = {tag["name"]: [] for tag in contract["tags"]}
    for path, methods in contract["paths"].items():
        routes[methods["get"]["tags"][0]].append((path, methods["get"]))
    return _templates.get_template("docs.html").render(contract=contract, routes=routes, find=_finder(contract))


def status_page(groups: Iterable[GroupRow], tasks: Iterable[TaskRow], now: datetime, version: str) -> str:
    """Return the page of what is served and what ran last; `tasks` newest first."""
    feeds: dict[str, list[GroupRow]] = {}
    for row in groups:
        feeds.setdefault(row.feed, []).append(row)
    return _templates.get_template("status.html").render(feeds=feeds, tasks=list(tasks), now=now, version=version)


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago a time was in its largest unit: `3 d`, `5 min`, `0 s` for the future."""
    seconds = max(0, int((now - moment).total_seconds()))
    size, unit = next((step for step in _STEPS if seconds >= step[0]), _STEPS[-1])
    return f"{seconds // size} {unit}"


def prose(text: str) -> Markup:
    """Return a description as HTML: paragraphs at empty lines, code between backticks, all else as it is."""
    paragraphs = (str(escape(part.strip())) for part in text.split("\n\n"))
    marked = (_CODE.sub(r"<code>\1</code>", part) for part in paragraphs if part)
    inner = "".join(f"<p>{part}</p>" for part in marked)
    return Markup(inner)  # noqa: S704 - everything that came in is escaped above


def summarize(task: TaskRow) -> str:
    """Return a line about what a task did or does."""
    if task.status == "running":
        said = task.progress or {}
        parts = [str(said.get("phase", "running"))]
        parts += [f"{said[name]:,} {name}" for name in ("records", "bytes") if isinstance(said.get(name), int)]
        parts += [f"{said['percent']} %"] if "percent" in said else []
        return ", ".join(parts)
    result = task.result or {}
    if "error" in result:
        return str(result["error"])[:300]
    if "changes" in result:
        return _summarize_changes(result["changes"])
    done = {name: result.get(f"{name}_drivers") or [] for name in ("completed", "failed")}
    return "; ".join(f"{name}: {', '.join(map(str, drivers))}" for name, drivers in done.items() if drivers)


def _summarize_changes(changes: dict[str, dict[str, int]]) -> str:
    if not changes:
        return "nothing changed"
    sums = {kind: sum(group.get(kind, 0) for group in changes.values()) for kind in _KINDS}
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sums.items() if count)
    return f"{counts} in {len(changes)} group{'s' if len(changes) > 1 else ''}"


_KINDS: Final = ("created", "updated", "deleted")


def _finder(contract: dict[str, Any]) -> Any:
    """Return a function that follows a `$ref` of the document."""

    def find(item: dict[str, Any]) -> dict[str, Any]:
        reference = item.get("$ref")
        if reference is None:
            return item
        found: Any = contract
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return {**found, "reference": reference.rpartition("/")[2]}

    return find


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _shown(schema: dict[str, Any]) -> str:
    """Return a schema without what is told elsewhere, as short JSON."""
    kept = {name: value for name, value in schema.items() if name not in ("description", "reference")}
    return json.dumps(kept, ensure_ascii=False)


_templates = Environment(loader=PackageLoader("vulnfeeds.web"), autoescape=True)
_templates.filters.update(prose=prose, utc=_utc, age=age, summarize=summarize, shown=_shown)
