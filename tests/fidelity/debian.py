"""Driver debian against vunnel and against what the original service served."""

from __future__ import annotations

from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.debian.driver import DebianDriver
from vulnfeeds.records.record import Score
from vulnfeeds.sync.severities import refill

DRIVER = "debian"


def _without_fixes(found: Difference) -> bool:
    return found.ours is None and found.theirs["package"] == set()


WITHOUT_FIXES = DifferenceClass(
    "records without any fix",
    (RECORD,),
    ("debian:10 CVE-2011-1133",),
    "the original served records with `FixedIn: []`, be it that they were withdrawn or that the release was never "
    "affected; here only a withdrawn record has none, and a new installation has not withdrawn anything",
    "either",
    "they match nothing",
    _without_fixes,
)
DATED = DifferenceClass(
    "date of a fix",
    ("keys of a fix",),
    ("debian:11 CVE-2006-20001",),
    "vunnel takes the date of the first advisory as `Available`",
    "theirs",
    "it says more; clients of the feed do not read it",
    lambda found: found.theirs - found.ours == {"Available"} and found.ours < found.theirs,
)
CLASSES = (WITHOUT_FIXES,)
SCORE = Score("High", 7.5, "AV:N/AC:L/Au:N/C:P/I:P/A:P")
"""Some score of the NVD, for the keys that the sync fills in."""


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    found = []
    original = os_fields.side(documents.pages(world.shared, documents.PAIRS, "pairs/vulnerabilities/debian_"))
    old = [
        body
        for release in ("8", "9")
        for body in documents.pages(world.shared, documents.CLIENT_DATA, f"{documents.DELTAS}debian:{release}/")
    ]
    for day in (1, 2):
        bodies = world.served(DebianDriver, day)
        ours = os_fields.side(bodies)
        vunnel = os_fields.side(documents.vunnel(world.shared, "debian-day1" if day == 1 else "debian"))
        met = {key: ours[key] for key in original.keys() & ours.keys()}
        found += [
            compare(DRIVER, f"vunnel 0.44, day {day}", ours, vunnel, [os_fields.EMPTY_CVSS, DATED]),
            compare(DRIVER, f"original of 2021-04, day {day}", met, original, CLASSES),
        ]
    filled = [refill(body, SCORE, "newest", takes_severity=False) for body in bodies[:1000]]
    found.append(os_fields.compare_forms(DRIVER, "keys of the original of 2017", filled, old))
    return found
