"""Canonical's OSV archive: a document for each CVE, and one for each notice (USN) that announced fixes.

    osv/cve/2021/UBUNTU-CVE-2021-3782.json    affected: [{package: {ecosystem: "Ubuntu:22.04:LTS", name: "curl"}, ...
    osv/usn/USN-5614-1.json                   affected: [{..., database_specific: {cves_map: {cves: [{id: ...}]}}}]

An ecosystem is a release as everybody has it ("Ubuntu:22.04:LTS", "Ubuntu:24.10"), one with Ubuntu Pro
("Ubuntu:Pro:16.04:LTS"), or a variant with packages of its own (FIPS, Realtime, BlueField), which no group serves.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from sys import intern
from typing import Final

import msgspec

from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.ubuntu.issues import Issue, Remark, Remarks, State
from vulnfeeds.drivers.ubuntu.releases import ESM, channel
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits
from vulnfeeds.records.vulnerability import NO_FIX

LIMITS: Final = ArchiveLimits(max_member_bytes=osv.MAX_BYTES, max_total_bytes=64 << 30, max_ratio=1000.0)
"""Lists of binaries for each architecture: true archives expand by a factor of 100 and more."""

_MEMBER = re.compile(r"(?:[^/]+/)*(?:UBUNTU-CVE-\d{4}-\d{4,}|USN-\d+-\d+)\.json")
_ID = re.compile(r"UBUNTU-(CVE-\d{4}-\d{4,})")
_ECOSYSTEM = re.compile(r"Ubuntu:(Pro:)?(\d{1,2}\.\d{2})(?::LTS)?")
_VARIANT = re.compile(r"FIPS|Realtime|BlueField|NVIDIA", re.IGNORECASE)
_DISTRO = re.compile(r"[?&]distro=([a-z/-]+)")

Unknown = Callable[[str, object], None]
"""Called with the kind of a value that means nothing to us, and the value."""


class _CVE(msgspec.Struct):
    id: str


class _CVEsMap(msgspec.Struct):
    cves: list[_CVE] = []


class Reader:
    """Reads one archive under the wanted releases."""

    def __init__(self, wanted: Callable[[str], bool], unknown: Unknown) -> None:
        self._wanted = wanted
        self._unknown = unknown
        self._notices: dict[str, dict[Remark, None]] = defaultdict(dict)
        self.codenames: dict[str, str] = {}
        """Codename by version of every release that a document speaks of; "" when none says."""

    def issues(self, path: Path) -> Iterator[Issue]:
        """Yield what the documents of CVEs say of wanted releases, without those that are withdrawn.

        Notices are kept for `notices`. Raises ParseError, naming the member, when a document has another shape or
        when the archive has no CVE, and what `archives.members` raises.
        """
        found = False
        for name, document in osv.read_archive(path, wanted=_is_wanted, limits=LIMITS):
            if document.id.startswith("USN-"):
                self._keep(document, name)
                continue
            found = True
            cve = _ID.fullmatch(document.id)
            if cve is None:
                self._unknown("id", document.id)
            elif not document.withdrawn and (states := self._states(document)):
                yield Issue(cve[1], document.details, states)
        if not found:
            raise ParseError(path.name, "no CVE in the archive")

    def notices(self) -> Iterator[Remarks]:
        """Yield the ids of the notices that announced a fix, by CVE, once the issues are read."""
        for cve, remarks in self._notices.items():
            yield Remarks(cve, list(remarks))

    def _states(self, document: osv.OSVRecord) -> list[State]:
        """Return the states of a document; what only Ubuntu Pro has is affected without it, and stays so."""
        general = _priority(document.severity)
        states: list[State] = []
        base: set[tuple[str, str]] = set()
        pro: dict[tuple[str, str], str] = {}
        for affected in document.affected:
            place = self._place(affected)
            if place is None or affected.package is None:
                continue
            version, esm = place
            package = affected.package.name
            priority = _priority(affected.severity) or general
            for span in osv.spans_of(affected) or [osv.Span(osv.START)]:
                if not esm:
                    states.append(State(version, package, span.fixed or NO_FIX, priority=priority))
                elif span.fixed is not None:
                    states.append(State(f"{version}{ESM}", package, span.fixed, priority=priority))
            if esm:
                pro[version, package] = priority
            else:
                base.add((version, package))
        states += [State(*key, NO_FIX, True, priority) for key, priority in pro.items() if key not in base]
        return states

    def _place(self, affected: osv.Affected) -> tuple[str, bool] | None:
        """Return (version, whether it is Ubuntu Pro) of what is affected; None when no group is for it."""
        if affected.package is None:
            return None
        ecosystem = affected.package.ecosystem
        found = _ECOSYSTEM.fullmatch(ecosystem)
        if found is None:
            if not _VARIANT.search(ecosystem):
                self._unknown("ecosystem", ecosystem)
            return None
        if not self.codenames.get(found[2]):
            distro = _DISTRO.search(affected.package.purl)
            part = channel(distro[1]) if distro else None
            self.codenames[found[2]] = part.codename if part else ""
        return (found[2], bool(found[1])) if self._wanted(found[2]) else None

    def _keep(self, document: osv.OSVRecord, name: str) -> None:
        if document.withdrawn:
            return
        said = [cve.removeprefix("UBUNTU-") for cve in document.upstream]
        for affected in document.affected:
            place = self._place(affected)
            if place is None or affected.package is None:
                continue
            group = f"{place[0]}{ESM}" if place[1] else place[0]
            remark = (intern(group), intern(affected.package.name), document.id)
            raw = affected.database_specific.get("cves_map")
            for cve in _cves(raw, name) if raw is not None else said:
                self._notices[cve][remark] = None


def _is_wanted(name: str) -> bool:
    return bool(_MEMBER.fullmatch(name))


def _cves(raw: msgspec.Raw, place: str) -> list[str]:
    try:
        return [cve.id for cve in msgspec.json.decode(raw, type=_CVEsMap).cves]
    except msgspec.DecodeError as error:
        raise ParseError(place, f"cves_map: {error}") from error


def _priority(severities: list[osv.Severity]) -> str:
    return next((severity.score for severity in severities if severity.type == "Ubuntu"), "")
