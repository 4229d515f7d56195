"""How the strict client syncs: since, upserts, failures and flush as in the policy engine; and how it compares."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import GROUP, Clock, FakeService, Reply, listed, os_record, page
from vulnfeeds.testing.client import MissingError, StrictClient

Sync = Callable[..., Any]
FEED, NAME = "vulnerabilities", "alpine:3.10"
FIRST = datetime.fromisoformat("2024-06-01T12:00:00.123456")
SINCE = f"{GROUP}?since=2024-06-01T12:00:00.123456"


def fix(name: str, version: str) -> dict[str, str]:
    """Return a fix of the one group."""
    return {"Name": name, "NamespaceName": NAME, "Version": version, "VersionFormat": "apk"}


def numbered(first: int, count: int) -> list[Any]:
    """Return good records CVE-2020-<first>..."""
    return [os_record(f"CVE-2020-{number:04}") for number in range(first, first + count)]


def test_a_first_sync_loads_all_pages(sync_group: Sync, client: StrictClient) -> None:
    """Pages are walked to the end, every record is a row, last_sync is when the download began."""
    report = sync_group(page(*numbered(0, 3), token="a"), page(*numbered(3, 2)))
    assert (report.pages, report.records, report.created, report.updated) == (2, 5, 5, 0)
    assert (report.complete, report.failed, report.problem, report.since) == (True, False, "", None)
    assert report.wire_bytes > 0
    assert client.ids(FEED, NAME) == {f"CVE-2020-000{number}" for number in range(5)}
    assert client.last_sync(FEED, NAME) == FIRST


def test_since_is_when_the_last_download_began(service: FakeService, client: StrictClient, clock: Clock) -> None:
    """Not when it ended, and by the client's clock alone."""
    service.lists()
    service.says(GROUP, page(os_record()))
    client.sync([FEED])
    clock.turn(hours=6)
    service.says(SINCE, page())
    report = client.sync([FEED]).of(FEED, NAME)
    assert (report.since, report.records, report.complete) == (FIRST.isoformat(), 0, True)
    assert client.last_sync(FEED, NAME) == FIRST + timedelta(hours=6)


def test_a_clock_with_a_zone_is_kept_as_naive_utc(service: FakeService, tmp_path: Path) -> None:
    """The real column has no zone."""
    service.lists()
    service.says(GROUP, page())
    east = datetime(2024, 6, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    with StrictClient(service.address, tmp_path / "c.sqlite", clock=lambda: east) as client:
        client.sync([FEED])
        assert client.last_sync(FEED, NAME) == datetime.fromisoformat("2024-06-01T12:00:00")


def test_what_lies_in_the_database_is_gone_on_with(service: FakeService, tmp_path: Path, clock: Clock) -> None:
    """A restarted client asks since its last complete download."""
    service.lists()
    service.says(GROUP, page(os_record()))
    with StrictClient(service.address, tmp_path / "c.sqlite", clock=clock) as client:
        client.sync([FEED])
    service.says(SINCE, page())
    with StrictClient(service.address, f"sqlite:///{tmp_path / 'c.sqlite'}", clock=clock) as client:
        assert client.sync([FEED]).of(FEED, NAME).since == FIRST.isoformat()
        assert client.ids(FEED, NAME) == {"CVE-2020-0001"}


def test_an_update_replaces_the_children(service: FakeService, client: StrictClient) -> None:
    """Fixes that are missing from the new version are gone, other records stay as they are."""
    service.lists()
    both = os_record("CVE-1", FixedIn=[fix("bash", "1"), fix("zsh", "2")])
    service.says(GROUP, page(both, os_record("CVE-2")))
    client.sync([FEED])
    service.says(SINCE, page(os_record("CVE-1", FixedIn=[fix("zsh", "3")], Severity="High")))
    report = client.sync([FEED]).of(FEED, NAME)
    assert (report.created, report.updated) == (0, 1)
    kept = client.vulnerability(FEED, NAME, "CVE-1")
    assert kept is not None
    assert kept.row[0] == "High"
    assert [child[:2] for child in kept.children] == [("zsh", "3")]
    assert client.vulnerability(FEED, NAME, "CVE-2") is not None


def test_an_empty_fixed_in_withdraws(service: FakeService, client: StrictClient) -> None:
    """The record stays and its fixes go: the only way to say that nothing is affected any more."""
    service.lists()
    service.says(GROUP, page(os_record("CVE-1")))
    client.sync([FEED])
    service.says(SINCE, page(os_record("CVE-1", FixedIn=[])))
    client.sync([FEED])
    kept = client.vulnerability(FEED, NAME, "CVE-1")
    assert kept is not None
    assert kept.children == ()


def test_the_last_of_twins_wins_and_is_counted(sync_group: Sync, client: StrictClient) -> None:
    """On one page or on two."""
    report = sync_group(
        page(os_record("CVE-1"), os_record("CVE-1", Severity="Medium"), token="a"),
        page(os_record("CVE-1", Severity="High")),
    )
    assert (report.records, report.repeated, report.created, report.updated) == (3, 2, 1, 2)
    kept = client.vulnerability(FEED, NAME, "CVE-1")
    assert kept is not None
    assert kept.row[0] == "High"


def test_a_failing_first_page_fails_the_group_alone(service: FakeService, client: StrictClient) -> None:
    """Nothing changes there, and the other groups are synced."""
    service.lists(FEED, "alpine:3.10", "debian:9")
    service.says(GROUP, Reply(b"busy", status=503))
    service.says("/v1/feeds/vulnerabilities/debian:9", page(os_record(group="debian:9")))
    report = client.sync([FEED])
    assert service.targets().count(GROUP) == 3
    assert report.of(FEED, NAME).failed
    assert report.of(FEED, "debian:9").complete
    assert report.failed_feeds == [FEED]
    assert report.problems == [f"{FEED}/{NAME}: {service.address}/{FEED}/{NAME}: HTTP status 503: busy"]
    assert client.last_sync(FEED, NAME) is None


def test_a_failing_later_page_keeps_what_came(service: FakeService, client: StrictClient) -> None:
    """The group reports success, last_sync stays, and the next sync begins again from the first page."""
    service.lists()
    service.says(GROUP, page(os_record("CVE-1"), token="a"))
    service.says(f"{GROUP}?next_token=a", Reply(b"busy", status=503))
    report = client.sync([FEED]).of(FEED, NAME)
    assert (report.failed, report.complete, report.created) == (False, False, 1)
    assert "503" in report.problem
    assert client.ids(FEED, NAME) == {"CVE-1"}
    assert client.last_sync(FEED, NAME) is None
    service.says(f"{GROUP}?next_token=a", page(os_record("CVE-2")))
    again = client.sync([FEED]).of(FEED, NAME)
    assert (again.since, again.complete, again.created, again.updated) == (None, True, 1, 1)


def test_a_bad_record_drops_all_since_the_last_commit(sync_group: Sync, client: StrictClient) -> None:
    """Commits come every 500 records: a bad one at 750 leaves 500, and the group never gets on."""
    records = [*numbered(0, 750), os_record("CVE-9", Severity="Moderate"), *numbered(751, 10)]
    report = sync_group(page(*records))
    assert report.failed
    assert report.problem.startswith("record 750: Vulnerability.Severity")
    assert client.ids(FEED, NAME) == {f"CVE-2020-{number:04}" for number in range(500)}
    assert client.last_sync(FEED, NAME) is None


def test_a_bad_record_does_not_keep_other_groups_back(service: FakeService, client: StrictClient) -> None:
    """The feed is reported as failed all the same."""
    service.lists(FEED, "alpine:3.10", "debian:9")
    service.says(GROUP, page(os_record(Severity="high")))
    service.says("/v1/feeds/vulnerabilities/debian:9", page(os_record(group="debian:9")))
    report = client.sync([FEED])
    assert report.of(FEED, "debian:9").complete
    assert report.failed_feeds == [FEED]


def test_flush_asks_for_everything_and_forgets_what_does_not_come(service: FakeService, client: StrictClient) -> None:
    """The group's rows go, no since is sent."""
    service.lists()
    service.says(GROUP, page(os_record("CVE-1"), os_record("CVE-2")))
    client.sync([FEED])
    service.says(GROUP, page(os_record("CVE-2")))
    report = client.sync([FEED], flush=True).of(FEED, NAME)
    assert (report.since, report.created, report.complete) == (None, 1, True)
    assert client.ids(FEED, NAME) == {"CVE-2"}


def test_a_flush_that_gets_no_page_loses_nothing(service: FakeService, client: StrictClient) -> None:
    """Rows are deleted when the new ones are there."""
    service.lists()
    service.says(GROUP, page(os_record("CVE-1")))
    client.sync([FEED])
    service.says(GROUP, Reply(b"busy", status=503))
    assert client.sync([FEED], flush=True).of(FEED, NAME).failed
    assert client.ids(FEED, NAME) == {"CVE-1"}


def test_only_what_is_selected_and_listed_is_synced(service: FakeService, client: StrictClient) -> None:
    """Unknown feeds are passed over; a selected feed that is not listed fails without stopping the others."""
    service.says("/v1/feeds", Reply({"feeds": [listed(FEED), listed("elsewhere")], "next_token": ""}))
    service.says(f"/v1/feeds/{FEED}", Reply({"groups": [listed(NAME), listed("debian:9")], "next_token": ""}))
    service.says(GROUP, page())
    report = client.sync([FEED, "nvdv2"], wanted=lambda feed, group: group == NAME)
    assert report.not_listed == ["nvdv2"]
    assert report.failed_feeds == ["nvdv2"]
    assert [group.group for group in report.groups] == [NAME]
    assert service.targets() == ["/v1/feeds", f"/v1/feeds/{FEED}", GROUP]


def test_a_group_that_vanished_is_still_asked_for(service: FakeService, client: StrictClient) -> None:
    """It is in the client's database; a 404 then fails it, and with it the feed, at every sync."""
    service.lists()
    service.says(GROUP, page(os_record()))
    client.sync([FEED])
    service.lists(FEED, "debian:9")
    service.says("/v1/feeds/vulnerabilities/debian:9", page())
    report = client.sync([FEED])
    assert report.of(FEED, NAME).failed
    assert report.failed_feeds == [FEED]


def test_a_missing_groups_listing_aborts_everything(service: FakeService, client: StrictClient) -> None:
    """No feed is synced then."""
    service.says("/v1/feeds", Reply({"feeds": [listed(FEED), listed("nvdv2")], "next_token": ""}))
    service.says(f"/v1/feeds/{FEED}", Reply({"groups": [listed(NAME)], "next_token": ""}))
    with pytest.raises(MissingError):
        client.sync([FEED, "nvdv2"])
    assert GROUP not in service.targets()


def test_something_can_happen_between_pages(service: FakeService, tmp_path: Path) -> None:
    """The hook is called after each page that came."""
    service.lists()
    service.says(GROUP, page(token="a"))
    service.says(f"{GROUP}?next_token=a", page())
    seen: list[Any] = []
    with StrictClient(service.address, tmp_path / "c", after_page=lambda *what: seen.append(what)) as client:
        client.sync([FEED])
    assert seen == [(FEED, NAME, 1), (FEED, NAME, 2)]


def test_a_walk_gives_the_bare_records(service: FakeService, client: StrictClient) -> None:
    """Nothing is stored; what is wrong with a page is raised."""
    service.says(f"{GROUP}?since=2020-01-01", page(os_record(), token="a"))
    service.says(f"{GROUP}?since=2020-01-01&next_token=a", Reply(b"gone", status=404))
    walk = client.walk(FEED, NAME, since="2020-01-01")
    assert next(walk) == os_record()
    with pytest.raises(MissingError):
        next(walk)
    assert client.ids(FEED, NAME) == set()


def served(*bodies: Any) -> list[tuple[str, str, str, bytes]]:
    """Return bodies as a service's store would give them, keys in another order."""
    reversed_keys = [{"Vulnerability": dict(reversed(body["Vulnerability"].items()))} for body in bodies]
    return [(FEED, NAME, body["Vulnerability"]["Name"], json.dumps(body).encode()) for body in reversed_keys]


def test_a_client_that_has_everything_does_not_differ(sync_group: Sync, client: StrictClient) -> None:
    """The order of keys is no difference."""
    records = [os_record("CVE-1", Metadata={"NVD": {"CVSSv2": {"Score": 6.40, "Vectors": "v"}}}), os_record("CVE-2")]
    sync_group(page(*records))
    assert client.compare(served(*records)) == []


def test_every_kind_of_difference_is_named(sync_group: Sync, client: StrictClient) -> None:
    """Missing, extra, another column, another fix, another body, and what a client would refuse."""
    advisory = {"NoAdvisory": False, "AdvisorySummary": []}
    sync_group(
        page(
            os_record("CVE-1"),
            os_record("CVE-2"),
            os_record("CVE-3", FixedIn=[fix("bash", "1")]),
            os_record("CVE-4", CVSS=[]),
            os_record("CVE-5"),
            os_record("CVE-6", FixedIn=[{**fix("bash", "1"), "VendorAdvisory": advisory}]),
        )
    )
    store = served(
        os_record("CVE-0"),
        os_record("CVE-2", Severity="High"),
        os_record("CVE-3", FixedIn=[]),
        os_record("CVE-4"),
        os_record("CVE-5", Severity="Moderate"),
        os_record("CVE-6", FixedIn=[fix("bash", "1")]),
    )
    lines = [str(difference) for difference in client.compare(store)]
    place = f"{FEED}/{NAME}"
    assert lines[:2] == [
        f"{place} CVE-0: the client does not have it",
        f"{place} CVE-2: 'Low' at the client, 'High' at the service",
    ]
    assert lines[2].startswith(f"{place} CVE-3: only at the client: ('bash', '1'")
    assert lines[3] == f"{place} CVE-4: same columns, but another body"
    assert lines[4].startswith(f"{place} CVE-5: a client refuses it: Vulnerability.Severity")
    assert lines[5].startswith(f"{place} CVE-6: only at the client")
    assert lines[6].startswith(f"{place} CVE-6: only at the service")
    assert lines[7:] == [f"{place} CVE-1: only the client has it", f"{place} CVE-5: only the client has it"]


def test_groups_that_are_not_given_are_not_compared(sync_group: Sync, client: StrictClient) -> None:
    """A comparison is of whole groups, of those that come."""
    sync_group(page(os_record()))
    assert client.compare([]) == []


def test_other_feeds_land_in_their_tables(service: FakeService, tmp_path: Path) -> None:
    """NVD with its CPEs, packages, GitHub, and feeds without a class: each compares equal with itself."""
    cpe = "cpe:2.3:o:bsdi:bsd_os:3.1:*:*:*:*:*:*:*"
    meta = {"CVE_data_meta": {"ID": "CVE-1"}}
    bodies: dict[tuple[str, str], Any] = {
        ("nvdv2", "nvdv2:cves"): {
            "cve": meta,
            "vulnerable_cpes": [cpe],
            "cvss_v3": {"base_metrics": {"base_score": 9}},
        },
        ("packages", "npm"): {"left-pad": {"latest": "1.0"}},
        ("nvd", "nvddb:2002"): {"@id": "CVE-1", "summary": "s"},
        ("kev", "kev:known-exploited"): {"cveID": "CVE-1"},
    }
    service.says("/v1/feeds", Reply({"feeds": [listed(feed) for feed, _ in bodies], "next_token": ""}))
    for (feed, group), body in bodies.items():
        service.says(f"/v1/feeds/{feed}", Reply({"groups": [listed(group)], "next_token": ""}))
        service.says(f"/v1/feeds/{feed}/{group}", page(body))
    with StrictClient(service.address, tmp_path / "c") as client:
        report = client.sync([feed for feed, _ in bodies])
        assert report.problems == []
        assert report.records == 4
        assert client.compare([(*place, "", json.dumps(body).encode()) for place, body in bodies.items()]) == []
        report = client.sync([feed for feed, _ in bodies], flush=True)
        assert sum(group.created for group in report.groups) == 4
