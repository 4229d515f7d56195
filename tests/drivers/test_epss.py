"""Driver epss: the suite on its sample, the days that it refuses, and the real tables of two days."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Upstreams, bodies, on_sample, packed, replaced
from vulnfeeds.drivers.epss import MODEL, SCORES, EPSSDriver, EPSSSettings
from vulnfeeds.drivers.interface import Checkpoint
from vulnfeeds.errors import RecordError, UpstreamError
from vulnfeeds.records import contract
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

HOST = "epss.empiricalsecurity.com"
TABLE = f"{HOST}/epss_scores-current.csv.gz"
DAY = b"2024-08-30"


def edit(old: bytes, new: bytes) -> Edit:
    """Return an edit of one piece of the table."""
    return Edit(TABLE, packed(gzip, replaced(old, new)))


def wider(data: bytes) -> bytes:
    """Return a table with one more column."""
    head, columns, *rows = data.decode().splitlines()
    return "\n".join([head, f"version,{columns}", *(f"3,{row}" for row in rows), ""]).encode()


class TestEPSS(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = EPSSDriver
    upstream = SAMPLE
    groups = frozenset({("epss", SCORES), ("epss", MODEL)})
    extended = (Edit(TABLE, packed(gzip, wider)),)
    changed = (edit(b"CVE-2024-0002,0.7", b"CVE-2024-0002,0.6"), edit(b"v2023.03.01", b"v2025.03.14"))
    sad = (
        Sad(edit(b"#model_version", b"#model"), "epss_scores.csv.gz:1: no model_version and score_date"),
        Sad(edit(DAY, b"2024-13-30"), "epss_scores.csv.gz:1: no model_version and score_date"),
        Sad(edit(b"cve,epss", b"cve,score"), "epss_scores.csv.gz:2: the columns are 'cve,score,percentile'"),
        Sad(edit(b"CVE-2024-0001,0", b"CVE-2024-0001,7"), "epss_scores.csv.gz:3:"),
        Sad(edit(b"CVE-2024-0002,", b"CVE-2024-0002,much"), "epss_scores.csv.gz:4: could not convert"),
        Sad(edit(b"CVE-2024-0003,", b"CVE-2024-0003,,"), "epss_scores.csv.gz:5: 4 values, 3 columns"),
        Sad(edit(b"CVE-2024-0004,", b"GHSA-1,"), "epss_scores.csv.gz:6:"),
        Sad(Edit(TABLE, packed(gzip, lambda data: data[:-1])), "epss_scores.csv.gz:32: the line does not end"),
        Sad(Edit(TABLE, packed(gzip, lambda data: data.split(b"CVE")[0])), "no score in the table"),
        Sad(Edit(TABLE, packed(gzip, lambda data: data + b"," * 9000)), "epss_scores.csv.gz:33: the line does not"),
        Sad(edit(b"CVE-2024-0005", b"CVE-2024-\xff005"), "epss_scores.csv.gz:7:"),
    )


def test_scores_and_what_made_them(tmp_path: Path) -> None:
    """A score's record has no date, so that it changes only when the score does."""
    found = bodies(on_sample(EPSSDriver, tmp_path).run()[0])
    assert found.pop((MODEL, "current")) == {"model_version": "v2023.03.01", "score_date": "2024-08-30", "scores": 30}
    assert len(found) == 30
    assert found[SCORES, "CVE-2024-0001"] == {"cve": "CVE-2024-0001", "epss": 0.35964, "percentile": 0.4}


def test_scores_of_a_day_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Of days to come, and of days before the one that is published."""
    trial = on_sample(EPSSDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    trial.edit(edit(DAY, b"2024-08-29"))
    with pytest.raises(UpstreamError, match="of 2024-08-29, older than those of 2024-08-30"):
        trial.fetch(first)
    trial.edit(edit(b"2024-08-29", b"2024-09-02"))
    with pytest.raises(UpstreamError, match="of 2024-09-02, which is to come"):
        trial.fetch(first)


def test_a_day_can_be_asked_for(tmp_path: Path) -> None:
    """By its name; a table of another day under that name is refused."""
    trial = on_sample(EPSSDriver, tmp_path, EPSSSettings(date="2024-08-30"))
    (trial.folder / TABLE).rename(trial.folder / HOST / "epss_scores-2024-08-30.csv.gz")
    assert len(trial.run()[0]) == 31
    other = on_sample(EPSSDriver, tmp_path / "other", EPSSSettings(date="2024-08-29"))
    (other.folder / TABLE).rename(other.folder / HOST / "epss_scores-2024-08-29.csv.gz")
    with pytest.raises(UpstreamError, match="of 2024-08-30, not of 2024-08-29"):
        other.run()


@pytest.mark.parametrize("body", [b'{"cve":"CVE-2024-1","epss":0.5,"percentile":0.5}', b'{"cve":"CVE-2024-0001"}'])
def test_what_is_no_score_is_refused(body: bytes) -> None:
    """Before it reaches the store."""
    with pytest.raises(RecordError):
        contract.check("epss", SCORES, body)


def test_the_real_tables_of_two_days(replay: Any, upstreams: Callable[[type[EPSSDriver]], Upstreams]) -> None:
    """The second day has more scores; a table of which only the beginning comes is refused."""
    real = upstreams(EPSSDriver)
    first = bodies(real.run()[0])
    assert first[MODEL, "current"]["score_date"] == "2021-08-30"
    assert len(first) == 72183 + 1
    replay.day(2)
    second = bodies(real.run()[0])
    assert second[MODEL, "current"] == {"model_version": "v2021.04.14", "score_date": "2021-08-31", "scores": 72272}
    assert real.run()[0] == []
