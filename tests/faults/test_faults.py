"""The matrix of faults in short: each driver with some kinds, each kind with some drivers.

`python -m benchmarks.faults` is the whole of it, every kind at every document; docs/faults.md shows what it came to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.faults import table
from benchmarks.faults.days import UPSTREAMS, Upstream
from benchmarks.faults.kinds import KINDS, Kind
from benchmarks.faults.trial import Trial

from tests.drivers.test_arch import TestArch
from vulnfeeds.drivers.arch import FEED, GROUP, ArchDriver
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record
from vulnfeeds.testing.upstream import UpstreamSimulator

LOUD = [kind for kind in KINDS if not kind.quiet]
"""Silence and trickles are tried by tests/hostile, where a run has one document."""
EACH = 2
"""Kinds for each driver."""
ARCHIVES = {kind.name: kind for kind in KINDS if "archive" in kind.name or "packed" in kind.name}

STALE = [kind for kind in KINDS if kind.forgetful and "ETag" in kind.name]
"""What a driver of several sources has to forget by itself, because its run goes on."""


def chosen(number: int) -> list[Kind]:
    """Return the kinds for the driver of a number; together the drivers have all of them."""
    return [LOUD[(number * EACH + step) % len(LOUD)] for step in range(EACH)]


def begun(name: str, upstream: Upstream, folder: Path, simulator: UpstreamSimulator) -> Trial:
    """Return a driver that has published day 1."""
    trial = Trial(name, upstream, folder, simulator)
    trial.begin()
    return trial


@pytest.mark.parametrize("name", UPSTREAMS)
def test_the_law_holds_whatever_an_upstream_sends(name: str, tmp_path: Path) -> None:
    """Nothing is lost, the task tells, and the next good run gives what a run without a fault gives."""
    number = list(UPSTREAMS).index(name)
    with UpstreamSimulator() as simulator:
        trial = begun(name, UPSTREAMS[name], tmp_path, simulator)
        kinds = [*chosen(number), *(ARCHIVES.values() if name in ("alma", "ubuntu", "centos") else ())]
        kinds += STALE if name == "vunnel" else []
        for step, kind in enumerate(kinds):
            able = (trial.cell(kind, target) for target in [*trial.targets[step:], *trial.targets])
            cell = next((found for found in able if found is not None), None)
            assert cell is None or cell.broken == (), cell


def test_every_kind_has_its_drivers() -> None:
    """Each kind of fault is tried, and so is each driver of a distribution."""
    assert {kind for number in range(len(UPSTREAMS)) for kind in chosen(number)} == set(LOUD)


class Careless(ArchDriver):
    """A driver that takes what it could read for all there is."""

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records up to the place where the document breaks off."""
        try:
            yield from super().parse(context)
        except ParseError:
            context.cover(FEED, GROUP)


class TestCareless(TestArch):
    """The suite's documents for it."""

    __test__ = False
    driver = Careless


def test_a_driver_that_breaks_the_law_is_found(tmp_path: Path) -> None:
    """Records that vanish with the half of a document are named, and so is the silence of the task."""
    half = next(kind for kind in KINDS if kind.name == "half a document")
    with UpstreamSimulator() as simulator:
        trial = begun("careless", Upstream(TestCareless), tmp_path, simulator)
        cell = trial.cell(half, trial.targets[0])
    assert cell is not None
    told = " ".join(cell.broken)
    assert "neither of day 1 nor of day 2" in told
    assert "fewer than" in told
    assert "the task says nothing" in told


def test_the_document_has_a_place_for_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/faults.md takes both generated parts, and the matrix has a row for each kind."""
    copy = tmp_path / "faults.md"
    shutil.copy(table.DOCUMENT, copy)
    monkeypatch.setattr(table, "DOCUMENT", copy)
    for name in ("days", "matrix"):
        assert table.block(name).startswith(("| driver |", "### "))
    table.replace("days", "new")
    assert table.block("days") == "new\n"
