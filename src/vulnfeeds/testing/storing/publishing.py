"""What publishing must keep: all or nothing, numbers without gaps, times that never go back."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from vulnfeeds.errors import ConflictError, StoreError
from vulnfeeds.store.interface import Publication, StagedRecord, TaskFilter
from vulnfeeds.testing.storing.scene import DRIVER, FEED, GROUP, Scene, SceneFixture, body, digests_of


class PublishingSuite(SceneFixture):
    """Tests of `publish`."""

    def test_a_first_publish_creates_the_group(self, scene: Scene) -> None:
        """A group is listed once it has a record, with its numbers, times and counts."""
        assert scene.store.groups() == []
        assert scene.publish({"b": 1, "a": 2}) == {GROUP: {"created": 2, "updated": 0, "deleted": 0}}
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert (group.feed, group.name, group.driver, group.frozen_at) == (FEED, GROUP, DRIVER, None)
        assert (group.generation, group.sequence, group.floor) == (1, 2, 0)
        assert (group.records, group.withdrawn, group.published_at) == (2, 0, scene.clock.now)
        assert scene.walk() == [("a", body(2)), ("b", body(1))]

    def test_every_change_gets_the_next_number(self, scene: Scene) -> None:
        """Numbers are consecutive within a group whatever the kind of change, and each group has its own."""
        scene.publish({"a": 1, "b": 1, "c": 1})
        scene.publish({"x": 1}, group="debian:11")
        counts = scene.publish({"b": 2, "d": 1, "a": None})
        assert counts == {GROUP: {"created": 1, "updated": 1, "deleted": 1}}
        numbers = [sequence for sequence, _ in scene.store.delta(FEED, GROUP, after=0, upto=6, limit=10)]
        assert numbers == [3, 4, 5, 6]
        other = scene.store.group(FEED, "debian:11")
        assert other is not None
        assert other.sequence == 1

    def test_a_withdrawn_record_stays_in_the_pages(self, scene: Scene) -> None:
        """A withdrawal is a version like any other; the head counts it until the record comes back."""
        scene.publish({"a": 1, "b": 1})
        scene.publish({"a": None})
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert (group.records, group.withdrawn) == (2, 1)
        assert scene.walk() == [("a", body(None)), ("b", body(1))]
        scene.publish({"a": 3})
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert (group.records, group.withdrawn) == (2, 0)

    def test_a_publish_closes_its_task(self, scene: Scene) -> None:
        """The task ends as completed with the run's result and the counts, and the checkpoint is kept."""
        scene.publish({"a": 1}, checkpoint=b'{"cursor": 1}', result={"fetched": 7})
        task = scene.store.tasks(TaskFilter())[0]
        assert (task.status, task.ended_at) == ("completed", scene.clock.now)
        assert task.result == {"fetched": 7, "changes": {GROUP: {"created": 1, "updated": 0, "deleted": 0}}}
        assert scene.store.checkpoint(DRIVER) == b'{"cursor": 1}'

    def test_a_publish_without_changes_makes_no_generation(self, scene: Scene) -> None:
        """It keeps the checkpoint and closes the task; groups and the revision stay as they are."""
        scene.publish({"a": 1})
        before = (scene.store.groups(), scene.store.revision())
        task = scene.task()
        empty = Publication(task_id=task, driver=DRIVER, staged=[], expected={(FEED, GROUP): 1}, checkpoint=b"2")
        assert scene.store.publish(empty) == {}
        assert (scene.store.groups(), scene.store.revision()) == before
        assert scene.store.checkpoint(DRIVER) == b"2"
        assert scene.store.tasks(TaskFilter(task_id=task))[0].result == {"changes": {}}

    def test_no_checkpoint_keeps_the_last_one(self, scene: Scene) -> None:
        """A run that hands over no checkpoint leaves the stored one."""
        scene.publish({"a": 1}, checkpoint=b"1")
        scene.publish({"a": 2})
        assert scene.store.checkpoint(DRIVER) == b"1"
        assert scene.store.checkpoint("other") is None

    def test_the_revision_tells_every_publish(self, scene: Scene) -> None:
        """Each publish that readers can see changes the revision, a frozen mark too."""
        seen = [scene.store.revision()]
        scene.publish({"a": 1})
        seen.append(scene.store.revision())
        scene.publish({}, frozen=frozenset({(FEED, GROUP)}))
        seen.append(scene.store.revision())
        assert len(set(seen)) == 3
        scene.publish({}, frozen=frozenset({(FEED, GROUP)}))
        assert scene.store.revision() == seen[-1]

    def test_a_peek_is_never_behind(self, scene: Scene) -> None:
        """Whoever published, through this store or another one, a peek that tells anything tells the new revision."""
        stores = (scene.store, scene.another_store())
        for value in range(20):
            scene.publish({"a": value})
            told = scene.store.revision()
            assert {store.peek_revision() for store in stores} <= {told, None}

    def test_a_peek_does_not_wait_for_a_publish(self, scene: Scene) -> None:
        """In the middle of a publish it tells the revision before it, and a moment after it the next one."""
        scene.publish({"a": 1})
        reader, before = scene.another_store(), scene.store.revision()
        seen: list[int | None] = []

        def staged() -> Iterator[StagedRecord]:
            for record in scene.staged({f"k{number}": number for number in range(3)}):
                seen.append(reader.peek_revision())
                yield record

        publication = Publication(task_id=scene.task(), driver=DRIVER, staged=staged(), expected={(FEED, GROUP): 1})
        scene.store.publish(publication)
        assert len(seen) == 3
        assert set(seen) <= {before, None}
        assert reader.peek_revision() in (scene.store.revision(), None)

    def test_a_closed_store_has_nothing_to_peek_at(self, scene: Scene) -> None:
        """It tells nothing, also when it could before, and raises nothing."""
        store = scene.another_store()
        store.peek_revision()
        store.close()
        assert store.peek_revision() is None

    def test_groups_are_marked_frozen_and_alive(self, scene: Scene) -> None:
        """The mark keeps its first time until the group is alive again; groups that do not exist are passed over."""
        scene.publish({"a": 1})
        first = scene.clock.move(hours=1)
        scene.publish({}, frozen=frozenset({(FEED, GROUP), (FEED, "none")}))
        scene.clock.move(hours=1)
        scene.publish({}, frozen=frozenset({(FEED, GROUP)}))
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert (group.frozen_at, group.generation) == (first, 1)
        scene.publish({}, alive=frozenset({(FEED, GROUP)}))
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert group.frozen_at is None
        assert scene.store.group(FEED, "none") is None

    def test_times_never_go_back(self, scene: Scene) -> None:
        """When the clock is set back, a publish is dated a microsecond after the last one of its group."""
        scene.publish({"a": 1})
        noon = scene.clock.now
        scene.clock.move(hours=-3)
        scene.publish({"a": 2})
        scene.publish({"b": 1}, group="debian:11")
        times = {group.name: group.published_at for group in scene.store.groups()}
        assert times[GROUP] > noon
        assert (times[GROUP] - noon).microseconds == 1
        assert times["debian:11"] == scene.clock.now

    def test_one_publish_covers_several_groups_and_feeds(self, scene: Scene) -> None:
        """All groups of a run move together; groups named alike in two feeds are told apart."""
        staged = scene.staged({"a": 1}, feed="nvd", group="2024") + scene.staged({"b": 1}, feed="kev", group="2024")
        counts = scene.store.publish(scene.publication(scene.task(), staged))
        assert counts == {"2024": {"created": 2, "updated": 0, "deleted": 0}}
        assert [(row.feed, row.name) for row in scene.store.groups()] == [("kev", "2024"), ("nvd", "2024")]
        assert scene.walk(feed="kev", group="2024") == [("b", body(1))]

    def test_another_publish_meanwhile_is_a_conflict(self, scene: Scene) -> None:
        """A run that compared with an older generation changes nothing, in none of its groups."""
        scene.publish({"a": 1})
        late = scene.publication(scene.task("late"), scene.staged({"a": 2}) + scene.staged({"x": 1}, group="new"))
        scene.publish({"a": 3})
        before = _everything(scene)
        with pytest.raises(ConflictError, match="generation 2"):
            scene.store.publish(late)
        assert _everything(scene) == before

    def test_a_group_that_another_run_created_is_a_conflict(self, scene: Scene) -> None:
        """A run that saw no group changes nothing when there is one now."""
        late = scene.publication(scene.task("late"), scene.staged({"a": 2}))
        scene.publish({"a": 3})
        with pytest.raises(ConflictError):
            scene.store.publish(late)
        assert scene.walk() == [("a", body(3))]

    def test_only_a_running_task_publishes(self, scene: Scene) -> None:
        """A task that was failed, or never was, publishes nothing: a run that was given up cannot come back."""
        task = scene.task()
        staged = scene.staged({"a": 1})
        scene.store.close_task(task, "failed", {"error": "deadline"})
        for number in (task, 999):
            with pytest.raises(ConflictError, match="not running"):
                scene.store.publish(scene.publication(number, staged))
        assert scene.store.groups() == []

    def test_only_the_owner_of_a_task_publishes(self, scene: Scene) -> None:
        """A store with another owner is refused; one that was opened with the owner's name is not."""
        task = scene.task()
        staged = scene.staged({"a": 1})
        with pytest.raises(ConflictError, match="belongs to"):
            scene.another_store("elsewhere:1:x").publish(scene.publication(task, staged))
        scene.another_store(scene.store.owner).publish(scene.publication(task, staged))
        assert scene.walk() == [("a", body(1))]

    def test_an_error_on_the_way_changes_nothing(self, scene: Scene) -> None:
        """When the staged records end with an error, thousands of records in, the store is as before."""
        scene.publish({"a": 1})
        before = _everything(scene)
        staged = scene.staged({f"k{number:05}": number for number in range(2500)})

        def breaking() -> Iterator[StagedRecord]:
            yield from staged
            raise OSError("the stage file cannot be read")

        task = scene.task()
        broken = Publication(task_id=task, driver=DRIVER, staged=breaking(), expected={(FEED, GROUP): 1})
        with pytest.raises(OSError, match="stage file"):
            scene.store.publish(broken)
        scene.store.close_task(task, "failed", {})
        assert _everything(scene)[:-1] == before[:-1]
        scene.publish({"k00001": 1})
        assert scene.walk() == [("a", body(1)), ("k00001", body(1))]

    def test_what_makes_no_sense_is_refused(self, scene: Scene) -> None:
        """A record staged twice, a group that was not compared, an unknown change, a key with U+0000: StoreError."""
        scene.publish({"a": 1})
        once = scene.staged({"a": 2})
        odd = StagedRecord(FEED, GROUP, "a", once[0].digest, once[0].packed, "renamed")
        nul = StagedRecord(FEED, GROUP, "a\0b", once[0].digest, once[0].packed, "created")
        for staged in (once + once, scene.staged({"n": 1}) * 2, [odd], [nul]):
            with pytest.raises(StoreError):
                scene.store.publish(scene.publication(scene.task(), staged))
            scene.store.close_task(scene.store.tasks(TaskFilter())[0].task_id, "failed", {})
        with pytest.raises(StoreError, match="did not compare"):
            scene.store.publish(Publication(task_id=scene.task(), driver=DRIVER, staged=once, expected={}))
        assert scene.walk() == [("a", body(1))]

    def test_of_two_publishers_at_once_one_wins(self, scene: Scene) -> None:
        """Both staged against the same generation: one publishes, the other gets ConflictError, nothing is mixed."""
        for generation in range(4):
            values = ("left", "right")
            publications = [
                scene.publication(scene.task(value), scene.staged({f"k{n}": [generation, value] for n in range(50)}))
                for value in values
            ]
            outcomes = _at_once(scene, publications)
            assert sorted(outcomes) == ["conflict", "published"]
            winner = values[outcomes.index("published")]
            assert {raw for _, raw in scene.walk()} == {body([generation, winner])}
            for task in scene.store.tasks(TaskFilter(status="running")):
                scene.store.close_task(task.task_id, "failed", {})

    def test_runs_of_different_groups_publish_at_once(self, scene: Scene) -> None:
        """Two runs that share no group both publish, whoever comes first."""
        publications = [
            scene.publication(scene.task(group), scene.staged({"a": group}, group=group)) for group in ("one", "two")
        ]
        assert _at_once(scene, publications) == ["published", "published"]
        assert [row.name for row in scene.store.groups()] == ["one", "two"]


def _at_once(scene: Scene, publications: list[Publication]) -> list[str]:
    """Publish all from threads with stores of their own that start together; return what became of each."""
    barrier = threading.Barrier(len(publications))
    outcomes = [""] * len(publications)
    stores = [scene.another_store() for _ in publications]

    def run(place: int) -> None:
        barrier.wait(30)
        try:
            stores[place].publish(publications[place])
            outcomes[place] = "published"
        except ConflictError:
            outcomes[place] = "conflict"

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(publications))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def _everything(scene: Scene) -> tuple[object, ...]:
    """Return all that a publish can change, the tasks last."""
    store = scene.store
    groups = store.groups()
    return (
        groups,
        [store.manifest(row.feed, row.name) for row in groups],
        [digests_of(store, row.feed, row.name) for row in groups],
        [store.delta(row.feed, row.name, after=0, upto=10**6, limit=10**6) for row in groups],
        store.revision(),
        store.tasks(TaskFilter(status="running")),
    )
