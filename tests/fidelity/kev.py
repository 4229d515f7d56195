"""Driver kev against vunnel."""

from __future__ import annotations

from tests.fidelity import documents
from tests.fidelity.agreement import Agreement, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.kev import KEVDriver


def run(world: World) -> list[Agreement]:
    """Return all comparisons; each key of an item is a field."""
    theirs = {item["cveID"]: item for item in documents.vunnel(world.shared, "kev")}
    return [
        compare(
            "kev",
            f"vunnel 0.44, day {day}",
            {item["cveID"]: item for item in world.served(KEVDriver, day)},
            theirs,
            (),
        )
        for day in (1, 2)
    ]
