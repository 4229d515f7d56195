"""The times that clients send."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.api.since import EARLIEST, effective, parse_since
from vulnfeeds.errors import BadRequestError

LATEST = datetime(9999, 12, 29, tzinfo=UTC).replace(tzinfo=None)
MOMENTS = st.datetimes(max_value=LATEST).filter(lambda moment: moment.timetuple()[:3] > (1, 1, 2))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def as_received(query_value: str) -> str:
    """What a form decoder makes of a value that stood raw in a URL."""
    return dict(parse_qsl(f"since={query_value}", keep_blank_values=True))["since"]


@given(MOMENTS)
def test_a_naive_time_means_utc(moment: datetime) -> None:
    """The form of the real client: isoformat() of a time without zone, with or without microseconds."""
    assert parse_since(moment.isoformat()) == moment.replace(tzinfo=UTC)
    assert parse_since(moment.isoformat() + "Z") == moment.replace(tzinfo=UTC)
    assert parse_since(moment.isoformat(" ")) == moment.replace(tzinfo=UTC)


@given(MOMENTS, OFFSETS)
def test_an_offset_counts_raw_and_encoded(moment: datetime, zone: timezone) -> None:
    """A raw `+`, which arrives as a space, and an encoded one mean the same."""
    aware = moment.replace(tzinfo=zone)
    text = aware.isoformat()
    assert parse_since(text) == aware
    assert parse_since(as_received(text)) == aware
    assert parse_since(as_received(quote(text))) == aware
    assert parse_since(as_received(quote(text, safe=""))) == aware


@given(st.dates())
def test_a_bare_date_is_its_first_moment(day: date) -> None:
    """The form of the 2017 client."""
    assert parse_since(day.isoformat()) == datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-06-03T20:18:03", datetime(2021, 6, 3, 20, 18, 3, tzinfo=UTC)),
        ("2021-06-03T20:18:03.5", datetime(2021, 6, 3, 20, 18, 3, 500000, tzinfo=UTC)),
        ("2021-06-03T20:18:03.123456789Z", datetime(2021, 6, 3, 20, 18, 3, 123456, tzinfo=UTC)),
        ("2021-06-03T20:18 02:00", datetime(2021, 6, 3, 18, 18, tzinfo=UTC)),
        ("2021-06-03T20:18:03-0330", datetime(2021, 6, 3, 23, 48, 3, tzinfo=UTC)),
        ("2021-06-03t20:18:03z", datetime(2021, 6, 3, 20, 18, 3, tzinfo=UTC)),
    ],
)
def test_other_iso_forms(text: str, expected: datetime) -> None:
    """Shorter and longer forms than the usual one are read as well."""
    assert parse_since(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yesterday", "0", "1622751483", "2021", "2021-06", "2021-6-3", "2021-13-01", "2021-02-30",
        "2021-06-03T24:01:00",
        "2021-06-03T20:61", "2021-06-03T20:18:60", "2021-06-03T20:18:03+24:00", "2021-06-03T20:18:03+01:60",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01", "-001-01-01", "٢٠٢١-٠٦-٠٣",
        "2021-06-03T", "2021-06-03+02:00", "2021-06-03T20:18:03 UTC", " 2021-06-03", "2021-06-03\n",
        "2021-06-03\0", "NaN",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    """The error says which parameter is wrong and shows it."""
    with pytest.raises(BadRequestError, match=r"^since: .*(is not a time|out of range)"):
        parse_since(text)


@given(st.text(max_size=200))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Nothing else than BadRequestError comes out, and its text stays short."""
    try:
        assert parse_since(text).tzinfo is UTC
    except BadRequestError as error:
        assert len(str(error)) < 900


@given(MOMENTS, MOMENTS, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)))
def test_the_effective_time_is_neither_late_nor_before_all(since: datetime, now: datetime, margin: timedelta) -> None:
    """Never later than since or now less the margin, unless that is before anything was published."""
    since, now = since.replace(tzinfo=UTC), now.replace(tzinfo=UTC)
    at = effective(since, now, margin)
    assert at >= EARLIEST
    assert at == EARLIEST or (at + margin == min(since, now))


def test_the_error_names_the_parameter_that_it_was_told() -> None:
    """A token that holds a time complains about the token."""
    with pytest.raises(BadRequestError, match=re.escape("next_token: 'x'")):
        parse_since("x", "next_token")
