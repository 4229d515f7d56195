"""Drivers rhel and centos on the recorded documents: two days, failures, and the form of requests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Replay
from tests.drivers.driver_runs import Upstreams, bodies
from vulnfeeds.drivers.redhat.centos import CentOSDriver
from vulnfeeds.drivers.redhat.rhel import RHELDriver, RHELSettings
from vulnfeeds.errors import UpstreamError

LIST = "access.redhat.com/hydra/rest/securitydata/cve"


@pytest.mark.timeout(300)
def test_two_days(replay: Replay, tmp_path: Path) -> None:
    """Day 1 whole, then nothing, then what day 2 changed, then nothing; a failing API meanwhile harms nothing."""
    upstreams = Upstreams(RHELDriver, replay.address, tmp_path)
    records, context = upstreams.run()
    first = bodies(records)
    amount = Counter(record.group for record in records)
    assert (len(records), amount["rhel:7"], amount["rhel:8"], amount["rhel:8.2+eus"]) == (18474, 4759, 4383, 255)
    assert context.unknown_values == {}
    assert len(context.notes) == 1
    assert "fixes name no package version" in context.notes[0]
    replay.clear()
    assert upstreams.run()[0] == []
    assert not any("/cve/CVE-" in request["url"] for request in replay.log())

    replay.day(2)
    replay.fault(f"status:503:{LIST}/CVE-2021")
    _, context = upstreams.run()
    assert any("documents could not be had" in note for note in context.notes)
    replay.clear()
    records, context = upstreams.run()
    second = bodies(records)
    changed = sum(second[key] != first[key] for key in second.keys() & first.keys())
    assert (len(second.keys() - first.keys()), len(first.keys() - second.keys()), changed) == (447, 0, 1011)
    assert upstreams.run()[0] == []


def test_a_first_run_that_dies_goes_on_where_it_was(replay: Replay, tmp_path: Path) -> None:
    """Documents that came before or beside a failure are not asked for again."""
    upstreams = Upstreams(RHELDriver, replay.address, tmp_path)
    replay.fault(f"status:503:{LIST}/CVE-2021-44")
    with pytest.raises(UpstreamError, match="503"):
        upstreams.run()
    failed = {request["url"] for request in replay.log() if request["status"] == 503}
    replay.clear()
    records, _ = upstreams.run()
    asked = {request["url"] for request in replay.log() if f"{LIST}/CVE-" in request["url"]}
    assert asked == failed
    assert 0 < len(asked) < 200
    assert len(records) == 18474


def test_an_upstream_that_fails_is_left_alone(replay: Replay, tmp_path: Path) -> None:
    """Not each of thousands of documents is asked for when most answers are failures."""
    replay.fault(f"status:503:{LIST}/CVE-")
    with pytest.raises(UpstreamError, match="503"):
        Upstreams(RHELDriver, replay.address, tmp_path).run()
    assert 20 <= len([request for request in replay.log() if request["status"] == 503]) < 40


def test_centos_and_the_vex_archive(replay: Replay, tmp_path: Path) -> None:
    """The true documents at hand: an archive with one member deleted since, and others that came after it."""
    records, context = Upstreams(RHELDriver, replay.address, tmp_path / "vex").run(RHELSettings(source="vex"))
    found = bodies(records)
    assert context.unknown_values == {}
    assert len(found) == 28, sorted(found)
    assert ("rhel:9", "CVE-2023-6237") not in found, "deleted after the archive was made"
    (firefox, _) = found["rhel:9", "CVE-2023-6212"]["Vulnerability"]["FixedIn"]
    assert (firefox["Name"], firefox["Version"]) == ("firefox", "0:115.5.0-1.el9_3")
    assert firefox["VendorAdvisory"]["AdvisorySummary"][0]["ID"] == "RHSA-2023:7507"
    assert [(build["Minor"], build["Channels"], build["Version"]) for build in firefox["Advisories"]] == [
        (0, ["eus"], "0:115.5.0-1.el9_0"),
        (2, ["eus"], "0:115.5.0-1.el9_2"),
        (3, ["ga"], "0:115.5.0-1.el9_3"),
    ]
    (kernel, real_time) = found["rhel:9", "CVE-2023-6240"]["Vulnerability"]["FixedIn"]
    assert (kernel["Version"], real_time["Version"]) == ("0:5.14.0-427.16.1.el9_4", "None")
    records, _ = Upstreams(CentOSDriver, replay.address, tmp_path / "centos").run()
    assert Counter(record.group for record in records) == {"centos:5": 1, "centos:8": 4, "centos:9": 2}
    ruby = bodies(records)["centos:8", "RHSA-2023:7025"]["Vulnerability"]
    assert {fix["Module"] for fix in ruby["FixedIn"]} == {"ruby:2.5"}
