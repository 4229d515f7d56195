"""What readers must get: one generation however often it is asked for, deltas between numbers, times as numbers."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

from datetime import timedelta

import pytest

from vulnfeeds.errors import StoreUnavailableError
from vulnfeeds.testing.storing.scene import FEED, GROUP, Scene, SceneFixture, body, digests_of

_TICK = timedelta(microseconds=1)


class ReadingSuite(SceneFixture):
    """Tests of listings, pages, deltas, history."""

    def test_an_empty_store_answers_every_question(self, scene: Scene) -> None:
        """What does not exist is an empty list, None or 0, never an error."""
        store = scene.store
        assert (store.feeds(), store.groups(), store.groups("x")) == ([], [], [])
        assert (store.group("x", "y"), store.manifest("x", "y"), store.record("x", "y", "z")) == (None, None, None)
        assert store.slice("x", "y", as_of=9, first_key="", before_key=None) == []
        assert store.delta("x", "y", after=0, upto=9, limit=9) == []
        assert (store.position_at("x", "y", scene.clock.now), store.history("x", "y", "z")) == (0, [])
        assert (store.bodies("x", "y", ["z"]), list(store.changes("x", "y", 0, 9))) == ({}, [])
        assert (digests_of(store, "x", "y"), store.keys_taking_severity("x", "y")) == ((0, {}), set())
        assert (store.scores(["CVE-1"]), store.scores_changed(0), store.live_pages()) == ({}, (0, []), set())

    def test_listings_are_in_the_order_of_plain_strings(self, scene: Scene) -> None:
        """Feeds, groups and keys sort by code points on every database, whatever its locale."""
        names = ["a", "B", "é", "Z:1", "z", "_", "a-b", "a_b", "10", "9", "\U0001f600", "\uffee"]
        for name in names:
            scene.publish({"k": 1}, feed=name, group=name)
            scene.publish({"k": 1}, group=name)
        assert [row.name for row in scene.store.feeds()] == sorted([*names, FEED])
        assert [row.name for row in scene.store.groups(FEED)] == sorted(names)
        scene.publish(dict.fromkeys(names, 1))
        assert [key for key, _ in scene.walk()] == sorted(names)

    def test_a_generation_stays_as_it_was(self, scene: Scene) -> None:
        """Later publishes change neither the pages of an older generation nor what is in them."""
        scene.publish({"a": 1, "b": 1, "c": 1})
        first, walked = scene.manifest(), scene.walk()
        scene.publish({"b": 2, "d": 1, "a": None})
        assert scene.store.manifest(FEED, GROUP, 1) == first
        assert scene.walk(1) == walked
        assert scene.manifest() == scene.manifest(2)
        assert scene.walk() == [("a", body(None)), ("b", body(2)), ("c", body(1)), ("d", body(1))]
        assert (scene.store.manifest(FEED, GROUP, 3), scene.store.manifest(FEED, GROUP, 0)) == (None, None)

    def test_a_slice_keeps_to_its_range(self, scene: Scene) -> None:
        """The first key is in, the one before which it ends is not; the limit cuts in key order."""
        scene.publish(dict.fromkeys("abcde", 1))
        scene.publish({"c": 2})

        def keys(first: str, before: str | None, limit: int | None = None, as_of: int = 6) -> str:
            rows = scene.store.slice(FEED, GROUP, as_of=as_of, first_key=first, before_key=before, limit=limit)
            return "".join(key for key, _ in rows)

        assert (keys("", None), keys("b", "d"), keys("bb", None, 2), keys("", "a")) == ("abcde", "bc", "cd", "")
        assert keys("", None, as_of=2) == "ab"
        old = scene.store.slice(FEED, GROUP, as_of=5, first_key="c", before_key="d")
        assert old == [("c", body(1))]

    def test_a_slice_can_leave_out_what_was_withdrawn(self, scene: Scene) -> None:
        """As of its number: a record that was withdrawn later is still there."""
        scene.publish(dict.fromkeys("ab", 1))
        scene.publish({"b": None})
        slice_ = scene.store.slice
        assert slice_(FEED, GROUP, as_of=3, first_key="", before_key=None, withdrawn=False) == [("a", body(1))]
        assert len(slice_(FEED, GROUP, as_of=2, first_key="", before_key=None, withdrawn=False)) == 2

    def test_a_delta_ends_where_it_is_told(self, scene: Scene) -> None:
        """It gives each record once, as of its end, in the order of numbers, and can be walked in steps."""
        scene.publish(dict.fromkeys("abc", 1))
        scene.publish({"a": 2, "b": 2})
        scene.publish({"a": 3})
        delta = scene.store.delta
        assert delta(FEED, GROUP, after=3, upto=5, limit=9) == [(4, body(2)), (5, body(2))]
        assert delta(FEED, GROUP, after=3, upto=6, limit=9) == [(5, body(2)), (6, body(3))]
        assert [number for number, _ in delta(FEED, GROUP, after=0, upto=6, limit=2)] == [3, 5]
        assert [number for number, _ in delta(FEED, GROUP, after=5, upto=6, limit=2)] == [6]
        assert delta(FEED, GROUP, after=6, upto=6, limit=2) == []

    def test_a_time_is_a_number(self, scene: Scene) -> None:
        """The position at a moment is that of the last publish before it, to the microsecond."""
        times = []
        for value in range(3):
            scene.publish({"a": value, f"b{value}": value})
            times.append(scene.clock.now)
            scene.clock.move(seconds=10)
        position = scene.store.position_at
        assert [position(FEED, GROUP, at) for at in times] == [0, 2, 4]
        assert [position(FEED, GROUP, at + _TICK) for at in times] == [2, 4, 6]
        assert position(FEED, GROUP, scene.clock.now + timedelta(days=999)) == 6

    def test_a_record_has_a_history(self, scene: Scene) -> None:
        """All versions are there, newest first, with their numbers and the times of their publishes."""
        first = scene.clock.now
        scene.publish({"a": 1, "b": 1})
        second = scene.clock.move(hours=1)
        scene.publish({"b": None})
        versions = scene.store.history(FEED, GROUP, "b")
        assert [(v.sequence, v.ended, v.withdrawn, v.published_at, v.body) for v in versions] == [
            (3, None, True, second, body(None)),
            (2, 3, False, first, body(1)),
        ]
        assert scene.store.record(FEED, GROUP, "b") == versions[0]
        assert scene.store.record(FEED, GROUP, "zz") is None

    def test_bodies_of_keys(self, scene: Scene) -> None:
        """Current bodies of those that exist and are not withdrawn, of few keys or thousands."""
        scene.publish({"a": 1, "b": 1, "c'\"%s": 1})
        scene.publish({"a": 2, "b": None})
        keys = ["a", "b", "c'\"%s", "none", *(f"k{number}" for number in range(5000))]
        assert scene.store.bodies(FEED, GROUP, keys) == {"a": body(2), "c'\"%s": body(1)}
        assert scene.store.bodies(FEED, GROUP, []) == {}

    def test_changes_are_one_snapshot(self, scene: Scene) -> None:
        """Current records by number; a publish while they are read neither shows nor takes one away."""
        scene.publish({f"k{number:04}": number for number in range(3000)})
        scene.publish({"k0001": None})
        stream = scene.store.changes(FEED, GROUP, 0, 3001)
        seen = [next(stream)]
        scene.publish({"k0002": "new", "k2999": "new"})
        seen += stream
        assert [key for key, _, _ in seen] == ["k0000", *(f"k{number:04}" for number in range(2, 3000)), "k0001"]
        assert seen[-1] == ("k0001", body(None), True)
        assert seen[-2] == ("k2999", body(2999), False)
        assert [key for key, _, _ in scene.store.changes(FEED, GROUP, 3001, 3003)] == ["k0002", "k2999"]

    def test_a_change_renews_the_pages_that_hold_it(self, scene: Scene) -> None:
        """Of 2,500 records one changes, or one is new: one page gets a new name, the others keep theirs."""
        scene.publish({f"CVE-{number:05}": number for number in range(0, 5000, 2)})
        first = scene.manifest()
        assert sum(page.records for page in first.pages) == 2500
        assert all(0 < page.records <= 1000 for page in first.pages)
        assert first.pages[0].first_key == ""
        scene.publish({"CVE-02400": "changed"})
        second = scene.manifest()
        scene.publish({"CVE-02401": "new"})
        third = scene.manifest()
        for before, after in ((first, second), (second, third)):
            assert len({page.name for page in after.pages} - {page.name for page in before.pages}) == 1
            assert [page.first_key for page in after.pages] == [page.first_key for page in before.pages]
        scene.publish({"CVE-02400": 2400, "CVE-02401": None})
        scene.publish({"CVE-02401": "new"})
        scene.publish({"CVE-02400": "changed"})
        assert [page.name for page in scene.manifest().pages] == [page.name for page in third.pages]

    def test_pages_split_before_they_are_too_large(self, scene: Scene) -> None:
        """Records that come in between or at the end never make a page of more than 1000."""
        scene.publish({f"m{number:05}": 0 for number in range(900)})
        scene.publish({f"m{number:05}x": 0 for number in range(300)})
        scene.publish({f"z{number:05}": 0 for number in range(3000)})
        scene.publish({f"a{number:05}": 0 for number in range(3000)})
        pages = scene.manifest().pages
        assert max(page.records for page in pages) <= 1000
        assert sum(page.records for page in pages) == 7200
        assert len(scene.walk()) == 7200

    def test_equal_content_has_equal_names(self, scene: Scene) -> None:
        """Two groups with the same records have the same pages; another body, or another key, gives another name."""
        for group, changes in (("a", {"k": 1}), ("b", {"k": 1}), ("c", {"k": 2}), ("d", {"l": 1})):
            scene.publish(changes, group=group)
        names = {}
        for row in scene.store.groups():
            manifest = scene.store.manifest(row.feed, row.name)
            assert manifest is not None
            names[row.name] = manifest.pages[0].name
        assert names["a"] == names["b"]
        assert len({names["a"], names["c"], names["d"]}) == 3

    def test_a_closed_store_says_so(self, scene: Scene) -> None:
        """After close every question is a StoreUnavailableError; closing twice does no harm."""
        store = scene.another_store()
        store.feeds()
        store.close()
        store.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            store.feeds()
