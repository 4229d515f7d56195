"""The contract of the store: numbered versions of records, pages of generations, tasks, checkpoints, quarantine.

A group has one sequence. A publish gives the next numbers to what changed and makes a new generation. A version of a
record is valid from its own number until the number that ended it, so any state since the retention floor can be read
again: `as of` always means "after everything up to and including that number".

All methods are synchronous and safe to call from several threads; every one raises only StoreError (or its children).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from vulnfeeds.records.record import Score

SCORED: Final = ("nvdv2", "nvdv2:cves")
"""The group whose records' scores the store keeps for other drivers; its keys are CVE ids."""


class FeedRow(msgspec.Struct, frozen=True):
    """A feed in the listing."""

    name: str


class GroupRow(msgspec.Struct, frozen=True):
    """A group and its head: the state that readers get now."""

    feed: str
    name: str
    driver: str
    generation: int
    """Number of the last publish; 1 at the first."""
    sequence: int
    """Last number given; the group's position now."""
    floor: int
    """States as of this number and later can still be read; older versions may be pruned."""
    published_at: datetime
    records: int
    """Records in the pages, withdrawn ones included."""
    withdrawn: int
    frozen_at: datetime | None = None
    """When upstream was seen to have stopped publishing the group; None while it is alive."""


class PageRow(msgspec.Struct, frozen=True):
    """An immutable slice of a group by key range: keys >= first_key up to the next page's first_key."""

    first_key: str
    """"" on the first page of a group, so that every key has a page."""
    name: str
    """Hex digest of the records' digests: equal content, equal name."""
    records: int
    sequence: int
    """The slice's content is that as of this number."""


class Manifest(msgspec.Struct, frozen=True):
    """The pages of one generation of a group, in key order. Immutable, so readers may keep it."""

    feed: str
    group: str
    generation: int
    sequence: int
    pages: tuple[PageRow, ...]


class RecordVersion(msgspec.Struct, frozen=True):
    """One version of a record."""

    key: str
    sequence: int
    ended: int | None
    """The number of the version that replaced it; None when it is current."""
    withdrawn: bool
    published_at: datetime
    body: bytes
    """Canonical JSON."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a record is: what identifies it among all."""

    feed: str
    group: str
    key: str


class FoundRecord(msgspec.Struct, frozen=True):
    """The current version of a record that was looked for in all groups."""

    feed: str
    group: str
    key: str
    sequence: int
    withdrawn: bool
    body: bytes
    """Canonical JSON."""

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.feed, self.group, self.key)


class Lag(msgspec.Struct, frozen=True):
    """A group of which the index of handles does not hold everything yet."""

    feed: str
    group: str
    indexed: int
    """Versions up to this number are in the index."""
    sequence: int
    """The group's last number."""


class StagedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A difference that a run found and wants published."""

    feed: str
    group: str
    key: str
    digest: bytes
    packed: bytes
    """The canonical body, compressed by the store's `pack`."""
    change: str
    """"created", "updated" or "deleted" (a withdrawal)."""
    takes_severity: bool = False
    score: Score | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """All that one run changes, published in one transaction or not at all."""

    task_id: int
    driver: str
    staged: Iterable[StagedRecord]
    """In any order; each (feed, group, key) once."""
    expected: dict[tuple[str, str], int]
    """Generation of each touched group when the run compared; 0 for a group that did not exist."""
    frozen: frozenset[tuple[str, str]] = frozenset()
    """Groups to mark frozen."""
    alive: frozenset[tuple[str, str]] = frozenset()
    """Groups to mark not frozen."""
    checkpoint: bytes | None = None
    """JSON to keep for the driver's next run; None keeps the last one."""
    result: dict[str, Any] = {}
    """The task's result."""


class TaskRow(msgspec.Struct, frozen=True):
    """A task as stored."""

    task_id: int
    task_type: str
    status: str
    started_at: datetime
    feed_id: str | None = None
    driver_id: str | None = None
    parent_task_id: int | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None


class TaskFilter(msgspec.Struct, frozen=True):
    """Terms that must all hold; None means "any"."""

    feed_id: str | None = None
    driver_id: str | None = None
    task_type: str | None = None
    status: str | None = None
    after_id: int | None = None
    """task_id > this."""
    before_id: int | None = None
    """task_id < this."""
    task_id: int | None = None


class QuarantineRow(msgspec.Struct, frozen=True):
    """A record or a whole run that was refused and kept for the operator."""

    id: int
    kind: str
    """"record" or "run"."""
    driver: str
    task_id: int
    reason: str
    created_at: datetime
    feed: str | None = None
    group: str | None = None
    key: str | None = None
    body: bytes | None = None
    """A record's body as far as it could be written; for a run, JSON of what it would change."""


class Store(Protocol):
    """The truth. SQLite and PostgreSQL implement it; `vulnfeeds.testing.store_suite` holds both to it."""

    owner: str
    """Whom the tasks that this store opens belong to; a helper process opens the store with its parent's owner."""

    # --- life ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release connections; the store must not be used afterwards."""

    def revision(self) -> int:
        """Return a number that changes with every publish and is never given twice."""
        ...

    def peek_revision(self) -> int | None:
        """Return what `revision` would, if that takes microseconds and no waiting; None when it would take more.

        Never an older one: whatever was published before the call shows. Raises nothing, so that an event loop may
        ask it for every request; a store that is asked over a network always answers None.
        """
        ...

    def schema_version(self) -> str:
        """Return the name of the newest applied migration."""
        ...

    def size(self) -> int:
        """Return the bytes that the store takes on disk."""
        ...

    # --- reading ------------------------------------------------------------------------------------------------

    def feeds(self) -> list[FeedRow]:
        """Return all feeds by name as plain strings."""
        ...

    def groups(self, feed: str | None = None) -> list[GroupRow]:
        """Return the groups of a feed (of all feeds when None) by (feed, name) as plain strings."""
        ...

    def group(self, feed: str, group: str) -> GroupRow | None:
        """Return one group's head, or None."""
        ...

    def manifest(self, feed: str, group: str, generation: int | None = None) -> Manifest | None:
        """Return the pages of a generation (the current one when None); None when it is gone or never was."""
        ...

    def slice(
        self,
        feed: str,
        group: str,
        *,
        as_of: int,
        first_key: str,
        before_key: str | None,
        limit: int | None = None,
        withdrawn: bool = True,
    ) -> list[tuple[str, bytes]]:
        """Return (key, canonical body) valid as of a number with first_key <= key < before_key, by key.

        `withdrawn` false leaves out records that were withdrawn by then.
        """
        ...

    def delta(self, feed: str, group: str, *, after: int, upto: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (sequence, canonical body) of versions given in (after, upto] and valid as of upto, by sequence."""
        ...

    def position_at(self, feed: str, group: str, at: datetime) -> int:
        """Return the group's last number published before `at` (exclusive), 0 when there was none."""
        ...

    def record(self, feed: str, group: str, key: str) -> RecordVersion | None:
        """Return the current version of one record (a withdrawn one too), or None."""
        ...

    def history(self, feed: str, group: str, key: str) -> list[RecordVersion]:
        """Return all kept versions of a record, newest first."""
        ...

    def bodies(self, feed: str, group: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Return current canonical bodies of those keys that exist and are not withdrawn."""
        ...

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield (key, canonical body, withdrawn) of current records numbered in (after, upto], by number; streams."""
        ...

    # --- finding across groups ----------------------------------------------------------------------------------

    def keyed(
        self, keys: Sequence[str], *, limit: int, after: Place | None = None, feeds: Sequence[str] | None = None
    ) -> list[FoundRecord]:
        """Return the current records with one of these keys in any group (of `feeds`), by (feed, group, key).

        `after` leaves out those up to that place. The index plays no part in it.
        """
        ...

    def handled(
        self,
        kind: int,
        words: Sequence[str],
        *,
        limit: int,
        after: Place | None = None,
        feeds: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> list[FoundRecord]:
        """Return the current records that the index has under one of these words, by (feed, group, key).

        `kind` is one of `records.handles.Kind`. In a group that lags behind, a record may be missing, and one may be
        given that the word does not fit any more: who asks compares with the handles of the body.
        """
        ...

    def lagging(self) -> list[Lag]:
        """Return the groups of which the index does not hold everything yet, by (feed, name)."""
        ...

    def index(self, feed: str, group: str) -> bool:
        """Take the next versions of a group into the index; say whether more are left to take.

        One short transaction. Another process may do the same at the same time.
        """
        ...

    # --- comparing and publishing ---------------------------------------------------------------------------------

    def digests(self, feed: str, group: str, take: Callable[[str, bytes], object]) -> int:
        """Call `take` with key and digest of each current record; return the generation, 0 when new.

        A withdrawn record's digest is followed by the byte `w`, so that it never equals a reported one.
        """
        ...

    def keys_taking_severity(self, feed: str, group: str) -> set[str]:
        """Return keys of current records whose vendor gives no severity."""
        ...

    def scores(self, cves: Sequence[str]) -> dict[str, Score]:
        """Return what NVD says of those CVEs that have a score."""
        ...

    def scores_changed(self, after: int) -> tuple[int, list[str]]:
        """Return (the last number of group nvdv2:cves, CVEs whose score changed or went after number `after`)."""
        ...

    def pack(self, driver: str, bodies: Sequence[bytes]) -> list[bytes]:
        """Compress canonical bodies with the driver's dictionary, which the first large call trains and keeps."""
        ...

    def unpack(self, packed: bytes) -> bytes:
        """Return the canonical body of what `pack` made."""
        ...

    def publish(self, publication: Publication) -> dict[str, dict[str, int]]:
        """Publish all of it and close the task as completed, in one transaction; return counts per group.

        Counts are {"created": n, "updated": n, "deleted": n} under the group's name, for groups with a change only;
        they are put into the task's result as "changes". Without a change it still keeps the checkpoint and closes
        the task, but makes no generation. Raises ConflictError, with nothing changed, when a group's generation is
        not the expected one or the task is not running or is another owner's; StoreError when a record is staged
        twice or its group is not among the expected. published_at is taken from the clock at commit and never goes
        back within a group.
        """
        ...

    def checkpoint(self, driver: str) -> bytes | None:
        """Return what the driver's last publish kept."""
        ...

    # --- tasks --------------------------------------------------------------------------------------------------

    def open_task(
        self, task_type: str, *, driver: str | None = None, feed: str | None = None, parent: int | None = None
    ) -> int:
        """Start a task as running and return its id.

        Raises DriverBusyError when another task of the same driver is running with a live owner.
        """
        ...

    def beat(self, task_ids: Sequence[int]) -> None:
        """Say that the owner of these running tasks is alive; lost quietly when the store is busy for long."""

    def progress(self, task_id: int, progress: dict[str, Any]) -> None:
        """Replace a running task's progress and beat; lost quietly when the store is busy."""

    def close_task(self, task_id: int, status: str, result: dict[str, Any]) -> bool:
        """End a running task as completed or failed; False when it was not running any more."""
        ...

    def abort_orphans(self) -> list[int]:
        """Fail running tasks whose owner is gone: "task aborted due to service restart"; return their ids."""
        ...

    def tasks(self, wanted: TaskFilter, *, limit: int | None = None) -> list[TaskRow]:
        """Return tasks newest first."""
        ...

    def children(self, task_id: int) -> list[TaskRow]:
        """Return the sub-tasks of a task, newest first."""
        ...

    # --- quarantine ---------------------------------------------------------------------------------------------

    def quarantine(self, rows: Iterable[QuarantineRow]) -> list[int]:
        """Keep refused records or runs (their `id` is ignored) and return the ids they got.

        A record that is refused again takes the place of its older row, a driver's refused run that of its last one.
        """
        ...

    def quarantined(self, *, driver: str | None = None, id: int | None = None) -> list[QuarantineRow]:  # noqa: A002
        """Return what is in quarantine, newest first; bodies only when asked for by id."""
        ...

    def drop_quarantined(self, ids: Sequence[int]) -> int:
        """Remove rows from quarantine; return how many there were."""
        ...

    # --- upkeep -------------------------------------------------------------------------------------------------

    def prune(self, *, generations_before: datetime, versions_before: datetime, tasks_before: datetime) -> None:
        """Forget generations and versions that ceased to be current, and tasks that closed, before the given times.

        Current records, the current generation and the newest publish of each group always stay, and so does every
        version that a kept generation shows; raises each group's floor as versions go.
        """

    def live_pages(self) -> set[str]:
        """Return the names of all pages that some kept generation uses."""
        ...
