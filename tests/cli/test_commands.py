"""The commands that look, sync and operate, as processes."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, ON_BY_DEFAULT, Vulnfeeds
from tests.conftest import Replay
from vulnfeeds import __version__
from vulnfeeds.cli.app import run
from vulnfeeds.cli.compose import sample_upstream

SAMPLE = {"VULNFEEDS_UPSTREAM_MIRROR": str(sample_upstream())}


def test_version_is_said(vulnfeeds: Vulnfeeds) -> None:
    """The version stands alone on its line, for programs too."""
    assert vulnfeeds.run("--version").stdout == f"vulnfeeds {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        *("up", "serve", "sync", "feeds", "groups", "records", "show", "search", "tasks", "drivers", "hosts"),
        *(f"config {name}" for name in ("show", "check", "defaults", "reference")),
        *(f"quarantine {name}" for name in ("list", "show", "accept", "drop")),
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has a help text with its usage."""
    assert run([*command.split(), "--help"]) == 0
    assert f"Usage: vulnfeeds {command}" in capsys.readouterr().out


def test_completion_installs_itself(vulnfeeds: Vulnfeeds) -> None:
    """`--install-completion` writes a completion of all commands for the shell that it is told."""
    vulnfeeds.run("--install-completion", "--shell", "bash")
    scripts = [path for path in vulnfeeds.home.parent.rglob("*vulnfeeds*") if path.is_file()]
    assert any("quarantine" in script.read_text() for script in scripts)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serv"], '"serve"'),
        (["feeds", "--jsn"], "--json"),
        (["up", "--port", "many"], "many"),
        (["records", "kev"], "group"),
        (["records", "kev", "g", "--history"], "--history"),
        (["records", "kev", "g", "--limit", "0"], "--limit"),
        (["tasks", "--filter", "colour=red"], "colour=red"),
        (["quarantine", "drop"], "IDs"),
        (["search"], "exactly one"),
        (["search", "p", "--with", "weather"], "weather"),
        (["show", "CVE-1", "--limit", "0"], "--limit"),
    ],
)
def test_usage_errors_have_their_code(vulnfeeds: Vulnfeeds, arguments: list[str], part: str) -> None:
    """A command line that makes no sense ends with code 2 and says what was wrong."""
    assert part.lower() in vulnfeeds.run(*arguments, code=2).stderr.lower()


def test_settings_errors_have_their_code(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """Settings that make no sense, or cannot be read, end every command with code 3 and their name."""
    (tmp_path / "bad.toml").write_text("prot = 1\n")
    said = vulnfeeds.run("config", "check", "--config", str(tmp_path / "bad.toml"), code=3).stderr
    assert "bad.toml: prot is not a setting; did you mean 'port'?" in said
    assert "missing.toml" in vulnfeeds.run("feeds", "--config", str(tmp_path / "missing.toml"), code=3).stderr
    assert "VULNFEEDS_WORKERS" in vulnfeeds.run("up", code=3, VULNFEEDS_WORKERS="none").stderr
    assert "redis" in vulnfeeds.run("feeds", "--store", "redis://h/1", code=3).stderr
    assert "ftp://m" in vulnfeeds.run("config", "check", code=3, VULNFEEDS_UPSTREAM_MIRROR="ftp://m/").stderr


def test_store_errors_have_their_code(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """A store that cannot be opened or reached ends the command with code 4."""
    (tmp_path / "no.sqlite").write_text("this is no database, but it is long enough to be read as the head of one")
    assert "no.sqlite" in vulnfeeds.run("feeds", "--store", f"sqlite:///{tmp_path / 'no.sqlite'}", code=4).stderr
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = vulnfeeds.run("feeds", "--store", f"postgresql://u:hush@127.0.0.1:{port}/n", code=4).stderr
    assert "hush" not in said


def test_sync_fills_the_store_and_says_what_changed(vulnfeeds: Vulnfeeds) -> None:
    """`sync` runs all drivers; run again it changes nothing; `--force` reads everything again and changes nothing."""
    first = vulnfeeds.json("sync", **SAMPLE)
    assert {row["status"] for row in first["drivers"]} == {"completed"}
    assert all(row["created"] > 0 for row in first["drivers"])
    for arguments in ([], ["--force"]):
        again = vulnfeeds.json("sync", *arguments, **SAMPLE)
        assert len(again["drivers"]) == ON_BY_DEFAULT
        assert {(row["created"], row["updated"], row["deleted"]) for row in again["drivers"]} == {(0, 0, 0)}
    assert len(vulnfeeds.json("tasks", "--filter", "task_type=FeedSyncTask")) == 3


def test_sync_runs_only_what_is_named(vulnfeeds: Vulnfeeds) -> None:
    """Named drivers run alone; one that is off, and one that does not exist, are refused."""
    assert [row["driver"] for row in vulnfeeds.json("sync", "kev", **SAMPLE)["drivers"]] == ["kev"]
    assert "is off" in vulnfeeds.run("sync", "alpine", code=3, VULNFEEDS_DRIVERS="kev", **SAMPLE).stderr
    assert "no driver 'alpin'" in vulnfeeds.run("sync", "alpin", code=3, **SAMPLE).stderr


def test_sync_names_the_upstream_that_cannot_be_reached(vulnfeeds: Vulnfeeds) -> None:
    """A driver that fails gives code 5 and the address; the others publish."""
    environ = {
        "VULNFEEDS_UPSTREAM_MIRROR": str(sample_upstream()),
        "VULNFEEDS_UPSTREAMS": "secdb.alpinelinux.org=http://127.0.0.1:9",
        "VULNFEEDS_FETCH__ATTEMPTS": "1",
        "VULNFEEDS_DRIVERS": "alpine,kev",
    }
    done = vulnfeeds.run("sync", code=5, **environ)
    assert "https://secdb.alpinelinux.org/" in done.stderr
    rows = {row["driver"]: row["last_status"] for row in vulnfeeds.json("drivers")}
    assert (rows["alpine"], rows["kev"]) == ("failed", "completed")


def test_sync_of_real_documents_on_both_days(vulnfeeds: Vulnfeeds, replay: Replay) -> None:
    """KEV of the replay loads on day 1, and day 2, which is the same, fetches nothing again."""
    environ = {"VULNFEEDS_UPSTREAM_MIRROR": replay.address, "VULNFEEDS_DRIVERS": "kev"}
    assert vulnfeeds.json("sync", **environ)["drivers"][0]["created"] == 1404
    replay.day(2)
    replay.clear()
    assert vulnfeeds.json("sync", **environ)["drivers"][0]["unchanged"] == "yes"
    assert {request["status"] for request in replay.log()} == {304}


def test_feeds_and_groups(filled: Vulnfeeds) -> None:
    """Feeds and groups are listed with their counts, as tables and as JSON with stable keys."""
    feeds = filled.json("feeds")
    assert [feed["feed"] for feed in feeds] == ["eol", "epss", "github", "kev", "nvd", "nvdv2", "vulnerabilities"]
    assert set(feeds[0]) == {"feed", "groups", "records", "published_at"}
    groups = filled.json("groups")
    assert sum(feed["records"] for feed in feeds) == sum(group["records"] for group in groups)
    counted = {"feed", "group", "records", "withdrawn", "sequence", "generation", "published_at", "frozen_at"}
    assert counted | {"eol", "eoas", "eoes"} <= set(groups[0])
    ends = {group["group"]: group["eol"] for group in groups}
    assert (ends["debian:12"], ends["debian:unstable"], ends["kev:known-exploited"]) == ("2028-06-30", None, None)
    assert "END OF LIFE" in filled.run("groups").stdout
    assert {group["feed"] for group in filled.json("groups", "kev")} == {"kev"}
    table = filled.run("feeds").stdout.splitlines()
    assert table[0].split() == ["FEED", "GROUPS", "RECORDS", "PUBLISHED"]
    assert len(table) == 1 + len(feeds)


def test_records(filled: Vulnfeeds) -> None:
    """Records are shown by group, since a time, and one by key with its history."""
    group = ("kev", "kev:known-exploited")
    bodies = filled.json("records", *group, "--limit", "3")
    assert len(bodies) == 3
    assert len(filled.run("records", *group, "--limit", "3").stdout.splitlines()) == 3
    everything = filled.json("records", *group, "--limit", "1000")
    assert sorted(map(str, filled.json("records", *group, "--limit", "1000", "--since", "2000-01-01"))) == sorted(
        map(str, everything)
    )
    assert filled.json("records", *group, "--since", "2999-01-01T00:00:00") == []
    key = bodies[0]["cveID"]
    one = filled.json("records", *group, key, "--history")
    assert [(version["key"], version["ended"], version["body"]) for version in one] == [(key, None, bodies[0])]
    assert key in filled.run("records", *group, key).stdout


def test_what_is_known_of_an_id_and_of_a_package(filled: Vulnfeeds) -> None:
    """After a sync both are found at once, in tables and in JSON; what is joined comes on request."""
    known = filled.json("records", "kev", "kev:known-exploited", "--limit", "1")[0]["cveID"]
    found = filled.json("show", known.lower(), "--with", "kev")
    assert (found["id"], found["index"]["complete"]) == (known, True)
    assert ("kev:known-exploited", "is") in {(record["group"], record["relation"]) for record in found["records"]}
    assert found["joined"][known]["kev"]["cveID"] == known
    assert known in filled.run("show", known).stdout
    record = filled.json("records", "vulnerabilities", "debian:12", "--limit", "1")[0]["Vulnerability"]
    package = record["FixedIn"][0]["Name"]
    rows = filled.json("search", package, "--group", "debian:12")["records"]
    assert record["Name"] in {row["key"] for row in rows}
    done = filled.run("search", "--purl", f"pkg:deb/debian/{package}@1?distro=debian-12", "--limit", "1")
    assert done.stdout.split()[:5] == ["GROUP", "KEY", "SEVERITY", "FIXES", "AFFECTED"]


def test_a_store_from_before_is_indexed_by_the_next_sync(filled_home: Path, tmp_path: Path) -> None:
    """Without its index a store answers by key and says what it lacks; a sync of any driver completes all groups."""
    shutil.copytree(filled_home, tmp_path / "home")
    commands = Vulnfeeds(tmp_path / "home")
    with contextlib.closing(sqlite3.connect(tmp_path / "home" / "vulnfeeds.sqlite")) as store, store:
        store.executescript("DELETE FROM record_handles; DELETE FROM indexed_groups;")
    known = commands.json("records", "kev", "kev:known-exploited", "--limit", "1")[0]["cveID"]
    lacking = commands.json("show", known)
    assert (len(lacking["records"]) > 0, lacking["index"]["complete"]) == (True, False)
    assert "index is not complete" in commands.run("search", "nothing-of-that-name").stderr
    commands.run("sync", "kev", **SAMPLE)
    assert commands.json("show", known)["index"] == {"complete": True, "behind": []}


def test_what_is_not_there_has_its_code(filled: Vulnfeeds) -> None:
    """A feed, group, record, task or quarantine id that does not exist is code 6."""
    for arguments in (
        ["groups", "nothing"],
        ["records", "kev", "nothing"],
        ["records", "kev", "kev:known-exploited", "CVE-0000-0000"],
        ["tasks", "99999"],
        ["show", "CVE-0000-0000"],
        ["search", "p", "--group", "nothing:*"],
        ["quarantine", "show", "99999"],
        ["quarantine", "accept", "99999"],
        ["quarantine", "drop", "99999"],
    ):
        assert filled.run(*arguments, code=6).stderr.startswith("vulnfeeds: no")


def test_tasks(filled: Vulnfeeds) -> None:
    """Tasks are filtered as in the API; results come with --details and with one task."""
    assert all("result" not in task for task in filled.json("tasks"))
    runs = filled.json("tasks", "--filter", "driver_id=kev,status=completed", "--details")
    assert runs[0]["result"]["changes"]
    cycle = filled.json("tasks", "1")
    assert cycle[0]["task_type"] == "FeedSyncTask"
    assert {task["parent_task_id"] for task in cycle[1:]} == {1}
    assert filled.json("tasks", "--filter", "status=completed,status=failed") == []


def test_drivers_and_hosts(filled: Vulnfeeds) -> None:
    """Drivers show what is on and how it went; hosts show every address and where it leads."""
    rows = {row["driver"]: row for row in filled.json("drivers", VULNFEEDS_DRIVERS="kev,alpine")}
    assert {name for name, row in rows.items() if row["on"]} == {"alpine", "kev"}
    assert rows["alpine"]["last_status"] == "completed"
    hosts = filled.json("hosts", VULNFEEDS_DRIVERS="kev", VULNFEEDS_UPSTREAMS="www.cisa.gov=http://u:hush@m/x")
    assert [row["host"] for row in hosts] == ["www.cisa.gov"]
    assert hosts[0]["address"].startswith("http://")
    assert "hush" not in str(hosts)
    everything = filled.json("hosts", "--all", VULNFEEDS_DRIVERS="kev")
    assert {"secdb.alpinelinux.org", "security-tracker.debian.org", "www.cisa.gov"} <= {
        row["host"] for row in everything
    }


def test_config(vulnfeeds: Vulnfeeds) -> None:
    """The values that hold are shown without secrets; `check` only looks; defaults are a file to start from."""
    shown = vulnfeeds.json("config", "show", NVD_API_KEY="hush", VULNFEEDS_PORT="99")
    assert (shown["port"], shown["nvd_api_key"]) == (99, "(hidden)")
    assert shown["fetch.pace"] == {"services.nvd.nist.gov": 0.6}
    assert vulnfeeds.json("config", "show")["fetch.pace"] == {"services.nvd.nist.gov": 6.0}
    assert "settings are fine" in vulnfeeds.run("config", "check").stdout
    assert not vulnfeeds.home.exists()
    assert "# port = 8228" in vulnfeeds.run("config", "defaults").stdout


def test_run_that_the_guard_refuses_is_kept_and_accepted(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """A shrunken upstream publishes nothing; the run can be looked at, and accepted."""
    mirror = tmp_path / "mirror"
    shutil.copytree(sample_upstream(), mirror)
    environ = {"VULNFEEDS_UPSTREAM_MIRROR": str(mirror), "VULNFEEDS_DRIVERS": "kev"}
    document = next(mirror.glob("www.cisa.gov/**/known_exploited_vulnerabilities.json"))
    _grow(document, 200)
    assert vulnfeeds.json("sync", **environ)["drivers"][0]["created"] == 200
    _grow(document, 20)
    assert "kev" in vulnfeeds.run("sync", code=5, **environ).stderr
    assert vulnfeeds.json("groups", "kev")[0]["withdrawn"] == 0
    kept = vulnfeeds.json("quarantine", "list", "--driver", "kev")
    assert [row["kind"] for row in kept] == ["run"]
    number = str(kept[0]["id"])
    shown = vulnfeeds.json("quarantine", "show", number)
    assert shown["body"]["changes"]["kev:known-exploited"]["deleted"] == 180
    assert "180" in vulnfeeds.run("quarantine", "show", number).stdout
    accepted = vulnfeeds.json("quarantine", "accept", number)
    assert accepted["changes"]["kev:known-exploited"]["deleted"] == 180
    assert vulnfeeds.json("groups", "kev")[0]["withdrawn"] == 180
    assert vulnfeeds.json("quarantine", "list") == []


def test_run_in_quarantine_is_dropped(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """What is dropped is gone, with its file."""
    mirror = tmp_path / "mirror"
    shutil.copytree(sample_upstream(), mirror)
    environ = {"VULNFEEDS_UPSTREAM_MIRROR": str(mirror), "VULNFEEDS_DRIVERS": "kev"}
    document = next(mirror.glob("www.cisa.gov/**/known_exploited_vulnerabilities.json"))
    _grow(document, 200)
    vulnfeeds.run("sync", **environ)
    _grow(document, 20)
    vulnfeeds.run("sync", code=5, **environ)
    number = vulnfeeds.json("quarantine", "list")[0]["id"]
    assert vulnfeeds.json("quarantine", "drop", str(number)) == {"dropped": [number]}
    assert list((vulnfeeds.home / "quarantine").glob("*")) == []


def test_reader_of_the_output_may_go_away(filled: Vulnfeeds) -> None:
    """A closed pipe ends the command quietly."""
    process = subprocess.Popen(
        [*COMMAND, "records", "nvdv2", "nvdv2:cves", "--limit", "1000"],
        env=filled.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) in (0, 141)
    assert said == b""


def test_nothing_yet_is_said_in_words(vulnfeeds: Vulnfeeds) -> None:
    """Before the first sync the lists are empty, and people are told so beside the result."""
    for arguments in (["feeds"], ["groups"], ["tasks"], ["quarantine", "list"]):
        done = vulnfeeds.run(*arguments)
        assert done.stdout == ""
        assert done.stderr
        assert vulnfeeds.json(*arguments) == []


def _grow(document: Path, count: int) -> None:
    """Make the catalogue hold `count` vulnerabilities, all of them in true form."""
    catalogue = json.loads(document.read_text())
    first = catalogue["vulnerabilities"][0]
    catalogue["vulnerabilities"] = [{**first, "cveID": f"CVE-2020-{number:05}"} for number in range(count)]
    catalogue["count"] = count
    document.write_text(json.dumps(catalogue))
