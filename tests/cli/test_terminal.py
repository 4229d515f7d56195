"""What people and programs see: tables, JSON, log lines, live progress."""

from __future__ import annotations

import io
import json
import logging
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from vulnfeeds.cli import logs
from vulnfeeds.cli.listening import address_of, bind
from vulnfeeds.cli.progress import LiveWatcher, Watcher
from vulnfeeds.cli.terminal import Terminal, shown
from vulnfeeds.errors import AddressError
from vulnfeeds.sync.cycle import CycleResult
from vulnfeeds.sync.worker import RunOutcome

COMPLETED = RunOutcome(
    "completed",
    {"changes": {"g": {"created": 3, "updated": 2, "deleted": 1}}, "records": 9, "notes": ["a year is missing"]},
    1.5,
    40.0,
)
FAILED = RunOutcome("failed", {"error": "https://h/x: no answer", "error_class": "UnreachableError"}, 0.5, 40.0)
CYCLE = CycleResult(7, "completed", ("kev",), ("alpine",), {}, {"kev": COMPLETED, "alpine": FAILED})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (False, "no"),
        (12345, "12,345"),
        (1.5, "1.5"),
        ([], "-"),
        (["a", "b"], "a, b"),
        ({"a": 1}, '{"a":1}'),
        (datetime(2026, 3, 12, 8, 0, 1, 5, tzinfo=UTC), "2026-03-12 08:00:01Z"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, text: str) -> None:
    """Nothing is a dash, numbers are grouped, times are UTC to the second."""
    assert shown(value) == text


def test_rows_are_a_table_or_json() -> None:
    """The same rows: titled columns for people, all their keys for programs."""
    rows = [{"task_id": 12345, "count": 6789, "more": "x [bold]"}]
    plain, machine = io.StringIO(), io.StringIO()
    Terminal(output=plain).rows({"task_id": "TASK", "count": "COUNT", "more": "MORE"}, rows)
    Terminal(as_json=True, output=machine).rows({"count": "COUNT"}, rows)
    assert plain.getvalue().split() == ["TASK", "COUNT", "MORE", "12345", "6,789", "x", "[bold]"]
    assert json.loads(machine.getvalue()) == rows


def test_lines_are_not_folded_where_no_terminal_is() -> None:
    """A long value stays on one line in a file or pipe."""
    output = io.StringIO()
    Terminal(output=output).rows({"a": "A"}, [{"a": "word " * 500}])
    assert len(output.getvalue().splitlines()) == 2


def test_log_lines_hold_event_and_facts() -> None:
    """A line is time, level, part, event, facts; a fact with spaces is quoted; any name is possible for a fact."""
    record = logging.makeLogRecord(
        {"name": "vulnfeeds.sync", "levelname": "INFO", "msg": "run completed", "created": 0.0, "driver": "kev"}
    )
    record.facts = {"created": 3, "note": "two words"}
    line = logs.LineFormatter().format(record)
    assert line == "1970-01-01T00:00:00Z INFO sync run completed driver=kev created=3 note='two words'"


def test_tracebacks_stand_below_the_line() -> None:
    """An unexpected error keeps its traceback."""
    try:
        raise RuntimeError("odd")
    except RuntimeError as error:
        kind = (type(error), error, error.__traceback__)
    record = logging.makeLogRecord({"name": "x", "msg": "broken", "exc_info": kind})
    assert "RuntimeError: odd" in logs.LineFormatter().format(record)


def test_watcher_tells_runs_as_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Begin, each phase once, end with the changes or the error, notes, and the whole cycle."""
    caplog.set_level(logging.INFO)
    _watch(Watcher())
    assert [record.message for record in caplog.records] == [
        "cycle started",
        "run started",
        "run progressed",
        "run progressed",
        "run completed",
        "run noted",
        "run started",
        "run failed",
        "cycle ended",
    ]
    completed = _facts(caplog.records[4])
    assert (completed["created"], completed["updated"], completed["deleted"]) == (3, 2, 1)
    assert _facts(caplog.records[7])["error"] == "https://h/x: no answer"
    assert caplog.records[8].levelname == "WARNING"


def test_live_watcher_draws_runs(caplog: pytest.LogCaptureFixture) -> None:
    """On a terminal a run under way has a line with its phase and amounts, which goes when the run ends."""
    caplog.set_level(logging.INFO)
    screen = io.StringIO()
    _watch(LiveWatcher(Console(file=screen, force_terminal=True, width=120)))
    drawn = screen.getvalue()
    assert "parse" in drawn
    assert "2.0 MB" in drawn
    assert "run progressed" not in [record.message for record in caplog.records]
    assert "run completed" in [record.message for record in caplog.records]


class Screen(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_logs_go_above_what_is_drawn() -> None:
    """On a terminal lines go through the console that draws; elsewhere to the stream; libraries only warn."""
    before = logging.getLogger().handlers, logging.getLogger().level
    screen, stream = Screen(), io.StringIO()
    try:
        logs.set_up("info", handler=Terminal(errors=screen).log_handler())
        logging.getLogger("vulnfeeds.x").info("on screen")
        logs.set_up("warning", handler=Terminal(errors=io.StringIO()).log_handler(), stream=stream)
        logging.getLogger("vulnfeeds.x").info("not important")
        logging.getLogger("vulnfeeds.x").warning("in the stream")
        logging.getLogger("httpx2").info("GET")
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before
    assert "INFO x on screen" in screen.getvalue()
    assert stream.getvalue().splitlines()[0].endswith("WARNING x in the stream")
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_address_is_one_that_can_be_asked(host: str) -> None:
    """The address in the log leads to the service, whatever it listens on."""
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with bind(host, 0) as listening:
        name, port = address_of(listening).removeprefix("http://").rsplit(":", 1)
        assert int(port) == listening.getsockname()[1]
        assert name == {"127.0.0.1": "127.0.0.1", "::1": "[::1]"}.get(host, "localhost")


def test_taken_port_names_the_setting() -> None:
    """A second listener is refused with the setting to change."""
    with bind("127.0.0.1", 0) as first, pytest.raises(AddressError, match="setting `port`"):
        bind("127.0.0.1", first.getsockname()[1])


def _watch(watcher: Watcher) -> None:
    """Let a watcher see one cycle: a driver that completes, one that fails."""
    watcher.cycle_began(["kev", "alpine"])
    watcher.began("kev")
    watcher.progressed("kev", {"phase": "fetch", "done": 1, "total": 2, "bytes": 2_000_000})
    watcher.progressed("kev", {"phase": "fetch", "done": 2, "total": 2, "bytes": 2_000_000})
    watcher.progressed("kev", {"phase": "parse", "done": 9, "records": 9, "bytes": 2_000_000})
    if isinstance(watcher, LiveWatcher):
        watcher.redraw()
    watcher.ended("kev", COMPLETED)
    watcher.began("alpine")
    watcher.ended("alpine", FAILED)
    watcher.cycle_ended(CYCLE)
    watcher.close()


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = vars(record)["facts"]
    return facts


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
