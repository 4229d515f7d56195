"""Driver github on the archive of the sample: the suite, and what OSV documents of GitHub's mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample
from tests.drivers.errata_documents import archive, repacked
from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.github import database
from vulnfeeds.drivers.github.driver import GitHubDriver, GitHubSettings
from vulnfeeds.drivers.github.ecosystems import ECOSYSTEMS
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError, SettingsError, StatusError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FILE = "github.com/github/advisory-database/archive/refs/heads/main.tar.gz"
TOP = "advisory-database-main/advisories"
BROOK, PEBBLE, DELTA, FORD = (f"GHSA-2222-3333-{end * 4}" for end in "cfgh")
VOID = "GHSA-2222-3333-xxxx"


def path(name: str) -> str:
    return f"{TOP}/github-reviewed/2024/06/{name}/{name}.json"


def replacing(old: bytes, new: bytes, name: str = BROOK) -> Edit:
    """Return a change of one advisory."""

    def change(files: dict[str, bytes]) -> None:
        assert old in files[path(name)]
        files[path(name)] = files[path(name)].replace(old, new)

    return Edit(FILE, repacked(change))


class TestGitHub(DriverSuite):
    """What every driver must do, on the sample upstream, without a token."""

    driver = GitHubDriver
    upstream = SAMPLE
    groups = frozenset(("github", ecosystem.group) for ecosystem in ECOSYSTEMS)
    extended = (replacing(b'"published"', b'"credits": [{"name": "me"}], "published"'),)
    changed = (replacing(b"1.4.3", b"1.4.4"),)
    sad = (
        Sad(replacing(b'"summary": ', b'"summary": 7, "other": '), f"{path(BROOK)}: Expected `str`"),
        Sad(replacing(BROOK.encode(), b"GHSA-2222-3333-2222"), "is about 'GHSA-2222-3333-2222'"),
        Sad(replacing(b'"severity": "HIGH"', b'"severity": 7'), f"{path(BROOK)}: database_specific.severity"),
        Sad(replacing(b'"<= 1.9.4"', b"[1]", PEBBLE), "database_specific.last_known_affected_version_range"),
        Sad(Edit(FILE, lambda _: archive({"advisory-database-main/README.md": b"moved"})), "no OSV document"),
        Sad(
            Edit(FILE, repacked(lambda files: files.update({f"{TOP}/github-reviewed/../../x.json": b"{}"}))),
            "leads out",
        ),
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[tuple[str, str], dict[str, Any]], Context]:
    """The advisories of the sample by (group, id), and the context of the run."""
    records, context = on_sample(GitHubDriver, tmp_path_factory.mktemp("github")).run()
    return {key: body["Advisory"] for key, body in bodies(records).items()}, context


def test_a_record_is_one_advisory_in_one_ecosystem(sample: Any) -> None:
    """In the form that clients read, with what newer ones may take besides."""
    found, _ = sample
    same = {"ecosystem": "npm", "name": "brook", "namespace": "github:npm"}
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
    assert found["github:npm", BROOK] == {
        "ghsaId": BROOK,
        "namespace": "github:npm",
        "url": f"https://github.com/advisories/{BROOK}",
        "Summary": "Brooks overflow their banks",
        "Severity": "High",
        "CVE": ["CVE-2024-1001"],
        "Metadata": {"CVE": ["CVE-2024-1001"]},
        "FixedIn": [
            {**same, "identifier": "1.1.9", "range": "< 1.1.9"},
            {**same, "identifier": "1.4.3", "range": ">= 1.2.0 < 1.4.3"},
        ],
        "withdrawn": None,
        "Classification": "GENERAL",
        "published": "2024-06-04T12:00:00Z",
        "updated": "2024-06-07T15:04:20Z",
        "CVSS": {
            "base_metrics": {
                "base_score": 7.5,
                "base_severity": "High",
                "exploitability_score": 3.9,
                "impact_score": 3.6,
            },
            "status": "N/A",
            "vector_string": vector,
            "version": "3.1",
        },
        "cvss_severities": [{"version": "3.1", "vector": vector}],
        "references": [{"url": f"https://brooks.example/{BROOK}"}],
    }


def test_each_ecosystem_has_its_own_fixes(sample: Any) -> None:
    """An advisory about two ecosystems is a record in both groups, with the packages of that one."""
    found, _ = sample
    fixes = {
        group: [(fix["name"], fix["range"], fix["identifier"]) for fix in found[group, PEBBLE]["FixedIn"]]
        for group in ("github:python", "github:gem")
    }
    assert fixes == {
        "github:python": [("pebble", "<= 1.9.4", "2.0.1")],
        "github:gem": [("pebble-rb", "= 2.4.0", "2.4.1")],
    }
    assert [item["version"] for item in found["github:gem", PEBBLE]["cvss_severities"]] == ["3.1", "4.0"]


def test_what_is_withdrawn_is_kept(sample: Any) -> None:
    """With upstream's date and its fixes: clients that know the date drop them."""
    found, _ = sample
    assert found["github:npm", VOID]["withdrawn"] == "2024-06-06T10:00:00Z"
    assert len(found["github:npm", VOID]["FixedIn"]) == 1


def test_unreviewed_advisories_are_passed_over(sample: Any) -> None:
    """They name no package."""
    found, context = sample
    assert {key for _, key in found if key.startswith("GHSA-9")} == set()
    assert context.notes == []


@pytest.mark.parametrize(
    ("affected", "expected"),
    [
        ({"events": ["introduced 0", "fixed 2.0"]}, [("< 2.0", "2.0")]),
        ({"events": ["introduced 1.0", "fixed 2.0"]}, [(">= 1.0 < 2.0", "2.0")]),
        ({"events": ["introduced 1.0", "last_affected 2.0"]}, [(">= 1.0 <= 2.0", "")]),
        ({"events": ["introduced 0", "last_affected 2.0"]}, [("<= 2.0", "")]),
        ({"events": ["introduced 2.0", "last_affected 2.0"]}, [("= 2.0", "")]),
        ({"events": ["introduced 0"]}, [(">= 0", "")]),
        ({"events": ["introduced 3"]}, [(">= 3", "")]),
        ({"events": ["introduced 0", "fixed 5.0.0"], "known": "<= 4.3.2"}, [("<= 4.3.2", "5.0.0")]),
        ({"events": ["introduced 1.3.0", "fixed 1.4"], "known": "<= 1.3.1"}, [(">= 1.3.0 <= 1.3.1", "1.4")]),
        ({"events": ["introduced 0"], "known": "< 6.4"}, [("< 6.4", "")]),
        ({"events": ["introduced 2.4.0", "fixed 2.4.1"], "versions": ["2.4.0"]}, [("= 2.4.0", "2.4.1")]),
        ({"events": ["introduced 1", "fixed 2", "introduced 3", "fixed 4"]}, [(">= 1 < 2", "2"), (">= 3 < 4", "4")]),
        ({"events": [], "versions": ["1.17.0", "1.18.0"]}, [("= 1.17.0", ""), ("= 1.18.0", "")]),
    ],
)
def test_ranges_are_worded_as_the_api_words_them(affected: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Also where OSV needs fields of GitHub's own to say what the API says."""
    events = [dict([text.split()]) for text in affected["events"]]
    known = {"last_known_affected_version_range": affected["known"]} if "known" in affected else {}
    document = {
        "id": BROOK,
        "modified": "2024-06-07T15:04:20Z",
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": "x"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}] if events else [],
                "versions": affected.get("versions", []),
                "database_specific": known,
            }
        ],
    }
    made = database.of_document(osv.decode(json.dumps(document).encode(), "x.json"), "x.json")
    assert [(affects.range, affects.fixed) for affects in made.affects] == expected


def test_what_is_strange_is_counted(tmp_path: Path) -> None:
    """Ecosystems, severities and vectors that are not known; a slash at the end of a vector is not strange."""
    trial = on_sample(GitHubDriver, tmp_path)
    for edit in (
        replacing(b'"ecosystem": "Maven"', b'"ecosystem": "Bower"', DELTA),
        replacing(b'"severity": "CRITICAL"', b'"severity": "DREADFUL"', FORD),
        replacing(b"/C:N/I:N/A:H", b"/C:N/I:N", FORD),
        replacing(b"/C:N/I:N/A:H", b"/C:N/I:N/A:H/", BROOK),
        replacing(b'"CVSS:4.0/AV', b'"CVSS 4.0 AV', PEBBLE),
    ):
        trial.edit(edit)
    records, context = trial.run()
    found = bodies(records)
    assert context.unknown_values == {
        "ecosystem=Bower": 1,
        "severity=DREADFUL": 1,
        "CVSS vector=CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N": 1,
        "CVSS vector=CVSS 4.0 AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N": 1,
    }
    assert ("github:java", DELTA) not in found
    assert found["github:go", FORD]["Advisory"]["Severity"] == "Unknown"
    assert found["github:npm", BROOK]["Advisory"]["CVSS"]["vector_string"].endswith("/A:H")


def test_a_fix_is_named_once(tmp_path: Path) -> None:
    """Clients keep one of two with the same package and range: the one that names a fixing version is given."""
    trial = on_sample(GitHubDriver, tmp_path)

    def change(files: dict[str, bytes]) -> None:
        document = json.loads(files[path(BROOK)])
        unfixed = {**document["affected"][1], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}
        unfixed["database_specific"] = {"last_known_affected_version_range": "< 1.1.9"}
        document["affected"].insert(0, unfixed)
        files[path(BROOK)] = json.dumps(document).encode()

    trial.edit(Edit(FILE, repacked(change)))
    records, _ = trial.run()
    fixes = bodies(records)["github:npm", BROOK]["Advisory"]["FixedIn"]
    assert [(fix["range"], fix["identifier"]) for fix in fixes] == [
        ("< 1.1.9", "1.1.9"),
        (">= 1.2.0 < 1.4.3", "1.4.3"),
    ]


def test_the_api_needs_a_token(tmp_path: Path) -> None:
    """With `source` api and no token, the run ends and says what to set."""
    with pytest.raises(StatusError, match="needs a token: set GITHUB_TOKEN"):
        on_sample(GitHubDriver, tmp_path, GitHubSettings(source="api")).fetch()


def test_a_folder_mirror_has_no_api(tmp_path: Path) -> None:
    """With a token the archive is read all the same, and the task says so."""
    trial = on_sample(GitHubDriver, tmp_path)
    trial._secrets = {"GITHUB_TOKEN": "any"}
    records, context = trial.run()
    assert len(records) == 13
    assert "cannot be asked here" in context.notes[0]


def test_settings_that_make_no_sense_are_refused() -> None:
    """With the setting's name."""
    for name in ("overlap_seconds", "whole_days"):
        with pytest.raises(SettingsError, match=f"driver.github.{name} must not be negative"):
            GitHubSettings(**{name: -1.0})


def test_nothing_is_parsed_that_was_not_fetched(tmp_path: Path) -> None:
    """A workspace without a note of what was fetched is refused."""
    trial = on_sample(GitHubDriver, tmp_path)
    _, context = trial.fetch()
    (trial.workspace / "source.json").write_bytes(b'"elsewhere"')
    with pytest.raises(ParseError, match=r"source\.json"):
        trial.parse(context)
