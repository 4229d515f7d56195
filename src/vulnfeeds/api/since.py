"""What clients send as `since`: every form that a client of the original service was seen to send. Pure.

`2021-06-03T20:18:03.123456` is the usual one and means UTC. An offset's `+` often arrives as a space, because clients
put it into the URL as it is and a form decoder reads it so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from vulnfeeds.errors import BadRequestError

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing was published before; earlier times mean the same as this one."""

_FORM = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>[Zz]|(?P<sign>[ +-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?)?)?",
    re.ASCII,
)
_NUMBERS: Final = ("year", "month", "day", "hour", "minute", "second")
_SHOWN: Final = 60


def parse_since(text: str, parameter: str = "since") -> datetime:
    """Return the time that `text` means, in UTC; a time without offset is UTC, a date is its first moment.

    Digits beyond microseconds are dropped: earlier is the safe side. Raises BadRequestError that names `parameter`.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _refuse(text, parameter, "is not a time such as 2021-06-03T20:18:03.123456 or 2021-06-03")
    part = found.groupdict(default="0")
    year, month, day, hour, minute, second = (int(part[name]) for name in _NUMBERS)
    microsecond = int(part["fraction"].ljust(6, "0")[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=_zone(found, part))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _refuse(text, parameter, f"is out of range ({error})") from error


def effective(since: datetime, now: datetime, margin: timedelta) -> datetime:
    """Return the time from which changes are sent: never in the future, and `margin` earlier than the client says.

    The margin covers clocks that differ between client and service; what is sent twice does no harm.
    """
    latest = min(since, now)
    return latest - margin if latest - EARLIEST > margin else EARLIEST


def _zone(found: re.Match[str], part: dict[str, str]) -> timezone:
    """Return the offset; raises ValueError when it is a day or more."""
    if found["sign"] is None:
        return UTC
    if int(part["zone_minute"]) > 59:
        raise ValueError("offset minutes must be in 0..59")
    offset = timedelta(hours=int(part["zone_hour"]), minutes=int(part["zone_minute"]))
    return timezone(-offset if found["sign"] == "-" else offset)


def _refuse(text: str, parameter: str, why: str) -> BadRequestError:
    return BadRequestError(f"{parameter}: {text[:_SHOWN]!r} {why}")
