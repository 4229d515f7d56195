"""Groups that the settings leave out or rename, in runs on a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sync.scripted import DRIVERS, FEED, ScriptedSettings, fetcher_of, run, write_script
from vulnfeeds.store.interface import Store
from vulnfeeds.sync.outcome import RunResult
from vulnfeeds.sync.trying import try_driver

TWO: dict[str, Any] = {
    "records": [[group, f"CVE-2024-000{n}", "1.0", "Low"] for group in ("test:1", "test:2") for n in (1, 2)],
    "cover": ["test:1", "test:2"],
}


def run_with(store: Store, home: Path, name: str = "scripted", **settings: Any) -> RunResult:
    """Run a scripted driver under settings."""
    return run(store, home, DRIVERS[name](ScriptedSettings(**settings)))


def names_in(store: Store, group: str) -> set[tuple[str, ...]]:
    """Return the names of their group that the records of a group hold."""
    found = set()
    for _, body, _ in store.changes(FEED, group, 0, 1 << 40):
        said = msgspec.json.decode(body)["Vulnerability"]
        found.add((said["NamespaceName"], *(fix["NamespaceName"] for fix in said["FixedIn"])))
    return found


@pytest.mark.parametrize("name", ["scripted", "delta"])
def test_an_excluded_group_is_frozen_as_it_is(store: Store, tmp_path: Path, name: str) -> None:
    """Nothing of it is withdrawn and the task says why; when it is included again it thaws."""
    write_script(tmp_path, name, TWO)
    run_with(store, tmp_path, name)
    before = store.group(FEED, "test:2")
    result = run_with(store, tmp_path, name, exclude=("2",)).result
    assert result["changes"] == {}
    assert result["frozen"] == ["test:2"]
    assert result["left_out"] == {"test:2": "excluded by the settings"}
    head = store.group(FEED, "test:2")
    assert before is not None
    assert head is not None
    assert head.frozen_at is not None
    assert (head.records, head.withdrawn, head.sequence) == (2, 0, before.sequence)
    again = run_with(store, tmp_path, name, exclude=("2",)).result
    assert (again["unchanged"], again["left_out"]) == (True, {"test:2": "excluded by the settings"})
    result = run_with(store, tmp_path, name).result
    thawed = store.group(FEED, "test:2")
    assert thawed is not None
    assert thawed.frozen_at is None
    assert result["left_out"] == {}


def test_a_renamed_group_takes_its_records_along(store: Store, tmp_path: Path) -> None:
    """They name the new group; the old one is frozen as it is, and what goes upstream is withdrawn in the new one."""
    write_script(tmp_path, "scripted", TWO)
    run_with(store, tmp_path)
    result = run_with(store, tmp_path, rename={"2": "two"}).result
    assert result["changes"] == {"test:two": {"created": 2, "updated": 0, "deleted": 0}}
    assert result["frozen"] == ["test:2"]
    assert result["left_out"] == {"test:2": "the settings name it test:two"}
    assert names_in(store, "test:two") == {("test:two", "test:two")}
    assert names_in(store, "test:2") == {("test:2", "test:2")}
    write_script(tmp_path, "scripted", {**TWO, "records": TWO["records"][:-1]})
    result = run_with(store, tmp_path, rename={"2": "two"}).result
    assert result["changes"] == {"test:two": {"created": 0, "updated": 0, "deleted": 1}}


def test_a_skipped_group_is_told_under_its_name(store: Store, tmp_path: Path) -> None:
    """And one that is left out is not told as skipped."""
    one = {"records": TWO["records"][:1], "cover": ["test:1"], "skip": {"test:2": "503"}}
    write_script(tmp_path, "scripted", one)
    assert run_with(store, tmp_path, rename={"2": "two"}).result["skipped"] == {"test:two": "503"}
    assert run_with(store, tmp_path, exclude=("2",)).result["skipped"] == {}


def test_two_groups_of_one_name_fail_the_run(store: Store, tmp_path: Path) -> None:
    """What was published stays."""
    write_script(tmp_path, "scripted", TWO)
    run_with(store, tmp_path)
    failed = run_with(store, tmp_path, rename={"1": "2"})
    assert failed.status == "failed"
    assert failed.result["error"] == "rename: test:1 and test:2 would both be test:2"
    assert names_in(store, "test:2") == {("test:2", "test:2")}


def test_a_trial_without_a_store_selects_as_a_run_does(tmp_path: Path) -> None:
    """`vulnfeeds driver test` counts what a run would."""
    write_script(tmp_path, "scripted", TWO)
    driver = DRIVERS["scripted"](ScriptedSettings(exclude=("1",), rename={"2": "two"}))
    (tmp_path / "work").mkdir()
    with fetcher_of(tmp_path) as fetcher:
        trial = try_driver(driver, fetcher=fetcher, workspace=tmp_path / "work", clock=lambda: 1.0, timer=lambda: 1.0)
    assert trial.groups == {"test:two": 2}
    assert trial.covered == ["test:two"]
