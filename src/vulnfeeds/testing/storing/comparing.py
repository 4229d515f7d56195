"""What a run compares with: digests, severities, scores, and bodies that survive packing."""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

import pytest

from vulnfeeds.errors import StoreError
from vulnfeeds.records import canonical
from vulnfeeds.records.record import Score
from vulnfeeds.store.interface import SCORED
from vulnfeeds.testing.storing.scene import FEED, GROUP, Scene, SceneFixture, body, digests_of

_HIGH = Score("High", 7.5, "AV:N/AC:L/Au:N/C:P/I:P/A:P")
_LOW = Score("Low", None, None)


class ComparingSuite(SceneFixture):
    """Tests of digests, scores and packing."""

    def test_digests_follow_the_current_records(self, scene: Scene) -> None:
        """Each current record once; a withdrawn one's digest is followed by `w`."""
        scene.publish({"a": 1, "b": 1})
        scene.publish({"a": 2, "b": None})
        digests = {"a": canonical.digest(body(2)), "b": canonical.digest(body(None)) + b"w"}
        assert digests_of(scene.store, FEED, GROUP) == (2, digests)

    def test_keys_that_take_a_severity(self, scene: Scene) -> None:
        """The last version of a record says whether it takes one."""
        scene.publish({"a": 1, "b": 1, "c": 1}, taking=frozenset("ab"))
        scene.publish({"a": 2, "c": 2}, taking=frozenset("c"))
        assert scene.store.keys_taking_severity(FEED, GROUP) == {"b", "c"}

    def test_scores_come_from_nvd_records_only(self, scene: Scene) -> None:
        """A score on a record of nvdv2:cves is kept, one on any other record is not."""
        feed, group = SCORED
        scene.publish({"CVE-1": 1, "CVE-2": 1}, feed=feed, group=group, scores={"CVE-1": _HIGH})
        scene.publish({"CVE-3": 1}, scores={"CVE-3": _HIGH})
        assert scene.store.scores(["CVE-1", "CVE-2", "CVE-3", "CVE-4"]) == {"CVE-1": _HIGH}
        assert scene.store.scores([]) == {}

    def test_scores_changed_names_real_changes(self, scene: Scene) -> None:
        """A new version with the same score is no change; another score, a first one and a lost one are."""
        feed, group = SCORED

        def publish(**scores: Score | None) -> None:
            given = {key: score for key, score in scores.items() if score is not None}
            stamp = scene.clock.move(seconds=1).isoformat()
            scene.publish(dict.fromkeys(scores, stamp), feed=feed, group=group, scores=given)

        publish(a=_HIGH, b=_HIGH, c=_LOW, d=None)
        assert (scene.store.scores_changed(0)[0], sorted(scene.store.scores_changed(0)[1])) == (4, ["a", "b", "c"])
        publish(a=_HIGH, b=_LOW, c=None, d=_LOW)
        assert scene.store.scores_changed(4) == (8, ["b", "c", "d"])
        assert scene.store.scores(["a", "b", "c", "d"]) == {"a": _HIGH, "b": _LOW, "d": _LOW}
        publish(c=None)
        assert scene.store.scores_changed(8) == (9, [])
        publish(c=_LOW)
        assert scene.store.scores_changed(8) == (10, ["c"])

    def test_scores_of_thousands(self, scene: Scene) -> None:
        """A first load's scores are all kept and can be asked for at once."""
        feed, group = SCORED
        cves = [f"CVE-2024-{number:05}" for number in range(2500)]
        scene.publish(dict.fromkeys(cves, 1), feed=feed, group=group, scores=dict.fromkeys(cves, _HIGH))
        assert scene.store.scores(cves) == dict.fromkeys(cves, _HIGH)

    def test_bodies_survive_packing(self, scene: Scene) -> None:
        """Whatever the size and number of bodies, unpacking gives the same bytes, in another store too."""
        few = [b"", b"{}", body("é" * 10_000), bytes(range(256)) * 500]
        many = [body({"Name": f"CVE-2024-{number}", "FixedIn": [{"Name": "openssl"}]}) for number in range(3000)]
        before = scene.store.pack("d", few)
        packed = scene.store.pack("d", many)
        after = scene.store.pack("d", few)
        other = scene.another_store()
        for store in (scene.store, other):
            assert [store.unpack(part) for part in before + packed + after] == few + many + few
        assert other.pack("d", many[:3]) == packed[:3]

    def test_a_dictionary_makes_small_bodies_smaller(self, scene: Scene) -> None:
        """Once a large call trained it, a short body takes less than without, in every store on that database."""
        many = [
            body({"Vulnerability": {"Name": f"CVE-2024-{number}", "NamespaceName": GROUP, "Severity": "Unknown"}})
            for number in range(1000)
        ]
        plain = scene.store.pack("d", many[:1])
        scene.store.pack("d", many)
        assert len(scene.another_store().pack("d", many[:1])[0]) * 2 < len(plain[0])
        assert scene.store.pack("e", many[:1]) == plain

    def test_bodies_with_nothing_in_common_can_be_packed(self, scene: Scene) -> None:
        """A large call that no dictionary can be trained from is packed without one."""
        bodies = [bytes([number % 256]) for number in range(600)]
        assert [scene.store.unpack(part) for part in scene.store.pack("odd", bodies)] == bodies
        assert scene.store.pack("odd", []) == []

    def test_damaged_bytes_are_an_error(self, scene: Scene) -> None:
        """What `pack` did not make is refused."""
        packed = scene.store.pack("d", [body("x" * 100)])[0]
        for damaged in (b"", b"not packed", packed[:-5]):
            with pytest.raises(StoreError):
                scene.store.unpack(damaged)
