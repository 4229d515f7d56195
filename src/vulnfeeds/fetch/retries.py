"""Which failures can pass, and how long to wait before the next attempt. No I/O."""

from __future__ import annotations

import email.utils
import random
from collections.abc import Mapping
from datetime import UTC
from typing import Protocol

from vulnfeeds.errors import UpstreamError
from vulnfeeds.fetch.settings import FetchSettings


class Bounds(Protocol):
    """What a plan must know of the time that is left."""

    @property
    def remaining(self) -> float:
        """Seconds that are left."""
        ...

    def over(self, last: Exception | None = None) -> UpstreamError:
        """Return the error that says that none are left."""
        ...


class Held(Protocol):
    """What a plan tells a host's turnstile."""

    def hold(self, seconds: float) -> None:
        """Let no request to the host pass for so long."""
        ...


class TransientError(Exception):
    """A failure that can pass; `error` is what to raise when it does not. Never leaves this package."""

    def __init__(self, error: UpstreamError, *, after: float | None = None, throttled: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after
        """Seconds that the upstream asked us to wait; None when it did not say."""
        self.throttled = throttled
        """The upstream says that it is asked too often: every request to it waits, not only this one."""


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for; None when it cannot be understood.

    `now` is seconds since the epoch. Both forms are known, a number of seconds and a date; a date in the past is 0.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        # Dates without a zone are UTC in HTTP; years outside of what a timestamp holds raise OverflowError.
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return max(0.0, stamp - now)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the headers of a refusal ask us to wait; None when they say nothing of it.

    `now` is seconds since the epoch. `Retry-After` counts first. Without it, what GitHub sends when the requests of
    an hour are used up: `X-RateLimit-Remaining: 0` and `X-RateLimit-Reset` with the moment when there are new ones.
    """
    if (after := parse_retry_after(headers.get("Retry-After", ""), now)) is not None:
        return after
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if headers.get("X-RateLimit-Remaining", "").strip() == "0" and reset.isascii() and reset.isdigit():
        return max(0.0, float(reset[:12]) - now)
    return None


def is_transient(status: int, host: str, settings: FetchSettings) -> bool:
    """Tell whether an HTTP status can pass by itself: 429, 5xx, and 403 where a host uses it for throttling."""
    return status == 429 or 500 <= status <= 599 or (status == 403 and host in settings.throttle_403)


def wait_before_next(failure: TransientError, attempt: int, settings: FetchSettings, chance: random.Random) -> float:
    """Return the seconds to wait after `attempt` (from 1) failed."""
    if failure.after is not None:
        return min(failure.after, settings.retry_after_max_seconds)
    if failure.throttled:
        return settings.throttled_seconds
    ceiling = settings.backoff_first_seconds * 2.0 ** min(attempt - 1, 60)
    return min(ceiling, settings.backoff_max_seconds) * chance.uniform(0.5, 1.0)


class RetryPlan:
    """What became of the attempts at one download, and when the next one is due.

    The wait is the caller's (`wait` seconds, before the next attempt), so that it goes by the caller's clock and does
    not come after the last attempt.
    """

    def __init__(self, settings: FetchSettings, chance: random.Random, turnstile: Held, bounds: Bounds) -> None:
        self._settings = settings
        self._chance = chance
        self._turnstile = turnstile
        self._bounds = bounds
        self._late = False
        self.failed = 0
        """Attempts that failed."""
        self.wait = 0.0
        """Seconds to wait before the next attempt."""
        self.reason = ""
        """Why the last attempt failed."""

    def decide(self, error: Exception) -> bool | float:
        """Return False when the failure cannot pass or there is no time left, else 0.0: try again."""
        if not isinstance(error, TransientError):
            return False
        self.failed += 1
        self.reason = error.error.reason
        self.wait = wait_before_next(error, self.failed, self._settings, self._chance)
        if error.throttled:
            self._turnstile.hold(self.wait)
        self._late = self.wait >= self._bounds.remaining
        return False if self._late else 0.0

    def outcome(self, last: TransientError) -> UpstreamError:
        """Return the error to raise when the last attempt failed."""
        if self._late and self.failed < self._settings.attempts:
            return self._bounds.over(last.error)
        return last.error
