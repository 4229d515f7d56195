"""The laws, each looked at from outside after a step. Every one raises LawBrokenError with what is wrong."""

from __future__ import annotations

import time
from contextlib import closing

from benchmarks.campaign import upstream
from benchmarks.campaign.readers import LawBrokenError, told
from benchmarks.campaign.upstream import FEED, States
from benchmarks.campaign.world import World, read_generation
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store.interface import GroupRow, Store, TaskFilter
from vulnfeeds.testing.storing.scene import digests_of

_HOME = {"workspace", "staging", "pages"}


def published(world: World, *, must: bool) -> None:
    """Hold the store against the model: each driver's groups moved all together, or none of them.

    `must`: the cycle was left in peace, so that what was to be published is.
    """
    expected = world.expected()
    with closing(world.open()) as store:
        rows = {row.name: row for row in store.groups(FEED)}
        strangers = rows.keys() - {group for groups in expected.values() for group in groups}
        if strangers:
            raise LawBrokenError(f"groups that nobody published: {sorted(strangers)}")
        for driver, states in expected.items():
            _driver(world, store, driver, states, rows, must=must)


def _driver(
    world: World, store: Store, driver: str, states: States, rows: dict[str, GroupRow], *, must: bool
) -> None:
    wanted = {group for group, state in states.items() if state != world.saved.states.get(group, {})}
    moved = {group for group in states if group in rows and rows[group].generation != world.newest(group)}
    if moved and moved != wanted:
        raise LawBrokenError(f"{driver}: half published: {sorted(moved)} of {sorted(wanted)} moved")
    if must and moved != wanted:
        raise LawBrokenError(f"{driver}: not published although nothing was in the way")
    for group in sorted(moved):
        if rows[group].generation != world.newest(group) + 1:
            raise LawBrokenError(f"{group}: from generation {world.newest(group)} to {rows[group].generation}")
    for group in sorted(states.keys() & rows.keys()):
        manifest = store.manifest(FEED, group)
        if manifest is None or manifest.generation != rows[group].generation:
            raise LawBrokenError(f"{group}: no manifest of its current generation")
        state = read_generation(store, manifest)
        right = states[group] if group in moved else world.saved.states[group]
        if state != right:
            raise LawBrokenError(f"{group}: generation {manifest.generation}: {told(state, right)}")
        _is_consistent(store, rows[group], state)
        if group in moved:
            world.take_in(group, manifest.generation, state)


def _is_consistent(store: Store, row: GroupRow, state: upstream.State) -> None:
    """Compare the pages of a group with its head, its log of changes and its digests."""
    log = dict(upstream.state_of(body) for _, body, _ in store.changes(FEED, row.name, 0, row.sequence))
    digests = digests_of(store, FEED, row.name)[1]
    withdrawn = sum(version is None for version in state.values())
    if log != state or digests.keys() != state.keys() or (row.records, row.withdrawn) != (len(state), withdrawn):
        raise LawBrokenError(f"{row.name}: pages, changes, digests and head disagree")


def tasks_are_closed(store: Store) -> None:
    """No task runs when no cycle does."""
    running = store.tasks(TaskFilter(status="running"))
    if running:
        raise LawBrokenError(f"tasks left running: {[(task.task_id, task.driver_id) for task in running]}")


def nothing_is_left(world: World, store: Store, *, after_cycle: bool = True) -> None:
    """After upkeep the data folder holds what it should and no more.

    What killed runs were staging goes with the next cycle, so it is looked at `after_cycle` only.
    """
    live = store.live_pages()
    # Upkeep takes unfinished pages of killed processes for abandoned after an hour.
    PageFolder(world.home / "pages", store, clock=lambda: time.time() + 4000).prune(live)
    found = [
        *(file for file in world.home.iterdir() if file.name not in _HOME),
        *(world.home.glob("staging/*") if after_cycle else ()),
        *world.home.glob("quarantine/*"),
        *(world.home.glob("workspace/*/*.part*") if after_cycle else ()),
        *world.home.glob("pages/*/*.part"),
        *(file for file in world.home.glob("pages/*/*") if file.parent.name + file.stem not in live),
    ]
    if found or world.place.strays():
        names = [str(file.relative_to(world.home)) for file in found]
        raise LawBrokenError(f"left behind: {sorted(names)} {world.place.strays()}")
    if kept := store.quarantined():
        raise LawBrokenError(f"in quarantine: {kept[:3]}")


def walks_were_whole(world: World) -> None:
    """Judge the walks that have ended."""
    for walk in world.ended_walks:
        walk.judge(world.seen[walk.group])
        world.counts["walks judged"] += 1
        world.counts["walks that outlived their generation"] += not walk.undisturbed
    world.ended_walks.clear()
