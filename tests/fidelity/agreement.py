"""Compares what a driver says with what somebody else says of the same documents, record by record, field by field.

A side is a dictionary of records by key, a record a dictionary of values by field. A field counts where both sides
have it. Each difference must belong to a class that is declared with its cause; what belongs to none, and a class
that nothing belongs to, are faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Fields = dict[str, Any]
Side = Mapping[str, Fields]

RECORD: Final = "record"
"""The field of being there at all."""
MAX_SHOWN: Final = 5


class Difference(NamedTuple):
    """One field of one record on which two sides differ; of field RECORD a side is None where it has no record."""

    key: str
    field: str
    ours: Any
    theirs: Any
    our_record: Fields
    their_record: Fields


@dataclass(frozen=True)
class DifferenceClass:
    """Differences of one cause."""

    name: str
    fields: tuple[str, ...]
    examples: tuple[str, ...]
    """Keys of records in which it occurs: one of them at least in each comparison that declares the class."""
    cause: str
    right: Literal["ours", "theirs", "either", "both"]
    why: str = ""
    """Why that one is right, where the cause does not tell."""
    holds: Callable[[Difference], bool] = lambda difference: True
    """Whether a difference in one of the fields has this cause."""

    def takes(self, difference: Difference) -> bool:
        """Tell whether a difference is of this class."""
        return difference.field in self.fields and self.holds(difference)


@dataclass
class Agreement:
    """What came of one comparison."""

    driver: str
    against: str
    compared: Counter[str] = field(default_factory=Counter)
    """Values that both sides have, by field."""
    equal: Counter[str] = field(default_factory=Counter)
    classed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Differences by class and field."""
    examples: dict[str, str] = field(default_factory=dict)
    """The example of each class that occurred."""
    strange: list[Difference] = field(default_factory=list)
    """Differences of no class."""
    declared: list[DifferenceClass] = field(default_factory=list)
    """What was known beforehand."""
    idle: list[str] = field(default_factory=list)
    """Declared classes that nothing belongs to, or none of their examples."""

    def faults(self) -> list[str]:
        """Return what must not be, a few lines."""
        shown: Counter[str] = Counter()
        lines = [f"{name}: nothing belongs to this class any more, or none of its examples" for name in self.idle]
        for difference in self.strange:
            shown[difference.field] += 1
            if shown[difference.field] <= MAX_SHOWN:
                lines.append(f"{difference.field} of {difference.key}: {difference.ours!r} / {difference.theirs!r}")
        lines += [f"{name}: {count} differences of no class" for name, count in shown.items()]
        return [f"{self.driver} against {self.against}: {line}" for line in lines]


def compare(driver: str, against: str, ours: Side, theirs: Side, classes: Iterable[DifferenceClass]) -> Agreement:
    """Compare two sides; the first class that takes a difference has it."""
    declared = list(classes)
    found = Agreement(driver, against, declared=declared)
    for key in sorted(ours.keys() | theirs.keys()):
        for difference in _differences(found, key, ours.get(key), theirs.get(key)):
            fitting = next((known for known in declared if known.takes(difference)), None)
            if fitting is None:
                found.strange.append(difference)
                continue
            found.classed[fitting.name, difference.field] += 1
            if difference.key in fitting.examples:
                found.examples.setdefault(fitting.name, difference.key)
    found.idle = [known.name for known in declared if known.name not in found.examples]
    return found


def _differences(found: Agreement, key: str, ours: Fields | None, theirs: Fields | None) -> Iterable[Difference]:
    found.compared[RECORD] += 1
    if ours is None or theirs is None:
        yield Difference(key, RECORD, ours, theirs, ours or {}, theirs or {})
        return
    found.equal[RECORD] += 1
    for name in ours:
        if name in theirs:
            found.compared[name] += 1
            if ours[name] == theirs[name]:
                found.equal[name] += 1
            else:
                yield Difference(key, name, ours[name], theirs[name], ours, theirs)
