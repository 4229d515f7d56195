"""The generator: the same bytes from the same seed, and documents that the drivers take."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.generate import generate
from benchmarks.generator import alpine, rolling
from benchmarks.generator.plan import Kind, Plan

SCALE = 0.002
LARGER = ("sles", "ol", "mariner", "rhel", "amzn", "github", "osv")
SMALLER = ("wolfi", "secureos", "echo", "alma", "rocky", "photon", "arch", "fedora")
"""Of the rolling distributions two: the others are documents of the same kind."""
DRIVERS = ("nvdv2", "nvddb", "alpine", "debian", "kev", "ubuntu", *LARGER, *SMALLER)
DAY_1 = Plan(scale=SCALE, change=0.1, seed=7)
DAY_2 = Plan(scale=SCALE, change=0.1, seed=7, day=2)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two generations of one plan are equal, file by file; another seed gives others."""
    for name, plan in (("one", DAY_2), ("two", DAY_2), ("other", Plan(scale=SCALE, change=0.1, seed=8, day=2))):
        generate(plan, tmp_path / name)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    other = digests(tmp_path / "other")
    # Red Hat has a file for each CVE, and which ones there are is a matter of chance.
    assert {name for name in other if "redhat" not in name} == {name for name in one if "redhat" not in name}
    assert sum(other.get(name) != one[name] for name in one) > len(one) / 2


def test_day_2_over_day_1_equals_day_2_and_leaves_what_is_equal(tmp_path: Path) -> None:
    """A file whose content stays keeps its time, so that the folder mirror calls it unchanged."""
    generate(DAY_2, tmp_path / "fresh")
    generate(DAY_1, tmp_path / "grown")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "grown").rglob("*") if path.is_file()}
    before = digests(tmp_path / "grown")
    generate(DAY_2, tmp_path / "grown")
    after = digests(tmp_path / "grown")
    assert after == digests(tmp_path / "fresh")
    for path, time in times.items():
        name = str(path.relative_to(tmp_path / "grown"))
        assert (path.stat().st_mtime_ns == time) == (before[name] == after[name]), name
    assert before != after


def test_full_scale_has_the_amounts_that_it_says() -> None:
    """340,000 CVEs of the NVD, 40 releases of Alpine with 100,000 fixes, 50,000 CVEs of Debian, 100,000 of Ubuntu,
    36,000 of Red Hat."""
    plan = Plan()
    assert plan.total(Kind.NVD) == 340_000
    assert plan.total(Kind.DEBIAN) == 50_000
    assert plan.total(Kind.UBUNTU) == 100_000
    assert plan.total(Kind.REDHAT) == 36_000
    assert plan.total(Kind.GITHUB) == 25_000
    assert len(alpine.RELEASES) == 40
    assert 95_000 < alpine.fixes(plan) < 105_000
    assert 245_000 < rolling.fixes(plan, "wolfi") < 265_000


def test_a_day_changes_the_part_that_it_is_told(tmp_path: Path) -> None:
    """One record in a hundred changes, goes or comes."""
    states = [state for _, state in Plan(day=2, change=0.01).numbers(Kind.DEBIAN)]
    touched = sum(state.touched == 2 for state in states)
    assert 450 < touched < 550
    assert 0 < sum(state.removed for state in states) < touched / 5


def test_the_drivers_take_both_days(tmp_path: Path) -> None:
    """Every driver publishes day 1 with nothing in quarantine, then no more than the changes of day 2."""
    mirror, home = tmp_path / "upstream", tmp_path / "home"
    home.mkdir()
    generate(DAY_1, mirror)
    first = sync(home, mirror)
    assert first["nvdv2"]["created"] == first["nvddb"]["created"] == DAY_1.total(Kind.NVD)
    assert first["debian"]["created"] > DAY_1.total(Kind.DEBIAN)
    assert first["alpine"]["created"] > 0
    assert first["kev"]["created"] == DAY_1.total(Kind.KEV)
    assert first["ubuntu"]["created"] > DAY_1.total(Kind.UBUNTU)
    assert first["sles"]["created"] > DAY_1.total(Kind.SLES)
    assert first["ol"]["created"] == DAY_1.total(Kind.OL)
    assert first["mariner"]["created"] > DAY_1.total(Kind.MARINER)
    assert first["rhel"]["created"] > DAY_1.total(Kind.REDHAT)
    assert first["amzn"]["created"] == DAY_1.total(Kind.AMZN)
    assert first["github"]["created"] == DAY_1.total(Kind.GITHUB)
    assert first["osv"]["created"] == DAY_1.total(Kind.OSV)
    generate(DAY_2, mirror)
    second = sync(home, mirror)
    assert second["nvdv2"]["created"] == DAY_2.total(Kind.NVD) - DAY_1.total(Kind.NVD)
    changed = {driver: sum(row[kind] for kind in ("created", "updated", "deleted")) for driver, row in second.items()}
    assert all(changed[driver] > 0 for driver in ("nvdv2", "alpine", "debian", "kev", "ubuntu", *LARGER))
    # Of a few dozen records hardly one changes.
    assert sum(changed[driver] for driver in SMALLER) > len(SMALLER)
    assert all(changed[driver] < first[driver]["created"] for driver in DRIVERS)
    assert second["debian"]["deleted"] > 0
    assert not command(home, mirror, "quarantine", "list")


def sync(home: Path, mirror: Path) -> dict[str, dict[str, int]]:
    return {row["driver"]: row for row in command(home, mirror, "sync")["drivers"]}


def command(home: Path, mirror: Path, *arguments: str) -> object:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VULNFEEDS_")}
    environment = {
        **inherited,
        "VULNFEEDS_HOME": str(home),
        "VULNFEEDS_UPSTREAM_MIRROR": str(mirror),
        "VULNFEEDS_DRIVERS": ",".join(DRIVERS),
    }
    process = subprocess.run(
        [sys.executable, "-m", "vulnfeeds", *arguments, "--json"], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout)
