"""OSV: advisories and vulnerabilities in the form of ossf.github.io/osv-schema, versions 1.3 to 1.7.

    {"id": "ALSA-2021:2363", "modified": "2021-11-12T10:20:56Z", "related": ["CVE-2021-33516"],
     "affected": [{"package": {"ecosystem": "AlmaLinux:8", "name": "gupnp"},
                   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.6-2.el8_4"}]}]}]}

Upstreams publish one small document an advisory, thousands of them in an archive, a folder or the pages of an API.
They are decoded one by one. What only one upstream means (`ecosystem_specific`, `database_specific`) stays undecoded
until its driver asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import ArchiveLimits, members

MAX_BYTES: Final = 64 << 20
"""Most bytes of one document; true ones have less than one MiB."""

START: Final = "0"
"""As `introduced`: before every version. As `fixed` besides it: never affected."""

Order = Callable[[str], Any]
"""Returns what versions of an ecosystem are compared by; raises ValueError or TypeError for a text that is none."""

Notice = Callable[[str], None]
"""Called with a version that cannot be compared."""

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KINDS: Final = ("introduced", "fixed", "last_affected")


class Event(msgspec.Struct, frozen=True):
    """A version at which something changes; one of the four is there."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(msgspec.Struct, frozen=True):
    """Versions between events; `type` is ECOSYSTEM, SEMVER or GIT."""

    type: str
    events: list[Event] = []
    repo: str = ""
    database_specific: dict[str, msgspec.Raw] = {}


class Package(msgspec.Struct, frozen=True):
    """A package of an ecosystem, which for distributions names the release ("Ubuntu:22.04:LTS")."""

    ecosystem: str
    name: str
    purl: str = ""


class Severity(msgspec.Struct, frozen=True):
    """How bad it is, in a scale that `type` names (CVSS_V2, CVSS_V3, CVSS_V4, Ubuntu)."""

    type: str
    score: str


class Affected(msgspec.Struct, frozen=True):
    """What is affected of one package."""

    package: Package | None = None
    """None for plain source code, which has a repository only."""
    ranges: list[Range] = []
    versions: list[str] = []
    severity: list[Severity] = []
    ecosystem_specific: dict[str, msgspec.Raw] = {}
    database_specific: dict[str, msgspec.Raw] = {}


class Reference(msgspec.Struct, frozen=True):
    """A link and what it leads to (ADVISORY, REPORT, FIX, WEB, ...)."""

    type: str
    url: str


class OSVRecord(msgspec.Struct, frozen=True):
    """One document. Times are RFC 3339 texts as upstream wrote them."""

    id: str
    modified: str
    schema_version: str = ""
    published: str = ""
    withdrawn: str = ""
    """Since when it is void; empty while it holds."""
    aliases: list[str] = []
    related: list[str] = []
    upstream: list[str] = []
    summary: str = ""
    details: str = ""
    severity: list[Severity] = []
    affected: list[Affected] = []
    references: list[Reference] = []
    database_specific: dict[str, msgspec.Raw] = {}


class Span(NamedTuple):
    """Affected versions from `introduced` on, up to what ends them; none of the three: without an end."""

    introduced: str
    fixed: str | None = None
    """First version that is not affected any more."""
    last_affected: str | None = None
    """Last version that is affected; which one fixes is not known."""
    limit: str | None = None
    """From here on nothing is said; no fix."""


_decoder: Final = msgspec.json.Decoder(OSVRecord)
_any: Final = msgspec.json.Decoder(dict[str, Any])


def decode(data: bytes, place: str) -> OSVRecord:
    """Return a document. Raises ParseError, naming the place, when it does not have the expected shape."""
    try:
        return _decoder.decode(data)
    except _UNREADABLE as error:
        return _without_nulls(data, place, error)


class _Origin(msgspec.Struct):
    ecosystem: str = ""


class _Place(msgspec.Struct):
    package: _Origin | None = None


class _Head(msgspec.Struct):
    id: str
    affected: list[_Place] | None = None


_heads: Final = msgspec.json.Decoder(_Head)


def head(data: bytes | msgspec.Raw, place: str) -> tuple[str, list[str]]:
    """Return a document's id and the ecosystems that it names, each once; nothing else of it is read.

    Raises ParseError, naming the place, when it has no id.
    """
    try:
        found = _heads.decode(data)
    except _UNREADABLE as error:
        raise ParseError(place, f"an advisory without id: {error}") from error
    return found.id, list(dict.fromkeys(item.package.ecosystem for item in found.affected or () if item.package))


def read_archive(
    path: Path,
    *,
    wanted: Callable[[str], bool] = lambda name: name.endswith(".json"),
    limits: ArchiveLimits | None = None,
    url: str = "",
) -> Iterator[tuple[str, OSVRecord]]:
    """Yield (member's name, document) of a tar (plain, gz, bz2, xz, zst) or zip, in the archive's order.

    Raises what `archives.members` raises, and ParseError for a document of another shape or when there is none.
    """
    found = 0
    bounds = limits or ArchiveLimits(max_member_bytes=MAX_BYTES)
    for name, stream in members(path, wanted=wanted, limits=bounds, url=url):
        found += 1
        yield name, decode(stream.read(), f"{path.name}: {name}")
    if not found:
        raise ParseError(path.name, "no OSV document in the archive")


def read_folder(folder: Path, *, pattern: str = "*.json") -> Iterator[tuple[str, OSVRecord]]:
    """Yield (path below the folder, document) of its files, sorted by path; links are not followed.

    Raises ParseError for a document of another shape, one that is too large, or when there is none.
    """
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file() and not path.is_symlink())
    if not paths:
        raise ParseError(folder.name, "no OSV document in the folder")
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if path.stat().st_size > MAX_BYTES:
            raise ParseError(name, f"has more than {MAX_BYTES} bytes")
        yield name, decode(path.read_bytes(), name)


def spans(
    events: Iterable[Event], *, order: Order | None = None, on_incomparable: Notice | None = None
) -> list[Span]:
    """Return which versions the events of one range affect, from the oldest to the newest.

    Events may come in any order: where it matters (several begin or end), they are sorted by `order`. Without it, or
    when one of the versions cannot be compared, they are taken as they come. A range without a beginning begins with
    the first version. One beginning and one end are a span as they are, nothing is compared.
    """
    given = list(events)
    marks = [(kind, version) for event in given for kind in _KINDS if (version := getattr(event, kind)) is not None]
    limits = [event.limit for event in given if event.limit is not None]
    begins = sum(kind == "introduced" for kind, _ in marks)
    if begins > 1 or len(marks) - begins > 1:
        found = _walked(_sorted(marks, order, on_incomparable))
    elif marks:
        said = dict(marks)
        found = [Span(said.get("introduced", START), said.get("fixed"), said.get("last_affected"))]
    else:
        found = []
    if limits:
        limit = limits[-1] if order is None else _greatest(limits, order)
        found = [span._replace(limit=limit) if span[1:3] == (None, None) else span for span in found]
    return found


def spans_of(affected: Affected, *, order: Order | None = None, on_incomparable: Notice | None = None) -> list[Span]:
    """Return the spans of all ranges of a package, each once; commits (GIT) are no versions of a package.

    A package of which single versions are listed instead of ranges gives one span from the first to the last of them
    (by `order`, else as listed): what fixes is not known.
    """
    ranges = [item for item in affected.ranges if item.type != "GIT"]
    found = [span for item in ranges for span in spans(item.events, order=order, on_incomparable=on_incomparable)]
    if not ranges and affected.versions:
        ordered = _ordered(affected.versions, order, on_incomparable)
        found = [Span(ordered[0], None, ordered[-1])]
    return list(dict.fromkeys(found))


def constraint(span: Span) -> str:
    """Return a span as a constraint (">=2.0, <2.3"); "" when "older than what fixes" or "all" says the same."""
    low = "" if span.introduced == START else f">={span.introduced}"
    if span.fixed is not None:
        high = f"<{span.fixed}" if low else ""
    elif span.last_affected is not None:
        high = f"<={span.last_affected}"
    else:
        high = f"<{span.limit}" if span.limit is not None else ""
    return ", ".join(part for part in (low, high) if part)


def comparators(span: Span) -> str:
    """Return a span in the grammar of feed github, comparators between spaces: ">= 2.0 < 2.3"; ">= 0" when all.

    Where upstream names what fixes, or what is affected last, that ends the range, and nothing else.
    """
    if span.introduced == span.last_affected:
        return f"= {span.introduced}"
    high = [
        f"{sign} {version}"
        for sign, version in (("<", span.fixed), ("<=", span.last_affected), ("<", span.limit))
        if version is not None
    ][:1]
    low = [] if span.introduced == START and high else [f">= {span.introduced}"]
    return " ".join(low + high)


def _without_nulls(data: bytes, place: str, first: Exception) -> OSVRecord:
    """Decode a document some of whose lists are null, as the schema allows; else ParseError with the first reason."""
    try:
        plain = _any.decode(data)
        if None in plain.values():
            kept = {name: value for name, value in plain.items() if value is not None}
            return _decoder.decode(msgspec.json.encode(kept))
    except _UNREADABLE as error:
        raise ParseError(place, str(error)) from error
    raise ParseError(place, str(first)) from first


def _sorted(marks: list[tuple[str, str]], order: Order | None, notice: Notice | None) -> list[tuple[str, set[str]]]:
    """Return the kinds of events by version, oldest first where that can be told."""
    versions = _ordered([version for _, version in marks], order, notice)
    place = {version: number for number, version in reversed(list(enumerate(versions)))}
    ranked = sorted(marks, key=lambda mark: place[mark[1]])
    return [(version, {kind for kind, _ in same}) for version, same in groupby(ranked, key=lambda mark: mark[1])]


def _ordered(versions: list[str], order: Order | None, notice: Notice | None) -> list[str]:
    """Return versions oldest first, or as they come when they cannot be compared; START is before all."""
    first = [version for version in versions if version == START]
    rest = [version for version in versions if version != START]
    if order is not None:
        keys: dict[str, Any] = {}
        try:
            for version in rest:
                keys[version] = order(version)
        except (ValueError, TypeError):
            if notice is not None:
                notice(next(version for version in rest if version not in keys))
        else:
            rest.sort(key=keys.__getitem__)
    return first + rest


def _greatest(limits: list[str], order: Order) -> str:
    return _ordered(limits, order, None)[-1]


def _walked(marks: list[tuple[str, set[str]]]) -> list[Span]:
    found: list[Span] = []
    begin: str | None = None
    if marks and "introduced" not in marks[0][1]:
        begin = START
    for version, kinds in marks:
        if begin is None and "introduced" in kinds:
            begin = version
            kinds = kinds - {"introduced"}
        if "fixed" in kinds:
            if begin is not None:
                found.append(Span(begin, version))
            elif found[-1].fixed is None:
                # What fixes, named besides the last affected version.
                found[-1] = found[-1]._replace(fixed=version)
            begin = version if "introduced" in kinds else None
        if begin is not None and "last_affected" in kinds:
            found.append(Span(begin, None, version))
            begin = None
    if begin is not None:
        found.append(Span(begin))
    return found
