"""Driver amzn against vunnel and against what the original service served."""

from __future__ import annotations

import re
from typing import Any

from tests.fidelity import documents, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import World
from vulnfeeds.drivers.amzn.driver import AmznDriver

DRIVER = "amzn"
_EPOCH = re.compile(r"^[0-9]+:")
_HEADINGS = re.compile(r"^(?:Package updates are available .*|CVE-[0-9]+-[0-9]+:)$", re.MULTILINE)


def _only_the_epoch(found: Difference) -> bool:
    return found.our_record["version without epoch"] == found.their_record["version without epoch"]


def _only_more(found: Difference) -> bool:
    return bool(found.ours > found.theirs)


def _same_words(found: Difference) -> bool:
    ours = _HEADINGS.sub("", found.ours)
    return "".join(ours.split()) == "".join(found.theirs.split())


def _same_ids(found: Difference) -> bool:
    return found.our_record["CVE"] == found.their_record["CVE"]


EPOCH = DifferenceClass(
    "epoch of a version",
    ("fixed version",),
    ("amzn:1 ALAS-2011-1", "amzn:2 ALAS-2018-1082"),
    "the repositories give the epoch, file names on the pages do not: `1:2.2.21-1.18.amzn1` of mod_ssl",
    "ours",
    "without it a package of epoch 1 never counts as affected",
    _only_the_epoch,
)
OTHER_ARCHITECTURE = DifferenceClass(
    "packages of other architectures",
    ("package", "version format", "group of a fix"),
    ("amzn:1 ALAS-2011-16",),
    "vunnel reads x86_64 and noarch only; here a package that only another architecture has is served too",
    "ours",
    "they are installed there",
    _only_more,
)
DATED = DifferenceClass(
    "date of a fix",
    ("keys of a fix",),
    ("amzn:2 ALAS-2018-1082",),
    "the date of the advisory is the date of the fix; the original had none",
    "ours",
    "it says more; clients of the feed do not read it",
    lambda found: found.ours - found.theirs == {"Available"} and found.theirs < found.ours,
)
HEADED = DifferenceClass(
    "headings of a description",
    ("description",),
    ("amzn:1 ALAS-2011-1",),
    "the repositories put each CVE's id over its text; the pages run the texts together",
    "ours",
    "it says which text is of which CVE",
    _same_words,
)
FORM = DifferenceClass(
    "form of the list of CVEs",
    ("other metadata",),
    ("amzn:1 ALAS-2011-1",),
    "vunnel writes objects with a name; here, as the original, their ids",
    "ours",
    "the ids are equal, and clients of the feed know this form",
    _same_ids,
)
PENDING = DifferenceClass(
    "placeholder for a CVE",
    ("other metadata", "CVE"),
    ("amzn:1 ALAS-2017-895",),
    "Amazon wrote `CVE-PENDING` before there was a number; vunnel serves it, here it is counted and left out",
    "ours",
    "it identifies nothing",
    lambda found: found.their_record["CVE"] - found.our_record["CVE"] == {"CVE-PENDING"},
)
GONE = DifferenceClass(
    "left upstream since",
    (RECORD,),
    ("amzn:2 ALAS-2018-1087",),
    "the advisory of 2018 is not in the repository of 2025-02",
    "both",
    "each as Amazon had it on its day",
    lambda found: found.ours is None,
)
SILENT = DifferenceClass(
    "no description",
    ("description",),
    ("amzn:2 ALAS-2018-1082",),
    "the original left it empty",
    "ours",
    "`descriptions: false` gives the original's",
    lambda found: found.theirs == "",
)


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    ours = os_fields.side(world.served(AmznDriver, 1))
    vunnel = os_fields.side(documents.vunnel(world.shared, "amazon"))
    original = os_fields.side(documents.pages(world.shared, documents.PAIRS, "pairs/vulnerabilities/amzn_2.json"))
    return [
        _compare("vunnel 0.44", ours, vunnel, (EPOCH, OTHER_ARCHITECTURE, HEADED, FORM, PENDING)),
        _compare("original of 2021-04", ours, original, (EPOCH, DATED, SILENT, GONE)),
    ]


def _compare(against: str, ours: Side, theirs: Side, classes: tuple[DifferenceClass, ...]) -> Agreement:
    """Compare the records of which the others read the documents; of packages those that they know too."""
    groups = {key.split()[0] for key in theirs} if against.startswith("vunnel") else set()
    met = {key: fields for key, fields in ours.items() if key in theirs or key.split()[0] in groups}
    for key, fields in met.items():
        names = theirs[key]["package"] if key in theirs else set()
        met[key] = {**fields, **_plain(fields, names)}
    return compare(
        DRIVER,
        against,
        met,
        {key: {**each, **_plain(each, each["package"])} for key, each in theirs.items()},
        classes,
    )


def _plain(fields: Fields, names: set[str]) -> Fields:
    """Return the versions of some packages without epochs, and the ids of the CVEs whatever their form."""
    versions = {(name, _EPOCH.sub("", version)) for name, version in fields["fixed version"] if name in names}
    return {"version without epoch": versions, "CVE": {_id(each) for each in fields["other metadata"]["CVE"]}}


def _id(said: Any) -> str:
    return str(said["Name"] if isinstance(said, dict) else said)
