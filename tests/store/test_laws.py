"""The laws of walks and deltas, over random histories, on both stores, against a model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.model import Model, Value
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Manifest, Store
from vulnfeeds.store.paging import Sizes
from vulnfeeds.testing.store_suite import Clock, Scene
from vulnfeeds.testing.storing.scene import FEED, body

SIZES = Sizes(most=6, target=4)
TICK = timedelta(microseconds=1)

keys = st.text("ab-é", min_size=0, max_size=3)
changes = st.dictionaries(keys, st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=12)
hours = st.integers(0, 30).map(lambda number: timedelta(hours=number))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), changes),
        st.tuples(st.just("wait"), hours),
        st.tuples(st.just("prune"), st.tuples(hours, hours)),
        st.tuples(st.just("walk"), st.none()),
        st.tuples(st.just("step"), st.integers(0, 9)),
    ),
    min_size=3,
    max_size=15,
)


class LawScene(Scene):
    """A store with tiny pages, used by all examples of a test: each has a group of its own."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock


@pytest.fixture
def laws(store_url: str) -> Iterator[LawScene]:
    """A store whose pages hold six records at most."""
    clock = Clock()
    store = open_store(store_url, clock=clock, page_sizes=SIZES)
    yield LawScene(store, clock)
    store.close()


class Walk:
    """A reader on its way through a generation."""

    def __init__(self, store: Store, group: str, manifest: Manifest) -> None:
        self.manifest = manifest
        self.seen: list[tuple[str, bytes]] = []
        ends = [page.first_key for page in manifest.pages[1:]] + [None]
        self._pages = iter(zip(manifest.pages, ends, strict=True))
        self._store = store
        self._group = group

    def step(self) -> bool:
        """Read the next page; False at the end."""
        for page, end in self._pages:
            records = self._store.slice(
                FEED, self._group, as_of=page.sequence, first_key=page.first_key, before_key=end
            )
            assert len(records) == page.records <= SIZES.most
            self.seen += records
            return True
        return False


def as_records(state: dict[str, Value]) -> list[tuple[str, bytes]]:
    return [(key, body(value)) for key, value in sorted(state.items())]


numbers = itertools.count()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_walks_and_deltas_keep_their_laws(laws: LawScene, history: list[tuple[str, object]]) -> None:
    """Whatever is published, pruned and waited for, kept generations are walked whole and clients catch up."""
    group = f"g{next(numbers)}"
    model = Model()
    walks: list[Walk] = []
    for name, value in history:
        match name, value:
            case "publish", dict():
                publish(laws, model, group, value)
            case "wait", timedelta():
                laws.clock.now += value
            case "prune", (timedelta() as generations, timedelta() as versions):
                prune(laws, model, generations, versions)
            case "walk", None:
                manifest = laws.store.manifest(FEED, group)
                if manifest is not None:
                    walks.append(Walk(laws.store, group, manifest))
            case "step", int() if walks:
                walks[value % len(walks)].step()
        walks_end_whole(model, walks)
    generations_are_whole(laws, model, group)
    clients_catch_up(laws, model, group)
    times_are_positions(laws, model, group)


def publish(laws: LawScene, model: Model, group: str, value: dict[str, Value]) -> None:
    laws.publish(value, group=group, driver=group)
    head = laws.store.group(FEED, group)
    assert head is not None
    model.publish(value, head.published_at)
    state = model.state(model.head)
    assert (head.generation, head.sequence) == (len(model.generations), model.head)
    assert (head.records, head.withdrawn) == (len(state), list(state.values()).count(None))


def prune(laws: LawScene, model: Model, generations: timedelta, versions: timedelta) -> None:
    now = laws.clock.now
    laws.store.prune(
        generations_before=now - generations, versions_before=now - versions, tasks_before=now - timedelta(days=999)
    )
    model.prune(now - generations, now - versions)


def walks_end_whole(model: Model, walks: list[Walk]) -> None:
    """A walk of a generation that is still kept ends with its records, each once."""
    for walk in list(walks):
        if walk.manifest.generation < model.kept:
            walks.remove(walk)
        elif len(walk.seen) == sum(page.records for page in walk.manifest.pages):
            assert walk.seen == as_records(model.state(walk.manifest.sequence))


def generations_are_whole(laws: LawScene, model: Model, group: str) -> None:
    names: set[str] = set()
    for generation in model.generations:
        manifest = laws.store.manifest(FEED, group, generation.number)
        if generation.number < model.kept:
            assert manifest is None
            continue
        assert manifest is not None
        assert manifest.sequence == generation.sequence
        names |= {page.name for page in manifest.pages}
        walk = Walk(laws.store, group, manifest)
        while walk.step():
            pass
        assert walk.seen == as_records(model.state(generation.sequence))
        whole = laws.store.slice(FEED, group, as_of=manifest.sequence, first_key="", before_key=None)
        assert whole == walk.seen
    assert names <= laws.store.live_pages()
    head = laws.store.group(FEED, group)
    assert head is None or head.floor == model.floor


def clients_catch_up(laws: LawScene, model: Model, group: str) -> None:
    """A client in sync at a number is made equal by the delta from there on, up to the end of any kept publish."""
    by_number = {version.sequence: version for version in model.versions}
    ends = [0, *(generation.sequence for generation in model.generations)]
    for upto in [end for end in ends if end >= model.floor][-3:]:
        target = model.state(upto)
        for after in (after for after in range(upto + 1) if after in ends or after % 5 == 0):
            client = {key: body(value) for key, value in model.state(after).items()}
            for number, raw in delta(laws, group, after, upto):
                assert after < number <= upto
                client[by_number[number].key] = raw
            assert client == {key: body(value) for key, value in target.items()}


def delta(laws: LawScene, group: str, after: int, upto: int) -> list[tuple[int, bytes]]:
    """Return a delta walked in steps of three."""
    rows: list[tuple[int, bytes]] = []
    while step := laws.store.delta(FEED, group, after=after, upto=upto, limit=3):
        rows += step
        after = step[-1][0]
    assert [number for number, _ in rows] == sorted({number for number, _ in rows})
    return rows


def times_are_positions(laws: LawScene, model: Model, group: str) -> None:
    """A moment gives a number whose delta is that of the publishes since, also when some were pruned."""
    for generation in model.generations:
        for at in (generation.at, generation.at + TICK):
            found = laws.store.position_at(FEED, group, at)
            expected = model.position(at)
            assert found <= expected
            if model.floor == 0:
                assert found == expected
            assert delta(laws, group, found, model.head) == delta(laws, group, expected, model.head)


def test_one_change_in_twenty_thousand_makes_two_pages_at_most(store_url: str) -> None:
    """Pages of unchanged ranges keep their names, whether the change is an update, a new record or a withdrawal."""
    store = open_store(store_url)
    scene = LawScene(store, Clock())
    scene.publish({f"CVE-{number:06}": number for number in range(0, 40_000, 2)}, group="g")
    before = names(store)
    for change in ({"CVE-000002": -1}, {"CVE-020001": 1}, {"CVE-000002": None}, {"CVE-999999": 1}, {"A": 1}):
        scene.publish(change, group="g")
        after = names(store)
        assert len(after - before) <= 2
        assert len(before - after) <= 1
        before = after
    store.close()


def names(store: Store) -> set[str]:
    manifest = store.manifest(FEED, "g")
    assert manifest is not None
    return {page.name for page in manifest.pages}
