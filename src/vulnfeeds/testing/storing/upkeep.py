"""What pruning may take and what it must leave."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

from datetime import timedelta

from vulnfeeds.store.interface import TaskFilter
from vulnfeeds.testing.storing.scene import FEED, GROUP, Scene, SceneFixture, body, digests_of


class UpkeepSuite(SceneFixture):
    """Tests of `prune`, `live_pages`, `size` and `schema_version`."""

    def test_the_current_generation_always_stays(self, scene: Scene) -> None:
        """Pruned with the widest times, a store still serves what it served, withdrawn records included."""
        scene.publish({"a": 1, "b": 1})
        scene.publish({"a": 2, "b": None})
        before = (scene.manifest(), scene.walk(), digests_of(scene.store, FEED, GROUP))
        _prune(scene, generations=timedelta(0), versions=timedelta(0))
        assert (scene.manifest(), scene.walk(), digests_of(scene.store, FEED, GROUP)) == before
        assert scene.store.manifest(FEED, GROUP, 1) is None
        assert len(scene.store.history(FEED, GROUP, "a")) == 1
        group = scene.store.group(FEED, GROUP)
        assert group is not None
        assert (group.floor, group.sequence) == (4, 4)

    def test_a_generation_stays_a_while_after_it_was_current(self, scene: Scene) -> None:
        """What counts is when the next one came: a walk that began just before that can still end."""
        scene.publish({"a": 1})
        scene.clock.move(hours=100)
        scene.publish({"a": 2})
        scene.clock.move(hours=2)
        _prune(scene, generations=timedelta(hours=3), versions=timedelta(hours=3))
        assert scene.walk(1) == [("a", body(1))]
        scene.clock.move(hours=2)
        _prune(scene, generations=timedelta(hours=3), versions=timedelta(hours=3))
        assert scene.store.manifest(FEED, GROUP, 1) is None

    def test_no_kept_generation_loses_a_version(self, scene: Scene) -> None:
        """However short the time that versions are kept, a generation that is kept can be walked."""
        for value in range(4):
            scene.publish({"a": value, "b": value})
            scene.clock.move(hours=1)
        _prune(scene, generations=timedelta(hours=3.5), versions=timedelta(0))
        for generation in (1, 2, 3, 4):
            assert scene.walk(generation) == [("a", body(generation - 1)), ("b", body(generation - 1))]

    def test_versions_can_outlive_generations(self, scene: Scene) -> None:
        """History and states as of old numbers stay when only generations are pruned, and their times too."""
        times = []
        for value in range(3):
            scene.publish({"a": value})
            times.append(scene.clock.now)
            scene.clock.move(hours=1)
        _prune(scene, generations=timedelta(0), versions=timedelta(days=9))
        versions = scene.store.history(FEED, GROUP, "a")
        assert [(version.body, version.published_at) for version in versions] == [
            (body(value), times[value]) for value in (2, 1, 0)
        ]
        assert scene.store.slice(FEED, GROUP, as_of=1, first_key="", before_key=None) == [("a", body(0))]
        assert scene.store.manifest(FEED, GROUP, 2) is None

    def test_a_delta_from_below_the_floor_is_whole(self, scene: Scene) -> None:
        """What a client that was in sync long ago must get does not depend on what was pruned."""
        for value in range(5):
            scene.publish({"a": value, f"b{value}": value})
            scene.clock.move(hours=1)
        deltas = [scene.store.delta(FEED, GROUP, after=after, upto=10, limit=99) for after in range(11)]
        at = scene.clock.now - timedelta(hours=4)
        position = scene.store.position_at(FEED, GROUP, at)
        _prune(scene, generations=timedelta(0), versions=timedelta(0))
        assert [scene.store.delta(FEED, GROUP, after=after, upto=10, limit=99) for after in range(11)] == deltas
        assert deltas[scene.store.position_at(FEED, GROUP, at)] == deltas[position]

    def test_a_version_that_changed_nothing_can_be_read(self, scene: Scene) -> None:
        """A record published again as it was keeps its page's name, and stays in it when its older version goes."""
        scene.publish({"a": 1})
        scene.publish({"a": 1})
        names = {page.name for generation in (1, 2) for page in scene.manifest(generation).pages}
        assert len(names) == 1
        _prune(scene, generations=timedelta(0), versions=timedelta(0))
        assert scene.walk() == [("a", body(1))]

    def test_live_pages_are_those_of_kept_generations(self, scene: Scene) -> None:
        """A page that only a forgotten generation used is not named any more."""
        scene.publish({"a": 1})
        first = scene.manifest().pages[0].name
        scene.publish({"a": 2})
        second = scene.manifest().pages[0].name
        assert scene.store.live_pages() == {first, second}
        _prune(scene, generations=timedelta(0), versions=timedelta(0))
        assert scene.store.live_pages() == {second}

    def test_old_tasks_go_when_they_are_closed(self, scene: Scene) -> None:
        """Running tasks stay however old; of closed ones those that ended before the time go."""
        store = scene.store
        old = store.open_task("DriverExecutionTask", driver="a")
        running = store.open_task("DriverExecutionTask", driver="b")
        store.close_task(old, "completed", {})
        scene.clock.move(hours=10)
        young = store.open_task("DriverExecutionTask", driver="a")
        store.close_task(young, "failed", {})
        scene.clock.move(hours=1)
        far = timedelta(days=99)
        _prune(scene, generations=far, versions=far, tasks=timedelta(hours=5))
        assert [task.task_id for task in store.tasks(TaskFilter())] == [young, running]
        assert store.open_task("DriverExecutionTask", driver="a") > young

    def test_pruning_goes_on_where_it_ended(self, scene: Scene) -> None:
        """Publishes between prunings change nothing about what is kept; floors only rise."""
        floors = []
        for value in range(6):
            scene.publish({"a": value, "b": [value]})
            scene.clock.move(hours=1)
            _prune(scene, generations=timedelta(hours=2), versions=timedelta(hours=3))
            group = scene.store.group(FEED, GROUP)
            assert group is not None
            floors.append(group.floor)
            state = [("a", body(value)), ("b", body([value]))]
            assert scene.walk() == state
            assert scene.store.slice(FEED, GROUP, as_of=group.sequence, first_key="", before_key=None) == state
        assert floors == sorted(floors)
        assert floors[-1] > 0

    def test_a_store_knows_its_size_and_schema(self, scene: Scene) -> None:
        """The size grows with what is kept; the schema is named by its newest migration."""
        before = scene.store.size()
        scene.publish({f"k{number}": "x" * 500 + str(number) for number in range(3000)})
        assert scene.store.size() > before > 0
        assert scene.store.schema_version()[:4].isdecimal()


def _prune(
    scene: Scene, *, generations: timedelta, versions: timedelta, tasks: timedelta = timedelta(days=999)
) -> None:
    now = scene.clock.now + timedelta(microseconds=10)
    scene.store.prune(generations_before=now - generations, versions_before=now - versions, tasks_before=now - tasks)
