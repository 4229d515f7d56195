"""The list of Debian security advisories (DSA): which advisory fixed which CVE in which package of which release.

    [17 Mar 2023] DSA-5356-2 sox - regression update
    <TAB>[bullseye] - sox 14.4.2+git20190427-2+deb11u2
    [20 Feb 2023] DSA-5356-1 sox - security update
    <TAB>{CVE-2019-13590 CVE-2021-3643}
    <TAB>[bullseye] - sox 14.4.2+git20190427-2+deb11u1

An advisory without CVEs (a regression update) inherits those of the first of its series.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from vulnfeeds.errors import ParseError
from vulnfeeds.records.vulnerability import Advisory

LINK: Final = "https://security-tracker.debian.org/tracker/"

Index = dict[tuple[str, str, str], tuple[Advisory, ...]]
"""Advisories by (codename, CVE, package), sorted by id."""

_HEAD = re.compile(r"\[[^\]]+\]\s+(DSA-(\d{1,9})(?:-(\d{1,9}))?)\s")
_CVES = re.compile(r"\s+\{([^}]*)\}?")
_FIX = re.compile(r"\s+(?:NOTE:\s*)?\[(\w+)\]\s+-\s+(\S+)(?:\s+(\S+).*)?")


class _Advisory(msgspec.Struct):
    id: str
    series: str
    revision: int
    cves: list[str] = []
    fixes: list[tuple[str, str]] = []


def count(lines: Iterable[str]) -> int:
    """Return how many advisories the list has."""
    return sum(_HEAD.match(line) is not None for line in lines)


def read(lines: Iterable[str], place: str, on_unknown: Callable[[str], None]) -> Index:
    """Return the advisories of a list; `on_unknown` gets each line that means nothing to us.

    Raises ParseError, naming `place`, when the text holds no advisory at all.
    """
    advisories = _advisories(lines, on_unknown)
    if not advisories:
        raise ParseError(place, "no advisory in the list")
    first: dict[str, _Advisory] = {}
    for advisory in advisories:
        if advisory.cves and (advisory.series not in first or advisory.revision < first[advisory.series].revision):
            first[advisory.series] = advisory
    index: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for advisory in advisories:
        origin = advisory if advisory.cves else first.get(advisory.series, advisory)
        for codename, package in advisory.fixes:
            for cve in origin.cves:
                index[codename, cve, package].add(advisory.id)
    return {key: tuple(Advisory(id=name, link=f"{LINK}{name}") for name in sorted(ids)) for key, ids in index.items()}


def _advisories(lines: Iterable[str], on_unknown: Callable[[str], None]) -> list[_Advisory]:
    found: list[_Advisory] = []
    for line in map(str.rstrip, lines):
        if not line:
            continue
        if head := _HEAD.match(line):
            found.append(_Advisory(id=head[1], series=head[2], revision=int(head[3] or 1)))
        elif not found or not line[0].isspace():
            on_unknown(line.strip())
        elif cves := _CVES.fullmatch(line):
            found[-1].cves += [word for word in cves[1].split() if word.startswith("CVE-")]
        elif fix := _FIX.fullmatch(line):
            if fix[3] != "<not-affected>":
                found[-1].fixes.append((fix[1], fix[2]))
        elif not line.lstrip().startswith("NOTE:"):
            on_unknown(line.strip())
    return found
