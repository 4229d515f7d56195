"""Drivers nvdv2 and nvddb against vunnel, the NVD's own documents and what the original service served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests.drivers.nvd.nvd_runs import Feed
from tests.fidelity import documents, form_one
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Side, compare
from tests.fidelity.nvd_fields import in_a_range, of_item, of_old_item, of_old_record, of_record, uri
from tests.fidelity.world import World
from vulnfeeds.drivers.nvd.nvddb import NVDDBDriver
from vulnfeeds.records import canonical, contract


def _is_expansion(found: Difference) -> bool:
    criteria = found.their_record["CPE criteria"]
    return found.theirs <= found.ours and all(in_a_range(name, criteria) for name in found.ours - found.theirs)


def _is_old_expansion(found: Difference) -> bool:
    def product(name: str) -> tuple[str, ...]:
        return tuple((f"{name}:::".split(":"))[1:4])

    ranges = {
        product(uri(name)) for name, vulnerable, bounds in found.their_record["CPE criteria"] if bounds and vulnerable
    }
    return found.theirs <= found.ours and all(product(name) in ranges for name in found.ours - found.theirs)


def _is_repeated(found: Difference) -> bool:
    return bool(found.ours < found.theirs and {url for url, _ in found.ours} == {url for url, _ in found.theirs})


def _invented(found: Difference) -> bool:
    return bool(found.our_record["status"] == "Reserved")


def _lacks_references(found: Difference) -> bool:
    if found.field == "references":
        return bool(found.theirs < found.ours)
    return not _invented(found) and {url for url, _ in found.theirs} < {url for url, _ in found.ours}


NOT_THERE = DifferenceClass(
    "not among vunnel's documents",
    (RECORD,),
    ("CVE-1999-0073",),
    "vunnel was given the files 2003 and 2026 alone; the API had what changed besides",
    "both",
    "",
    lambda found: found.theirs is None and found.key[4:8] not in ("2003", "2026"),
)
NOT_OVERRIDDEN = DifferenceClass(
    "not among vunnel's documents (overrides)",
    (RECORD,),
    ("CVE-2003-0001",),
    "vunnel was given `modified` and the overrides alone; here the files 2003 and 2026 were read besides",
    "both",
    "",
    lambda found: found.theirs is None and found.key[4:8] in ("2003", "2026"),
)
RANGE = DifferenceClass(
    "ranges as versions",
    ("vulnerable_cpes",),
    ("CVE-2003-0020", "CVE-2018-5383"),
    "a range is served as the known versions within it, besides the exact names of the criteria",
    "ours",
    "clients compare versions for equality",
    _is_expansion,
)
NONE = DifferenceClass(
    "severity NONE",
    ("severity",),
    ("CVE-2026-31954",),
    "a CVSS 3 score of 0.0 is `NONE` to the NVD",
    "ours",
    "clients refuse the word; `Negligible` is the least of their scale",
    lambda found: (found.ours, found.theirs) == ("Negligible", "None"),
)
ONCE = DifferenceClass(
    "each reference once",
    ("reference sources",),
    ("CVE-2003-0001", "CVE-1999-0073"),
    "the NVD lists a reference once more under the CVE program's container, or under a second source",
    "ours",
    "the original had each URL once; tags are joined",
    _is_repeated,
)
STATUS = DifferenceClass(
    "status without a date",
    ("status",),
    ("CVE-2026-20967",),
    "the NVD changed `vulnStatus` and not `lastModified`, so windows of the API do not show it",
    "theirs",
    "a whole run (`--force`) or the next real change brings it; clients do not read `status`",
)
UNDATED = DifferenceClass(
    "override without a date",
    ("published", "last modified"),
    ("CVE-2024-0123",),
    "the override has no date; vunnel takes the time of its run",
    "ours",
    "an empty date says that none is known, and the same documents give the same record",
    lambda found: _invented(found) and found.ours == "",
)
REFERENCES = DifferenceClass(
    "references of an override",
    ("references", "reference sources"),
    ("CVE-2024-0427", "CVE-2024-24867"),
    "vunnel serves the references of an override's annotation and leaves out those of its `cve.references`",
    "ours",
    "both lists are about the CVE",
    _lacks_references,
)
SOURCE = DifferenceClass(
    "source of an override's reference",
    ("reference sources",),
    ("CVE-2024-0072",),
    "in a record made of an override vunnel names no source of a reference; here it is the CNA, or the override's",
    "either",
    "",
    lambda found: _invented(found) and {url for url, _ in found.theirs} <= {url for url, _ in found.ours},
)
METRIC = DifferenceClass(
    "no primary metric",
    ("CVSS 3 score", "CVSS 3 vector", "CVSS score"),
    ("CVE-2025-15113",),
    "two secondary metrics and no primary one: here the NVD's own, vunnel serves the list, whose first is the CNA's",
    "ours",
    "feed nvdv2 says what the NVD says",
    lambda found: found.key == "CVE-2025-15113",
)
NO_TEXT = DifferenceClass(
    "override without a description",
    (RECORD,),
    ("CVE-2024-0199",),
    "of a CVE that the NVD lacks vunnel makes no record when the override has no description",
    "ours",
    "its configurations tell what is vulnerable; clients need a text and get `No description.`",
    lambda found: found.theirs is None and _invented(found) and found.ours["description"] == "No description.",
)
NO_NAMES = DifferenceClass(
    "override without configurations",
    (RECORD,),
    ("CVE-2024-12858",),
    "of a CVE that the NVD lacks vunnel makes no record when the override has no configurations",
    "either",
    "such a record matches nothing",
    lambda found: found.theirs is None and _invented(found) and not found.ours["CPE criteria"],
)
NEWER = DifferenceClass(
    "newer than vunnel's documents",
    (RECORD, "description", "last modified"),
    ("CVE-2026-3943", "CVE-2026-4007"),
    "vunnel was given file 2026 of 07:00 UTC; the API had what the NVD changed in the hours after",
    "both",
    "",
    lambda found: found.our_record["last modified"] >= "2026-03-12T07:00Z",
)
OLD_RANGE = DifferenceClass(
    "ranges as versions",
    ("products",),
    ("CVE-2003-0020",),
    "a range is served as the known versions within it",
    "ours",
    "the XML form knew no ranges",
    _is_old_expansion,
)


def run(world: World) -> list[Agreement]:
    """Return the comparisons of nvdv2 without overrides, then those of nvddb."""
    world.replay.day(1)
    feed = world.nvd("default")
    feed.run()
    vunnel = list(_cves(documents.vunnel(world.shared, "nvd")))
    theirs = {cve["id"]: of_item(cve) for cve in vunnel}
    found = [compare("nvdv2", "vunnel 0.44, day 1", _served(feed), theirs, [NOT_THERE, NEWER, RANGE, NONE, ONCE])]
    old = {cve["id"]: of_old_item(cve) for cve in vunnel}
    found.append(compare("nvddb", "vunnel 0.44, day 1", _old(world, feed), old, [NOT_THERE, NEWER, OLD_RANGE]))
    world.replay.day(2)
    feed.run()
    newest = list(_newest(world))
    theirs = {cve["id"]: of_item(cve) for cve in newest}
    found.append(
        compare("nvdv2", "the NVD's files, day 2", _served(feed), theirs, [RANGE, NONE, ONCE, STATUS, METRIC])
    )
    old = {cve["id"]: of_old_item(cve) for cve in newest}
    found.append(compare("nvddb", "the NVD's files, day 2", _old(world, feed), old, [OLD_RANGE, METRIC]))
    found.append(_recorded_pair(world))
    return sorted(found, key=lambda agreement: agreement.driver, reverse=True)


def run_with_overrides(world: World) -> list[Agreement]:
    """Return the comparison of nvdv2 with overrides."""
    world.replay.day(1)
    feed = world.nvd("overrides", source="feeds", overrides=True)
    feed.run()
    theirs = {cve["id"]: of_item(cve) for cve in _cves(documents.vunnel(world.shared, "nvd-overrides"))}
    classes = [
        NOT_OVERRIDDEN,
        NO_TEXT,
        NO_NAMES,
        RANGE,
        NONE,
        UNDATED,
        REFERENCES,
        SOURCE,
        ONCE,
        METRIC,
    ]
    return [compare("nvdv2", "vunnel 0.44 with overrides, day 1", _served(feed), theirs, classes)]


def _recorded_pair(world: World) -> Agreement:
    """Compare with ten records that the original made of documents that we have in a state of two years later."""
    upstream = world.folder / "nvd of 1999"
    documents.lay_out(world.shared, f"golden/{documents.NVDV2_PAIR}", "input/", upstream)
    given = documents.json_of(upstream / "nvdcve-1.1-2002-extract.json")["CVE_Items"]
    form_one.feed_file(upstream, "2002", [form_one.form_two(item) for item in given])
    feed = Feed(world.folder / "nvdv2-1999", str(upstream), source="feeds")
    feed.run()
    recorded = documents.pages(world.shared, documents.NVDV2_PAIR, "expected/")
    theirs = {record["cve"]["CVE_data_meta"]["ID"]: of_record(record) for record in recorded}
    return compare("nvdv2", "original of 2021-04, input of 2023-12", _served(feed), theirs, ())


def _served(feed: Feed) -> Side:
    return {key: of_record(documents.json_of(body)) for key, body in feed.bodies.items()}


def _old(world: World, feed: Feed) -> Side:
    context = Feed(world.folder / "nvddb", "").context(None, False)  # type: ignore[arg-type]
    context.published = feed.published
    driver = NVDDBDriver()
    driver.fetch(context)
    found = {}
    for record in driver.parse(context):
        body = canonical.encode(record.body)
        contract.check(record.feed, record.group, body)
        found[record.key] = of_old_record(record.group, documents.json_of(body))
    return found


def _cves(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (item["cve"] for item in items)


def _newest(world: World) -> Iterator[dict[str, Any]]:
    """Yield each CVE as the last of the NVD's files has it."""
    found: dict[str, dict[str, Any]] = {}
    for day, name in (
        ("2026-03-12", "2003"),
        ("2026-03-12", "2026"),
        ("2026-03-12", "modified"),
        ("2026-03-13T06", "modified"),
    ):
        for cve in _cves(documents.nvd_items(world.shared, "2.0", day, name)):
            if cve["id"] not in found or found[cve["id"]]["lastModified"] <= cve["lastModified"]:
                found[cve["id"]] = cve
    yield from found.values()
