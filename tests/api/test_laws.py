"""The laws of walks, over random interleavings of publishes, walks, incremental clients and forgetting."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from starlette.testclient import TestClient

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.api.app import create_app
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store, open_store

FEED = "vulnerabilities"
BASE = [f"CVE-{number:05}" for number in range(0, 12_000, 10)]
"""Enough for two pages, with room between for keys that come later."""
KEYS = st.integers(0, 12_000).map(lambda number: f"CVE-{number:05}") | st.sampled_from(BASE[:5] + BASE[798:803])
CHANGES = st.dictionaries(KEYS, st.booleans(), min_size=1, max_size=6)
LIMITS = st.sampled_from([None, None, 1000, 700, 450])
SYNC_LIMITS = st.sampled_from([None, 450, 40])

_groups = itertools.count()


class Reader:
    """One client's way through the pages of a group; `records` is what it holds."""

    def __init__(self, http: TestClient, path: str, *, since: str | None, limit: int | None) -> None:
        self._http = http
        self._path = path
        self._query = {name: value for name, value in (("since", since), ("limit", limit)) if value is not None}
        self._tokens: set[str] = set()
        self._token: str | None = None
        self.done = False
        self.pages = 0
        self.received: list[tuple[str, str]] = []

    def step(self) -> None:
        """Read one page; the token is new each time."""
        query = self._query if self._token is None else {**self._query, "next_token": self._token}
        answer = self._http.get(self._path, params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert len(body["data"]) <= (self._query.get("limit") or 1000)
        self.received += [(item["Vulnerability"]["Name"], text_of(item)) for item in body["data"]]
        self.pages += 1
        self._token = body["next_token"]
        assert self._token not in self._tokens
        self._tokens.add(self._token)
        self.done = self._token == ""

    def finish(self) -> None:
        """Read the rest."""
        while not self.done:
            self.step()
            assert self.pages < 100, "the walk does not end"


def text_of(body: dict[str, Any]) -> str:
    """What tells one version of a record from another."""
    inner = body["Vulnerability"]
    return f"{inner['Description']}/{len(inner['FixedIn'])}"


class Walk:
    """A walk of the whole group and what it must see."""

    def __init__(self, reader: Reader, world: dict[str, str]) -> None:
        self.reader = reader
        self.world = world
        self.allowed = {key: {text} for key, text in world.items()}
        self.forgotten = False


class Client:
    """An incremental client: upserts what it gets and remembers when its last complete sync began."""

    def __init__(self, skew: timedelta, last: str | None) -> None:
        self.skew = skew
        self.records: dict[str, str] = {}
        self.last = last
        self.began = ""
        self.reader: Reader | None = None
        self.expected: dict[str, str] | None = None


class Laws(RuleBasedStateMachine):
    """One group of a service, changed and read in any order."""

    def __init__(self, store: Store, pages: PageFolder, clock: Clock, http: TestClient, margin: timedelta) -> None:
        super().__init__()
        self.store, self.pages, self.clock, self.http, self.margin = store, pages, clock, http, margin
        self.group = f"debian:{next(_groups)}"
        self.path = f"/v1/feeds/{FEED}/{self.group}"
        self.world: dict[str, str] = {}
        self.walks: list[Walk] = []
        self.clients: list[Client] = []
        self.versions = itertools.count()

    @initialize()
    def begin(self) -> None:
        """The group has two pages."""
        self.clock.move(hours=5)
        self._publish({key: os_record(self.group, key, "base") for key in BASE}, {})

    @rule(changes=CHANGES)
    def publish(self, changes: dict[str, bool]) -> None:
        """Records are created, updated, withdrawn and come back."""
        self._change(changes)

    def _change(self, changes: dict[str, bool]) -> None:
        text = f"version {next(self.versions)}"
        alive = {key: os_record(self.group, key, text) for key, withdraw in changes.items() if not withdraw}
        gone = {
            key: os_record(self.group, key, text, fixes=0)
            for key, withdraw in changes.items()
            if withdraw and key in self.world
        }
        if alive or gone:
            self._publish(alive, gone)

    @rule(seconds=st.sampled_from([0.000001, 1, 60, 3000, 9000]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.move(seconds=seconds)

    @rule()
    def forget(self) -> None:
        """The store and the page folder forget all that they may."""
        self.clock.move(days=1)
        now = self.clock.now
        self.store.prune(generations_before=now, versions_before=now, tasks_before=now)
        self.pages.prune(self.store.live_pages())
        for walk in self.walks:
            walk.forgotten = True
        for client in self.clients:
            client.expected = None

    @rule(limit=LIMITS)
    def start_walk(self, limit: int | None) -> None:
        """A client begins to read the whole group."""
        reader = Reader(self.http, self.path, since=None, limit=limit)
        self.walks.append(Walk(reader, dict(self.world)))
        self._step_walk(self.walks[-1])

    @precondition(lambda self: self.walks)
    @rule(data=st.data())
    def step_walk(self, data: st.DataObject) -> None:
        """Some walk goes on, however long ago its last page was."""
        self._step_walk(data.draw(st.sampled_from(self.walks)))

    @rule(minutes=st.integers(-115, 115), last=st.sampled_from([None, "1970-01-01"]))
    def new_client(self, minutes: int, last: str | None) -> None:
        """A client with a clock of its own appears, with or without a time that it synced last."""
        if len(self.clients) < 3:
            within = self.margin > timedelta(minutes=abs(minutes))
            self.clients.append(Client(timedelta(minutes=minutes) if within else timedelta(0), last))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), limit=SYNC_LIMITS, meanwhile=CHANGES | st.just({}))
    def start_sync(self, data: st.DataObject, limit: int | None, meanwhile: dict[str, bool]) -> None:
        """A client begins a sync, and something may change at once; a sync that it had under way is abandoned."""
        client = data.draw(st.sampled_from(self.clients))
        client.began = (self.clock.now + client.skew).replace(tzinfo=None).isoformat()
        client.reader = Reader(self.http, self.path, since=client.last, limit=limit)
        client.expected = dict(self.world)
        self._step_client(client)
        if meanwhile:
            self._change(meanwhile)

    @precondition(lambda self: any(client.reader for client in self.clients))
    @rule(data=st.data())
    def step_client(self, data: st.DataObject) -> None:
        """Some sync goes on."""
        self._step_client(data.draw(st.sampled_from([client for client in self.clients if client.reader])))

    def teardown(self) -> None:
        """Every walk ends; every client that syncs now equals the store."""
        if not self.world:
            return
        for walk in list(self.walks):
            while walk in self.walks:
                self._step_walk(walk)
        for client in self.clients:
            while client.reader is not None:
                self._step_client(client)
            reader = Reader(self.http, self.path, since=client.last, limit=None)
            reader.finish()
            client.records.update(reader.received)
            assert client.records == self.world

    def _publish(self, alive: dict[str, dict[str, Any]], gone: dict[str, dict[str, Any]]) -> None:
        publish(self.store, FEED, self.group, alive, withdrawn=gone)
        changed = {key: text_of(body) for key, body in (alive | gone).items()}
        self.world |= changed
        for walk in self.walks:
            for key, text in changed.items():
                walk.allowed.setdefault(key, set()).add(text)

    def _step_walk(self, walk: Walk) -> None:
        walk.reader.step()
        if not walk.reader.done:
            return
        self.walks.remove(walk)
        received = dict(walk.reader.received)
        assert len(received) == len(walk.reader.received), "a record came twice"
        if walk.forgotten:
            assert received.keys() >= walk.world.keys(), "a record that was there throughout is missing"
            assert all(text in walk.allowed[key] for key, text in received.items())
        else:
            assert received == walk.world

    def _step_client(self, client: Client) -> None:
        assert client.reader is not None
        before = len(client.reader.received)
        client.reader.step()
        client.records.update(client.reader.received[before:])
        if client.reader.done:
            if client.expected is not None:
                assert {**client.records, **client.expected} == client.records, "the client is not as the store was"
            client.last = client.began
            client.reader = None


@pytest.fixture
def any_store(store_url: str, clock: Clock) -> Iterator[Store]:
    """An empty store, once on SQLite and once on PostgreSQL."""
    opened = open_store(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.mark.parametrize("margin", [timedelta(0), timedelta(hours=2)])
def test_walks_and_deltas_keep_their_laws(any_store: Store, tmp_path: Path, clock: Clock, margin: timedelta) -> None:
    """A walk is one state, each record once; after any sync a client is as the store was when it began."""
    pages = PageFolder(tmp_path / "pages", any_store)
    app = create_app(any_store, pages, clock=clock, since_margin=margin)
    with TestClient(app) as http:
        run_state_machine_as_test(
            lambda: Laws(any_store, pages, clock, http, margin),
            settings=settings(
                max_examples=25,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
