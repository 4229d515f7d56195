"""Driver osv against vunnel, which passes Bitnami's documents on, and against what Go's documents say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests.drivers.driver_runs import Upstreams, archive_members, bodies
from tests.fidelity import documents
from tests.fidelity.agreement import Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import Body, World
from vulnfeeds.drivers.osv.driver import OSVDriver
from vulnfeeds.drivers.osv.settings import OSVSettings

GO = "upstream/data/govulndb/govulndb-2025-02-28.tar.xz"
RANGES = "range"
_ENDS = ("fixed", "last_affected")


class GoDriver(OSVDriver):
    """The driver with Go's database only."""

    upstreams = OSVSettings(presets=("govulndb",)).addresses


def _is_empty(found: Difference) -> bool:
    """Tell whether the sides differ by what begins and ends with the same version."""
    more = found.their_record[RANGES] - found.our_record[RANGES]
    return bool(more) and all(text.count(" ") == 3 and len({*text.split()[1::2]}) == 1 for _, text in more)


NOTHING = DifferenceClass(
    "introduced and fixed by the same version",
    ("fixed version", RANGES),
    ("BIT-tomcat-2024-23672",),
    "Bitnami says `introduced: 11.0.0`, `fixed: 11.0.0`: that affects no version, and is left out here",
    "ours",
    holds=_is_empty,
)
UNORDERED = DifferenceClass(
    "fixed before it was introduced",
    ("fixed version", RANGES),
    ("BIT-gitlab-2024-6685", "BIT-discourse-2024-27100"),
    "Bitnami says `introduced: 17.3.0`, `fixed: 17.2.5`, or names a beta of the version that introduces; here events "
    "are read in the order of their versions, as OSV says, so that a fix that comes too early ends nothing",
    "ours",
)
CLASSES = [NOTHING, UNORDERED]


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    served = (body for body in world.served(OSVDriver, 1) if body["Advisory"]["namespace"] == "bitnami:bitnami")
    vunnel = _side(documents.vunnel(world.shared, "bitnami"))
    upstreams = Upstreams(GoDriver, world.replay.address, world.folder / "govulndb")
    records, _ = upstreams.run(OSVSettings(presets=("govulndb",)))
    go = (documents.json_of(data) for name, data in archive_members(world.shared / GO) if name.endswith(".json"))
    return [
        compare("osv", "vunnel 0.44, Bitnami", _ours(served), vunnel, CLASSES),
        compare("osv", "Go's own documents", _ours(bodies(records).values()), _side(go), []),
    ]


def _ours(served: Iterable[Body]) -> Side:
    found: dict[str, Fields] = {}
    for body in served:
        record = body["Advisory"]
        imports = [
            (package["name"], each["path"], tuple(each.get("symbols", ())))
            for package in record.get("affected", ())
            for each in package.get("ecosystem_specific", {}).get("imports", ())
        ]
        found[record["ghsaId"]] = {
            "package": {fix["name"] for fix in record["FixedIn"]},
            "fixed version": {(fix["name"], fix["identifier"]) for fix in record["FixedIn"]},
            RANGES: {(fix["name"], fix["range"]) for fix in record["FixedIn"]},
            "severity": record["Severity"],
            "aliases": set(record.get("aliases", ())),
            "CVE": set(record["CVE"]),
            "references": {each["url"] for each in record.get("references", ())},
            "CVSS vector": {each["vector"] for each in record.get("cvss_severities", ())},
            "Go imports": set(imports),
            "withdrawn": record["withdrawn"],
            "published": record["published"],
            "modified": record["updated"],
        }
    return found


def _side(items: Iterable[dict[str, Any]]) -> Side:
    """Return what OSV documents say, read by themselves: events in the order in which they stand."""
    found: dict[str, Fields] = {}
    for item in items:
        item = item.get("item", item)
        spans = [(name, *span) for affected in item["affected"] for name, *span in _spans(affected)]
        found[item["id"]] = {
            "package": {name for name, *_ in spans},
            "fixed version": {(name, end if kind == "fixed" else "None") for name, _, kind, end in spans},
            RANGES: {(name, _range(*span)) for name, *span in spans},
            "severity": item.get("database_specific", {}).get("severity", "Unknown"),
            "aliases": set(item.get("aliases", ())),
            "CVE": {alias for alias in item.get("aliases", ()) if alias.startswith("CVE-")},
            "references": {each["url"] for each in item.get("references", ())},
            "CVSS vector": {each["score"] for affected in item["affected"] for each in affected.get("severity", ())},
            "Go imports": {
                (affected["package"]["name"], each["path"], tuple(each.get("symbols", ())))
                for affected in item["affected"]
                for each in affected.get("ecosystem_specific", {}).get("imports", ())
            },
            "withdrawn": item.get("withdrawn"),
            "published": item["published"],
            "modified": item["modified"],
        }
    return found


def _spans(affected: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (package, where it begins, what ends it, where), "" where nothing ends it."""
    for each in affected["ranges"]:
        begin = ""
        for event in each["events"]:
            ((kind, version),) = event.items()
            if kind == "introduced":
                if begin:
                    yield affected["package"]["name"], begin, "", ""
                begin = version
            elif begin:
                yield affected["package"]["name"], begin, kind, version
                begin = ""
        if begin:
            yield affected["package"]["name"], begin, "", ""


def _range(begin: str, kind: str, end: str) -> str:
    if kind == "last_affected" and begin == end:
        return f"= {begin}"
    low = "" if begin == "0" and end else f">= {begin}"
    high = f"{'<' if kind == 'fixed' else '<='} {end}" if end else ""
    return " ".join(filter(None, (low, high)))
