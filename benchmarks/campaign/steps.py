"""What can happen in a campaign. Each step leaves the service running and no cycle under way."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from random import Random
from typing import Final

from benchmarks.campaign import clocks, laws, upstream
from benchmarks.campaign.readers import ENCODINGS, DeltaClient, LawBrokenError, UnreachableError, Walk
from benchmarks.campaign.upstream import FEED
from benchmarks.campaign.world import KEYS, MARGINS, Syncing, World, environment, records
from vulnfeeds.store.opening import open_store
from vulnfeeds.testing.client import ClientError

_MOST_WALKS: Final = 6
_GROUPS: Final = ("alpine:3.18", "alpine:3.19", "alpine:3.20", "alpine:3.21")


# --- syncing ------------------------------------------------------------------------------------------------


def publish(world: World, rng: Random) -> None:
    """Upstream changes and a cycle publishes it while readers read; then everything must be as it should."""
    _change(world, rng)
    syncing = world.sync()
    while not syncing.is_over():
        _read_something(world, rng)
    _in_peace(world, syncing)


def kill_run(world: World, rng: Random) -> None:
    """The process of a run is killed at some instant."""
    _change(world, rng, pause=rng.choice((0.0, 0.01)))
    driver = rng.choice(("alpha", "beta"))
    syncing = world.sync()
    _wait_for_an_instant(syncing, rng, driver)
    pid = syncing.pid_of(driver)
    if pid is not None and not syncing.is_over():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            world.counts["kill -9 of a run"] += 1
    ended = syncing.end()
    if ended is None:
        raise LawBrokenError("the cycle did not survive the death of a run")
    _settled(world, closed=True)


def kill_parent(world: World, rng: Random) -> None:
    """The process that supervises is killed at some instant; its runs go with it, the next cycle closes the tasks."""
    _change(world, rng, pause=rng.choice((0.0, 0.01)))
    syncing = world.sync()
    _wait_for_an_instant(syncing, rng, rng.choice(("alpha", "beta")))
    syncing.kill()
    world.saved.orphans = True
    world.counts["kill -9 of a sync"] += 1
    syncing.end()
    _settled(world, closed=False)
    if rng.random() < 0.7:
        publish(world, rng)


def two_syncs(world: World, rng: Random) -> None:
    """Two processes sync at once: each driver is run by one of them."""
    _change(world, rng)
    pair = [world.sync(), world.sync()]
    for syncing in pair:
        if syncing.end() is None:
            raise LawBrokenError("a cycle beside another one broke off")
    _settled(world, closed=True)


def new_group(world: World, rng: Random) -> None:
    """Upstream has a group more."""
    script = world.saved.scripts["alpha"]
    if missing := [group for group in _GROUPS if group not in script]:
        script.update(upstream.fresh(rng, missing[:1], KEYS))
    publish(world, rng)


def full_disk(world: World, rng: Random) -> None:
    """No file may grow beyond some size: for the run, for the whole cycle, or for the server that makes pages."""
    limit = rng.choice((0, 1_000, 20_000, 100_000)) + 4096
    who = rng.choice(("run", "all", "server"))
    world.counts["full disks"] += 1
    if who == "server":
        shutil.rmtree(world.home / "pages", ignore_errors=True)
        assert world.server is not None
        _, hard = resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE)
        # The disk fills while the server runs: it goes on answering, and keeps no pages.
        resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE, (limit, hard))
        _whole_walk(world, rng)
        resource.prlimit(world.server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        _whole_walk(world, rng)
        return
    _change(world, rng)
    world.sync(file_limit=limit, limited=who).end()
    _settled(world, closed=False)
    publish(world, rng)


# --- the service --------------------------------------------------------------------------------------------


def kill_server(world: World, rng: Random) -> None:
    """The server is killed, or ended orderly, and starts again; walks go on afterwards."""
    world.end_server(kill=rng.random() < 0.7)
    world.start_server()
    _advance_walks(world, rng)


def kill_rendering(world: World, rng: Random) -> None:
    """The server is killed while it renders pages for several readers; what it kept must be whole."""
    _change(world, rng)
    _in_peace(world, world.sync())
    if rng.random() < 0.5:
        shutil.rmtree(world.home / "pages", ignore_errors=True)

    def read(group: str) -> None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{world.address}/{FEED}/{group}", timeout=10).read()

    threads = [threading.Thread(target=read, args=(group,)) for group in world.saved.states for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(rng.random() * 0.08)
    world.counts["kills while rendering"] += 1
    world.end_server(kill=True)
    for thread in threads:
        thread.join()
    world.start_server()
    _whole_walk(world, rng)


def kill_migration(world: World, rng: Random) -> None:
    """A process that makes a new store is killed; the next one finds or makes it whole."""
    number = world.counts["kill -9 of a migration"]
    url = world.place.fresh(number)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.campaign.processes", "migrate", url],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.random() * rng.choice((0.02, 0.1)))
    process.kill()
    process.wait()
    process.stdout.close()
    world.counts["kill -9 of a migration"] += 1
    with closing(open_store(url)) as store:
        store.close_task(store.open_task("FeedSyncTask"), "completed", {})
    with closing(world.open()):
        pass
    if world.place.schema(url) != world.place.schema(world.place.url):
        raise LawBrokenError("a migration that was killed left another schema")
    world.place.forget(url)


def lose_store(world: World, rng: Random) -> None:
    """The store goes, under a running server or before it starts; a sync fails; then it comes back.

    A reader that asks meanwhile gets a right page or the answer that there is none now, never less than a page.
    """
    restarts = rng.random() < 0.4
    world.counts["stores lost"] += 1
    if restarts:
        world.end_server(kill=True)
    if rng.random() < 0.5:
        _change(world, rng)
    group = rng.choice(sorted(world.saved.states))
    walk = Walk(group, world.newest(group), encoding="identity", limit=17)
    with ThreadPoolExecutor(1) as pool:
        world.place.go()
        try:
            syncing = world.sync()
            # A server that waits for its database answers late, so nobody waits for the answer before that is back.
            asked = pool.submit(_tried, world, lambda: walk.go_on(world.address))
            if restarts:
                _cannot_start(world)
            if syncing.end() is not None:
                raise LawBrokenError("a cycle ended well without a store")
        finally:
            world.place.come_back()
        asked.result()
    world.walks.append(walk)
    if restarts:
        world.start_server()
    world.wait_for_server()
    # The cycle did not even begin, so it closed no tasks of one that was killed before.
    _settled(world, closed=not world.saved.orphans)
    publish(world, rng)


def _cannot_start(world: World) -> None:
    world.start_server(wait=False)
    assert world.server is not None
    if world.server.wait(60) != 4:
        raise LawBrokenError(f"without a store the server ended with {world.server.returncode}")


def lose_store_while_syncing(world: World, rng: Random) -> None:
    """The database server stops in the middle of a cycle. A file that is open cannot go away, so: PostgreSQL only."""
    if world.saved.store == "sqlite":
        return
    _change(world, rng, pause=0.01)
    syncing = world.sync()
    _wait_for_an_instant(syncing, rng, rng.choice(("alpha", "beta")))
    world.counts["stores lost while syncing"] += 1
    world.place.go()
    time.sleep(rng.random() * 0.3)
    world.place.come_back()
    syncing.end()
    world.wait_for_server()
    _settled(world, closed=False)
    publish(world, rng)


def step_clocks(world: World, rng: Random) -> None:
    """Hours go by, and the clocks of server, writer and clients jump, each by as much as the margin allows."""
    world.counts["clock steps"] += 1
    if rng.random() < 0.6:
        world.saved.hours += rng.random() * rng.choice((1, 12))
    most = world.most_skew()
    for party in (clocks.SERVER, clocks.WRITER, "client"):
        if rng.random() < 0.7:
            world.saved.skews[party] = rng.choice((0.0, -most, most, rng.uniform(-most, most)))
    if world.server is not None and "processes" not in str(world.server.args):
        # The command itself knows one clock only.
        world.end_server(kill=rng.random() < 0.5)
    world.set_clocks()
    if world.server is None or world.server.poll() is not None:
        world.start_server()


def prune(world: World, rng: Random) -> None:
    """Generations and versions are forgotten, sometimes all that can be; walks under way must still end well."""
    with closing(world.open()) as store:
        now = clocks.SteppedClock(world.clocks, clocks.WRITER)() + timedelta(days=rng.choice((0, 0, 2)))
        long = timedelta(hours=rng.choice((0, 3)))
        store.prune(
            generations_before=now - long,
            versions_before=now - long,
            tasks_before=now - timedelta(days=rng.choice((1, 9))),
        )
        if not world.saved.orphans:
            laws.tasks_are_closed(store)
        laws.nothing_is_left(world, store, after_cycle=False)
    world.counts["prunes"] += 1
    for walk in world.walks:
        walk.undisturbed = False
    for client in world.deltas:
        client.undisturbed = False


# --- readers ------------------------------------------------------------------------------------------------


def begin_walks(world: World, rng: Random) -> None:
    """Some walks begin; when there are too many, the oldest is given up."""
    for _ in range(rng.randrange(1, 4)):
        _begin_walk(world, rng)
    _advance_walks(world, rng)


def go_on(world: World, rng: Random) -> None:
    """Walks under way take some pages."""
    for _ in range(rng.randrange(1, 6)):
        _advance_walks(world, rng)


def sync_clients(world: World, rng: Random) -> None:
    """Strict clients sync, and each then equals the store."""
    for client in rng.sample(world.clients, rng.randrange(1, 3)):
        try:
            report = client.sync([FEED], flush=rng.random() < 0.05)
        except ClientError as error:
            raise LawBrokenError(f"strict client: {error}") from error
        problems = [*report.problems, *(group.group for group in report.groups if group.repeated)]
        with closing(world.open()) as store:
            problems += map(str, client.compare(records(store)))
        if problems:
            raise LawBrokenError(f"strict client: {problems[:3]}")
        world.counts["client syncs compared"] += 1


def sync_deltas(world: World, rng: Random) -> None:
    """Clients of deltas take some pages; one that has ended equals the store of a moment since it began."""
    if len(world.deltas) < 3:
        group = rng.choice(sorted(world.saved.states))
        world.deltas.append(DeltaClient(group, rng.choice((7, 60, 1000)), world.client_clock))
    for client in world.deltas:
        if not client.under_way:
            client.begin(world.newest(client.group))
        elif rng.random() < 0.1:
            client.abandon()
            continue
        for _ in range(rng.choice((2, 10, 1000))):
            if _tried(world, lambda client=client: client.go_on(world.address)) is not False:  # type: ignore[misc]
                break
        if not client.under_way:
            client.judge(world.seen[client.group])
            world.counts["delta syncs judged"] += 1


def _begin_walk(world: World, rng: Random) -> None:
    if not world.saved.states:
        return
    if len(world.walks) >= _MOST_WALKS:
        world.walks.pop(0)
        world.counts["walks abandoned"] += 1
    group = rng.choice(sorted(world.saved.states))
    limit = rng.choice((None, None, 17, 400))
    world.walks.append(Walk(group, world.newest(group), encoding=rng.choice(ENCODINGS), limit=limit))
    world.counts["walks begun"] += 1


def _advance_walks(world: World, rng: Random) -> None:
    for walk in list(world.walks):
        if rng.random() < 0.6:
            _tried(world, lambda walk=walk: walk.go_on(world.address))  # type: ignore[misc]
            if walk.ended:
                world.walks.remove(walk)
                world.ended_walks.append(walk)


def _whole_walk(world: World, rng: Random) -> None:
    """Walk every group to its end, in one encoding."""
    encoding = rng.choice(ENCODINGS)
    for group in world.saved.states:
        walk = Walk(group, world.newest(group), encoding=encoding, limit=None)
        while not walk.ended:
            walk.go_on(world.address)
        world.ended_walks.append(walk)
        world.counts["walks begun"] += 1
    laws.walks_were_whole(world)


def _read_something(world: World, rng: Random) -> None:
    """Do something that readers do while a cycle is under way; what they get is judged when it has ended."""
    what = rng.random()
    if what < 0.2:
        _begin_walk(world, rng)
    elif what < 0.3 and world.saved.states:
        with contextlib.suppress(ClientError):
            rng.choice(world.clients).sync([FEED])
            world.counts["client syncs under way"] += 1
    _advance_walks(world, rng)
    time.sleep(0.005)


def _tried(world: World, call: Callable[[], bool | None]) -> bool | None:
    """Call and return what comes; an answer that cannot be had is only counted."""
    try:
        world.counts["pages asked for"] += 1
        return call()
    except UnreachableError:
        world.counts["pages not to be had"] += 1
        return None


# --- what steps share ---------------------------------------------------------------------------------------


def _change(world: World, rng: Random, *, pause: float = 0.0) -> None:
    if rng.random() < 0.9:
        driver = rng.choice(("alpha", "alpha", "beta"))
        upstream.change(world.saved.scripts[driver], rng, share=rng.choice((0.01, 0.1, 0.5)), keys=KEYS)
    world.write_scripts(pause=pause)


def _wait_for_an_instant(syncing: Syncing, rng: Random, driver: str) -> None:
    syncing.wait_for(driver, rng.choice(("begun", "fetch", "parse", "publish", "publish")))
    time.sleep(rng.random() * rng.choice((0.01, 0.05, 0.2)))


def _in_peace(world: World, syncing: Syncing) -> None:
    """Wait for a cycle that nothing disturbed; it must have done everything."""
    ended = syncing.end()
    if ended is None or set(ended["completed"]) != {"alpha", "beta"}:
        raise LawBrokenError(f"a cycle in peace ended so: {ended}")
    world.saved.orphans = False
    laws.published(world, must=True)
    with closing(world.open()) as store:
        laws.tasks_are_closed(store)
        laws.nothing_is_left(world, store)


def _settled(world: World, *, closed: bool) -> None:
    """Look at the store after something went wrong; `closed`: the tasks must be closed already."""
    world.place.settle()
    laws.published(world, must=False)
    if closed:
        with closing(world.open()) as store:
            laws.tasks_are_closed(store)
        world.saved.orphans = False


def begin(world: World, rng: Random) -> None:
    """Set up a new campaign: first scripts, first cycle, a server."""
    if not world.saved.scripts:
        from benchmarks.campaign.world import first_scripts

        world.saved.scripts = first_scripts(rng)
        world.saved.margin = rng.choice(MARGINS)
    world.write_scripts()
    _in_peace(world, world.sync())
    world.start_server()


Step = Callable[[World, Random], None]

WEIGHTS: Final[dict[Step, int]] = {
    publish: 5,
    kill_run: 6,
    kill_parent: 3,
    two_syncs: 1,
    new_group: 1,
    full_disk: 2,
    kill_server: 2,
    kill_rendering: 2,
    kill_migration: 2,
    lose_store: 1,
    lose_store_while_syncing: 1,
    step_clocks: 4,
    prune: 3,
    begin_walks: 6,
    go_on: 8,
    sync_clients: 6,
    sync_deltas: 8,
}
SHORT: Final[dict[Step, int]] = dict.fromkeys(WEIGHTS, 1) | {sync_clients: 2}
"""Every kind once, for a short campaign."""


def deck(weights: dict[Step, int], seed: int, lap: int) -> list[Step]:
    """Return the steps of a lap: each as often as its weight says, in an order that only seed and lap decide."""
    cards = [step for step, weight in weights.items() for _ in range(weight)]
    Random(f"{seed}:{lap}").shuffle(cards)
    return cards
