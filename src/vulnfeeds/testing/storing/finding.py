"""What must be found across groups: by key at once, by handle as far as the index is."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from vulnfeeds.records import canonical
from vulnfeeds.records.handles import Kind
from vulnfeeds.store.interface import FoundRecord, Lag, Place, Store
from vulnfeeds.testing.storing.scene import DRIVER, FEED, GROUP, Scene, SceneFixture

OTHER: Final = "debian:13"


def fixing(packages: Mapping[str, str] | None) -> bytes:
    """Return the body of a record of feed `vulnerabilities` that fixes packages in versions, none for None."""
    fixes = [
        {
            "Name": name,
            "Version": version,
            "VersionFormat": "dpkg",
            "VendorAdvisory": {"AdvisorySummary": [{"ID": f"DSA-{name}", "Link": "https://example.org/"}]},
        }
        for name, version in (packages or {}).items()
    ]
    return canonical.encode({"Vulnerability": {"Severity": "Low", "Link": "", "FixedIn": fixes, "Metadata": {}}})


def publish(scene: Scene, changes: Mapping[str, Any], **more: Any) -> None:
    """Publish records that fix packages."""
    scene.publish(changes, make=fixing, **more)


def catch_up(store: Store) -> int:
    """Index everything; return how many steps that took."""
    steps = 0
    for lag in store.lagging():
        steps += 1
        while store.index(lag.feed, lag.group):
            steps += 1
    return steps


def places(found: list[FoundRecord]) -> list[tuple[str, str]]:
    """Return groups and keys of what was found."""
    return [(record.group, record.key) for record in found]


class FindingSuite(SceneFixture):
    """Tests of `keyed`, `handled`, `lagging` and `index`."""

    def test_nothing_is_found_in_an_empty_store(self, scene: Scene) -> None:
        """What does not exist is an empty list; a group that does not exist has nothing to index."""
        store = scene.store
        assert (store.keyed(["a"], limit=9), store.keyed([], limit=9), store.lagging()) == ([], [], [])
        assert store.handled(Kind.PACKAGE, ["a"], limit=9) == store.handled(Kind.PACKAGE, [], limit=9) == []
        assert store.index("x", "y") is False

    def test_keys_are_found_without_an_index(self, scene: Scene) -> None:
        """Every group's record of a key is there at once, withdrawn ones too, by feed, group and key."""
        publish(scene, {"a": {"p": "1"}, "b": {}}, group=OTHER)
        publish(scene, {"a": {"p": "1"}})
        publish(scene, {"a": {"p": "1"}}, feed="another")
        publish(scene, {"a": None})
        found = scene.store.keyed(["b", "a", "none"], limit=9)
        assert [(r.feed, r.group, r.key, r.sequence, r.withdrawn) for r in found] == [
            ("another", GROUP, "a", 1, False),
            (FEED, GROUP, "a", 2, True),
            (FEED, OTHER, "a", 1, False),
            (FEED, OTHER, "b", 2, False),
        ]
        assert found[1].body == fixing(None)
        assert [r.feed for r in scene.store.keyed(["a"], limit=9, feeds=["another"])] == ["another"]

    def test_the_index_follows_what_is_published(self, scene: Scene) -> None:
        """Before its steps a group is named as lagging; after them records are found by what they say now."""
        publish(scene, {"a": {"p": "1", "q": "1"}, "b": {"p": "1"}})
        assert scene.store.lagging() == [Lag(FEED, GROUP, 0, 2)]
        assert scene.store.handled(Kind.PACKAGE, ["p"], limit=9) == []
        assert catch_up(scene.store) == 1
        assert scene.store.lagging() == []
        assert places(scene.store.handled(Kind.PACKAGE, ["p"], limit=9)) == [(GROUP, "a"), (GROUP, "b")]
        assert places(scene.store.handled(Kind.CITES, ["DSA-q"], limit=9)) == [(GROUP, "a")]
        publish(scene, {"a": {"q": "2"}, "b": None, "c": {"p": "1"}})
        assert scene.store.lagging() == [Lag(FEED, GROUP, 2, 5)]
        catch_up(scene.store)
        assert places(scene.store.handled(Kind.PACKAGE, ["p"], limit=9)) == [(GROUP, "c")]
        assert places(scene.store.handled(Kind.PACKAGE, ["p", "q"], limit=9)) == [(GROUP, "a"), (GROUP, "c")]
        assert scene.store.handled(Kind.PACKAGE, ["q"], limit=9)[0].body == fixing({"q": "2"})

    def test_several_publishes_are_caught_up_together(self, scene: Scene) -> None:
        """What came and went between two steps leaves no word behind."""
        publish(scene, {"a": {"p": "1"}})
        catch_up(scene.store)
        for packages in ({"q": "1"}, {"r": "1"}, {"p": "2", "s": "1"}):
            publish(scene, {"a": packages, "b": packages})
        publish(scene, {"b": {"r": "1"}})
        catch_up(scene.store)
        found = {
            word: [key for _, key in places(scene.store.handled(Kind.PACKAGE, [word], limit=9))] for word in "pqrs"
        }
        assert found == {"p": ["a"], "q": [], "r": ["b"], "s": ["a"]}

    def test_what_was_pruned_before_it_was_indexed_is_made_anew(self, scene: Scene) -> None:
        """When the versions that tell what to remove are gone, all words of the group are made again."""
        publish(scene, {"a": {"p": "1"}, "b": {"p": "1"}})
        catch_up(scene.store)
        publish(scene, {"a": {"q": "1"}})
        publish(scene, {"a": {"r": "1"}})
        scene.clock.move(hours=1)
        now = scene.clock.now
        scene.store.prune(generations_before=now, versions_before=now, tasks_before=now - timedelta(days=9))
        assert catch_up(scene.store) == 2
        assert places(scene.store.handled(Kind.PACKAGE, ["p"], limit=9)) == [(GROUP, "b")]
        assert places(scene.store.handled(Kind.PACKAGE, ["q"], limit=9)) == []
        assert places(scene.store.handled(Kind.PACKAGE, ["r"], limit=9)) == [(GROUP, "a")]

    def test_a_step_is_bounded_and_goes_on(self, scene: Scene) -> None:
        """A large group takes several steps and is said to lag between them; another store goes on."""
        publish(scene, {f"k{number:05}": {"p": "1"} for number in range(4500)})
        assert scene.store.index(FEED, GROUP) is True
        (lag,) = scene.store.lagging()
        assert 0 < lag.indexed < lag.sequence == 4500
        assert len(scene.store.handled(Kind.PACKAGE, ["p"], limit=9999)) == lag.indexed
        other = scene.another_store()
        assert catch_up(other) > 1
        assert scene.store.index(FEED, GROUP) is False
        assert len(scene.store.handled(Kind.PACKAGE, ["p"], limit=9999)) == 4500

    def test_a_walk_meets_each_record_once(self, scene: Scene) -> None:
        """Pages by place, within groups and over them, give what is there throughout, whatever is published."""
        for group in (GROUP, OTHER, "alpine:3"):
            publish(scene, {f"k{number:02}": {"p": "1"} for number in range(7)}, group=group)
        catch_up(scene.store)

        def by_word(after: Place | None) -> list[FoundRecord]:
            return scene.store.handled(Kind.PACKAGE, ["p"], limit=3, after=after)

        def by_key(after: Place | None) -> list[FoundRecord]:
            return scene.store.keyed([f"k{number:02}" for number in range(7)], limit=3, after=after)

        for ask in (by_word, by_key):
            seen: list[tuple[str, str]] = []
            after: Place | None = None
            while page := ask(after):
                seen += places(page)
                after = page[-1].place
                publish(scene, {"k99": {"p": str(len(seen))}, "k00": {"p": str(len(seen))}}, group="alpine:3")
                catch_up(scene.store)
            assert len(seen) == len(set(seen))
            assert seen == sorted(seen)
            assert {(group, key) for group, key in seen if key not in ("k99", "k00")} == {
                (group, f"k{number:02}") for group in (GROUP, OTHER, "alpine:3") for number in range(1, 7)
            }

    def test_a_search_keeps_to_its_groups(self, scene: Scene) -> None:
        """Groups and feeds narrow what is found."""
        for group in (GROUP, OTHER):
            publish(scene, {"a": {"p": "1"}}, group=group)
        catch_up(scene.store)
        assert places(scene.store.handled(Kind.PACKAGE, ["p"], limit=9, groups=[OTHER])) == [(OTHER, "a")]
        assert scene.store.handled(Kind.PACKAGE, ["p"], limit=9, groups=[]) == []
        assert scene.store.handled(Kind.PACKAGE, ["p"], limit=9, feeds=["kev"]) == []

    def test_a_body_of_no_known_shape_is_found_by_its_key(self, scene: Scene) -> None:
        """The index takes it without words, and is complete."""
        scene.publish({"a": 1}, driver=DRIVER)
        catch_up(scene.store)
        assert scene.store.lagging() == []
        assert places(scene.store.keyed(["a"], limit=9)) == [(GROUP, "a")]
