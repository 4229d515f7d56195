"""Which groups a driver serves, and under which names: the settings that all drivers share, and what they do.

Patterns are matched with the names that the driver gives its groups, before they are renamed. A run applies a
selection to whatever its driver yields and says, so that no driver can forget it; a driver asks `serves` only to
save the download of what would be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from vulnfeeds.errors import SettingsError
from vulnfeeds.records.record import Record
from vulnfeeds.records.vulnerability import OSRecord


class Selection:
    """The groups of one run; the default one serves all of them under their own names.

    A pattern or a name in the settings means a whole group (`ubuntu:22.04+esm`), or what stands behind its colon
    (`22.04+esm`); a pattern also means what is left of that without `+` and all behind it (`22.04`).
    """

    def __init__(
        self,
        include: tuple[str, ...] = ("*",),
        exclude: tuple[str, ...] = (),
        rename: Mapping[str, str] | None = None,
    ) -> None:
        self._include = include
        self._exclude = exclude
        self._rename = dict(rename or {})
        self._named: dict[str, str] = {}
        """The name by the driver's name of each group that was asked for."""
        self._taken: dict[str, str] = {}
        """The driver's name by the name that it got."""

    def serves(self, group: str) -> bool:
        """Tell whether a group is wanted, by the name that the driver gives it."""
        return _serves(group, self._include, self._exclude)

    def name(self, group: str) -> str | None:
        """Return the name under which a group is served; None when it is left out.

        Raises SettingsError when two groups would have the same name: their records could not be told apart.
        """
        if group in self._named:
            return self._named[group] or None
        name = self._served_name(group)
        first = self._taken.setdefault(name, group) if name else group
        if first != group:
            raise SettingsError(f"rename: {first} and {group} would both be {name}")
        self._named[group] = name
        return name or None

    def of(self, records: Iterator[Record]) -> Iterator[Record]:
        """Yield the records of groups that are served, under their names."""
        for record in records:
            name = self.name(record.group)
            if name == record.group:
                yield record
            elif name is not None:
                yield _moved(record, name)

    def absence(self, name: str) -> str | None:
        """Return why a group that is stored under this name gets no records any more; None when it still may."""
        if any(self._served_name(group) == name for group in self._sources(name) or [name]):
            return None
        if self.serves(name) and self._new_name(name) != name:
            return f"the settings name it {self._new_name(name)}"
        return "excluded by the settings"

    def _served_name(self, group: str) -> str:
        """Return the name under which a group is served, "" when it is not."""
        return self._new_name(group) if self.serves(group) else ""

    def _new_name(self, group: str) -> str:
        prefix, colon, release = group.partition(":")
        name = self._rename.get(group) or (self._rename.get(release) if colon else None)
        if name is None:
            return group
        return name if ":" in name or not colon else f"{prefix}:{name}"

    def _sources(self, name: str) -> list[str]:
        """Return the driver's names of the groups that are renamed to this name."""
        prefix, _, release = name.partition(":")
        renamed = [old for old, new in self._rename.items() if new in (name, release)]
        return [old if ":" in old or ":" not in name else f"{prefix}:{old}" for old in renamed]


@lru_cache(maxsize=4096)
def _serves(group: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Tell whether a group is wanted; some drivers ask for every package of every record."""
    names = _names(group)
    return _matches(names, include) and not _matches(names, exclude)


def _names(group: str) -> tuple[str, ...]:
    release = group.partition(":")[2]
    return (group, release, release.partition("+")[0]) if release else (group,)


def _matches(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _moved(record: Record, group: str) -> Record:
    """Return a record in another group; bodies that name their group name that one."""
    body = record.body
    if isinstance(body, OSRecord):
        said = body.vulnerability
        fixes = tuple(msgspec.structs.replace(fix, namespace_name=group) for fix in said.fixed_in)
        body = OSRecord(msgspec.structs.replace(said, namespace_name=group, fixed_in=fixes))
    return msgspec.structs.replace(record, group=group, body=body)
