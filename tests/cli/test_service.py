"""`vulnfeeds up` and `serve` as processes: they serve at once, sync, end orderly, and say what is wrong."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import urllib.error
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, ON_BY_DEFAULT, Vulnfeeds, wait_for
from tests.conftest import Replay

FEEDS = ["eol", "epss", "github", "kev", "nvd", "nvdv2", "vulnerabilities"]


def test_sample_serves_every_feed_without_network(vulnfeeds: Vulnfeeds) -> None:
    """`up --sample` serves feeds, pages and tasks within a minute, in its own data folder, and ends at SIGTERM."""
    service = vulnfeeds.start("up", "--sample", HTTPS_PROXY="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    assert service.address.startswith("http://127.0.0.1:")
    done = wait_for(
        lambda: (found := service.get("/v1/tasks?filter=task_type=FeedSyncTask,status=completed")) and found,
        "the first cycle",
        service,
    )
    assert [feed["name"] for feed in service.get("/v1/feeds")["feeds"]] == FEEDS
    assert service.get("/v1/feeds/nvdv2/nvdv2:cves")["data"]
    groups = [group["name"] for group in service.get("/v1/feeds/vulnerabilities")["groups"]]
    assert all(service.get(f"/v1/feeds/vulnerabilities/{group}")["data"] for group in groups)
    runs = service.get(f"/v1/tasks/{done[0]['task_id']}")["sub_tasks"]
    assert [run["status"] for run in runs] == ["completed"] * ON_BY_DEFAULT
    assert (vulnfeeds.home / "sample" / "vulnfeeds.sqlite").is_file()
    assert not (vulnfeeds.home / "vulnfeeds.sqlite").exists()
    assert service.stop() == 0


def test_sample_never_reaches_the_store_of_the_settings(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """A settings file that names the team's store does not bring sample records into it."""
    settings = tmp_path / "team.toml"
    settings.write_text(f"store = 'sqlite:///{tmp_path / 'team.sqlite'}'\ndrivers = ['kev']\n")
    service = vulnfeeds.start("up", "--sample", "--config", str(settings))
    wait_for(lambda: service.get("/v1/feeds")["feeds"], "the first feed", service)
    assert service.stop() == 0
    assert not (tmp_path / "team.sqlite").exists()


def test_what_is_not_due_is_not_synced_again(vulnfeeds: Vulnfeeds) -> None:
    """A restart within `driver_sync` seconds runs no driver again; the store is served as it was."""
    first = vulnfeeds.start("up", "--sample", VULNFEEDS_DRIVERS="kev")
    wait_for(lambda: "cycle ended" in first.text(), "the first cycle", first)
    first.stop()
    second = vulnfeeds.start("up", "--sample", VULNFEEDS_DRIVERS="kev")
    assert [feed["name"] for feed in second.get("/v1/feeds")["feeds"]] == ["kev"]
    assert second.stop() == 0
    assert "cycle started" not in second.text()


def test_cycles_come_again(vulnfeeds: Vulnfeeds) -> None:
    """Every `driver_sync` seconds another cycle starts; an unchanged upstream publishes nothing."""
    service = vulnfeeds.start("up", "--sample", VULNFEEDS_DRIVERS="kev", VULNFEEDS_DRIVER_SYNC="1")
    wait_for(lambda: service.text().count("cycle ended") >= 2, "the second cycle", service)
    runs = service.get("/v1/tasks?filter=driver_id=kev&details=true")
    assert runs[-2]["result"]["changes"] == {}
    assert runs[-1]["result"]["changes"]["kev:known-exploited"]["created"] > 0
    assert service.stop() == 0


def test_signal_in_the_middle_of_a_run_ends_orderly(vulnfeeds: Vulnfeeds, replay: Replay) -> None:
    """SIGTERM while a driver downloads ends the service within seconds, and the open tasks as failed."""
    replay.fault("slow:www.cisa.gov:2000")
    service = vulnfeeds.start("up", VULNFEEDS_UPSTREAM_MIRROR=replay.address, VULNFEEDS_DRIVERS="kev")
    wait_for(lambda: service.get("/v1/tasks?filter=driver_id=kev,status=running"), "the run", service)
    assert service.stop() == 0
    tasks = vulnfeeds.json("tasks", "--details")
    assert {task["status"] for task in tasks} == {"failed"}
    assert all(task["result"]["error"] == "task aborted due to service restart" for task in tasks)


def test_second_signal_ends_at_once(vulnfeeds: Vulnfeeds, replay: Replay) -> None:
    """Who cannot wait for the orderly end sends the signal again; the run's process goes too."""
    replay.fault("slow:www.cisa.gov:2000")
    service = vulnfeeds.start("up", VULNFEEDS_UPSTREAM_MIRROR=replay.address, VULNFEEDS_DRIVERS="kev")
    wait_for(lambda: service.get("/v1/tasks?filter=driver_id=kev,status=running"), "the run", service)
    hanging = socket.create_connection(("127.0.0.1", int(service.address.rsplit(":", 1)[1])))
    hanging.sendall(b"GET /v1/feeds HTTP/1.1\r\n")
    with hanging:
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "service ending" in service.text(), "the first signal", service)
        assert service.stop(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_interrupted_sync_ends_orderly(vulnfeeds: Vulnfeeds, replay: Replay) -> None:
    """Ctrl-C during `sync` ends its runs, closes its tasks as failed, and has a code of its own."""
    replay.fault("slow:www.cisa.gov:2000")
    environ = vulnfeeds.environment(VULNFEEDS_UPSTREAM_MIRROR=replay.address)
    process = subprocess.Popen(
        [*COMMAND, "sync", "kev"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "run progressed" in line or "run started" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert {task["status"] for task in vulnfeeds.json("tasks")} == {"failed"}


def test_killed_service_leaves_no_open_task_behind(vulnfeeds: Vulnfeeds, replay: Replay) -> None:
    """After kill -9 the next start closes the open tasks and syncs."""
    replay.fault("slow:www.cisa.gov:2000")
    environ = {"VULNFEEDS_UPSTREAM_MIRROR": replay.address, "VULNFEEDS_DRIVERS": "kev"}
    service = vulnfeeds.start("up", **environ)
    wait_for(lambda: service.get("/v1/tasks?filter=driver_id=kev,status=running"), "the run", service)
    service.stop(signal.SIGKILL)
    replay.clear()
    again = vulnfeeds.start("up", **environ)
    wait_for(lambda: again.get("/v1/feeds")["feeds"], "the first feed", again)
    old = again.get("/v1/tasks?filter=task_id<3&details=true")
    assert {task["result"]["error"] for task in old} == {"task aborted due to service restart"}
    assert again.stop() == 0


def test_without_network_it_says_which_upstream_and_serves(vulnfeeds: Vulnfeeds) -> None:
    """An upstream that cannot be reached is named in log and task; the service goes on serving."""
    service = vulnfeeds.start(
        "up",
        VULNFEEDS_UPSTREAM_MIRROR=f"http://127.0.0.1:{_closed_port()}",
        VULNFEEDS_DRIVERS="kev",
        VULNFEEDS_FETCH__ATTEMPTS="1",
    )
    failed = wait_for(lambda: service.get("/v1/tasks?filter=driver_id=kev,status=failed&details=true"), "it", service)
    assert "www.cisa.gov" in failed[0]["result"]["error"]
    wait_for(lambda: "run failed driver=kev" in service.text(), "the log line", service)
    assert "www.cisa.gov" in service.text()
    assert service.get("/health") == "ok"
    assert service.get("/v1/feeds")["feeds"] == []
    assert service.stop() == 0


def test_port_in_use_is_said_with_the_setting(vulnfeeds: Vulnfeeds) -> None:
    """A port that is taken ends the command before anything else, with code 7 and the setting's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in ("up", "serve"):
            said = vulnfeeds.run(command, "--host", "127.0.0.1", "--port", port, code=7).stderr
            assert f"port {port}" in said
            assert "VULNFEEDS_PORT" in said
    assert not (vulnfeeds.home / "vulnfeeds.sqlite").exists()


def test_address_that_is_not_ours_is_said_with_the_setting(vulnfeeds: Vulnfeeds) -> None:
    """An address of no interface, and a name that leads nowhere, are said with the setting `host`."""
    for host in ("192.0.2.1", "host.invalid"):
        assert "VULNFEEDS_HOST" in vulnfeeds.run("serve", "--host", host, "--port", "0", code=7).stderr


def test_serve_runs_no_driver(vulnfeeds: Vulnfeeds, filled_home: Path) -> None:
    """`serve`, and `up` with `api_only`, answer from the store and make no task."""
    shutil.copytree(filled_home, vulnfeeds.home)
    before = vulnfeeds.json("tasks")[0]["task_id"]
    for command, environ in (("serve", {}), ("up", {"VULNFEEDS_API_ONLY": "true", "VULNFEEDS_DRIVER_SYNC": "1"})):
        service = vulnfeeds.start(command, **environ)
        assert [feed["name"] for feed in service.get("/v1/feeds")["feeds"]] == FEEDS
        assert service.stop(signal.SIGINT) == 0
    assert vulnfeeds.json("tasks")[0]["task_id"] == before


def test_replicas_serve_one_database(vulnfeeds: Vulnfeeds, postgres_url: str, tmp_path: Path) -> None:
    """One process syncs into PostgreSQL, another serves it, with a data folder of its own; tokens fit both."""
    environ = {"VULNFEEDS_STORE": postgres_url}
    other = Vulnfeeds(tmp_path / "other" / "home", environ)
    other.home.mkdir(parents=True)
    vulnfeeds.environ.update(environ)
    from vulnfeeds.cli.compose import sample_upstream

    vulnfeeds.run("sync", "kev", VULNFEEDS_UPSTREAM_MIRROR=str(sample_upstream()))
    try:
        replicas = [vulnfeeds.start("serve"), other.start("serve")]
        page = replicas[0].get("/v1/feeds/kev/kev:known-exploited?limit=4")
        rest = replicas[1].get(f"/v1/feeds/kev/kev:known-exploited?next_token={page['next_token']}")
        whole = replicas[1].get("/v1/feeds/kev/kev:known-exploited")
        assert page["data"] + rest["data"] == whole["data"]
    finally:
        for service in replicas:
            assert service.stop() == 0


def test_home_that_cannot_be_made_is_named(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """A data folder below a file is a settings error that names it."""
    (tmp_path / "file").write_text("")
    said = vulnfeeds.run("up", "--home", str(tmp_path / "file" / "home"), "--port", "0", code=3).stderr
    assert "home:" in said
    assert str(tmp_path / "file") in said


def test_store_of_a_newer_version_is_refused(vulnfeeds: Vulnfeeds, filled_home: Path) -> None:
    """A store that a newer version made ends every command with code 4, and is left as it is."""
    shutil.copytree(filled_home, vulnfeeds.home)
    store = vulnfeeds.home / "vulnfeeds.sqlite"
    with sqlite3.connect(store) as database:
        (columns,) = database.execute("SELECT group_concat(name) FROM pragma_table_info('vulnfeeds_migrations')")
        values = ", ".join("'9999_of_tomorrow'" if "_id" in name else "'x'" for name in columns[0].split(","))
        database.execute(f"INSERT INTO vulnfeeds_migrations VALUES ({values})")
    database.close()
    for command in (["up", "--port", "0"], ["serve", "--port", "0"], ["feeds"], ["sync"]):
        assert "9999_of_tomorrow" in vulnfeeds.run(*command, code=4).stderr


def test_looking_leaves_an_older_store_as_it_is(vulnfeeds: Vulnfeeds, filled_home: Path) -> None:
    """A command that only looks does not change the tables of a store; one that writes brings them up to date."""
    shutil.copytree(filled_home, vulnfeeds.home)
    with sqlite3.connect(vulnfeeds.home / "vulnfeeds.sqlite") as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for name in names - {"sqlite_sequence"}:
            database.execute(f'DROP TABLE IF EXISTS "{name}"')
    database.close()
    assert "not up to date" in vulnfeeds.run("feeds", code=4).stderr
    vulnfeeds.run("quarantine", "drop", "1", code=6)
    assert vulnfeeds.json("feeds") == []


def test_problems_are_json(vulnfeeds: Vulnfeeds) -> None:
    """What the service does not have is a 404 with a JSON body, also before the first sync."""
    service = vulnfeeds.start("serve")
    with pytest.raises(urllib.error.HTTPError) as answer:
        service.get("/v1/feeds/nothing")
    assert answer.value.code == 404
    assert json.load(answer.value)["message"]
    answer.value.close()
    assert service.stop() == 0


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
