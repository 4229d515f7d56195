"""EPSS: the daily scores of FIRST's model, one packed table.

#model_version:v2021.04.14,score_date:2021-08-31T00:00:00+0000
cve,epss,percentile
CVE-2019-19609,0.05885,0.89480
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Final, NamedTuple

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.decompress import open_bounded
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records.epss import Model, Score
from vulnfeeds.records.record import Record

FEED: Final = "epss"
SCORES: Final = "epss:scores"
MODEL: Final = "epss:model"
MODEL_KEY: Final = "current"
HOST: Final = "https://epss.empiricalsecurity.com/"
COLUMNS: Final = ("cve", "epss", "percentile")

_FILE: Final = "epss_scores.csv.gz"
_LIMITS: Final = Limits(max_bytes=64 << 20)
_MOST_BYTES: Final = 512 << 20
"""Of the table, unpacked; that of 2025 has 10 MB."""
_LONGEST_LINE: Final = 4096
_HEAD: Final = re.compile(
    r"#model_version:([^,\s]{1,80}),score_date:([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[^,\s]*)?(?:,.*)?"
)
_REPORTED: Final = 20_000
"""Rows between two reports of progress."""


class EPSSSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver epss."""

    max_updated: float = 1.0
    """Largest part of a group's records that one run may update (guard); a new model changes all of them."""
    date: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = ""
    """Day whose scores are served (`2021-08-31`); empty: the newest ones."""


class Head(NamedTuple):
    """The first line of a table."""

    model_version: str
    score_date: str


class EPSSDriver(Driver):
    """Feed epss, groups epss:scores and epss:model, from FIRST's daily table."""

    name = "epss"
    feeds = (FEED,)
    upstreams = (HOST,)
    Settings: ClassVar[type[DriverSettings]] = EPSSSettings

    settings: EPSSSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the table; one of another day than was asked for, or older than what is published, is refused."""
        url = f"{HOST}epss_scores-{self.settings.date or 'current'}.csv.gz"
        path = context.workspace / _FILE
        download = context.fetcher.download(url, path, limits=_LIMITS, expect=("gzip",))
        published = context.checkpoint
        if published is not None and not context.forced and published.fingerprint == download.sha256:
            return UNCHANGED
        with _opened(path) as table:
            head = table.head
        self._check_date(context, url, head.score_date)
        return Checkpoint(fingerprint=download.sha256, cursor=head._asdict())

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the score of each CVE, then what made them."""
        number = 0
        with _opened(context.workspace / _FILE) as table:
            for score in table.scores():
                if number % _REPORTED == 0:
                    context.report("parse", number)
                number += 1
                yield Record(feed=FEED, group=SCORES, key=score.cve, body=score)
            if not number:
                raise ParseError(_FILE, "no score in the table")
            model = Model(model_version=table.head.model_version, score_date=table.head.score_date, scores=number)
        yield Record(feed=FEED, group=MODEL, key=MODEL_KEY, body=model)
        context.cover(FEED, SCORES)
        context.cover(FEED, MODEL)

    def _check_date(self, context: Context, url: str, score_date: str) -> None:
        """Raise UpstreamError when the scores are of a day on which they cannot be."""
        if self.settings.date:
            if score_date != self.settings.date:
                raise UpstreamError(url, f"the scores are of {score_date}, not of {self.settings.date}")
            return
        tomorrow = (datetime.fromtimestamp(context.now(), UTC) + timedelta(days=1)).date().isoformat()
        if score_date > tomorrow:
            raise UpstreamError(url, f"the scores are of {score_date}, which is to come")
        before = context.checkpoint.cursor.get("score_date", "") if context.checkpoint else ""
        if score_date < before:
            raise UpstreamError(url, f"the scores are of {score_date}, older than those of {before}")


@contextmanager
def _opened(path: Path) -> Iterator[_Table]:
    """Open a table and read its first two lines."""
    with open_bounded(path, max_bytes=_MOST_BYTES) as stream:
        yield _Table(stream, path.name)


class _Table:
    """A table that is being read."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._line = 0
        self.head = self._read_head()
        self._columns = self._read_columns()

    def scores(self) -> Iterator[Score]:
        """Yield each row. Raises ParseError with the number of the line that is no score."""
        where = [self._columns.index(name) for name in COLUMNS]
        for cells in csv.reader(self._lines()):
            if len(cells) != len(self._columns):
                raise ParseError(self._place, f"{len(cells)} values, {len(self._columns)} columns")
            cve, epss, percentile = (cells[place] for place in where)
            try:
                yield msgspec.convert({"cve": cve, "epss": float(epss), "percentile": float(percentile)}, Score)
            except (ValueError, msgspec.ValidationError) as error:
                raise ParseError(self._place, str(error)) from error

    def _read_head(self) -> Head:
        line = next(self._lines(), "").rstrip("\r\n")
        match = _HEAD.fullmatch(line)
        if match is None or not _is_date(match[2]):
            raise ParseError(self._place, f"no model_version and score_date, but {line[:80]!r}")
        return Head(match[1], match[2])

    def _read_columns(self) -> list[str]:
        columns = next(csv.reader(self._lines()), [])
        if any(columns.count(name) != 1 for name in COLUMNS):
            raise ParseError(self._place, f"the columns are {','.join(columns)[:80]!r}, not {','.join(COLUMNS)}")
        return columns

    def _lines(self) -> Iterator[str]:
        """Yield the lines from here on, each whole: the last one of a table ends as the others do."""
        while line := self._stream.readline(_LONGEST_LINE):
            self._line += 1
            if not line.endswith(b"\n"):
                raise ParseError(self._place, "the line does not end: the table is cut short")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise ParseError(self._place, str(error)) from error

    @property
    def _place(self) -> str:
        return f"{self._name}:{self._line}"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
