"""Drivers wolfi, chainguard, minimos and secureos against vunnel, on small documents."""

from __future__ import annotations

from dataclasses import replace

from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import Agreement, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.rolling import ChainguardDriver, MinimOSDriver, WolfiDriver
from vulnfeeds.drivers.secureos import SecureOSDriver

EMPTY_CVSS = replace(
    os_fields.EMPTY_CVSS,
    examples=(
        "wolfi:rolling CVE-2016-2781",
        "chainguard:rolling CVE-2016-2781",
        "minimos:rolling CVE-2016-2781",
        "secureos:rolling CVE-2010-4756",
    ),
    cause="vunnel adds a list `CVSS`, always empty",
)


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    found = [
        compare(
            driver.name,
            "vunnel 0.44",
            os_fields.side(world.served(driver, 1)),
            os_fields.side(documents.vunnel(world.shared, f"{driver.name}-fixture")),
            [EMPTY_CVSS],
        )
        for driver in (WolfiDriver, ChainguardDriver, MinimOSDriver)
    ]
    ours = os_fields.side(world.served(SecureOSDriver, 1))
    theirs = os_fields.side(documents.snapshots(world.shared, "secureos"))
    return [*found, compare("secureos", "vunnel's own tests", ours, theirs, [EMPTY_CVSS])]
