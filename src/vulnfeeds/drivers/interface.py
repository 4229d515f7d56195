"""The contract of a driver: fetch bytes unless nothing changed, then parse bytes into records.

A driver knows one upstream's quirks and nothing of the store, the clock or the API. It declares what it is in class
attributes, fetches through the Fetcher in its Context, and yields records from `parse` one by one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import msgspec

from vulnfeeds.drivers.selection import Selection
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.records.record import Record


class Mode(StrEnum):
    """What a record that a run does not report means."""

    FULL = "full"
    """In a covered group it is withdrawn."""
    DELTA = "delta"
    """Nothing: only what is named changes."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What a run hands to the next one; opaque to everyone but the driver."""

    fingerprint: str = ""
    """Mark that tells whether upstream changed."""
    cursor: dict[str, Any] = {}
    """Position in an incremental upstream; JSON values only."""


class Unchanged(msgspec.Struct, frozen=True):
    """What `fetch` returns when upstream has nothing new: nothing is parsed."""


UNCHANGED: Final = Unchanged()

_MOST_NOTES: Final = 200
_LONGEST_NOTE: Final = 500


class DriverSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that every driver has; a driver's own class adds to them."""

    deadline_seconds: float = 14400.0
    """A run that takes longer is ended and its task failed."""
    memory_mb: int = 2048
    """A run that needs more memory is ended and its task failed."""
    max_shrink: float = 0.2
    """Largest part of a group's records that one run may withdraw (guard); counts above 50 only."""
    max_growth: float = 5.0
    """Largest factor by which one run may grow a group (guard); groups above 50 records only."""
    max_updated: float = 0.9
    """Largest part of a group's records that one run may update (guard); counts above 1000 only."""
    max_quarantined: float = 0.01
    """Largest part of a run's records that may go to quarantine before the whole run does; counts above 20 only."""
    include: tuple[str, ...] = ("*",)
    """Groups that are served, by name or pattern: `alpine:3.18`, or what stands behind the colon (`3.18`, `3.*`).
    That means groups with a plus sign and more behind it, too (`22.04`: `22.04+esm`)."""
    exclude: tuple[str, ...] = ()
    """Groups that are left out although `include` names them; what was published of them stays as it is."""
    rename: dict[str, str] = {}
    """New name by name of a group (`{"3.18": "3.18-old"}`); the old group stays as it is."""

    @property
    def selection(self) -> Selection:
        """Return which groups are served under which names, for one run."""
        return Selection(self.include, self.exclude, self.rename)

    def serves(self, group: str) -> bool:
        """Tell whether a group is served, by the name that the driver gives it (`alpine:3.18`)."""
        return self.selection.serves(group)


class Published(Protocol):
    """What a driver may see of records that are already published (for drivers that derive from others)."""

    def sequence(self, feed: str, group: str) -> int:
        """Return the last position of a group; 0 when it does not exist."""
        ...

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield (key, canonical body, withdrawn) of records whose newest version is in (after, upto], by position."""
        ...

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        """Return the current canonical bodies of those of `keys` that exist and are not withdrawn."""
        ...


class Context:
    """What a run gives its driver: fetcher, workspace, checkpoint, settings, and where to report."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        workspace: Path,
        published: Published,
        checkpoint: Checkpoint | None = None,
        secrets: dict[str, str] | None = None,
        forced: bool = False,
        selection: Selection | None = None,
        report: Callable[[str, int, int | None], None] = lambda phase, done, total: None,
        now: Callable[[], float],
    ) -> None:
        self.fetcher = fetcher
        self.workspace = workspace
        """The driver's own folder; it exists and survives between runs."""
        self.published = published
        self.checkpoint = checkpoint
        """Of the last run that published; None at the first run and after a change of version or settings."""
        self.secrets = secrets or {}
        """Tokens from the environment, by name (`NVD_API_KEY`, `GITHUB_TOKEN`)."""
        self.forced = forced
        """The operator asked for a whole run: ignore the checkpoint's fingerprint."""
        self.selection = selection or Selection()
        """The groups that the settings want; what the driver says of others is passed over."""
        self.now = now
        """Seconds since the epoch."""
        self._report = report
        self.covered: set[tuple[str, str]] = set()
        self.skipped: dict[tuple[str, str], str] = {}
        self.unknown_values: dict[str, int] = {}
        self.notes: list[str] = []

    def cover(self, feed: str, group: str) -> None:
        """Say that this run reports the whole of a group, so that what it does not report is withdrawn (FULL)."""
        if name := self.selection.name(group):
            self.covered.add((feed, name))

    def skip(self, feed: str, group: str, reason: str) -> None:
        """Say that a group of ours could not be had this time: it stays as it is, and the task says why."""
        if name := self.selection.name(group):
            self.skipped[(feed, name)] = reason

    def note(self, text: str) -> None:
        """Add a line to the task's result that an operator should see (a missing year, a shorter list).

        The first 200 lines are kept, and 500 characters of each.
        """
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(text[:_LONGEST_NOTE])

    def unknown(self, field: str, value: object) -> None:
        """Count a value that the driver's table does not know (a new urgency, a new status)."""
        name = f"{field}={str(value)[:80]}"
        if name in self.unknown_values or len(self.unknown_values) < 100:
            self.unknown_values[name] = self.unknown_values.get(name, 0) + 1

    def report(self, phase: str, done: int, total: int | None = None) -> None:
        """Tell how far a phase ("fetch", "parse") has come; `total` None when it cannot be known."""
        self._report(phase, done, total)


class Driver(ABC):
    """One upstream. Subclasses set the class attributes and write `fetch` and `parse`."""

    name: ClassVar[str]
    """The API's driver_id."""
    feeds: ClassVar[tuple[str, ...]]
    """Feeds that the driver's records go to; the first one is the task's feed_id."""
    version: ClassVar[int] = 1
    """Raised when parsing changes meaning: the next run is a whole one."""
    mode: ClassVar[Mode] = Mode.FULL
    depends_on: ClassVar[tuple[str, ...]] = ()
    """Drivers that run before this one in a cycle, because this one reads what they published."""
    default_on: ClassVar[bool] = True
    """Whether the driver runs when the settings name no drivers."""
    takes_severities: ClassVar[bool] = False
    """The records may take severity and CVSS 2 from NVD; they are re-made when NVD changes."""
    upstreams: ClassVar[tuple[str, ...]] = ()
    """URLs that the driver asks, for `vulnfeeds hosts` and the host gate; a prefix of every request's URL."""
    Settings: ClassVar[type[DriverSettings]] = DriverSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @abstractmethod
    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring what upstream has into the workspace; return the checkpoint to store if the run publishes.

        Return UNCHANGED when there is nothing to parse. Raise UpstreamError or ParseError, nothing else. Must be
        repeatable: a run that dies between fetch and publish starts again from the old checkpoint.
        """

    @abstractmethod
    def parse(self, context: Context) -> Iterator[Record]:
        """Yield records from the workspace, without network, deterministically, one at a time.

        Declare whole groups with `context.cover` before the iterator ends. Raise ParseError with the place when the
        download does not have the expected shape.
        """
