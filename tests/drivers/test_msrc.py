"""Driver msrc: the suite on its sample, what supersedence comes to, and months that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers import cvrf_documents as cvrf
from tests.drivers.cvrf_documents import LIST, Fix, Item, document, listing, path
from tests.drivers.driver_runs import SAMPLE, archive_members, bodies, on_sample, replaced
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.msrc.cvrf import plain
from vulnfeeds.drivers.msrc.driver import BUILT_IN, MSRCDriver, MSRCSettings
from vulnfeeds.drivers.msrc.supersedence import LONGEST, Supersedence
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.microsoft import PRODUCTS
from vulnfeeds.records.withdrawal import withdraw
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

JULY, AUGUST = path("2024-Jul"), path("2024-Aug")
SERVER = "11571"
GROUP = f"msrc:{SERVER}"
EVERYTHING = MSRCSettings(whitelist=("*",))


class TestMSRC(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = MSRCDriver
    upstream = SAMPLE
    groups = frozenset({("microsoft", "msrc:products"), ("microsoft", GROUP), ("microsoft", "msrc:10816")})
    extended = (
        Edit(LIST, replaced(b'"Alias"', b'"Mood": "calm", "Alias"')),
        Edit(JULY, replaced(b"<vuln:Title>", b"<vuln:Mood>calm</vuln:Mood><vuln:Title>")),
    )
    sad = (
        Sad(Edit(LIST, replaced(b'"2024-Jul"', b'"../../x"')), "updates value[0]: '../../x' is no month"),
        Sad(Edit(LIST, replaced(b'"ID": "2024-Jul"', b'"ID": "2024-Aug"')), "2024-Aug is listed twice"),
        Sad(Edit(LIST, lambda _: b'{"value": []}'), "updates: no month is listed"),
        Sad(Edit(LIST, replaced(b'"2024-08-20T07:00:00Z"', b"null")), "CurrentReleaseDate"),
        Sad(Edit(JULY, replaced(b"<cvrf:ID>2024-Jul", b"<cvrf:ID>2024-Jan")), "that of '2024-Jan', not of 2024-Jul"),
        Sad(Edit(JULY, replaced(b">CVE-2024-0102<", b">CVE-2024-0101<")), "CVE-2024-0101 is there twice"),
        Sad(Edit(JULY, replaced(b">CVE-2024-0102<", b"><")), "2024-Jul.xml Vulnerability 2: no CVE"),
        Sad(Edit(JULY, replaced(b"<vuln:BaseScore>9.8", b"<vuln:BaseScore>98")), "98.0 is not between 0 and 10"),
        Sad(Edit(JULY, replaced(b"<vuln:BaseScore>9.8", b"<vuln:BaseScore>high")), "Vulnerability 2 ScoreSet"),
        Sad(Edit(JULY, lambda _: document("2024-Jul", [])), "no ProductTree or no Vulnerability"),
        Sad(Edit(JULY, lambda _: document("2024-Jul", [], {})), "ProductTree: no product is listed"),
        Sad(
            Edit(JULY, replaced(b"<cvrf:cvrfdoc", b'<!DOCTYPE x [<!ENTITY a "b">]><cvrf:cvrfdoc')),
            "2024-Jul.xml: a document type (x) is not allowed",
        ),
    )


def published(trial: Trial) -> tuple[dict[tuple[str, str], dict[str, Any]], Checkpoint]:
    """Return what a first run publishes, and its checkpoint."""
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    return bodies(trial.parse(context)), answer


def put(trial: Trial, revised: dict[str, str], **documents: bytes) -> None:
    """Let upstream have these months; `revised` as in the list, documents by month with _ for -."""
    (trial.folder / LIST).write_bytes(listing(revised))
    for month, data in documents.items():
        (trial.folder / path(month.replace("_", "-"))).write_bytes(data)


def test_a_record_is_a_vulnerability_in_a_product(tmp_path: Path) -> None:
    """With Microsoft's severity in our words, its score, the product, and text without markup."""
    found, _ = published(on_sample(MSRCDriver, tmp_path))
    assert found[GROUP, "CVE-2024-0101"] == {
        "id": "CVE-2024-0101",
        "product": {"id": SERVER, "name": "Windows Server 2019", "family": "Windows"},
        "severity": "High",
        "summary": "A vulnerability exists when the kernel of the sample handles objects in memory.\n"
        "An attacker has to log on first.",
        "link": "https://msrc.microsoft.com/update-guide/vulnerability/CVE-2024-0101",
        "vulnerable": ["5048001"],
        "fixed_in": [
            {
                "id": "5049001",
                "is_first": True,
                "is_latest": False,
                "links": ["https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB5049001"],
            },
            {
                "id": "5050001",
                "is_first": False,
                "is_latest": True,
                "links": ["https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB5050001"],
            },
        ],
        "cvss": {
            "base_score": 7.8,
            "temporal_score": 6.8,
            "vector": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C",
        },
    }
    assert found["msrc:products", SERVER] == {"id": SERVER, "name": "Windows Server 2019", "family": "Windows"}


def test_an_update_is_vulnerable_to_what_a_later_one_fixes(tmp_path: Path) -> None:
    """The chain is followed over months, in both directions."""
    found, _ = published(on_sample(MSRCDriver, tmp_path))
    august = found[GROUP, "CVE-2024-0201"]
    assert august["vulnerable"] == ["5048001", "5049001"]
    assert [(fix["id"], fix["is_first"], fix["is_latest"]) for fix in august["fixed_in"]] == [("5050001", True, True)]


def test_tracks_side_by_side_have_a_latest_update_each(tmp_path: Path) -> None:
    """A monthly rollup and a security-only update fix the same; each is followed for itself."""
    trial = on_sample(MSRCDriver, tmp_path)
    rollup, only = Fix("5001002", "5001001", [SERVER]), Fix("5000902", "", [SERVER])
    later = Item("CVE-2024-0002", [Fix("5001003", "KB5001002, 4999999", [SERVER])])
    put(
        trial,
        {"2024-Jul": "2024-07-12", "2024-Aug": "2024-08-20"},
        **{"2024_Jul": document("2024-Jul", [Item("CVE-2024-0001", [rollup, only])])},
        **{"2024_Aug": document("2024-Aug", [later])},
    )
    found, _ = published(trial)
    record = found[GROUP, "CVE-2024-0001"]
    assert [(fix["id"], fix["is_first"], fix["is_latest"]) for fix in record["fixed_in"]] == [
        ("5000902", True, True),
        ("5001002", True, False),
        ("5001003", False, True),
    ]
    assert record["vulnerable"] == ["5001001"]
    assert found[GROUP, "CVE-2024-0002"]["vulnerable"] == ["4999999", "5001001", "5001002"]


def test_updates_that_supersede_each_other_have_a_latest_one() -> None:
    """A circle in upstream's data ends at the greatest number; an endless chain is refused with its product."""
    circle = Supersedence(SERVER)
    circle.add("5000001", ["5000002"])
    circle.add("5000002", ["5000001"])
    assert circle.latest("5000001") == circle.latest("5000002") == {"5000002"}
    endless = Supersedence(SERVER)
    for number in range(LONGEST + 2):
        endless.add(str(5_000_001 + number), [str(5_000_000 + number)])
    with pytest.raises(ParseError, match=f"product {SERVER} update 5000000: a chain of more than {LONGEST}"):
        endless.latest("5000000")


def test_a_vulnerability_in_two_months_is_one_record(tmp_path: Path) -> None:
    """The newer month's text, and the updates of both."""
    trial = on_sample(MSRCDriver, tmp_path)
    again = Item("CVE-2024-0101", [Fix("5050009", "5049001", [SERVER])], title="A better fix", score="8.8")
    put(
        trial,
        {"2024-Jul": "2024-07-12", "2024-Aug": "2024-08-20"},
        **{"2024_Aug": document("2024-Aug", [again])},
    )
    found, _ = published(trial)
    record = found[GROUP, "CVE-2024-0101"]
    assert (record["summary"], record["cvss"]["base_score"]) == ("A better fix", 8.8)
    assert [(fix["id"], fix["is_first"]) for fix in record["fixed_in"]] == [("5049001", True), ("5050009", False)]


def test_microsofts_score_stands_in_for_its_word(tmp_path: Path) -> None:
    """No word: the band of its score; neither: Unknown, and no score."""
    trial = on_sample(MSRCDriver, tmp_path)
    items = [
        Item("CVE-2024-0001", [], severity=""),
        Item("CVE-2024-0002", [], severity="", score=""),
        Item("CVE-2024-0003", [], severity="Moderate", score=""),
    ]
    put(trial, {"2024-Jul": "2024-07-12"}, **{"2024_Jul": document("2024-Jul", items)})
    found, _ = published(trial)
    assert [found[GROUP, item.cve]["severity"] for item in items] == ["High", "Unknown", "Medium"]
    assert [found[GROUP, item.cve].get("cvss") is None for item in items] == [False, True, True]
    assert found[GROUP, "CVE-2024-0001"]["fixed_in"] == []


def test_the_whitelist_adds_products(tmp_path: Path) -> None:
    """A product that is not one of Windows is served when it is named; a fix without a KB is none for clients."""
    found, _ = published(on_sample(MSRCDriver, tmp_path, MSRCSettings(whitelist=("12130",))))
    assert {group for group, _ in found} == {"msrc:products", GROUP, "msrc:10816", "msrc:12130"}
    assert found["msrc:12130", "CVE-2024-0202"]["fixed_in"] == []
    assert ("msrc:products", "12130") in found
    assert "12130" not in BUILT_IN


def test_no_product_of_ours_is_no_answer(tmp_path: Path) -> None:
    """A year of months that say nothing of what is served is refused rather than published as nothing."""
    trial = on_sample(MSRCDriver, tmp_path)
    item = Item("CVE-2024-0001", [], ("12130",))
    put(trial, {"2024-Jul": "2024-07-12"}, **{"2024_Jul": document("2024-Jul", [item])})
    _, context = trial.fetch()
    with pytest.raises(ParseError, match="whitelist"):
        trial.parse(context)


def test_only_a_revised_month_is_asked_for(tmp_path: Path) -> None:
    """A month whose date in the list stays is not asked for, though its bytes changed; with a new date it is."""
    trial = on_sample(MSRCDriver, tmp_path)
    _, checkpoint = published(trial)
    (trial.folder / JULY).write_bytes(b"not asked for")
    trial.edit(Edit(AUGUST, replaced(b"<vuln:BaseScore>5.5", b"<vuln:BaseScore>6.5")))
    assert trial.fetch(checkpoint)[0] == UNCHANGED
    put(trial, {"2024-Jul": "2024-07-12", "2024-Aug": "2024-08-27"})
    answer, context = trial.fetch(checkpoint)
    assert isinstance(answer, Checkpoint)
    found = bodies(trial.parse(context))
    assert found[GROUP, "CVE-2024-0201"]["cvss"]["base_score"] == 6.5
    assert (GROUP, "CVE-2024-0101") in found
    assert context.notes == []


def test_a_revised_month_that_cannot_be_read_stays_as_it_was(tmp_path: Path) -> None:
    """The others are read, the task has a note, and the next run asks for it again."""
    trial = on_sample(MSRCDriver, tmp_path)
    before, checkpoint = published(trial)
    good = (trial.folder / JULY).read_bytes()
    put(trial, {"2024-Jul": "2024-08-21", "2024-Aug": "2024-08-21"})
    (trial.folder / JULY).write_bytes(good[: len(good) // 2])
    answer, context = trial.fetch(checkpoint)
    assert answer == UNCHANGED
    assert "2024-Jul could not be had, its last copy is used" in context.notes[0]
    (trial.folder / JULY).write_bytes(good.replace(b"<vuln:BaseScore>9.8", b"<vuln:BaseScore>9.0"))
    answer, context = trial.fetch(checkpoint)
    assert isinstance(answer, Checkpoint)
    after = bodies(trial.parse(context))
    assert after.keys() == before.keys()
    assert after[GROUP, "CVE-2024-0102"]["cvss"]["base_score"] == 9.0


def test_a_month_that_is_no_longer_listed_is_kept(tmp_path: Path) -> None:
    """A list that was cut short makes no group smaller."""
    trial = on_sample(MSRCDriver, tmp_path)
    before, checkpoint = published(trial)
    put(trial, {"2024-Aug": "2024-08-20"})
    answer, context = trial.fetch(checkpoint)
    assert answer == UNCHANGED
    assert "no longer names 2024-Jul" in context.notes[0]
    assert bodies(trial.run(forced=True)[0]) == before


def test_a_first_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Without all months nothing is published; those that came are not asked for again."""
    trial = on_sample(MSRCDriver, tmp_path)
    august = (trial.folder / AUGUST).read_bytes()
    (trial.folder / AUGUST).unlink()
    with pytest.raises(UpstreamError, match="2024-Aug"):
        trial.fetch()
    (trial.folder / AUGUST).write_bytes(august)
    (trial.folder / JULY).unlink()
    found, _ = published(trial)
    assert {key for group, key in found if group == GROUP} == {"CVE-2024-0101", "CVE-2024-0102", "CVE-2024-0201"}
    assert {file.suffix for file in trial.workspace.iterdir()} == {".db"}


def test_an_upstream_that_is_down_is_left_alone(tmp_path: Path) -> None:
    """After five months in a row that could not be had the rest is not asked for."""
    trial = on_sample(MSRCDriver, tmp_path)
    _, checkpoint = published(trial)
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"]
    put(
        trial, {f"2023-{name}": "2023-12-01" for name in names} | {"2024-Jul": "2024-07-12", "2024-Aug": "2024-08-20"}
    )
    _, context = trial.fetch(checkpoint)
    assert "after 5 failures in a row" in context.notes[0]
    assert len(context.notes) == 6


def test_a_withdrawn_record_matches_nothing(tmp_path: Path) -> None:
    """Without updates it makes no client find anything; a product is only marked; twice is the same as once."""
    for record in on_sample(MSRCDriver, tmp_path).run()[0]:
        gone = withdraw(record.feed, canonical.encode(record.body))
        contract.check(record.feed, record.group, gone)
        assert withdraw(record.feed, gone) == gone
        body = json.loads(gone)
        assert body["withdrawn"]
        expected = None if record.group == PRODUCTS else []
        assert body.get("fixed_in") == body.get("vulnerable") == expected


def test_text_has_no_markup() -> None:
    """Paragraphs and breaks become lines; entities their characters; what looks like a tag and is none stays."""
    assert plain("<p>a &lt; b &amp; c</p>\n\n<ul><li>one</li><li>two<br/>three</li></ul>") == (
        "a < b & c\none\ntwo\nthree"
    )
    assert plain("x < y") == "x < y"


def test_the_replays_month_is_read(upstreams: Any) -> None:
    """Two months as Microsoft wrote them, cut to one vulnerability each; the next day is the same."""
    real = upstreams(MSRCDriver)
    found = bodies(real.run(EVERYTHING)[0])
    net = found["msrc:12130", "CVE-2024-21392"]
    assert (net["severity"], net["cvss"]["base_score"], net["product"]["name"]) == ("High", 7.5, ".NET 7.0")
    assert [(fix["id"], fix["is_first"], fix["is_latest"]) for fix in net["fixed_in"]] == [("5036451", True, True)]
    assert found["msrc:12271", "CVE-2024-21392"]["fixed_in"] == []
    assert real.run(EVERYTHING)[0] == []


def test_true_months_agree_with_their_source(shared: Path, tmp_path: Path) -> None:
    """300 vulnerabilities of 2021 and 2022, value by value: products, severities, scores and updates."""
    source = shared / "upstream" / "data" / "msrc" / "cvrf-as-json-2021-Jan-2022-Jun.tar.xz"
    sayings = [json.loads(data) | {"month": name.split("/")[0]} for name, data in archive_members(source)]
    trial = on_sample(MSRCDriver, tmp_path, EVERYTHING)
    wanted: dict[tuple[str, str], tuple[set[str], str]] = {}
    names: dict[str, str] = {}
    for place, saying in enumerate(sayings):
        # Each vulnerability lies in a document of its own there, so each is a month of its own here.
        if not saying["producttree"]["branch"].get("branch"):
            # ADV220002 is about no product of its own.
            continue
        month = f"2000-{place:03}"
        names[month] = saying["month"]
        (trial.folder / path(month)).write_bytes(cvrf.true_document(month, saying))
        for each in saying["vulnerability"]:
            for product in cvrf.many(each["productstatuses"]["status"].get("product_id")):
                fixes = {
                    one["description"]
                    for one in cvrf.many((each.get("remediations") or {}).get("remediation"))
                    if one["type"] == "Vendor Fix" and one["description"].isdecimal() and product in one["product_id"]
                }
                wanted[f"msrc:{product}", each["cve"]] = (fixes, _word(each, product))
    value = [{"ID": month, "InitialReleaseDate": "2021-01-12", "CurrentReleaseDate": "1"} for month in names]
    (trial.folder / LIST).write_bytes(json.dumps({"value": value}).encode())
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    found = bodies(trial.parse(context))
    assert context.unknown_values == {}
    got = {key: body for key, body in found.items() if key[0] != PRODUCTS}
    assert got.keys() == wanted.keys()
    for key, (fixes, severity) in wanted.items():
        body = got[key]
        first = {fix["id"] for fix in body["fixed_in"] if fix["is_first"]}
        assert first <= fixes
        assert bool(first) == bool(fixes)
        assert severity in ("", body["severity"])


def _word(saying: dict[str, Any], product: str) -> str:
    words = {"Critical": "Critical", "Important": "High", "Moderate": "Medium", "Low": "Low"}
    for threat in cvrf.many((saying.get("threats") or {}).get("threat")):
        if threat["type"] == "Severity" and product == threat.get("product_id") and threat.get("description"):
            return words[threat["description"]]
    return ""
