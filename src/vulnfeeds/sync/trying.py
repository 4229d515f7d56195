"""A driver tried alone: fetched, parsed and checked as a run does, with no store to compare with or to publish to.

For operators when an upstream changed, and for those who write drivers. A driver that makes its records of what
others published has nothing to make them of here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import Context, Driver, Unchanged
from vulnfeeds.errors import RecordError
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.records import canonical
from vulnfeeds.records.contract import check
from vulnfeeds.records.record import Record
from vulnfeeds.sync import usage
from vulnfeeds.sync.reporting import MeteredFetcher

_REFUSED_SHOWN: Final = 20
_SLOWEST: Final = 5
_REPORTED: Final = 500

Report = Callable[[str, int, int | None], None]
"""(phase, done, total or None)."""


class Refusal(msgspec.Struct, frozen=True):
    """A record that would go to quarantine, and why."""

    group: str
    key: str
    reason: str


class Fetched(msgspec.Struct, frozen=True):
    """One download: `seconds` of waiting and writing, `bytes` over the wire (0 when it was not modified)."""

    url: str
    seconds: float
    bytes: int


class Trial(msgspec.Struct, frozen=True):
    """What a trial found."""

    groups: dict[str, int]
    """Records that a run would compare, by group."""
    covered: list[str]
    """Groups that were reported whole: a run would withdraw what they do not hold any more."""
    skipped: dict[str, str]
    refused: int
    refusals: list[Refusal]
    """The first of them."""
    unknown_values: dict[str, int]
    notes: list[str]
    seconds: dict[str, float]
    """Of fetching, parsing, encoding and checking."""
    slowest: list[Fetched]
    """The downloads that took longest."""
    downloads: int
    fetched_bytes: int
    body_bytes: int
    """Of all canonical bodies together."""
    peak_mb: float

    @property
    def records(self) -> int:
        """How many records a run would compare."""
        return sum(self.groups.values())


class NothingPublished:
    """The published records as a driver's first run finds them: none."""

    def sequence(self, feed: str, group: str) -> int:
        """Return 0: the group does not exist."""
        return 0

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield nothing."""
        return iter(())

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        """Return nothing."""
        return {}


class _Checking:
    """Takes records as a run does before it compares them."""

    def __init__(self, driver: Driver, clock: Callable[[], float]) -> None:
        self._driver = driver
        self._clock = clock
        self._seen: set[tuple[str, str, int]] = set()
        self.groups: dict[str, int] = defaultdict(int)
        self.seconds = {"parse": 0.0, "encode": 0.0, "check": 0.0}
        self.refused = 0
        self.refusals: list[Refusal] = []
        self.body_bytes = 0

    def take(self, records: Iterator[Record]) -> Iterator[int]:
        """Take all records; yield after each how many came so far."""
        done = 0
        while True:
            began = self._clock()
            record = next(records, None)
            self.seconds["parse"] += self._clock() - began
            if record is None:
                return
            done += 1
            try:
                self._check(record)
            except RecordError as error:
                self.refused += 1
                if len(self.refusals) < _REFUSED_SHOWN:
                    self.refusals.append(Refusal(record.group, record.key, str(error)))
            yield done

    def _check(self, record: Record) -> None:
        if record.feed not in self._driver.feeds:
            raise RecordError(f"its feed {record.feed!r} is not one that the driver declares")
        identity = (record.feed, record.group, hash(record.key))
        if identity in self._seen:
            raise RecordError("the run reports this key twice")
        self._seen.add(identity)
        began = self._clock()
        body = canonical.encode(record.body)
        encoded = self._clock()
        check(record.feed, record.group, body)
        self.seconds["encode"] += encoded - began
        self.seconds["check"] += self._clock() - encoded
        self.groups[record.group] += 1
        self.body_bytes += len(body)


def try_driver(
    driver: Driver,
    *,
    fetcher: Fetcher,
    workspace: Path,
    clock: Callable[[], float],
    timer: Callable[[], float],
    secrets: dict[str, str] | None = None,
    report: Report = lambda phase, done, total: None,
) -> Trial:
    """Fetch, parse and check all of a driver, in a workspace of its own, as its first run would.

    `clock` gives seconds since the epoch, `timer` seconds of any beginning. Raises what the driver raises:
    UpstreamError or ParseError.
    """
    fetched: list[Fetched] = []

    def brought(url: str, took: float, amount: int) -> None:
        fetched.append(Fetched(url, round(took, 3), amount))

    context = Context(
        fetcher=MeteredFetcher(fetcher, brought, timer=timer),
        workspace=workspace,
        published=NothingPublished(),
        secrets=secrets,
        selection=driver.settings.selection,
        report=report,
        now=clock,
    )
    began = timer()
    answer = driver.fetch(context)
    fetching = timer() - began
    checking = _Checking(driver, timer)
    # Without a checkpoint only a driver that has nothing to read from says so.
    records = iter(()) if isinstance(answer, Unchanged) else context.selection.of(driver.parse(context))
    for done in checking.take(records):
        if done % _REPORTED == 0:
            report("parse", done, None)
    seconds: dict[str, Any] = {"fetch": fetching, **checking.seconds}
    return Trial(
        groups=dict(sorted(checking.groups.items())),
        covered=sorted(group for _, group in context.covered),
        skipped={group: reason for (_, group), reason in sorted(context.skipped.items())},
        refused=checking.refused,
        refusals=checking.refusals,
        unknown_values=context.unknown_values,
        notes=context.notes,
        seconds={name: round(value, 3) for name, value in seconds.items()},
        slowest=sorted(fetched, key=lambda download: -download.seconds)[:_SLOWEST],
        downloads=len(fetched),
        fetched_bytes=sum(download.bytes for download in fetched),
        body_bytes=checking.body_bytes,
        peak_mb=round(usage.peak_mb(), 1),
    )
