"""What a sync of the client came to, group by group, and how the client differs from the service."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


@dataclass
class GroupReport:
    """One group's download and load."""

    feed: str
    group: str
    since: str | None
    """As sent; None on a full download."""
    pages: int = 0
    records: int = 0
    """Records that came."""
    repeated: int = 0
    """Records that came more than once within this download (the last one wins)."""
    created: int = 0
    updated: int = 0
    skipped_cpes: int = 0
    wire_bytes: int = 0
    """Bytes of the bodies as they came, before decompression."""
    complete: bool = False
    """All pages came and all records loaded: only then the next sync asks for what changed since this one."""
    failed: bool = False
    """The real client reports the group as failed. An incomplete download after the first page does not count."""
    problem: str = ""
    """What went wrong; "" when all went well."""


@dataclass
class SyncReport:
    """All groups of one sync, in the order of their downloads."""

    groups: list[GroupReport] = field(default_factory=list)
    not_listed: list[str] = field(default_factory=list)
    """Feeds that were asked for but that the service does not list."""

    @property
    def records(self) -> int:
        """Records that came in all groups."""
        return sum(group.records for group in self.groups)

    @property
    def failed_feeds(self) -> list[str]:
        """Feeds that the real client would report as failed."""
        return sorted({group.feed for group in self.groups if group.failed} | set(self.not_listed))

    @property
    def problems(self) -> list[str]:
        """Everything that went wrong, also what the real client keeps quiet about."""
        missing = [f"{feed}: not listed" for feed in self.not_listed]
        return missing + [f"{group.feed}/{group.group}: {group.problem}" for group in self.groups if group.problem]

    def of(self, feed: str, group: str) -> GroupReport:
        """Return one group's report; KeyError when it was not part of the sync."""
        for found in self.groups:
            if (found.feed, found.group) == (feed, group):
                return found
        raise KeyError(f"{feed}/{group}")


class Difference(msgspec.Struct, frozen=True):
    """One way in which the client and the service do not agree on a record."""

    feed: str
    group: str
    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.feed}/{self.group} {self.key}: {self.what}"
