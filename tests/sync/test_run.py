"""One run on a real store, with a real fetcher and a scripted upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sync.scripted import FEED, Scripted, ScriptedDelta, ScriptedNVD, ScriptedSettings, run, write_script
from vulnfeeds.drivers.interface import Context, Mode
from vulnfeeds.errors import DriverBusyError
from vulnfeeds.records.record import Record
from vulnfeeds.store.interface import Publication, Store, TaskFilter

Script = dict[str, Any]


def cve(number: int) -> str:
    return f"CVE-2024-{number:04d}"


def script(numbers: Any, group: str = "test:1", version: str = "1.0", severity: str = "Low", **more: Any) -> Script:
    """Return a script that reports these CVEs in one group and covers it."""
    records = [[group, cve(number), version, severity] for number in numbers]
    return {"records": records, "cover": [group], **more}


def together(*scripts: Script) -> Script:
    """Return the scripts as one."""
    return {
        "records": [record for one in scripts for record in one["records"]],
        "cover": [group for one in scripts for group in one["cover"]],
    }


def state(store: Store) -> dict[str, Any]:
    """Return all that readers can see, and the checkpoint."""
    groups = store.groups()
    seen: dict[str, Any] = {f"{row.feed}/{row.name}": row for row in groups}
    for row in groups:
        seen[row.name] = store.slice(row.feed, row.name, as_of=row.sequence, first_key="", before_key=None)
    return seen | {"checkpoint": store.checkpoint("scripted")}


def versions(store: Store, group: str = "test:1") -> dict[str, str | None]:
    """Return the first fix's version by key; None for a record without fixes."""
    head = store.group(FEED, group)
    assert head is not None
    found = {}
    for key, body in store.slice(FEED, group, as_of=head.sequence, first_key="", before_key=None):
        fixes = json.loads(body)["Vulnerability"]["FixedIn"]
        found[key] = fixes[0]["Version"] if fixes else None
    return found


def body_of(store: Store, number: int, group: str = "test:1") -> dict[str, Any]:
    """Return what is inside the wrapper of a current record."""
    version = store.record(FEED, group, cve(number))
    assert version is not None
    inside: dict[str, Any] = json.loads(version.body)["Vulnerability"]
    return inside


# --- what is published -------------------------------------------------------------------------------------


def test_a_first_run_publishes_everything(store: Store, tmp_path: Path) -> None:
    """The task is completed with counts, execution state and bytes; the stage file is gone."""
    write_script(tmp_path, "scripted", script(range(5)))
    result = run(store, tmp_path)
    assert result.status == "completed"
    assert result.result["changes"] == {"test:1": {"created": 5, "updated": 0, "deleted": 0}}
    assert versions(store) == dict.fromkeys(map(cve, range(5)), "1.0")
    task = store.tasks(TaskFilter())[0]
    assert task.status == "completed"
    assert task.result is not None
    assert task.result["records"] == 5
    assert task.result["execution_state"]["cursor"] == {"size": 1}
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_second_run_without_upstream_change_publishes_nothing(store: Store, tmp_path: Path) -> None:
    """Nothing is parsed; forced, everything is parsed and still nothing is published."""
    write_script(tmp_path, "scripted", script(range(5)))
    run(store, tmp_path)
    before = state(store)
    again = run(store, tmp_path)
    assert (again.status, again.result["unchanged"], again.result["changes"]) == ("completed", True, {})
    assert state(store) == before
    forced = run(store, tmp_path, forced=True)
    assert (forced.result["unchanged"], forced.result["records"], forced.result["changes"]) == (False, 5, {})
    assert state(store) == before


def test_only_differences_are_published(store: Store, tmp_path: Path) -> None:
    """A changed record, a new one and one that is gone; the rest keeps its number."""
    write_script(tmp_path, "scripted", script(range(5)))
    run(store, tmp_path)
    write_script(tmp_path, "scripted", together(script([1, 2, 3]), script([4], version="2.0"), script([5])))
    result = run(store, tmp_path)
    assert result.result["changes"] == {"test:1": {"created": 1, "updated": 1, "deleted": 1}}
    assert versions(store) == {cve(0): None, **dict.fromkeys(map(cve, [1, 2, 3, 5]), "1.0"), cve(4): "2.0"}
    kept = store.record(FEED, "test:1", cve(1))
    assert kept is not None
    assert kept.sequence <= 5


def test_a_withdrawn_record_can_return(store: Store, tmp_path: Path) -> None:
    """Gone: published without fixes and counted deleted, once. Back: published as before and counted created."""
    counts = []
    for numbers in (range(3), range(2), range(2), range(3)):
        write_script(tmp_path, "scripted", script(numbers))
        counts.append(run(store, tmp_path, forced=True).result["changes"].get("test:1"))
        if len(counts) == 2:
            gone = store.record(FEED, "test:1", cve(2))
            assert gone is not None
            assert gone.withdrawn
            assert body_of(store, 2)["FixedIn"] == []
    assert counts == [
        {"created": 3, "updated": 0, "deleted": 0},
        {"created": 0, "updated": 0, "deleted": 1},
        None,
        {"created": 1, "updated": 0, "deleted": 0},
    ]
    assert versions(store)[cve(2)] == "1.0"


def test_a_delta_run_withdraws_nothing_and_a_full_run_after_it_changes_nothing(store: Store, tmp_path: Path) -> None:
    """DELTA runs that named every change leave the store as a FULL run makes it."""

    class Full(ScriptedDelta):
        mode = Mode.FULL

    for part in (script(range(3)), script([2, 3], version="2.0"), script([0], version="3.0")):
        write_script(tmp_path, "delta", part)
        assert run(store, tmp_path, ScriptedDelta()).status == "completed"
    assert versions(store) == {cve(0): "3.0", cve(1): "1.0", cve(2): "2.0", cve(3): "2.0"}
    write_script(tmp_path, "delta", together(script([0], version="3.0"), script([1]), script([2, 3], version="2.0")))
    assert run(store, tmp_path, Full()).result["changes"] == {}


def test_a_skipped_group_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    """Nothing of it is withdrawn, not even when the driver also covers it; the task says why."""
    write_script(tmp_path, "scripted", together(script([1]), script([1], "test:2")))
    run(store, tmp_path)
    write_script(
        tmp_path, "scripted", {**script([1, 2]), "cover": ["test:1", "test:2"], "skip": {"test:2": "HTTP 500"}}
    )
    result = run(store, tmp_path)
    assert result.result["skipped"] == {"test:2": "HTTP 500"}
    assert result.result["changes"] == {"test:1": {"created": 1, "updated": 0, "deleted": 0}}
    assert versions(store, "test:2") == {cve(1): "1.0"}
    head = store.group(FEED, "test:2")
    assert head is not None
    assert head.frozen_at is None


def test_a_group_that_upstream_drops_is_frozen_and_thaws_when_it_returns(store: Store, tmp_path: Path) -> None:
    """Its records stay served."""
    both = together(script([1]), script([1], "test:2"))
    frozen = []
    for part in (both, script([1, 2]), script([1, 3]), both):
        write_script(tmp_path, "scripted", part)
        named = run(store, tmp_path).result["frozen"]
        head = store.group(FEED, "test:2")
        assert head is not None
        frozen.append((named, head.frozen_at is not None))
        assert versions(store, "test:2") == {cve(1): "1.0"}
    assert frozen == [([], False), (["test:2"], True), ([], True), ([], False)]


def test_a_change_of_version_or_settings_makes_a_whole_run(store: Store, tmp_path: Path) -> None:
    """The driver gets no checkpoint then; thresholds and ceilings shape no record and change nothing."""

    class Newer(Scripted):
        version = 2

    write_script(tmp_path, "scripted", script(range(3)))
    run(store, tmp_path)
    higher = ScriptedSettings(max_shrink=0.9, memory_mb=99)
    assert run(store, tmp_path, Scripted(higher)).result["unchanged"]
    other = run(store, tmp_path, Scripted(ScriptedSettings(link="http://other")))
    assert other.result["changes"] == {"test:1": {"created": 0, "updated": 3, "deleted": 0}}
    newer = run(store, tmp_path, Newer(ScriptedSettings(link="http://other")))
    assert (newer.result["unchanged"], newer.result["changes"]) == (False, {})
    assert run(store, tmp_path, Newer(ScriptedSettings(link="http://other"))).result["unchanged"]


# --- failures -------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1200))
def test_a_driver_that_fails_at_any_record_leaves_the_store_as_before(
    store: Store, tmp_path: Path, fail_at: int
) -> None:
    """However many batches were staged by then; the task says what and where."""
    if store.group(FEED, "test:1") is None:
        write_script(tmp_path, "scripted", script(range(100)))
        run(store, tmp_path)
    before = state(store)
    write_script(tmp_path, "scripted", script(range(1200), version="2.0", fail_at=fail_at))
    result = run(store, tmp_path)
    assert result.status == "failed"
    assert result.result["error"] == "ScriptedError: as the script says"
    assert result.result["error_class"] == "ScriptedError"
    assert "scripted.py" in result.result["place"]
    assert state(store) == before
    assert list((tmp_path / "staging").iterdir()) == []
    assert store.tasks(TaskFilter())[0].status == "failed"


def test_an_upstream_that_cannot_be_had_fails_the_run(store: Store, tmp_path: Path) -> None:
    """The error names the URL before the upstream map."""
    (tmp_path / "upstream").mkdir()
    result = run(store, tmp_path)
    assert result.status == "failed"
    assert result.result["error_class"] == "StatusError"
    assert result.result["place"] == "https://upstream.example/scripted.json"
    assert store.groups() == []


def test_an_empty_full_run_fails(store: Store, tmp_path: Path) -> None:
    """At the first run too: an upstream that has nothing is not believed."""
    write_script(tmp_path, "scripted", script([]))
    result = run(store, tmp_path)
    assert result.status == "failed"
    assert result.result["error"] == "the run reports no record at all (0 refused)"


def test_a_damaged_checkpoint_makes_a_whole_run(sqlite_store: Store, tmp_path: Path) -> None:
    """As after a downgrade; the run mends it."""
    store = sqlite_store
    write_script(tmp_path, "scripted", script(range(3)))
    run(store, tmp_path)
    task = store.open_task("DriverExecutionTask", driver="scripted")
    store.publish(Publication(task_id=task, driver="scripted", staged=[], expected={}, checkpoint=b'{"x":1}'))
    assert run(store, tmp_path).result["unchanged"] is False
    assert run(store, tmp_path).result["unchanged"] is True


class _Intruded(Scripted):
    """Lets something happen in the middle of its parse."""

    meanwhile: ClassVar[list[Any]] = []

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield half a batch, let it happen, yield the rest."""
        yield from super().parse(context)
        for happen in self.meanwhile:
            happen()


def test_a_publish_by_someone_else_meanwhile_fails_the_run(store: Store, tmp_path: Path) -> None:
    """The other one's publish stays; the failed task says so."""
    write_script(tmp_path, "delta", script(range(3)))
    run(store, tmp_path, ScriptedDelta())
    write_script(tmp_path, "delta", script([1], version="3.0"))
    # More than a batch, so that the group was compared before the other one publishes.
    write_script(tmp_path, "scripted", script(range(600), version="2.0"))
    _Intruded.meanwhile = [lambda: run(store, tmp_path, ScriptedDelta())]
    result = run(store, tmp_path, _Intruded())
    assert result.result["error_class"] == "ConflictError"
    assert versions(store) == {cve(0): "1.0", cve(1): "3.0", cve(2): "1.0"}


def test_a_task_that_was_ended_meanwhile_publishes_nothing(store: Store, tmp_path: Path) -> None:
    """A run that was given up as dead cannot come back."""
    write_script(tmp_path, "scripted", script(range(3)))
    task_id = store.open_task("DriverExecutionTask", driver="scripted")
    _Intruded.meanwhile = [lambda: store.close_task(task_id, "failed", {"error": "given up"})]
    result = run(store, tmp_path, _Intruded(), task_id=task_id)
    assert result.result["error_class"] == "ConflictError"
    assert store.groups() == []
    assert store.tasks(TaskFilter())[0].result == {"error": "given up"}


def test_one_driver_runs_once_at_a_time(store: Store, tmp_path: Path) -> None:
    """The second one is refused before it fetches anything."""
    write_script(tmp_path, "scripted", script(range(3)))
    refused: list[bool] = []

    def second() -> None:
        with pytest.raises(DriverBusyError):
            run(store, tmp_path)
        refused.append(True)

    _Intruded.meanwhile = [second]
    assert run(store, tmp_path, _Intruded()).status == "completed"
    assert refused == [True]


def test_stage_files_that_killed_runs_left_are_removed(sqlite_store: Store, tmp_path: Path) -> None:
    """Those of runs under way stay."""
    store = sqlite_store
    write_script(tmp_path, "scripted", script(range(3)))
    running = store.open_task("DriverExecutionTask", driver="other")
    ended = store.open_task("DriverExecutionTask", driver="third")
    store.close_task(ended, "failed", {})
    staging = tmp_path / "staging"
    staging.mkdir()
    for name in (running, ended, 999):
        (staging / f"{name}.stage").write_bytes(b"")
    run(store, tmp_path)
    assert [path.name for path in staging.iterdir()] == [f"{running}.stage"]


# --- severities -------------------------------------------------------------------------------------


def test_severities_come_from_nvd_and_follow_it(store: Store, tmp_path: Path) -> None:
    """Filled at staging; when NVD changes and upstream does not, only the records of those CVEs are re-made."""
    write_script(tmp_path, "nvd", {cve(0): ["High", 5.0], cve(1): ["Low", None]})
    run(store, tmp_path, ScriptedNVD())
    write_script(tmp_path, "scripted", together(script([0, 1, 2], severity="Unknown"), script([3])))
    run(store, tmp_path)
    assert [body_of(store, number)["Severity"] for number in range(4)] == ["High", "Low", "Unknown", "Low"]
    assert body_of(store, 0)["Metadata"]["NVD"]["CVSSv2"]["Score"] == 5.0
    assert body_of(store, 1)["Metadata"] == {}
    write_script(tmp_path, "nvd", {cve(0): ["High", 5.0], cve(2): ["Critical", 9.0], cve(3): ["High", 7.5]})
    run(store, tmp_path, ScriptedNVD())
    refilled = run(store, tmp_path)
    assert refilled.result["unchanged"] is True
    assert refilled.result["changes"] == {"test:1": {"created": 0, "updated": 3, "deleted": 0}}
    assert [body_of(store, number)["Severity"] for number in range(4)] == ["High", "Unknown", "Critical", "Low"]
    assert body_of(store, 3)["Metadata"]["NVD"]["CVSSv2"]["Score"] == 7.5
    assert run(store, tmp_path).result["changes"] == {}
    assert run(store, tmp_path, forced=True).result["changes"] == {}


def test_groups_that_were_not_parsed_follow_nvd_too(store: Store, tmp_path: Path) -> None:
    """Skipped as unchanged, or frozen, in a run that parsed another group."""
    first = script([0], severity="Unknown")
    write_script(
        tmp_path, "scripted", together(first, script([0], "test:2", severity="Unknown"), script([0], "test:3"))
    )
    run(store, tmp_path)
    write_script(tmp_path, "nvd", {cve(0): ["High", 5.0]})
    run(store, tmp_path, ScriptedNVD())
    write_script(tmp_path, "scripted", {**script([0, 1], severity="Unknown"), "skip": {"test:2": "unchanged"}})
    result = run(store, tmp_path)
    assert {group: counts["updated"] for group, counts in result.result["changes"].items()} == {
        "test:1": 1,
        "test:2": 1,
        "test:3": 1,
    }
    assert body_of(store, 0, "test:2")["Severity"] == "High"
    assert body_of(store, 0, "test:3")["Severity"] == "Low"


def test_the_setting_can_be_switched(store: Store, tmp_path: Path) -> None:
    """A switch makes a whole run, and what that run does not report is re-made as well."""
    write_script(tmp_path, "nvd", {cve(0): ["Critical", 5.0]})
    run(store, tmp_path, ScriptedNVD())
    write_script(
        tmp_path, "scripted", together(script([0], severity="Unknown"), script([0], "test:2", severity="Unknown"))
    )
    run(store, tmp_path)
    write_script(tmp_path, "scripted", script([0], severity="Unknown"))
    run(store, tmp_path)
    for source, severity, metadata in (
        ("cvss2", "Medium", True),
        ("none", "Unknown", False),
        ("newest", "Critical", True),
    ):
        result = run(store, tmp_path, severity_source=source)
        assert result.result["unchanged"] is False
        for group in ("test:1", "test:2"):
            assert body_of(store, 0, group)["Severity"] == severity
            assert ("NVD" in body_of(store, 0, group)["Metadata"]) == metadata
        assert run(store, tmp_path, severity_source=source).result["unchanged"] is True


def test_new_severities_do_not_trip_the_guard(sqlite_store: Store, tmp_path: Path) -> None:
    """A first load of NVD after the distributions changes nearly all of their records."""
    store = sqlite_store
    write_script(tmp_path, "scripted", script(range(1500), severity="Unknown"))
    run(store, tmp_path)
    write_script(tmp_path, "nvd", {cve(number): ["High", 5.0] for number in range(1500)})
    run(store, tmp_path, ScriptedNVD())
    assert run(store, tmp_path, forced=True).result["changes"]["test:1"]["updated"] == 1500


# --- progress -------------------------------------------------------------------------------------


def test_progress_goes_to_the_task_and_to_whoever_asks(sqlite_store: Store, tmp_path: Path) -> None:
    """At once when the phase changes, else at most once a second."""
    store = sqlite_store
    write_script(tmp_path, "scripted", script(range(2100)))
    told: list[dict[str, Any]] = []
    ticks = iter(range(10**6))
    run(store, tmp_path, progress=told.append, clock=lambda: 1e9 + next(ticks) * 0.4)
    parsing = [said["records"] for said in told if said["phase"] == "parse"]
    assert parsing[0] == 500
    assert len(parsing) < 5
    assert told[-1]["phase"] == "publish"
    assert told[-1]["records"] == 2100
    assert told[-1]["bytes"] > 0
    last = store.tasks(TaskFilter())[0].progress
    assert last is None or last == msgspec.to_builtins(told[-1])
