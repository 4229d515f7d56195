"""Until when the releases of groups are supported: read from feed eol in the store when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vulnfeeds.records import eol
from vulnfeeds.records.lifecycle import Lifecycle, Support, lifecycle, support
from vulnfeeds.store.interface import GroupRow, Store

_decoder = msgspec.json.Decoder(eol.Cycle)
_NOTHING = Support()


class Lifecycles:
    """What feed eol says of groups, kept in memory until that feed is published again; many threads may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[int, dict[tuple[str, str], Support]] = (0, {})
        """Number of feed eol's group, and what was read of it then; replaced whole."""

    def of(self, groups: Iterable[GroupRow]) -> dict[tuple[str, str], Support]:
        """Return what is known of those of the groups whose release has an end, by (feed, name).

        One short question to the store, and a second one only for groups that were not asked for since feed eol
        changed.
        """
        wanted = {(group.feed, group.name): cycle for group in groups if (cycle := lifecycle(group.feed, group.name))}
        head = self._store.group(eol.FEED, eol.GROUP) if wanted else None
        if head is None:
            return {}
        sequence, known = self._known
        if sequence != head.sequence:
            known = {}
        if missing := {name: cycle for name, cycle in wanted.items() if name not in known}:
            known = {**known, **self._read(missing)}
            self._known = (head.sequence, known)
        return {name: known[name] for name in wanted if known[name] != _NOTHING}

    def _read(self, wanted: dict[tuple[str, str], Lifecycle]) -> dict[tuple[str, str], Support]:
        keys = sorted({key for cycle in wanted.values() for key in cycle.keys})
        bodies = self._store.bodies(eol.FEED, eol.GROUP, keys)
        return {name: _support(cycle, bodies) for name, cycle in wanted.items()}


def _support(cycle: Lifecycle, bodies: dict[str, bytes]) -> Support:
    body = next((bodies[key] for key in cycle.keys if key in bodies), None)
    return support(_decoder.decode(body), extended=cycle.extended) if body is not None else _NOTHING
