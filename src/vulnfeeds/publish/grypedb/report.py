"""What a build took and what it left out: nothing is dropped without a word."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

_MOST: Final = 1000


class Left(msgspec.Struct, frozen=True):
    """A group, or a record of one, that is not in the database."""

    feed: str
    group: str
    key: str | None
    """None for the whole group."""
    reason: str


class Report:
    """Counts while a build goes on."""

    def __init__(self) -> None:
        self.records: Counter[str] = Counter()
        """Records that went in, by origin."""
        self.left_records = 0
        self.left: list[Left] = []
        """Groups, and the first thousand records."""
        self.inputs = ""
        """Digest of the records of all groups that the build saw."""

    def took(self, origin: str) -> None:
        """Count a record that went in."""
        self.records[origin] += 1

    def leave_group(self, feed: str, group: str, reason: str) -> None:
        """Note a group that no client would look at."""
        self.left.append(Left(feed, group, None, reason))

    def leave_record(self, feed: str, group: str, key: str, reason: str) -> None:
        """Note a record that clients could not read."""
        self.left_records += 1
        if self.left_records <= _MOST:
            self.left.append(Left(feed, group, key, reason))
