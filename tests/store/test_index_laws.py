"""The law of the index: however publishes, steps and pruning interleave, caught up it holds what the records say."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vulnfeeds.records.handles import Kind, handles
from vulnfeeds.store import open_store
from vulnfeeds.testing.store_suite import Clock, Scene
from vulnfeeds.testing.storing.finding import catch_up, fixing
from vulnfeeds.testing.storing.scene import FEED

WORDS = ["p", "q", "r"]

packages = st.none() | st.dictionaries(st.sampled_from(WORDS), st.sampled_from(["1", "2"]), max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.dictionaries(st.sampled_from("abc"), packages, min_size=1)),
        st.tuples(st.just("index"), st.none()),
        st.tuples(st.just("prune"), st.none()),
    ),
    min_size=2,
    max_size=14,
)
numbers = itertools.count()


class LawScene(Scene):
    """A store that all examples of a test use: each has a group of its own."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.store = open_store(url, clock=self.clock)


@pytest.fixture
def laws(store_url: str) -> LawScene:
    """A store for all examples."""
    return LawScene(store_url)


@given(history=steps)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_caught_up_the_index_is_what_the_records_say(laws: LawScene, history: list[tuple[str, object]]) -> None:
    """Each word finds exactly the current records that have it, by their own bodies."""
    group, store = f"g{next(numbers)}", laws.store
    for what, how in [*history, ("index", None)]:
        laws.clock.move(minutes=1)
        if what == "publish":
            laws.publish(how, group=group, make=fixing)  # type: ignore[arg-type]
        elif what == "index":
            catch_up(store)
        else:
            now = laws.clock.now
            store.prune(generations_before=now, versions_before=now, tasks_before=now - timedelta(days=1))
    current = store.keyed(list("abc"), limit=9999)
    for kind, word in [*((Kind.PACKAGE, word) for word in WORDS), *((Kind.CITES, f"DSA-{word}") for word in WORDS)]:
        found = {record.key for record in store.handled(kind, [word], limit=9, groups=[group])}
        assert found == {
            record.key
            for record in current
            if record.group == group
            and (kind, word) in handles(FEED, group, record.key, record.body, withdrawn=record.withdrawn)
        }
