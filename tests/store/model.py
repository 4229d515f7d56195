"""A store in plain dicts: what the real ones are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

Value = int | None
"""What a record holds; None when it is withdrawn."""


@dataclass
class Version:
    """One version, by its number."""

    sequence: int
    key: str
    value: Value


@dataclass
class Generation:
    """One publish."""

    number: int
    sequence: int
    at: datetime


@dataclass
class Model:
    """One group."""

    versions: list[Version] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    kept: int = 1
    floor: int = 0

    @property
    def head(self) -> int:
        """The last number."""
        return len(self.versions)

    def publish(self, changes: dict[str, Value], at: datetime) -> None:
        """Give the changes the next numbers, as one generation."""
        for key, value in changes.items():
            self.versions.append(Version(self.head + 1, key, value))
        self.generations.append(Generation(len(self.generations) + 1, self.head, at))

    def state(self, as_of: int) -> dict[str, Value]:
        """Return all records as of a number."""
        return {version.key: version.value for version in self.versions[:as_of]}

    def position(self, at: datetime) -> int:
        """Return the last number published before a moment."""
        return max((generation.sequence for generation in self.generations if generation.at < at), default=0)

    def prune(self, generations_before: datetime, versions_before: datetime) -> None:
        """Forget as the store must."""
        if not self.generations:
            return
        current = [generation for generation in self.generations if generation.at < generations_before]
        self.kept = max(self.kept, current[-1].number if current else 1)
        first = self.generations[self.kept - 1].sequence
        self.floor = max(self.floor, min(first, self.position(versions_before)))
