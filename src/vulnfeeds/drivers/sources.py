"""What a driver with several sources in its settings does for each of them alone.

A source is had or not, and read or not, for itself. One that could not be had leaves its groups as they are, and so
does one that is what it was when the last run published.

    workspace/fetched.json      what `fetch` leaves for `parse`: where each source lies, its mark, or why it is not
    workspace/groups.json       the groups that each source filled when it was read last
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from vulnfeeds.drivers.documents import UNCHANGED_REASON
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Unchanged
from vulnfeeds.errors import ParseError, UpstreamError

Group = tuple[str, str]
"""(feed, name)."""

_FETCHED: Final = "fetched.json"
_GROUPS: Final = "groups.json"

T = TypeVar("T")


class Taken(NamedTuple):
    """A source in our folder, whole and readable."""

    path: Path
    """An archive, or a folder."""
    mark: str
    """The same for the same content."""


class _Fetched(msgspec.Struct):
    paths: dict[str, str] = {}
    """Archive or folder below the workspace, by source."""
    marks: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    """Why a source could not be had, by its name."""


class Sources:
    """The sources of one run; `names` are those that the settings have now."""

    def __init__(self, context: Context, names: Collection[str]) -> None:
        self._context = context
        self._names = names
        self._fetched = _read(context, _FETCHED, _Fetched)
        known = _read(context, _GROUPS, dict[str, list[Group]])
        self._known = {name: groups for name, groups in known.items() if name in names}
        self._published = _published(context)

    def mark(self, name: str) -> str:
        """Return the mark of a source that was fetched last, "" for none; a forced run knows none."""
        return "" if self._context.forced else self._fetched.marks.get(name, "")

    def fetch(self, take: Callable[[str], Taken]) -> Checkpoint | Unchanged:
        """Bring each source by `take`, which raises UpstreamError or ParseError for one that cannot be had.

        Raises the error of the first one when none can.
        """
        fetched = _Fetched()
        failure: UpstreamError | ParseError | None = None
        for done, name in enumerate(self._names):
            self._context.report("fetch", done, len(self._names))
            try:
                taken = take(name)
            except (UpstreamError, ParseError) as error:
                failure = failure or error
                fetched.unavailable[name] = str(error)
            else:
                fetched.paths[name] = taken.path.relative_to(self._context.workspace).as_posix()
                fetched.marks[name] = taken.mark
        if failure is not None and not fetched.paths:
            raise failure
        self._fetched = fetched
        _write(self._context, _FETCHED, fetched)
        kept = {name: mark for name, mark in self._published.items() if name in fetched.unavailable}
        marks = {**kept, **fetched.marks}
        if marks == self._published and marks.keys() <= self._known.keys():
            self._skip_unavailable()
            return UNCHANGED
        text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
        return Checkpoint(fingerprint=hashlib.sha256(text.encode()).hexdigest(), cursor={"sources": marks})

    def news(self) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of each source that is to be read; the groups of the others are skipped."""
        self._skip_unavailable()
        for name, path in self._fetched.paths.items():
            if self._has_news(name):
                yield name, self._context.workspace / path
                continue
            for feed, group in self._known[name]:
                self._context.skip(feed, group, UNCHANGED_REASON)

    def groups(self, name: str) -> list[Group]:
        """Return the groups that a source filled when it was read last."""
        return self._known.get(name, [])

    def owners(self) -> dict[Group, str]:
        """Return the source of each group that no source with news fills."""
        return {group: name for name, groups in self._known.items() if not self._has_news(name) for group in groups}

    def filled(self, name: str, groups: Iterable[Group]) -> None:
        """Keep which groups a source fills, and say that this run reports the whole of them."""
        self._known[name] = sorted(groups)
        _write(self._context, _GROUPS, self._known)
        for feed, group in self._known[name]:
            self._context.cover(feed, group)

    def _has_news(self, name: str) -> bool:
        mark = self._fetched.marks.get(name)
        return mark is not None and (name not in self._known or self._published.get(name) != mark)

    def _skip_unavailable(self) -> None:
        for name, reason in self._fetched.unavailable.items():
            for feed, group in self.groups(name):
                self._context.skip(feed, group, reason)
            if name not in self._known:
                self._context.note(f"{name} could not be had: {reason}")


def _published(context: Context) -> dict[str, str]:
    """Return the mark of each source that the last run published; empty when all must be read again."""
    if context.forced or context.checkpoint is None:
        return {}
    found: dict[str, str] = context.checkpoint.cursor.get("sources", {})
    return found


def _read(context: Context, name: str, kind: type[T]) -> T:
    """Return what an earlier step left in the workspace; what is empty when it left nothing."""
    path = context.workspace / name
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else kind()


def _write(context: Context, name: str, value: object) -> None:
    target = context.workspace / name
    part = target.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(value))
    part.replace(target)
