"""Whatever an upstream sends, the run ends as its task says, within its ceilings, and the good data is still served.

Nothing reads XML (tests/architecture keeps it so), so there is no case of its entities or depth. Archives other than
tar.gz are read by no driver either; tests/fetch/test_archives.py has their members.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.hostile import good
from tests.hostile.cases import CASES, Case, Failed, Quarantined, Taken
from tests.hostile.world import World, peak_memory
from vulnfeeds.records import canonical
from vulnfeeds.store.interface import TaskFilter
from vulnfeeds.testing.upstream import UpstreamSimulator


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home folder with the good data for each driver, to be copied."""
    homes = {name: tmp_path_factory.mktemp("good") for name in good.DRIVERS}
    for name, home in homes.items():
        with World(home, name):
            pass
    return homes


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_ends_and_the_good_data_stays(case: Case, synced: dict[str, Path], tmp_path: Path) -> None:
    """The task tells class, place and reason; nothing that readers see changed; the next good run goes on."""
    shutil.copytree(synced[case.driver], tmp_path, dirs_exist_ok=True)
    with World(tmp_path, case.driver) as world:
        before, records = world.served(), world.records()
        case.spoil(world)
        with peak_memory() as grown:
            result = world.run()
        assert grown[0] < case.memory_mb
        task = world.store.tasks(TaskFilter(), limit=1)[0]
        assert (task.status, task.result is None) == (result.status, False)
        said = canonical.encode(task.result).decode()
        if isinstance(case.outcome, Taken):
            changed = [pair for name, pairs in world.records().items() for pair in pairs if pair not in records[name]]
            assert [case.outcome.text.encode() in body for _, body in changed] == [True]
            return
        assert world.records() == records
        if isinstance(case.outcome, Failed):
            assert (task.status, task.result["error_class"]) == ("failed", case.outcome.error), said
            assert case.outcome.place in task.result["place"]
            assert re.search(case.outcome.says, task.result["error"]), said
            assert world.served() == before
        elif isinstance(case.outcome, Quarantined):
            assert (task.status, task.result["quarantined"]) == ("completed", case.outcome.count), said
            rows = world.store.quarantined()
            assert len(rows) == case.outcome.count
            assert all(re.search(case.outcome.reason, row.reason) for row in rows), rows
        else:
            assert task.status == "completed", said
            assert re.search(case.outcome.says, said), said
        assert list((tmp_path / "staging").iterdir()) == []
        world.restore(good.COUNT + 1)
        mended = world.run()
        assert mended.status == "completed", mended
        assert any(counts["created"] == 1 for counts in mended.result["changes"].values()), mended


@pytest.mark.parametrize("driver", [name for name in good.DRIVERS if name != "nvdv2 by API"])
def test_a_certificate_that_fails_is_a_task_error(
    driver: str, synced: dict[str, Path], certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of a host that cannot prove who it is; readers notice nothing, and the next run goes on."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(synced[driver], tmp_path, dirs_exist_ok=True)
    with World(tmp_path, driver) as world:
        before, honest = world.served(), world.upstream
        with UpstreamSimulator(tls=(certificates / "cert.pem", certificates / "key.pem")) as world.upstream:
            world.restore(good.COUNT + 1)
            result = world.run()
            assert world.upstream.log == []
        assert (result.status, result.result["error_class"]) == ("failed", "UnreachableError")
        assert "not trusted" in result.result["error"]
        assert result.result["place"].startswith("https://")
        assert world.served() == before
        world.upstream = honest
        world.restore(good.COUNT + 1)
        assert world.run().status == "completed"
