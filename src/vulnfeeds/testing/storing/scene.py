"""A store with a clock that tests set, and short ways to publish to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import pytest

from vulnfeeds.records import canonical
from vulnfeeds.records.record import Score
from vulnfeeds.store.interface import Manifest, Publication, StagedRecord, Store

FEED: Final = "vulnerabilities"
GROUP: Final = "debian:12"
DRIVER: Final = "debian"
NOON: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time that it shows."""
        return self.now

    def move(self, **by: float) -> datetime:
        """Move it by hours, minutes, seconds or microseconds, back when negative; return what it shows then."""
        self.now += timedelta(**by)
        return self.now


class Factory(Protocol):
    """Opens the database under test, which is the same one in every call, once more."""

    def __call__(self, *, clock: Callable[[], datetime], owner: str | None = None) -> Store:
        """Return a store; the factory's fixture closes it."""
        ...


def body(value: object) -> bytes:
    """Return canonical bytes that hold a value."""
    return canonical.encode({"value": value})


def digests_of(store: Store, feed: str, group: str) -> tuple[int, dict[str, bytes]]:
    """Return a group's generation and the digest of each current record by key."""
    found: dict[str, bytes] = {}
    return store.digests(feed, group, found.__setitem__), found


class Scene:
    """A store, its clock, and a driver that publishes to it."""

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.clock = Clock()
        self.store = factory(clock=self.clock)

    def another_store(self, owner: str | None = None) -> Store:
        """Return the same database opened once more."""
        return self.factory(clock=self.clock, owner=owner)

    def staged(
        self,
        changes: Mapping[str, Any],
        *,
        feed: str = FEED,
        group: str = GROUP,
        driver: str = DRIVER,
        scores: Mapping[str, Score] | None = None,
        taking: frozenset[str] = frozenset(),
        make: Callable[[Any], bytes] = body,
    ) -> list[StagedRecord]:
        """Return the changes as a run stages them: key to value, or to None for a withdrawal."""
        _, held = digests_of(self.store, feed, group)
        bodies = [make(value) for value in changes.values()]
        return [
            StagedRecord(
                feed,
                group,
                key,
                canonical.digest(raw),
                packed,
                "deleted" if value is None else "updated" if key in held else "created",
                takes_severity=key in taking,
                score=(scores or {}).get(key),
            )
            for (key, value), raw, packed in zip(
                changes.items(), bodies, self.store.pack(driver, bodies), strict=True
            )
        ]

    def publication(self, task_id: int, staged: list[StagedRecord], **more: Any) -> Publication:
        """Return a publication of staged records that expects the generations as they are now."""
        driver = more.pop("driver", DRIVER)
        names = {(record.feed, record.group) for record in staged}
        expected = {name: digests_of(self.store, *name)[0] for name in sorted(names)}
        return Publication(task_id=task_id, driver=driver, staged=iter(staged), expected=expected, **more)

    def task(self, driver: str = DRIVER) -> int:
        """Return a running task of the driver."""
        return self.store.open_task("DriverExecutionTask", driver=driver, feed=FEED)

    def publish(
        self,
        changes: Mapping[str, Any],
        *,
        feed: str = FEED,
        group: str = GROUP,
        driver: str = DRIVER,
        scores: Mapping[str, Score] | None = None,
        taking: frozenset[str] = frozenset(),
        make: Callable[[Any], bytes] = body,
        **more: Any,
    ) -> dict[str, dict[str, int]]:
        """Publish changes of one group as one run, `make` their bodies of the values; return the counts."""
        staged = self.staged(changes, feed=feed, group=group, driver=driver, scores=scores, taking=taking, make=make)
        publication = self.publication(self.task(driver), staged, driver=driver, **more)
        return self.store.publish(publication)

    def manifest(self, generation: int | None = None) -> Manifest:
        """Return a generation of the default group that must be there."""
        manifest = self.store.manifest(FEED, GROUP, generation)
        assert manifest is not None, f"generation {generation} is gone"  # noqa: S101
        return manifest

    def walk(self, generation: int | None = None, *, feed: str = FEED, group: str = GROUP) -> list[tuple[str, bytes]]:
        """Return all records of a generation, read page by page."""
        manifest = self.store.manifest(feed, group, generation)
        assert manifest is not None, f"generation {generation} is gone"  # noqa: S101
        ends = [page.first_key for page in manifest.pages[1:]] + [None]
        records = []
        for page, end in zip(manifest.pages, ends, strict=True):
            slice_ = self.store.slice(
                feed, group, as_of=page.sequence, first_key=page.first_key, before_key=end, limit=None
            )
            assert len(slice_) == page.records  # noqa: S101
            records += slice_
        return records


class SceneFixture:
    """Gives the suites their `scene`; a subclass of the suite gives the `factory`."""

    @pytest.fixture
    def scene(self, factory: Factory) -> Scene:
        """An empty store with its clock at noon."""
        return Scene(factory)
