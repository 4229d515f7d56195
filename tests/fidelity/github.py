"""Driver github against vunnel, its own other source, and true answers of the API and of the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.drivers.driver_runs import archive_members
from tests.fidelity import documents
from tests.fidelity.agreement import Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import Body, World
from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.github import database
from vulnfeeds.drivers.github.advisory import records
from vulnfeeds.drivers.github.driver import TOKEN, GitHubDriver
from vulnfeeds.drivers.github.ecosystems import OF_API
from vulnfeeds.drivers.interface import Context
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records import canonical
from vulnfeeds.testing.driver_suite import NOW, NothingPublished

CAPTURE = "upstream/data/github/graphql-gha_data.json"
PARTS = ("npm-2024-06-01", "pip-2024-06-01", "rubygems-2024-06-01")
FIXES = "package, range and fix"
ORIGINAL = ("composer", "gem", "java", "npm", "nuget", "python")
"""Ecosystems of the answers that the original gave."""


def _without_ends(found: Difference) -> bool:
    """Tell whether the sides differ in ranges only: packages and what fixes them are the same."""
    ours, theirs = ({(name, fixed) for name, _, fixed in side} for side in (found.ours, found.theirs))
    return ours == theirs


REPLAYED = DifferenceClass(
    "what the replay's API does not say",
    (FIXES,),
    ("github:gem GHSA-2p68-f74v-9wc6",),
    "the replay's API is made from the documents of the archive without two of their fields: the last affected "
    "version beside the one that fixes (`<= 5.2.4.2`, fixed by `5.2.4.3`), and a single affected version (`= 2.7.0`)",
    "ours",
    "true answers of the API word both as the archive's records here do: next columns",
    _without_ends,
)
EDITED = DifferenceClass(
    "edited since by GitHub",
    (FIXES, "severity", "CVE", "Metadata", "withdrawn"),
    ("github:npm GHSA-jf85-cpcp-j695", "github:java GHSA-cggj-fvv3-cqwv"),
    "GitHub changed ranges, packages, severities and ids between the two dates",
    "both",
    "each side is what upstream said at its time",
)


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    found = []
    vunnel = {_key(item): _fields(item) for item in documents.vunnel(world.shared, "github")}
    for day in (1, 2):
        api = {_key(body): _fields(body) for body in world.served(GitHubDriver, day, {TOKEN: "any"})}
        own = {_key(body): _fields(body) for body in world.served(GitHubDriver, day)}
        if day == 1:
            found.append(compare("github", "vunnel 0.44", api, vunnel, []))
        found.append(compare("github", f"archive and API, day {day}", own, api, [REPLAYED]))
    archived = {_key(body): _fields(body) for body in _of_documents(_reviewed(world))}
    found.append(_among("the API's answer of 2020", archived, _captured(world)))
    inputs = {_key(body): _fields(body) for body in _of_documents(_inputs(world))}
    pages = documents.pages(world.shared, documents.PAIRS, *(f"pairs/github/github_{name}.json" for name in ORIGINAL))
    found.append(_among("the original, 2021", inputs, {_key(body): _fields(body) for body in pages}))
    return found


def _among(against: str, ours: Side, theirs: Side) -> Agreement:
    """Compare the records that both sides have: the other side is a small part of all."""
    both = ours.keys() & theirs.keys()
    return compare("github", against, {key: ours[key] for key in both}, {key: theirs[key] for key in both}, [EDITED])


def _of_documents(found: Iterable[tuple[str, bytes]]) -> Iterator[Body]:
    """Yield the records that the driver makes of OSV documents."""
    with HTTPFetcher(FetchSettings(), UpstreamMap(), ()) as fetcher:
        context = Context(fetcher=fetcher, workspace=Path(), published=NothingPublished(), now=lambda: NOW)
    for path, data in found:
        for record in records(context, database.of_document(osv.decode(data, path), path)):
            yield msgspec.json.decode(canonical.encode(record.body))


def _reviewed(world: World) -> Iterator[tuple[str, bytes]]:
    for part in PARTS:
        for path, data in archive_members(world.shared / "upstream" / "data" / "github" / f"ghsa-osv-{part}.tar.xz"):
            if path.endswith(".json"):
                yield path, data


def _inputs(world: World) -> Iterator[tuple[str, bytes]]:
    for path, data in archive_members(world.shared / "golden" / documents.PAIRS):
        if path.startswith("pairs/github/") and ".input/" in path:
            yield path, data


def _captured(world: World) -> Side:
    """Return what a true answer of the API says, by group and id."""
    found: dict[str, Fields] = {}
    answer = documents.json_of(world.shared / CAPTURE)
    for node in answer["data"]["securityAdvisories"]["nodes"]:
        for item in node["vulnerabilities"]["nodes"]:
            group = f"github:{OF_API[item['package']['ecosystem']]}"
            fields = found.setdefault(
                f"{group} {node['ghsaId']}",
                {
                    "CVE": {item["value"] for item in node["identifiers"] if item["type"] == "CVE"},
                    "severity": node["severity"].capitalize().replace("Moderate", "Medium"),
                    FIXES: set(),
                },
            )
            fixed = (item["firstPatchedVersion"] or {}).get("identifier", "None")
            text = item["vulnerableVersionRange"].replace(",", "")
            fields[FIXES].add((item["package"]["name"], text, fixed))
    return found


def _key(body: dict[str, Any]) -> str:
    return f"{body['Advisory']['namespace']} {body['Advisory']['ghsaId']}"


def _fields(body: dict[str, Any]) -> Fields:
    record = body["Advisory"]
    fields: Fields = {
        "CVE": set(record["CVE"]),
        "severity": record["Severity"],
        FIXES: {(fix["name"], fix["range"], fix["identifier"]) for fix in record["FixedIn"]},
        "ecosystem": {(fix["ecosystem"], fix["namespace"]) for fix in record["FixedIn"]},
        "link": record["url"],
        "withdrawn": record["withdrawn"],
        "Metadata": record["Metadata"],
    }
    if "Classification" in record:
        fields |= {
            "summary": record["Summary"],
            "classification": record["Classification"],
            "published": record["published"],
            "updated": record["updated"],
            "CVSS 3": record.get("CVSS"),
        }
    return fields
