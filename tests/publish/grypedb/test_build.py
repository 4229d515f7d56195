"""A database of a store: what is in it, and that the same store gives the same one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.api.filling import Clock, publish
from tests.publish.grypedb.conftest import VECTOR, build_into, fill, query
from tests.publish.grypedb.records import GROUP, fixed_in, ghsa_record, os_record
from vulnfeeds.publish.grypedb.check import check
from vulnfeeds.store import Store, open_store

Ask = Callable[[str], list[Any]]
ORIGINS = ("debian", "eol", "epss", "github", "kev", "msrc", "nvd", "rhel")


def test_clients_can_use_it(database: Path) -> None:
    """All that a client would fail on is in order."""
    assert check(database) == []


def test_the_same_store_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    """Only the time of the build may differ, and that is an argument."""
    files = [tmp_path / name for name in ("one.db", "two.db", "old-one.db", "old-two.db")]
    build_into(store, files[0], old=files[2])
    build_into(store, files[1], old=files[3])
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()


def test_both_kinds_of_store_give_the_same_bytes(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Keys come in one order, whatever the database server thinks of capitals and hyphens."""
    names = ("CVE-2024-10", "CVE-2024-9", "ALAS-2", "ALAS2-1", "cve-2024-9", "CVE_2024", "Ä-1", "a-1")
    records = {name: os_record(GROUP, name, fixed_in(GROUP, f"p-{name}", "1")) for name in names}
    made = []
    for number, url in enumerate((sqlite_url, postgres_url)):
        with closing(open_store(url, clock=Clock())) as opened:
            fill(opened)
            publish(opened, "vulnerabilities", GROUP, records)
            made.append(tmp_path / f"{number}.db")
            build_into(opened, made[-1])
    assert made[0].read_bytes() == made[1].read_bytes()


def test_releases_share_what_they_say_alike(ask: Ask) -> None:
    """One CVE in two releases is one vulnerability with two packages."""
    assert ask("SELECT count(*) FROM vulnerability_handles WHERE provider_id = 'debian'") == [(2,)]
    rows = ask(
        "SELECT o.major_version, b.value FROM affected_package_handles h"
        " JOIN operating_systems o ON o.id = h.operating_system_id JOIN packages p ON p.id = h.package_id"
        " JOIN blobs b ON b.id = h.blob_id WHERE p.name = 'bash' AND p.ecosystem = 'deb' ORDER BY 1"
    )
    constraints = [json.loads(text)["ranges"][0]["version"]["constraint"] for _, text in rows]
    assert (constraints, [major for major, _ in rows]) == (["< 1.1", "< 1.2"], ["11", "12"])


def test_rhel_is_on_every_minor_release(ask: Ask) -> None:
    """One text serves all rows of a package."""
    assert ask(
        "SELECT count(*), count(DISTINCT h.blob_id) FROM affected_package_handles h"
        " JOIN operating_systems o ON o.id = h.operating_system_id WHERE o.name = 'redhat'"
    ) == [(12, 1)]


def test_the_nvds_severity_stands_in_where_there_is_none(ask: Ask) -> None:
    """A record without a severity of its own takes the first one of the NVD."""
    ((text,),) = ask(
        "SELECT b.value FROM vulnerability_handles v JOIN blobs b ON b.id = v.blob_id"
        " WHERE v.provider_id = 'debian' AND v.name = 'CVE-2024-0002'"
    )
    (severity,) = json.loads(text)["severities"]
    assert severity["value"] == {"vector": VECTOR, "version": "3.1"}


def test_aliases_lead_from_an_advisory_to_its_cve(ask: Ask) -> None:
    """Scores and exploitation are found by CVE."""
    assert ask("SELECT name, alias FROM vulnerability_aliases") == [("GHSA-aaaa", "CVE-2024-0001")]


def test_a_known_exploited_vulnerability_has_its_dates_and_links(ask: Ask) -> None:
    """Addresses are taken out of the notes."""
    ((cve, text),) = ask(
        "SELECT k.cve, b.value FROM known_exploited_vulnerability_handles k JOIN blobs b ON b.id = k.blob_id"
    )
    blob = json.loads(text)
    assert (cve, blob["date_added"], blob["urls"]) == (
        "CVE-2024-0001",
        "2024-05-01T00:00:00Z",
        ["https://vendor.example/1"],
    )
    assert blob["notes"] == "see there"


def test_scores_have_one_day(ask: Ask) -> None:
    """Probability and percentile of each CVE, and the day that they are of."""
    assert ask("SELECT cve, epss, percentile FROM epss_handles") == [("CVE-2024-0001", 0.25, 0.5)]
    assert ask("SELECT date FROM epss_metadata") == [("2026-01-01 00:00:00+00:00",)]


def test_scores_without_a_day_are_left_out_and_told(tmp_path: Path, sqlite_url: str) -> None:
    """A client would refuse the whole database for want of it."""
    bare = open_store(sqlite_url, clock=Clock())
    scores = {"CVE-2024-0001": {"cve": "CVE-2024-0001", "epss": 0.25, "percentile": 0.5}}
    publish(bare, "epss", "epss:scores", scores, driver="epss")
    report = build_into(bare, tmp_path / "bare.db")
    bare.close()
    assert [(left.group, left.reason) for left in report.left] == [
        ("epss:scores", "scores need the day that group epss:model says")
    ]
    assert check(tmp_path / "bare.db") == []


def test_a_system_says_until_when_it_is_supported(ask: Ask) -> None:
    """A client looks at the row of the host's own version: for RHEL all minor releases have the major one's day."""
    rows = ask("SELECT name, major_version, minor_version, eol_date, eoas_date FROM operating_systems ORDER BY id")
    day = "2032-05-31 00:00:00+00:00"
    assert [row[3:] for row in rows if row[0] == "redhat"] == [(day, None)] * 12
    assert [row for row in rows if row[0] == "debian"] == [
        ("debian", "11", "", None, None),
        ("debian", "12", "", "2028-06-30 00:00:00+00:00", "2026-06-10 00:00:00+00:00"),
    ]


def test_every_provider_says_where_its_rows_come_from(ask: Ask) -> None:
    """An origin without a row would end every scan."""
    rows = ask("SELECT id, processor, substr(input_digest, 1, 6) FROM providers ORDER BY id")
    assert rows == [(name, "test", "xxh64:") for name in ORIGINS]


def test_a_withdrawn_record_is_not_in_it(store: Store, tmp_path: Path) -> None:
    """What upstream took back matches nothing any more, whatever its last body says."""
    gone = ghsa_record("github:npm", "GHSA-aaaa", withdrawn="2026-01-01T00:00:00Z")
    publish(store, "github", "github:npm", {}, withdrawn={"GHSA-aaaa": gone}, driver="github")
    path = tmp_path / "after.db"
    build_into(store, path)
    assert query(path, "SELECT count(*) FROM vulnerability_handles WHERE provider_id = 'github'") == [(0,)]


def test_a_publish_during_a_build_does_not_show(store: Store, tmp_path: Path) -> None:
    """All groups are seen as of the moment at which the build began."""
    untouched, during = tmp_path / "untouched.db", tmp_path / "during.db"
    build_into(store, untouched)
    changed = {"CVE-2024-0009": os_record(GROUP, "CVE-2024-0009", fixed_in(GROUP, "fish", "3"))}

    class Meddling:
        """The store, in which somebody publishes when the first group is read."""

        def __getattr__(self, name: str) -> Any:
            if name == "slice":
                publish(store, "vulnerabilities", GROUP, changed)
            return getattr(store, name)

    build_into(Meddling(), during)  # type: ignore[arg-type]
    assert during.read_bytes() == untouched.read_bytes()


def test_what_cannot_be_expressed_is_listed(store: Store, tmp_path: Path) -> None:
    """A record with an odd version, and a group without a home, are in the report with the reason."""
    odd = {"CVE-2024-0007": os_record(GROUP, "CVE-2024-0007", fixed_in(GROUP, "odd", "five"))}
    publish(store, "vulnerabilities", GROUP, odd)
    publish(store, "vulnerabilities", "plan9:4", {"CVE-1": os_record("plan9:4", "CVE-1")}, driver="kev")
    report = build_into(store, tmp_path / "odd.db")
    assert [(left.group, left.key) for left in report.left] == [
        ("msrc:products", None),
        ("plan9:4", None),
        (GROUP, "CVE-2024-0007"),
    ]
    assert report.left_records == 1


def test_channels_can_be_left_out(store: Store, tmp_path: Path) -> None:
    """Old clients cannot open a database with them."""
    group = "ubuntu:22.04+esm"
    publish(store, "vulnerabilities", group, {"CVE-1": os_record(group, "CVE-1", fixed_in(group, "p", "1"))})
    build_into(store, tmp_path / "without.db", channels=False)
    assert query(tmp_path / "without.db", "SELECT count(*) FROM operating_systems WHERE channel <> ''") == [(0,)]


def test_the_old_schema_has_the_feeds_own_names(store: Store, tmp_path: Path) -> None:
    """Namespaces are groups; each vulnerability of one is described."""
    old = tmp_path / "old.db"
    build_into(store, tmp_path / "new.db", old=old)
    assert query(old, "SELECT schema_version FROM id") == [(3,)]
    assert query(
        old, "SELECT namespace, package_name, version_constraint, fix_state FROM vulnerability ORDER BY 1, 2, 3"
    ) == [
        ("debian:11", "bash", "< 1.1", "fixed"),
        ("debian:11", "zsh", "", "not-fixed"),
        ("debian:12", "bash", "< 1.2", "fixed"),
        ("debian:12", "zsh", "", "not-fixed"),
        ("github:npm", "left-pad", ">=1.0,<1.3", "fixed"),
        ("msrc:10852", "10852", "4480961 || 4487026 || base", "fixed"),
        ("nvd", "app", "< 2.0", "unknown"),
        ("nvd", "app", "< 2.0", "unknown"),
        ("rhel:9", "bash", "< 0:1.3-1.el9", "fixed"),
    ]
    assert query(
        old, "SELECT severity FROM vulnerability_metadata WHERE id = 'CVE-2024-0002' ORDER BY namespace"
    ) == [
        ("Critical",),
        ("Critical",),
        ("Critical",),
    ]


def test_the_old_schema_has_every_range_of_a_package_of_a_language(store: Store, tmp_path: Path) -> None:
    """An advisory for two release lines concerns both."""
    fixes = [
        {"name": "left-pad", "range": "< 1.3", "identifier": "1.3"},
        {"name": "left-pad", "range": ">= 2.0 < 2.1", "identifier": "2.1"},
    ]
    publish(store, "github", "github:npm", {"GHSA-aaaa": ghsa_record("github:npm", "GHSA-aaaa", *fixes)})
    old = tmp_path / "old.db"
    build_into(store, tmp_path / "new.db", old=old)
    assert query(old, "SELECT version_constraint FROM vulnerability WHERE package_name = 'left-pad' ORDER BY 1") == [
        ("<1.3",),
        (">=2.0,<2.1",),
    ]
