"""Driver epss against vunnel."""

from __future__ import annotations

from typing import Any

from tests.fidelity import documents
from tests.fidelity.agreement import Agreement, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.epss import EPSSDriver


def run(world: World) -> list[Agreement]:
    """Return all comparisons; the day, which vunnel has in each item, is taken from the record of the model."""
    theirs = {item["cve"]: item for item in documents.vunnel(world.shared, "epss")}
    served = list(world.served(EPSSDriver, 2))
    day = next(body["score_date"] for body in served if "score_date" in body)
    ours: dict[str, dict[str, Any]] = {body["cve"]: {**body, "date": day} for body in served if "cve" in body}
    return [compare("epss", "vunnel 0.44, day 2", ours, theirs, ())]
