"""vunnel: any source of it that we lack, run as a program or read from what one left.

    [driver.vunnel.sources.photon]
    program = "/opt/vunnel/bin/vunnel"

A source is had or not, and read or not, for itself. One that could not be had, or whose results are not whole, leaves
its groups as they are, and so does one whose results are those of the last run that published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from vulnfeeds.drivers.documents import UNCHANGED_REASON
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.vunnel import making, results, taking
from vulnfeeds.drivers.vunnel.naming import Naming
from vulnfeeds.drivers.vunnel.settings import VunnelSettings
from vulnfeeds.drivers.vunnel.workspace import Workspace
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records.record import Record

Group = tuple[str, str]
"""(feed, name)."""

_FETCHED: Final = "fetched.json"
_GROUPS: Final = "groups.json"
_REPORTED: Final = 1000
"""Results between two reports of progress."""


class _Fetched(msgspec.Struct):
    folders: dict[str, str] = {}
    """Folder below the workspace, by source."""
    marks: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    """Why the results of a source could not be had, by its name."""


class VunnelDriver(Driver):
    """Groups of any source that vunnel has and we lack; off until the settings name one."""

    name = "vunnel"
    feeds = making.FEEDS
    depends_on = ("nvdv2",)
    takes_severities = True
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = VunnelSettings

    settings: VunnelSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.upstreams = self.settings.addresses  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the results of each source, verified; the error of the first when none can be had."""
        sources = self.settings.sources
        if not sources:
            raise ParseError("driver.vunnel.sources", "the settings name no source, so there is nothing to read")
        fetched = _Fetched()
        failure: UpstreamError | ParseError | None = None
        for done, (name, source) in enumerate(sources.items()):
            context.report("fetch", done, len(sources))
            try:
                taken = taking.take(context, name, source)
            except (UpstreamError, ParseError) as error:
                failure = failure or error
                fetched.unavailable[name] = str(error)
            else:
                fetched.folders[name] = taken.folder.relative_to(context.workspace).as_posix()
                fetched.marks[name] = taken.mark
        if failure is not None and not fetched.folders:
            raise failure
        _write(context, _FETCHED, fetched)
        published, known = _published(context), _known(context)
        kept = {name: mark for name, mark in published.items() if name in fetched.unavailable}
        marks = {**kept, **fetched.marks}
        if marks == published and marks.keys() <= known.keys():
            _skip_unavailable(context, fetched, known)
            return UNCHANGED
        text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
        return Checkpoint(fingerprint=hashlib.sha256(text.encode()).hexdigest(), cursor={"sources": marks})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each source whose results are new."""
        fetched = msgspec.json.decode((context.workspace / _FETCHED).read_bytes(), type=_Fetched)
        published, known = _published(context), _known(context)
        known = {name: groups for name, groups in known.items() if name in self.settings.sources}
        _skip_unavailable(context, fetched, known)
        new = {name for name, mark in fetched.marks.items() if name not in known or published.get(name) != mark}
        owners = {group: name for name, groups in known.items() if name not in new for group in groups}
        for name, folder in fetched.folders.items():
            if name not in new:
                for feed, group in known[name]:
                    context.skip(feed, group, UNCHANGED_REASON)
                continue
            for record in self._records(context, name, context.workspace / folder):
                if (owner := owners.setdefault((record.feed, record.group), name)) != name:
                    place = f"driver.vunnel.sources.{name}"
                    raise ParseError(place, f"fills group {record.group}, which {owner} fills already")
                yield record
            known[name] = sorted(group for group, owner in owners.items() if owner == name)
            if not known[name]:
                raise ParseError(name, "no result of the source says anything that can be served")
            _write(context, _GROUPS, known)
            for feed, group in known[name]:
                context.cover(feed, group)

    def _records(self, context: Context, name: str, folder: Path) -> Iterator[Record]:
        naming = Naming(self.settings.sources[name])
        for done, result in enumerate(results.read(Workspace(folder, name, name), name)):
            if done % _REPORTED == 0:
                context.report(f"parse {name}", done)
            yield from making.records(context, naming, result)


def _skip_unavailable(context: Context, fetched: _Fetched, known: dict[str, list[Group]]) -> None:
    for name, reason in fetched.unavailable.items():
        for feed, group in known.get(name, []):
            context.skip(feed, group, reason)
        if name not in known:
            context.note(f"{name} could not be had: {reason}")


def _published(context: Context) -> dict[str, str]:
    """Return the mark of each source that the last run published; empty when all must be read again."""
    if context.forced or context.checkpoint is None:
        return {}
    found: dict[str, str] = context.checkpoint.cursor.get("sources", {})
    return found


def _known(context: Context) -> dict[str, list[Group]]:
    """Return which groups the results of each source filled when they were read last."""
    path = context.workspace / _GROUPS
    return msgspec.json.decode(path.read_bytes(), type=dict[str, list[Group]]) if path.exists() else {}


def _write(context: Context, name: str, value: object) -> None:
    target = context.workspace / name
    part = target.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(value))
    part.replace(target)
