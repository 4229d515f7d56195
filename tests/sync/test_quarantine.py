"""What is refused is kept, seen, and accepted or dropped by the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sync.scripted import FEED, Scripted, ScriptedSettings, run, write_script
from tests.sync.test_run import body_of, cve, script, state, versions
from vulnfeeds.errors import ConflictError, NotFoundError, RecordError, RunError
from vulnfeeds.store.interface import QuarantineRow, Store, TaskFilter
from vulnfeeds.sync import quarantine


def kept(store: Store) -> list[tuple[str, str | None, str]]:
    """Return (kind, key, reason) of all that is in quarantine."""
    return [(row.kind, row.key, row.reason) for row in store.quarantined()]


def the_row(store: Store) -> QuarantineRow:
    """Return the only row, with its body."""
    [row] = store.quarantined()
    return store.quarantined(id=row.id)[0]


def bad_body(number: int, **more: Any) -> dict[str, Any]:
    """Return a record with a severity that no client takes."""
    inside = {"Name": cve(number), "NamespaceName": "test:1", "Description": "", "Link": "", "Metadata": {}}
    return {"Vulnerability": {**inside, "FixedIn": [], "Severity": "Moderate", **more}}


# --- records -------------------------------------------------------------------------------------


def test_a_bad_record_is_kept_out_while_its_last_good_version_stays(store: Store, tmp_path: Path) -> None:
    """The rest of the run is published; the row says why; a later good version takes it out again."""
    write_script(tmp_path, "scripted", script(range(3)))
    run(store, tmp_path)
    write_script(tmp_path, "scripted", script(range(4), version="2.0", bodies={cve(1): bad_body(1)}))
    for _ in range(2):
        result = run(store, tmp_path, forced=True)
        assert (result.status, result.result["quarantined"]) == ("completed", 1)
    assert versions(store) == {cve(0): "2.0", cve(1): "1.0", cve(2): "2.0", cve(3): "2.0"}
    [(kind, key, reason)] = kept(store)
    assert (kind, key) == ("record", cve(1))
    assert "Invalid enum value 'Moderate' - at `$.Vulnerability.Severity`" in reason
    assert b"Moderate" in (the_row(store).body or b"")
    write_script(tmp_path, "scripted", script(range(4), version="2.0"))
    run(store, tmp_path)
    assert kept(store) == []
    assert versions(store)[cve(1)] == "2.0"


def test_a_key_that_is_reported_twice_is_kept_out_the_second_time(store: Store, tmp_path: Path) -> None:
    """The first one is published."""
    write_script(tmp_path, "scripted", {**script([1, 1, 2])})
    result = run(store, tmp_path)
    assert (result.result["records"], result.result["quarantined"]) == (2, 1)
    assert kept(store) == [("record", cve(1), "the run reports this key twice")]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "its key is empty"),
        ("a\x00b", "its key is empty, longer than 1024 bytes, or holds U+0000"),
        ("x" * 1025, "its key is empty, longer than 1024 bytes"),
        ("\ud800", "is not valid text"),
    ],
    ids=["empty", "NUL", "long", "surrogate"],
)
def test_a_key_that_cannot_be_stored_is_kept_out(store: Store, tmp_path: Path, key: str, reason: str) -> None:
    """Neither database takes everything; the run goes on."""
    part = script([1])
    part["records"].append(["test:1", key, "1.0", "Low"])
    write_script(tmp_path, "scripted", part)
    assert run(store, tmp_path).status == "completed"
    assert reason in the_row(store).reason
    assert list(versions(store)) == [cve(1)]


def test_a_body_without_json_form_is_kept_as_far_as_it_can_be_written(store: Store, tmp_path: Path) -> None:
    """A lone surrogate in a text, as an upstream's own broken escape leaves it."""
    part = script([1, 2], bodies={cve(2): bad_body(2, Severity="Low", Description="\ud800 text")})
    write_script(tmp_path, "scripted", part)
    assert run(store, tmp_path).status == "completed"
    row = the_row(store)
    assert "no JSON form" in row.reason
    assert b"ud800 text" in (row.body or b"")


def test_a_record_that_is_still_bad_cannot_be_accepted(store: Store, tmp_path: Path) -> None:
    """The error says what clients would refuse; dropping is always possible."""
    write_script(tmp_path, "scripted", script([1, 2], bodies={cve(2): bad_body(2)}))
    run(store, tmp_path)
    before = state(store)
    number = the_row(store).id
    with pytest.raises(RecordError, match=f"clients would refuse record {cve(2)}: .*Moderate"):
        quarantine.accept(store, number, tmp_path)
    assert state(store) == before
    quarantine.drop(store, number, tmp_path)
    assert kept(store) == []
    with pytest.raises(NotFoundError):
        quarantine.drop(store, number, tmp_path)


def test_a_record_that_clients_take_can_be_accepted(store: Store, tmp_path: Path) -> None:
    """As one that was reported twice: the operator may prefer the second one."""
    part = script([1])
    part["records"].append(["test:1", cve(1), "9.9", "Low"])
    write_script(tmp_path, "scripted", part)
    run(store, tmp_path)
    accepted = quarantine.accept(store, the_row(store).id, tmp_path)
    assert accepted.changes == {"test:1": {"created": 0, "updated": 1, "deleted": 0}}
    assert versions(store) == {cve(1): "9.9"}
    assert kept(store) == []
    task = store.tasks(TaskFilter())[0]
    assert (task.task_id, task.status, task.driver_id) == (accepted.task_id, "completed", "scripted")


def test_many_bad_records_are_kept_up_to_a_bound(sqlite_store: Store, tmp_path: Path) -> None:
    """All are counted."""
    store = sqlite_store
    bodies = {cve(number): bad_body(number) for number in range(1100)}
    write_script(tmp_path, "scripted", script(range(1200), bodies=bodies))
    result = run(store, tmp_path, Scripted(ScriptedSettings(max_quarantined=1)))
    assert (result.status, result.result["quarantined"], result.result["records"]) == ("completed", 1100, 100)
    assert len(kept(store)) == 1000


# --- runs -------------------------------------------------------------------------------------


def refuse(store: Store, home: Path, left: int = 10, **more: Any) -> int:
    """Publish 100 records, then let the guard refuse a run that reports `left` of them; return the row's id."""
    write_script(home, "scripted", script(range(100)))
    run(store, home, forced=True)
    write_script(home, "scripted", script(range(left), **more))
    result = run(store, home)
    assert result.status == "failed"
    assert result.result["error_class"] == "GuardError"
    assert result.result["error"] == f"test:1: {100 - left} of 100 records withdrawn (max_shrink 0.2)"
    number = next(row.id for row in store.quarantined() if row.kind == "run")
    assert result.result["quarantined_run"] == number
    return number


def test_a_refused_run_can_be_accepted(store: Store, tmp_path: Path) -> None:
    """It is published as a task of its own, with its checkpoint, and leaves nothing in quarantine."""
    number = refuse(store, tmp_path, version="2.0")
    assert set(versions(store).values()) == {"1.0"}
    accepted = quarantine.accept(store, number, tmp_path)
    assert accepted.changes == {"test:1": {"created": 0, "updated": 10, "deleted": 90}}
    found = list(versions(store).values())
    assert (found.count("2.0"), found.count(None)) == (10, 90)
    assert kept(store) == []
    assert list((tmp_path / "quarantine").iterdir()) == []
    task = store.tasks(TaskFilter())[0]
    assert task.status == "completed"
    assert task.result is not None
    assert task.result["changes"] == accepted.changes
    assert task.result["accepted"] == number
    assert run(store, tmp_path).result["unchanged"] is True


def test_a_refused_run_can_be_dropped(store: Store, tmp_path: Path) -> None:
    """With its file; the next run of the same upstream is refused again."""
    before_drop = refuse(store, tmp_path)
    quarantine.drop(store, before_drop, tmp_path)
    assert kept(store) == []
    assert list((tmp_path / "quarantine").iterdir()) == []
    assert run(store, tmp_path).result["error_class"] == "GuardError"


def test_only_the_newest_refused_run_of_a_driver_is_kept(store: Store, tmp_path: Path) -> None:
    """Every cycle would leave another one otherwise."""
    refuse(store, tmp_path)
    run(store, tmp_path)
    assert len(store.quarantined()) == 1
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [f"{the_row(store).task_id}.stage"]


def test_a_refused_run_is_out_of_date_once_its_group_was_published(store: Store, tmp_path: Path) -> None:
    """Accepting says what to do instead and changes nothing."""
    number = refuse(store, tmp_path)
    write_script(tmp_path, "scripted", script(range(101)))
    run(store, tmp_path)
    before = state(store)
    with pytest.raises(ConflictError, match="vulnfeeds sync scripted --force"):
        quarantine.accept(store, number, tmp_path)
    assert state(store) == before
    assert len(kept(store)) == 1


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_stage_file_publishes_nothing(store: Store, tmp_path: Path, damage: str) -> None:
    """Accepting fails, and the row can still be dropped."""
    number = refuse(store, tmp_path)
    [path] = (tmp_path / "quarantine").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        path.unlink()
    before = state(store)
    with pytest.raises(RunError, match="stage"):
        quarantine.accept(store, number, tmp_path)
    assert state(store) == before
    quarantine.drop(store, number, tmp_path)
    assert kept(store) == []


def test_accepting_keeps_what_takes_its_severity_from_nvd(store: Store, tmp_path: Path) -> None:
    """The flag is in the stage file, so that later changes of NVD reach the record."""
    number = refuse(store, tmp_path, severity="Unknown")
    quarantine.accept(store, number, tmp_path)
    assert len(store.keys_taking_severity(FEED, "test:1")) == 10
    assert body_of(store, 1)["Severity"] == "Unknown"
