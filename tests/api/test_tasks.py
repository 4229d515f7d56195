"""The tasks routes on a live server."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.store import Store


@pytest.fixture
def cycle(filled: Store, clock: Clock) -> int:
    """A completed cycle with one run that published and one that failed, and one run that is under way."""
    number = filled.open_task("FeedSyncTask")
    alpine = filled.open_task("DriverExecutionTask", driver="alpine", feed="vulnerabilities", parent=number)
    clock.move(seconds=5)
    filled.close_task(alpine, "failed", {"error": "secdb.alpinelinux.org: no answer"})
    filled.close_task(number, "completed", {"completed_drivers": [], "failed_drivers": ["alpine"]})
    running = filled.open_task("DriverExecutionTask", driver="nvdv2", feed="nvdv2")
    filled.progress(running, {"phase": "parse", "records": 1500, "bytes": 9_000_000, "percent": 40})
    return number


def ids(answer: httpx2.Response) -> list[int]:
    """The ids of a list of tasks."""
    assert answer.status_code == 200, answer.text
    return [task["task_id"] for task in answer.json()]


def test_tasks_are_listed_newest_first_without_results(client: httpx2.Client, cycle: int) -> None:
    """Flat, absent values left out, no result without `details`."""
    tasks = client.get("/v1/tasks").json()
    found = [task["task_id"] for task in tasks]
    assert found == sorted(found, reverse=True)
    assert not any("result" in task or "sub_tasks" in task for task in tasks)
    by_id = {task["task_id"]: task for task in tasks}
    assert by_id[cycle] == {
        "task_id": cycle,
        "task_type": "FeedSyncTask",
        "status": "completed",
        "start_time": "2026-01-02T00:00:00.000000+00:00",
        "end_time": "2026-01-02T00:00:05.000000+00:00",
        "started_by": "system",
    }


@pytest.mark.parametrize(
    "query", ["details=True", "details=true", "details=TRUE", "details=1", "Details=T", "&details=True"]
)
def test_details_show_results(client: httpx2.Client, cycle: int, query: str) -> None:
    """In any case."""
    results = [task["result"] for task in client.get(f"/v1/tasks?{query}").json() if "result" in task]
    assert {"error": "secdb.alpinelinux.org: no answer"} in results
    assert any(
        result.get("changes") == {"debian:12": {"created": 2345, "deleted": 0, "updated": 0}} for result in results
    )


def test_no_details_when_they_are_not_wanted(client: httpx2.Client, cycle: int) -> None:
    """False and empty mean no; anything else is refused by name."""
    for query in ("details=False", "details=0", "details="):
        assert not any("result" in task for task in client.get(f"/v1/tasks?{query}").json())
    answer = client.get("/v1/tasks?details=perhaps")
    assert (answer.status_code, answer.json()["message"].split(":")[0]) == (400, "details")


def test_one_cycle_holds_its_sub_tasks(client: httpx2.Client, cycle: int) -> None:
    """With their results, newest first."""
    task = client.get(f"/v1/tasks/{cycle}").json()
    assert task["result"] == {"completed_drivers": [], "failed_drivers": ["alpine"]}
    (child,) = task["sub_tasks"]
    assert child["parent_task_id"] == cycle
    assert child["driver_id"] == "alpine"
    assert child["result"] == {"error": "secdb.alpinelinux.org: no answer"}
    assert "sub_tasks" not in client.get(f"/v1/tasks/{child['task_id']}").json()


def test_a_running_task_shows_how_far_it_is(client: httpx2.Client, cycle: int) -> None:
    """Progress while it runs, and no end."""
    (task,) = client.get("/v1/tasks?filter=status=running").json()
    assert task["progress"] == {"phase": "parse", "records": 1500, "bytes": 9_000_000, "percent": 40}
    assert "end_time" not in task


def test_filters_raw_and_encoded(url: str, cycle: int) -> None:
    """Any mix of terms; the operators stand raw in the URL as the documentation shows them."""
    import urllib.request

    def ask(text: str) -> list[int]:
        import json

        with urllib.request.urlopen(f"{url}/v1/tasks?&details=True&filter={text}") as answer:
            return [task["task_id"] for task in json.load(answer)]

    everything = ask("")
    alpine = ask("driver_id=alpine")
    assert len(alpine) == 3
    assert ask(quote("driver_id=alpine", safe="")) == alpine
    newer = [number for number in alpine if number > alpine[-1]]
    assert ask(f"driver_id=alpine,task_id>{alpine[-1]}") == newer
    assert ask(quote(f"driver_id=alpine,task_id>{alpine[-1]}", safe="")) == newer
    assert ask(f"task_id<{alpine[0]},driver_id=alpine,status=completed") == alpine[1:]
    assert ask("task_type=FeedSyncTask") == [cycle]
    assert ask("feed_id=kev,driver_id=kev") == ask("driver_id=kev")
    assert ask(f"task_id={cycle}") == [cycle]
    assert ask("driver_id=kev,driver_id=alpine") == []
    assert ask("driver_id=nix") == []
    assert ask("task_id>-1") == everything


@pytest.mark.parametrize(
    "text", ["colour=red", "driver_id", "status=queued", "task_id>x", "driver_id=kev,", "feed_id<a"]
)
def test_a_bad_filter_names_its_term(client: httpx2.Client, text: str) -> None:
    """400 with the term."""
    answer = client.get("/v1/tasks", params={"filter": text})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("filter: term")


def test_a_long_list_can_be_read_in_parts(client: httpx2.Client, filled: Store) -> None:
    """`limit` cuts the list, and the Link header leads on, keeping what was asked."""
    for number in range(25):
        publish(filled, "vulnerabilities", "debian:11", {"CVE-1": os_record("debian:11", "CVE-1", str(number))})
    whole = ids(client.get("/v2/tasks?filter=driver_id=debian"))
    found, answer = [], client.get("/v2/tasks?limit=10&filter=driver_id=debian&details=True")
    while True:
        assert all("result" in task for task in answer.json())
        found += ids(answer)
        if "next" not in answer.links:
            break
        assert answer.links["next"]["url"].startswith("/v2/tasks?")
        answer = client.get(answer.links["next"]["url"])
    assert found == whole
    assert len(found) == 26
    assert ids(client.get(f"/v1/tasks?before={found[3]}&filter=task_id<{found[1]},driver_id=debian")) == found[4:]
    for query, name in (
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("before=-1", "before"),
        ("before=1&before=2", "before"),
    ):
        answer = client.get(f"/v1/tasks?{query}")
        assert (answer.status_code, answer.json()["message"].split(":")[0]) == (400, name)
