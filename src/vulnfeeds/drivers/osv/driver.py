"""OSV: language advisories of any source that publishes OSV documents, by settings alone.

    [driver.osv]
    presets = ["bitnami", "govulndb"]

    [driver.osv.sources.lab]
    archive = "https://lab.example.org/advisories.zip"
    ecosystems = { "PyPI" = "python" }

A source is had or not, and read or not, for itself. One that could not be had, or holds a document of another shape,
leaves its groups as they are, and so does one whose documents are those of the last run that published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import msgspec

from vulnfeeds.drivers.documents import UNCHANGED_REASON
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.osv import making, taking
from vulnfeeds.drivers.osv.making import FEED
from vulnfeeds.drivers.osv.settings import OSVSettings
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records.record import Record

_FETCHED: Final = "fetched.json"
_GROUPS: Final = "groups.json"
_REPORTED: Final = 500
"""Documents between two reports of progress."""

T = TypeVar("T")


class _Fetched(msgspec.Struct):
    paths: dict[str, str] = {}
    """Archive or folder below the workspace, by source."""
    marks: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    """Why the documents of a source could not be had, by its name."""


class OSVDriver(Driver):
    """Feed osv, groups bitnami:bitnami, govulndb:go, ... from archives of OSV documents; off unless it is named."""

    name = "osv"
    feeds = (FEED,)
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = OSVSettings
    upstreams = OSVSettings().addresses

    settings: OSVSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.upstreams = self.settings.addresses  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the documents of each source, all of them readable; the error of the first when none can be had."""
        sources = self.settings.chosen
        if not sources:
            raise ParseError("driver.osv.sources", "the settings name no source, so there is nothing to read")
        checked = {} if context.forced else _read(context, _FETCHED, _Fetched).marks
        fetched = _Fetched()
        failure: UpstreamError | ParseError | None = None
        for done, (name, source) in enumerate(sources.items()):
            context.report("fetch", done, len(sources))
            try:
                taken = taking.take(context, name, source, checked.get(name, ""))
            except (UpstreamError, ParseError) as error:
                failure = failure or error
                fetched.unavailable[name] = str(error)
            else:
                fetched.paths[name] = taken.path.relative_to(context.workspace).as_posix()
                fetched.marks[name] = taken.mark
        if failure is not None and not fetched.paths:
            raise failure
        _write(context, _FETCHED, fetched)
        published, known = _published(context), self._known(context)
        kept = {name: mark for name, mark in published.items() if name in fetched.unavailable}
        marks = {**kept, **fetched.marks}
        if marks == published and marks.keys() <= known.keys():
            _skip_unavailable(context, fetched, known)
            return UNCHANGED
        text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
        return Checkpoint(fingerprint=hashlib.sha256(text.encode()).hexdigest(), cursor={"sources": marks})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each source whose documents are new."""
        fetched = _read(context, _FETCHED, _Fetched)
        published, known = _published(context), self._known(context)
        _skip_unavailable(context, fetched, known)
        for name, path in fetched.paths.items():
            if name in known and published.get(name) == fetched.marks[name]:
                for group in known[name]:
                    context.skip(FEED, group, UNCHANGED_REASON)
                continue
            found: dict[str, None] = {}
            for record in self._records(context, name, context.workspace / path):
                found[record.group] = None
                yield record
            if not found:
                raise ParseError(name, "no document is about an ecosystem that the settings name")
            # Of an ecosystem that the source knows no more the records are withdrawn.
            known[name] = sorted({*known.get(name, ()), *found})
            for group in known[name]:
                context.cover(FEED, group)
            _write(context, _GROUPS, known)

    def _records(self, context: Context, name: str, path: Path) -> Iterator[Record]:
        source = self.settings.chosen[name]
        for done, (place, document) in enumerate(taking.read(path, source)):
            if done % _REPORTED == 0:
                context.report(f"parse {name}", done)
            yield from making.records(context, name, source, document, place)

    def _known(self, context: Context) -> dict[str, list[str]]:
        """Return which groups each source of the settings has filled so far."""
        known = _read(context, _GROUPS, dict[str, list[str]])
        return {name: groups for name, groups in known.items() if name in self.settings.chosen}


def _skip_unavailable(context: Context, fetched: _Fetched, known: dict[str, list[str]]) -> None:
    for name, reason in fetched.unavailable.items():
        for group in known.get(name, []):
            context.skip(FEED, group, reason)
        if name not in known:
            context.note(f"{name} could not be had: {reason}")


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
