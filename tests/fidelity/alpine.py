"""Driver alpine against vunnel and against what the original service served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fidelity import documents, form_one, os_fields
from tests.fidelity.agreement import RECORD, Agreement, Difference, DifferenceClass, Fields, Side, compare
from tests.fidelity.world import Body, World
from vulnfeeds.drivers.alpine import AlpineDriver

DRIVER = "alpine"
HOST = "secdb.alpinelinux.org"
FROM_NVD = ("severity", "NVD score", "NVD vector")
"""What the sync fills in."""


def _both_links(found: Difference) -> bool:
    cve = found.key.split()[1]
    return (found.ours, found.theirs) == (
        f"http://cve.mitre.org/cgi-bin/cvename.cgi?name={cve}",
        f"https://security.alpinelinux.org/vuln/{cve}",
    )


def _ended(found: Difference) -> bool:
    return found.ours is None and found.theirs["package"] == set()


def _cut(found: Difference) -> bool:
    return str(found.ours).rpartition("/")[0] == found.theirs


LINK = DifferenceClass(
    "link to another site",
    ("link",),
    ("alpine:3.10 CVE-2009-3895",),
    "vunnel leads to security.alpinelinux.org; here to cve.mitre.org",
    "either",
    "ours is the original's",
    _both_links,
)
ENDED = DifferenceClass(
    "withdrawn before our first run",
    (RECORD,),
    ("alpine:3.10 CVE-2018-16396",),
    "the original still served, with `FixedIn: []`, what had left upstream; a new installation never had it",
    "both",
    "what leaves upstream after the first run is served here in the same way",
    _ended,
)
SLIP = DifferenceClass(
    "id corrected upstream",
    (RECORD,),
    ("alpine:3.3 CVE-2017-8073.patch",),
    "secdb wrote `CVE-2017-8073.patch` in 2021 and `CVE-2017-8073` in 2024",
    "both",
    "each as secdb had it on its day",
    lambda found: found.ours is None and found.key.endswith(".patch"),
)
CUT = DifferenceClass(
    "vector without its last metric",
    ("NVD vector",),
    ("alpine:3.7 CVE-2014-9636",),
    "the original cut the last metric off NVD's CVSS 2 vector",
    "ours",
    "a vector without `A` is no CVSS 2 vector",
    _cut,
)
LATER = DifferenceClass(
    "analysed by the NVD since",
    ("severity",),
    ("alpine:3.7 CVE-2014-8139",),
    "the NVD published the CVE after the day of the recorded answer",
    "both",
    "each as the NVD had it on its day",
    lambda found: found.theirs == "Unknown" and found.our_record["published by the NVD"] > "2020-01-25",
)
CLASSES = {
    "vunnel": (LINK, os_fields.EMPTY_CVSS),
    "pair": (CUT, LATER),
    "2021": (ENDED, os_fields.EMPTY_CVSS),
    "2021 later": (ENDED, SLIP, os_fields.EMPTY_CVSS),
}


def run(world: World) -> list[Agreement]:
    """Return all comparisons."""
    return [
        *(found for day in (1, 2) for found in _on_the_replay(world, day)),
        *_exact_pair(world),
        _groups_of_2021(world),
    ]


def _on_the_replay(world: World, day: int) -> list[Agreement]:
    ours = os_fields.side(world.served(AlpineDriver, day))
    vunnel = os_fields.side(documents.vunnel(world.shared, "alpine-day1" if day == 1 else "alpine"))
    original = _without(_recorded(world), FROM_NVD)
    return [
        compare(DRIVER, f"vunnel 0.44, day {day}", ours, vunnel, CLASSES["vunnel"]),
        compare(
            DRIVER,
            f"original of 2021-04, day {day}",
            {key: _without({key: ours[key]}, FROM_NVD)[key] for key in original.keys() & ours.keys()},
            original,
            CLASSES["2021 later"],
        ),
    ]


def _exact_pair(world: World) -> list[Agreement]:
    """Compare with the 1,395 records that the original made of the same documents, and with the form of 2017."""
    upstream = world.folder / "secdb of 2019-11-13"
    documents.lay_out(world.shared, f"golden/{documents.EXACT_PAIR}", "input/", upstream / HOST)
    expected = documents.pages(world.shared, documents.EXACT_PAIR, "expected/")
    bodies, known = _synced(world, upstream, os_fields.side(expected))
    theirs = _named(os_fields.side(expected), known)
    assert len(expected) == len(theirs) == 1395
    old = documents.pages(world.shared, documents.CLIENT_DATA, f"{documents.DELTAS}alpine:3.6/")
    ours = _named(os_fields.side(bodies), known)
    for fields in ours.values():
        if fields["id"] in known:
            fields["published by the NVD"] = known[fields["id"]]["cve"]["published"]
    return [
        compare(DRIVER, "original of 2020-01-25, same secdb", ours, theirs, CLASSES["pair"]),
        os_fields.compare_forms(DRIVER, "keys of the original of 2017", bodies, old),
    ]


def _groups_of_2021(world: World) -> Agreement:
    """Compare with ten records of each of eleven groups, from the secdb of ten months earlier."""
    upstream = world.folder / "secdb of 2020-06-08"
    documents.lay_out(world.shared, "upstream/data/alpine/secdb-yaml-2020-06-08.tar.xz", "", upstream / HOST)
    releases = {path.name for path in (upstream / HOST).iterdir()}
    recorded = {key: fields for key, fields in _recorded(world).items() if f"v{key.split()[0][7:]}" in releases}
    bodies, known = _synced(world, upstream, recorded)
    ours = {key: fields for key, fields in os_fields.side(bodies).items() if key in recorded}
    name = "original of 2021-04, secdb of 2020-06-08"
    return compare(DRIVER, name, _named(ours, known), _named(recorded, known), CLASSES["2021"])


def _recorded(world: World) -> Side:
    prefix = "pairs/vulnerabilities/alpine_"
    return os_fields.side(documents.pages(world.shared, documents.PAIRS, prefix))


def _synced(world: World, upstream: Path, recorded: Side) -> tuple[list[Body], dict[str, Any]]:
    """Sync nvdv2 and alpine with the original's severities; return alpine's records and what NVD says today.

    What NVD said of a CVE is taken from its documents of today where the folder has it; of the others from the score
    that the original recorded.
    """
    documents.secdb_index(upstream / HOST)
    known = _nvd_of_today(world, {key.split()[1] for key in recorded})
    scored = {
        key.split()[1]: _scored(key.split()[1], fields) for key, fields in recorded.items() if "NVD score" in fields
    }
    form_one.feed_file(upstream, "2002", list({**scored, **known}.values()))
    synced = world.synced(upstream.name, upstream, "nvdv2,alpine", SEVERITY_SOURCE="cvss2")
    return [body for feed, body in synced if feed == "vulnerabilities"], known


def _named(side: Side, known: dict[str, Any]) -> Side:
    """Give the fields of recorded scores names of their own, so that NVD's documents count for themselves."""
    named = {}
    for key, fields in side.items():
        if fields["id"] in known:
            named[key] = {**fields}
        else:
            named[key] = {f"{name} (recorded)" if name in FROM_NVD else name: said for name, said in fields.items()}
    return named


def _nvd_of_today(world: World, cves: set[str]) -> dict[str, Any]:
    """Return the newest item of each CVE in NVD's documents, in form 2.0."""
    found: dict[str, Any] = {}
    older = [("2024-01-02", "2003"), ("2024-01-02", "2014"), ("2023-12-17", "modified"), ("2024-01-02", "modified")]
    for day, name in older:
        for item in documents.nvd_items(world.shared, "1.1", day, name):
            if item["cve"]["CVE_data_meta"]["ID"] in cves and "baseMetricV2" in item["impact"]:
                found[item["cve"]["CVE_data_meta"]["ID"]] = form_one.form_two(item)
    for name in ("2003", "modified"):
        for item in documents.nvd_items(world.shared, "2.0", "2026-03-12", name):
            if item["cve"]["id"] in cves:
                found[item["cve"]["id"]] = item
    return found


def _scored(cve: str, fields: Fields) -> dict[str, Any]:
    """Return an item of form 2.0 that says no more than a recorded CVSS 2 score."""
    data = {"version": "2.0", "vectorString": fields["NVD vector"], "baseScore": fields["NVD score"]}
    metric = {"source": "nvd@nist.gov", "type": "Primary", "cvssData": data}
    return {
        "cve": {
            "id": cve,
            "sourceIdentifier": "cve@mitre.org",
            "published": "2020-01-25T00:00:00.000",
            "lastModified": "2020-01-25T00:00:00.000",
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": "As recorded."}],
            "references": [],
            "metrics": {"cvssMetricV2": [metric]},
        }
    }


def _without(side: Side, names: tuple[str, ...]) -> Side:
    return {key: {name: value for name, value in fields.items() if name not in names} for key, fields in side.items()}
