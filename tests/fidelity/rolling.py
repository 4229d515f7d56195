"""Drivers wolfi, chainguard, minimos, secureos and echo against vunnel, on small documents."""

from __future__ import annotations

from dataclasses import replace

from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import Agreement, Difference, DifferenceClass, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.echo import EchoDriver
from vulnfeeds.drivers.rolling import ChainguardDriver, MinimOSDriver, WolfiDriver
from vulnfeeds.drivers.secureos import SecureOSDriver

EMPTY_CVSS = replace(
    os_fields.EMPTY_CVSS,
    examples=(
        "wolfi:rolling CVE-2016-2781",
        "chainguard:rolling CVE-2016-2781",
        "minimos:rolling CVE-2016-2781",
        "secureos:rolling CVE-2010-4756",
        "echo:rolling CVE-2007-4559",
    ),
    cause="vunnel adds a list `CVSS`, always empty",
)


def _no_fix(found: Difference) -> bool:
    return [(name, version if version != "None" else "") for name, version in found.ours] == found.theirs


NO_FIX = DifferenceClass(
    "no fix yet",
    ("fixed version",),
    ("echo:rolling CVE-2009-2940",),
    "vunnel gives an empty version where upstream names none; here the version is `None`",
    "ours",
    "`None` is the word for it; an empty version means nothing to clients",
    _no_fix,
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


def run_echo(world: World) -> list[Agreement]:
    """Return all comparisons of echo."""
    ours = os_fields.side(world.served(EchoDriver, 1))
    theirs = os_fields.side(documents.vunnel(world.shared, "echo-fixture"))
    return [compare("echo", "vunnel 0.44", ours, theirs, [EMPTY_CVSS, NO_FIX])]
