"""Whatever an upstream sends, the run ends as its task says, within its ceilings, and the good data is still served.

No driver reads XML, so there is no case of XML entities or depth. Archives other than tar.gz are read by no driver
either; tests/fetch/test_archives.py has their members, tests/fetch/test_tls.py has certificates.
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
