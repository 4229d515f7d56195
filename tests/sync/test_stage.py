"""The stage file: what goes in comes out, and a damaged file gives nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vulnfeeds.errors import RunError
from vulnfeeds.records.record import Score
from vulnfeeds.store.interface import StagedRecord
from vulnfeeds.sync import stage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCORES = st.none() | st.builds(
    Score, st.sampled_from(["Low", "High"]), st.none() | st.floats(0, 10), st.none() | st.just("AV:N")
)
STAGED = st.builds(
    StagedRecord,
    feed=TEXT,
    group=TEXT,
    key=TEXT,
    digest=st.binary(min_size=16, max_size=16),
    packed=st.binary(max_size=300),
    change=st.sampled_from(["created", "updated", "deleted"]),
    takes_severity=st.booleans(),
    score=SCORES,
)
IN_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, records: list[StagedRecord]) -> Path:
    with stage.Stage(path) as made:
        for record in records:
            made.add(record)
        made.seal()
    return path


@IN_FOLDER
@given(st.lists(STAGED, max_size=20))
def test_what_goes_in_comes_out(tmp_path: Path, records: list[StagedRecord]) -> None:
    """Records come back equal and in order, the empty stage too."""
    assert list(stage.read(write(tmp_path / "1.stage", records))) == records


@IN_FOLDER
@given(st.lists(STAGED, max_size=5), st.data())
def test_a_cut_file_is_refused(tmp_path: Path, records: list[StagedRecord], data: st.DataObject) -> None:
    """At whatever byte it ends, nothing of it is given out."""
    path = write(tmp_path / "1.stage", records)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(RunError, match=r"1\.stage"):
        stage.read(path)


@IN_FOLDER
@given(st.lists(STAGED, max_size=5), st.data())
def test_an_altered_file_is_refused(tmp_path: Path, records: list[StagedRecord], data: st.DataObject) -> None:
    """A changed byte anywhere is seen before the first record is given out."""
    path = write(tmp_path / "1.stage", records)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    with pytest.raises(RunError, match=r"1\.stage"):
        stage.read(path)


def test_a_stage_that_is_left_unsealed_is_removed(tmp_path: Path) -> None:
    """A run that fails while it stages leaves no file behind."""
    with pytest.raises(ZeroDivisionError), stage.Stage(tmp_path / "deep" / "1.stage"):
        raise ZeroDivisionError
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The text names the file."""
    with pytest.raises(RunError, match=r"7\.stage: the stage file cannot be read"):
        stage.read(tmp_path / "7.stage")
