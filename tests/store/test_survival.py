"""A publish or a migration that is killed leaves the store as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vulnfeeds.store import open_store
from vulnfeeds.store.interface import TaskFilter
from vulnfeeds.testing.store_suite import Factory, Scene
from vulnfeeds.testing.storing.scene import DRIVER, FEED, GROUP, body, digests_of

PUBLISHER = Path(__file__).with_name("killed_publisher.py")


@pytest.mark.parametrize("after", [0, 1500, 4000])
def test_a_killed_publish_leaves_the_store_as_before(store_url: str, factory: Factory, after: int) -> None:
    """SIGKILL in the middle of the transaction: same generations, same records; the next run just publishes."""
    scene = Scene(factory)
    scene.publish({f"k{number:05}": 0 for number in range(3000)})
    before = everything(scene)
    command = [sys.executable, str(PUBLISHER), store_url, str(after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "half way\n"
        publisher.send_signal(signal.SIGKILL)
        publisher.wait(30)
    assert (
        scene.store.groups(),
        scene.manifest(),
        digests_of(scene.store, FEED, GROUP),
        scene.store.revision(),
    ) == before
    (orphan,) = scene.store.tasks(TaskFilter(status="running"))
    assert scene.store.abort_orphans() == [orphan.task_id]
    scene.publish({"k00007": 7, "new": 1}, driver=DRIVER)
    assert dict(scene.walk())["k00007"] == body(7)
    assert len(scene.walk()) == 3001


def test_several_processes_may_open_a_new_store_at_once(store_url: str) -> None:
    """Each finds the schema whole, whoever made it."""
    code = "import sys; from vulnfeeds.store import open_store; print(open_store(sys.argv[1]).schema_version())"
    command = [sys.executable, "-W", "ignore", "-c", code, store_url]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    store = open_store(store_url)
    expected = store.schema_version()
    store.close()
    assert [out.strip() for out, _ in answers] == [expected] * 4, answers


def everything(scene: Scene) -> tuple[object, ...]:
    """Return what readers and runs can see of the store."""
    store = scene.store
    return store.groups(), scene.manifest(), digests_of(store, FEED, GROUP), store.revision()
