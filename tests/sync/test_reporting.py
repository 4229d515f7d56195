"""Progress: told at once when the phase changes, else once a second; one unit at a time."""

from __future__ import annotations

from typing import Any

from vulnfeeds.sync.reporting import DownloadRelay, Progress


class Told:
    """What was told, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said: list[dict[str, Any]] = []
        self.progress = Progress(self.said.append, lambda: self.now)


def test_a_phase_is_told_at_once_and_then_once_a_second() -> None:
    """However often a driver reports; percent only when the total is known."""
    told = Told()
    for second in range(30):
        told.now = 1000 + second / 10
        told.progress.report("fetch", second, 30)
    told.progress.report("parse", 7)
    assert [(said["phase"], said["done"], said.get("percent")) for said in told.said] == [
        ("fetch", 0, 0.0),
        ("fetch", 10, 33.3),
        ("fetch", 20, 66.7),
        ("parse", 7, None),
    ]


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    """The next report is told."""
    told = Told()
    told.progress.report("fetch", 1)
    told.now -= 3600
    told.progress.report("fetch", 2)
    assert [said["done"] for said in told.said] == [1, 2]


def test_compared_records_do_not_replace_what_the_driver_says() -> None:
    """A driver that counts files keeps its own total; for one that says nothing, records are what is done."""
    told = Told()
    told.progress.compared(500)
    told.progress.report("parse", 3, 18)
    told.now += 2
    told.progress.compared(1000)
    assert [(said["done"], said.get("total"), said["records"]) for said in told.said] == [
        (500, None, 500),
        (3, 18, 1000),
    ]


def test_downloads_are_told_with_their_address_and_bytes() -> None:
    """Before the driver says how many there are, their bytes are what is done; relayed once the run has begun."""
    told = Told()
    relay = DownloadRelay()
    relay("https://a/1", 5, 10)
    relay.lead_to(told.progress)
    relay("https://a/1", 5, 10)
    told.progress.fetched_bytes = 10
    told.progress.report("fetch", 1, 4)
    told.now += 2
    relay("https://a/2", 7, None)
    assert told.said == [
        {"phase": "fetch", "done": 5, "total": 10, "percent": 50.0, "records": 0, "bytes": 5, "url": "https://a/1"},
        {"phase": "fetch", "done": 1, "total": 4, "percent": 25.0, "records": 0, "bytes": 17, "url": "https://a/2"},
    ]


def test_an_empty_or_overrun_total_makes_no_nonsense() -> None:
    """Totals are upstream's word."""
    told = Told()
    told.progress.report("fetch", 5, 0)
    told.progress.report("parse", 5, 4)
    assert [said["percent"] for said in told.said] == [100.0, 100.0]
