"""A folder of CSAF documents: what is read of archive and lists, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.redhat.csaf_documents import HOST, Json, advisory, packed, rpm, write_folder
from vulnfeeds.drivers.interface import Checkpoint
from vulnfeeds.drivers.redhat.centos import CentOSDriver
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.testing.driver_suite import Trial

LATER = "2024-08-29T06:00:00+00:00"


def fix(number: int, version: str = "1-1.el9") -> Json:
    """Return an advisory that fixes package moss."""
    package = rpm("moss", version, arch="x86_64")
    return advisory(f"RHSA-2024:{number:04}", ["CVE-2024-0001"], [("BaseOS-9.4.0.GA", package)])


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """Driver centos, which reads nothing but advisories, over an archive of three of them."""
    trial = Trial(CentOSDriver, tmp_path / "upstream", tmp_path / "workspace")
    write_folder(folder(trial), "advisories", "2024-08-28", [fix(1), fix(2), fix(3)])
    return trial


def folder(trial: Trial) -> Path:
    """Return the folder of advisories."""
    return trial.folder / HOST / "data" / "csaf" / "v2" / "advisories"


def versions(trial: Trial, checkpoint: Checkpoint | None = None) -> dict[str, str]:
    """Return the version that each advisory fixes with, after a run."""
    records, _ = trial.run(checkpoint)
    return {record.key[-4:]: record.body.vulnerability.fixed_in[0].version for record in records}


def test_changes_and_deletions_count_by_their_time(trial: Trial) -> None:
    """Newer than the archive: read again, or dropped; older ones are in the archive or out of it already."""
    changed = {LATER: fix(1, "1-2.el9"), "2024-08-29T07:00:00+00:00": fix(4)}
    gone = {"RHSA-2024:0002": LATER, "RHSA-2024:0003": "2024-08-27T00:00:00+00:00", "RHSA-2024:0004": LATER}
    write_folder(folder(trial), "advisories", "2024-08-28", [fix(1), fix(2), fix(3)], changed, gone)
    assert versions(trial) == {"0001": "0:1-2.el9", "0003": "0:1-1.el9", "0004": "0:1-1.el9"}


def test_a_newer_archive_takes_the_place_of_all(trial: Trial) -> None:
    """What it does not hold is gone, and what it holds is read again."""
    answer, _ = trial.fetch()
    assert isinstance(answer, Checkpoint)
    write_folder(folder(trial), "advisories", "2024-09-01", [fix(1, "1-5.el9"), fix(5)])
    assert versions(trial, answer) == {"0001": "0:1-5.el9", "0005": "0:1-1.el9"}


def test_a_broken_newer_archive_changes_nothing(trial: Trial) -> None:
    """What is kept of the last one is used, and the task says why; the next run asks for it again."""
    answer, _ = trial.fetch()
    assert isinstance(answer, Checkpoint)
    write_folder(folder(trial), "advisories", "2024-09-01", [fix(1, "1-5.el9")])
    path = folder(trial) / "csaf_advisories_2024-09-01.tar.zst"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    again, context = trial.fetch(answer)
    assert not isinstance(again, Checkpoint)
    assert "are used as they were" in context.notes[0]
    path.write_bytes(good)
    assert versions(trial, answer) == {"0001": "0:1-5.el9"}


@pytest.mark.parametrize(
    ("archive", "names"),
    [
        (packed({}), "csaf_advisories_2024-08-28.tar.zst: no rhsa- document in the archive"),
        (packed({"2024/rhea-2024_0001.json": fix(1)}), "no rhsa- document in the archive"),
        (packed({"2024/../../rhsa-2024_0001.json": fix(1)}), "leads out of it"),
        (packed({"/2024/rhsa-2024_0001.json": fix(1)}), "leads out of it"),
        (packed({"2024/rhsa-2024_0001.json": fix(2)}), "the document calls itself 'RHSA-2024:0002'"),
        (packed({"2024/rhsa-2024_0001.json": b"{"}), "2024/rhsa-2024_0001.json: "),
    ],
    ids=["empty", "other kind", "path", "absolute path", "other id", "not JSON"],
)
def test_a_bad_archive_is_refused(trial: Trial, archive: bytes, names: str) -> None:
    """With the reason and the member, and nothing of it is kept."""
    (folder(trial) / "csaf_advisories_2024-08-28.tar.zst").write_bytes(archive)
    with pytest.raises((ParseError, UpstreamError)) as caught:
        trial.run()
    assert names in str(caught.value)
    write_folder(folder(trial), "advisories", "2024-08-28", [fix(1)])
    assert versions(trial) == {"0001": "0:1-1.el9"}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('"../2024/rhsa-2024_0009.json","2024-08-29T06:00:00+00:00"', "line 4: '../2024/rhsa"),
        ('"2024/rhsa-2024_0009.json"', "line 4: 1 columns"),
        ('"2024/rhsa-2024_0009.json","soon"', "line 4: 'soon' is no time"),
        ('"2024/rhsa-2024_0009.json,"2024', "not CSV"),
    ],
)
def test_a_bad_line_of_a_list_is_refused(trial: Trial, line: str, names: str) -> None:
    """With its number; a path can never lead out of the folder."""
    path = folder(trial) / "changes.csv"
    path.write_text(path.read_text() + line)
    with pytest.raises(ParseError) as caught:
        trial.run()
    assert names in str(caught.value)


def adrift(number: int) -> Json:
    """Return an advisory whose product ids all lead nowhere."""
    found = fix(number, "1-9.el9")
    found["product_tree"]["relationships"] = []
    return found


def test_an_advisory_adrift_in_an_archive_leaves_the_last_one(trial: Trial) -> None:
    """The task says so, the other advisories are new, and one that was never kept is missing until it is mended."""
    answer, _ = trial.fetch()
    assert isinstance(answer, Checkpoint)
    write_folder(folder(trial), "advisories", "2024-09-01", [adrift(1), fix(2, "1-5.el9"), adrift(6)])
    again, context = trial.fetch(answer)
    assert isinstance(again, Checkpoint)
    assert context.notes[0].startswith("2 documents of csaf_advisories_2024-09-01.tar.zst are left as they were")
    assert "rhsa-2024_0001.json: no product id of CVE-2024-0001" in context.notes[0]
    assert versions(trial, again) == {}
    assert versions(trial) == {"0001": "0:1-1.el9", "0002": "0:1-5.el9"}
    write_folder(folder(trial), "advisories", "2024-09-02", [fix(1, "1-6.el9"), fix(2, "1-5.el9"), fix(6)])
    assert versions(trial, again) == {"0001": "0:1-6.el9", "0002": "0:1-5.el9", "0006": "0:1-1.el9"}


def test_a_first_run_goes_on_without_an_advisory_adrift(trial: Trial) -> None:
    """One that the list names, and of which nothing is kept, is noted, and asked for again by the next run."""
    write_folder(folder(trial), "advisories", "2024-08-28", [fix(1)], {LATER: adrift(4)})
    records, context = trial.run()
    assert [record.key for record in records] == ["RHSA-2024:0001"]
    assert "rhsa-2024_0004.json" in context.notes[0]
    write_folder(folder(trial), "advisories", "2024-08-28", [fix(1)], {LATER: fix(4)})
    assert versions(trial) == {"0001": "0:1-1.el9", "0004": "0:1-1.el9"}


def test_a_product_id_that_leads_nowhere_is_counted(trial: Trial) -> None:
    """The other products of the advisory count all the same."""
    odd = fix(1)
    odd["vulnerabilities"][0]["remediations"][0]["product_ids"].append("BaseOS-9:ghost")
    write_folder(folder(trial), "advisories", "2024-08-28", [odd])
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    assert context.unknown_values == {"product id that leads nowhere=RHSA-2024:0001 BaseOS-9:ghost": 1}
    assert versions(trial) == {"0001": "0:1-1.el9"}
