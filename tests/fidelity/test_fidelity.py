"""Drivers against independent implementations of the same documents and what the original service served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT, Replay
from tests.fidelity import running, summary
from tests.fidelity.agreement import RECORD, Difference, DifferenceClass, compare
from tests.fidelity.nvd_fields import attributes, in_a_range, uri
from tests.fidelity.world import World

pytestmark = pytest.mark.timeout(600)


@pytest.mark.no_cover  # Measuring coverage takes a third of it, and the drivers' own tests have been there.
@pytest.mark.parametrize("suite", running.SUITES)
def test_every_difference_is_known_and_documented(suite: str, shared: Path, replay: Replay, tmp_path: Path) -> None:
    """No difference without a class, no class without a difference, and the driver's document says the same."""
    found = running.run(suite, World(shared, replay, tmp_path))
    print(running.table(found))
    assert [fault for agreement in found for fault in agreement.faults()] == []
    for driver, block in running.blocks(suite, found).items():
        text = running.document(ROOT / "docs", driver).read_text()
        assert running.in_document(text, suite) == block, f"python -m benchmarks.fidelity --write {suite}"
    table = summary.in_document(running.document(ROOT / "docs", "README").read_text())
    for driver, row in summary.rows(suite, found).items():
        assert table[driver] == row, f"python -m benchmarks.fidelity --write {suite}"


def test_every_driver_has_its_row() -> None:
    """One that nobody's records are compared with says so; no row is left of a driver that is gone."""
    table = summary.in_document(running.document(ROOT / "docs", "README").read_text())
    assert list(table) == list(summary.drivers())
    alone = {name for name, row in table.items() if row == summary.row_without_comparison(name)}
    assert alone == {"arch", "centos", "eol", "fedora", "gem", "msrc", "npm", "photon", "vunnel"}
    assert set(summary.MADE_UP) <= set(table)
    assert alone <= set(summary.MADE_UP)


KNOWN = DifferenceClass("known", ("x",), ("b",), "it is known", "ours", holds=lambda found: found.theirs == 0)


def test_a_difference_without_a_class_is_a_fault() -> None:
    """Each field that both sides have counts; the first class that takes a difference has it."""
    ours = {"a": {"x": 1, "y": 1}, "b": {"x": 1}, "c": {"x": 1}}
    theirs = {"a": {"x": 1, "z": 2}, "b": {"x": 0}, "c": {"x": 2}}
    found = compare("d", "e", ours, theirs, [KNOWN])
    assert found.compared == {RECORD: 3, "x": 3}
    assert found.equal == {RECORD: 3, "x": 1}
    assert found.classed == {("known", "x"): 1}
    assert found.strange == [Difference("c", "x", 1, 2, {"x": 1}, {"x": 2})]
    assert found.faults() == ["d against e: x of c: 1 / 2", "d against e: x: 1 differences of no class"]


def test_a_class_that_occurs_no_more_is_a_fault() -> None:
    """Also when only its examples are gone."""
    (fault,) = compare("d", "e", {"b": {"x": 0}}, {"b": {"x": 0}}, [KNOWN]).faults()
    assert fault.startswith("d against e: known: nothing belongs to this class")
    (fault,) = compare("d", "e", {"c": {"x": 1}}, {"c": {"x": 0}}, [KNOWN]).faults()
    assert "none of its examples" in fault


def test_a_record_of_one_side_is_a_difference() -> None:
    """Whichever side lacks it."""
    found = compare("d", "e", {"a": {"x": 1}}, {"b": {"x": 1}}, [])
    assert [(strange.key, strange.ours, strange.theirs) for strange in found.strange] == [
        ("a", {"x": 1}, None),
        ("b", None, {"x": 1}),
    ]
    assert found.equal == {}


def test_names_are_read_on_our_own() -> None:
    """CPE names, ranges and URIs, with escapes, as the comparison reads them."""
    name = r"cpe:2.3:a:x:a\:b:1.0\(2\):*:*:*:*:windows:*:*"
    assert attributes(name)[2:4] == [r"a\:b", r"1.0\(2\)"]
    assert uri(name) == "cpe:/a:x:a%3ab:1.0%282%29::~~~windows~~"
    assert uri("cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*") == "cpe:/o:linux:linux_kernel:-"
    limits = (("versionEndExcluding", "2.0"), ("versionStartIncluding", "1.2"))
    criteria = [("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", True, limits)]
    inside = [version for version in ("1.1", "1.2", "1.10", "2.0", "2.1") if in_a_range(_named(version), criteria)]
    assert inside == ["1.2", "1.10"]
    assert not in_a_range("cpe:2.3:a:x:z:1.3:*:*:*:*:*:*:*", criteria)


def _named(version: str) -> str:
    return f"cpe:2.3:a:x:y:{version}:*:*:*:*:*:*:*"
