"""The security tracker's JSON, read as a stream and kept small.

    {package: {CVE or TEMP id: {description, releases: {codename: {status, fixed_version, urgency, nodsa}}}}}

Upstream sorts by package, records are by CVE. What a CVE says of each package is therefore kept packed, a few dozen
bytes each, until the last package is read; then each CVE is unpacked once, for all its releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from vulnfeeds.drivers.formats import repeats, rows
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError

_UNDETERMINED = "undetermined"
_STATUSES = frozenset({"open", "resolved", _UNDETERMINED})


class State(NamedTuple):
    """What the tracker says of one package in one release."""

    package: str
    fixed_version: str | None
    """None: no fix yet; "0": never affected."""
    urgency: str
    nodsa: bool
    """The security team will not publish an advisory."""


class Issue(NamedTuple):
    """A CVE in all releases that the tracker knows anything of."""

    cve: str
    description: str
    states: dict[str, list[State]]
    """By codename; a release of which nothing is known is not there."""


class _Release(msgspec.Struct):
    status: str
    fixed_version: str | None = None
    urgency: str | None = None
    nodsa: str | msgspec.UnsetType | None = msgspec.UNSET


class _Issue(msgspec.Struct):
    releases: dict[str, _Release]
    description: str | None = None


_Packed = tuple[str, list[tuple[int, str | None, str, bool]]]
"""A package, and what it says of one CVE: releases by their place in Tracker.codenames, with the rest of a State."""


class _Counts:
    """How often keys were read. A document that has them more often gives one twice, and what came first is lost."""

    def __init__(self) -> None:
        self._states = 0
        self._versions = 0

    def add(self, issue: _Issue) -> None:
        """Count what was read of one package and CVE."""
        self._states += len(issue.releases)
        self._versions += sum([state.fixed_version is not None for state in issue.releases.values()])

    def check(self, path: Path) -> None:
        """Raise ParseError, naming the place, when the document gives a key twice that matters."""
        wanted = ((b'"status"', self._states), (b'"fixed_version"', self._versions))
        if all(repeats.occurrences(path, key) == count for key, count in wanted):
            return
        # Something else may be called so, or null: only the keys themselves tell.
        if place := repeats.given_twice_in(path):
            raise ParseError(f"{path.name} {place}", "the key is given twice")


class Tracker:
    """The whole tracker: `read` once, then take the CVEs."""

    def __init__(self) -> None:
        self.codenames: list[str] = []
        """Releases that the document speaks of, in order of appearance."""
        self._packed: dict[str, list[bytes]] = {}
        self._descriptions: dict[str, str] = {}
        self._decoder = msgspec.msgpack.Decoder(_Packed)

    def read(self, path: Path, context: Context) -> None:
        """Read the document; ParseError, naming the package and key, when it does not have the expected shape."""
        numbers: dict[str, int] = {}
        encoder = msgspec.msgpack.Encoder()
        counts = _Counts()
        for package, issues in rows.read_packages(path, _Issue):
            for cve, issue in issues.items():
                counts.add(issue)
                if not cve.startswith("CVE-"):
                    if not cve.upper().startswith("CVE-"):
                        continue
                    context.unknown("id", cve)
                    cve = cve.upper()
                states = self._states(issue, numbers, context)
                if states:
                    self._packed.setdefault(cve, []).append(encoder.encode((package, states)))
                    if issue.description and cve not in self._descriptions:
                        self._descriptions[cve] = issue.description
        if not self._packed:
            raise ParseError(path.name, "no CVE in the document")
        counts.check(path)
        self.codenames = list(numbers)

    @property
    def amount(self) -> int:
        """How many CVEs there are."""
        return len(self._packed)

    def issues(self) -> Iterator[Issue]:
        """Yield the CVEs, sorted."""
        codenames = self.codenames
        for cve in sorted(self._packed):
            states: dict[str, list[State]] = {}
            for package, releases in map(self._decoder.decode, self._packed[cve]):
                for number, version, urgency, nodsa in releases:
                    states.setdefault(codenames[number], []).append(State(package, version, urgency, nodsa))
            yield Issue(cve, self._descriptions.get(cve, ""), states)

    def _states(
        self, issue: _Issue, numbers: dict[str, int], context: Context
    ) -> list[tuple[int, str | None, str, bool]]:
        states = []
        for codename, release in issue.releases.items():
            number = numbers.setdefault(codename, len(numbers))
            if release.status not in _STATUSES:
                context.unknown("status", release.status)
            if release.status != _UNDETERMINED:
                nodsa = release.nodsa is not msgspec.UNSET
                states.append((number, release.fixed_version, release.urgency or "", nodsa))
        return states
