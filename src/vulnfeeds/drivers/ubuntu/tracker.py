"""The CVE tracker's tree: one file for each CVE, with a line for each package in each release.

    Candidate: CVE-2018-10196
    Description:
     NULL pointer dereference vulnerability in ...
    Priority: low
    Priority_graphviz: medium

    Patches_graphviz:
    upstream_graphviz: released (2.40.1-6)
    trusty_graphviz: ignored (out of standard support)
    trusty/esm_graphviz: released (2.36.0-0ubuntu3.2+esm1)
    xenial_graphviz: needed
    eoan_graphviz: not-affected (2.40.1-7build1)

Of a release at its end of life the tracker keeps less: its own line becomes `ignored`, or it goes and the line of
Ubuntu Pro tells what it was, `trusty/esm_graphviz: DNE (trusty was needed)`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from vulnfeeds.drivers.ubuntu.issues import Issue, State
from vulnfeeds.drivers.ubuntu.releases import ESM, NO_RELEASES, channel
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch import archives
from vulnfeeds.records.vulnerability import NO_FIX, NOT_AFFECTED

PLACE: Final = "ubuntu-cve-tracker"
"""What errors call the tree."""
FOLDERS: Final = ("active", "retired")
"""Where the tracker keeps its CVEs; what is in `ignored` concerns no package of Ubuntu."""
MAX_FILE_BYTES: Final = 16 << 20
"""Largest file that is read; true ones stay below 1 MB."""

_NAME = re.compile(r"(?:[^/]+/)?(?:active|retired)/(CVE-\d{4}-\d{4,})")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_LINE = re.compile(
    r"^(?!(?:upstream|devel)_)([a-z][a-z0-9./-]*)_([^\s:]+):[ \t]*([A-Za-z-]+)[ \t]*(.*)$", re.MULTILINE
)
_PRIORITY = re.compile(r"^Priority(?:_([^\s:]+))?:[ \t]*([A-Za-z-]+)", re.MULTILINE)
_DESCRIPTION = re.compile(r"^Description:[ \t]*([^\n]*\n(?:[ \t][^\n]*\n)*)", re.MULTILINE)
_VERSION = re.compile(r"(?:\d+:)?[0-9][A-Za-z0-9.+~_-]*")
_HARMLESS = re.compile(
    r"\b(?:code[- ]not[- ](?:compiled|present|used)|not compiled|uses (?:the )?system|not an issue|no security impact"
    r"|was not-affected)\b",
    re.IGNORECASE,
)
"""Reasons to ignore a CVE that say that it does no harm; all others leave the package affected."""
_WAS = re.compile(r"\(([a-z]+) was ([a-z-]+)(?: \[([^\]]*)\])?")

_OPEN: Final = frozenset({"needed", "needs-triage", "pending", "active", "deferred"})
_NOTHING: Final = "DNE"
_KNOWN: Final = _OPEN | {"released", "ignored", "not-affected", _NOTHING}

Unknown = Callable[[str, object], None]
"""Called with the kind of a value that means nothing to us, and the value."""


def files_of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (CVE, content) of an archive of the tree. Raises UpstreamError when the archive is broken."""
    limits = archives.ArchiveLimits(max_member_bytes=MAX_FILE_BYTES)
    for name, stream in archives.members(path, wanted=lambda name: bool(_NAME.fullmatch(name)), limits=limits):
        yield name.rpartition("/")[2], stream.read()


def files_of_checkout(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (CVE, content) of a folder that holds the tree. Raises ParseError when it cannot be read."""
    for path, _ in _statuses(folder):
        yield path.name, _content(path)


def mark_of_checkout(folder: Path) -> str:
    """Return names, sizes and times of the files of a tree, one a line. Raises ParseError as `files_of_checkout`."""
    return "\n".join(f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in _statuses(folder))


class _Said(NamedTuple):
    """A line of the tracker: a status, and what stands behind it in brackets."""

    status: str
    text: str


class _Package:
    """The lines of one package in one release, without and with Ubuntu Pro."""

    def __init__(self) -> None:
        self.base: _Said | None = None
        self.esm: list[_Said] = []


class Reader:
    """Reads the files of the tree under one table of releases."""

    def __init__(self, versions: Mapping[str, str], wanted: Callable[[str], bool], unknown: Unknown) -> None:
        """`versions` has the version of every known codename; `wanted` tells which of them are read."""
        self._versions = versions
        self._wanted = wanted
        self._unknown = unknown
        self._places: dict[str, tuple[str, bool] | None] = {}

    def issues(self, files: Iterable[tuple[str, bytes]]) -> Iterator[Issue]:
        """Yield what the files of the tree, by CVE, say. Raises ParseError when there is none."""
        found = False
        for cve, content in files:
            found = True
            issue = self.read(cve, content)
            if issue is not None:
                yield issue
        if not found:
            raise ParseError(PLACE, f"no CVE in {' or '.join(FOLDERS)}")

    def read(self, cve: str, content: bytes) -> Issue | None:
        """Return what a file says; None when that is nothing of any wanted release."""
        text = content.decode("utf-8", errors="replace").replace("\r\n", "\n")
        packages: dict[tuple[str, str], _Package] = {}
        for name, package, status, behind in _LINE.findall(text):
            place = self._place(name)
            if place is None:
                continue
            version, esm = place
            said = _Said(status, behind.strip())
            if status not in _KNOWN:
                self._unknown("status", status)
                continue
            lines = packages.setdefault((version, package), _Package())
            if esm:
                lines.esm.append(said)
            else:
                lines.base = said
        if not packages:
            return None
        priorities: dict[str, str] = dict(_PRIORITY.findall(text))
        general = priorities.get("", "")
        states = [
            State(group, package, fixed, no_advisory, priorities.get(package, general))
            for (version, package), lines in packages.items()
            for group, fixed, no_advisory in self._said(version, lines)
        ]
        return Issue(cve, _description(text), states) if states else None

    def _place(self, name: str) -> tuple[str, bool] | None:
        """Return (version, whether it is Ubuntu Pro) of what stands before a package; None when it is not wanted."""
        if name in self._places:
            known = self._places[name]
        else:
            part = channel(name)
            version = self._versions.get(part.codename, "") if part else ""
            known = (version, part.esm) if part and version and self._wanted(version) else None
            self._places[name] = known
        if known is None and "/" not in name and name not in self._versions and name not in NO_RELEASES:
            self._unknown("release", name)
        return known

    def _said(self, version: str, lines: _Package) -> Iterator[tuple[str, str, bool]]:
        """Yield (group, version that fixes, whether there will be no fix) of one package."""
        base = self._base(lines)
        if base is not None:
            yield version, *base
        for said in lines.esm:
            if said.status == "released" and said.text.startswith("(") and (fixed := self._version(said.text)):
                yield f"{version}{ESM}", fixed, False

    def _base(self, lines: _Package) -> tuple[str, bool] | None:
        """Return (version, whether there will be no fix) of a package without Ubuntu Pro."""
        base = lines.base
        if base is None:
            return next((found for said in lines.esm if (found := self._from_esm(said))), None)
        if base.status == "needs-triage" and any(_never(said) for said in lines.esm):
            return NOT_AFFECTED, False
        return self._meaning(base)

    def _meaning(self, said: _Said) -> tuple[str, bool] | None:
        if said.status in _OPEN:
            return NO_FIX, False
        if said.status == "ignored":
            return (NOT_AFFECTED, False) if _HARMLESS.search(said.text) else (NO_FIX, True)
        if said.status == "not-affected":
            return NOT_AFFECTED, False
        if said.status == "released" and (fixed := self._version(said.text)):
            return fixed, False
        return None

    def _from_esm(self, said: _Said) -> tuple[str, bool] | None:
        """Return what a line of Ubuntu Pro tells of the release without it, which has ended and has no line."""
        if said.status == _NOTHING:
            was = _WAS.match(said.text)
            found = self._meaning(_Said(was[2], f"({was[3] or ''})")) if was else None
            return (NO_FIX, True) if found and found[0] == NO_FIX else found
        if said.status == "not-affected":
            return (NOT_AFFECTED, False) if _never(said) else None
        if said.text.startswith("["):
            return self._meaning(said)
        return NO_FIX, True

    def _version(self, text: str) -> str:
        """Return the first version in brackets; "" when there is none."""
        inner = text.strip("()[] \t").partition(",")[0].strip()
        if _VERSION.fullmatch(inner):
            return inner
        self._unknown("version", text)
        return ""


def _never(said: _Said) -> bool:
    """Tell whether a line says that the package is not affected, whatever its version."""
    return said.status == "not-affected" and not _VERSION.fullmatch(said.text.strip("()[] \t"))


def _description(text: str) -> str:
    found = _DESCRIPTION.search(text)
    return " ".join(found[1].split()) if found else ""


def _statuses(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for name in FOLDERS:
        try:
            with os.scandir(folder / name) as entries:
                found = sorted((Path(entry.path), entry.stat()) for entry in entries if _CVE.fullmatch(entry.name))
        except OSError as error:
            raise ParseError(str(folder / name), f"cannot be read: {error.strerror}") from error
        yield from found


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ParseError(str(path), f"cannot be read: {error.strerror}") from error
