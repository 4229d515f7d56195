"""Rocky Linux: its advisories as OSV, from the pages of apollo.build.resf.org.

    {"advisories": [{"id": "RLSA-2024:3671", "affected": [...], ...}], "total": 766,
     "links": {"next": "/api/v3/osv/?page=2&size=50"}}

The API has no conditions and no dates to ask by, so every fetch walks all pages; the digests of the advisories tell
whether any of them changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import ClassVar, Final
from urllib.parse import urljoin

import msgspec

from vulnfeeds.drivers.formats import errata, osv
from vulnfeeds.drivers.formats.errata import FEED, ErrataSettings
from vulnfeeds.drivers.formats.osv import OSVRecord
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.records.record import Record

UPSTREAM: Final = "https://apollo.build.resf.org/api/v3/osv"
ADDRESS: Final = f"{UPSTREAM}/"
PAGES: Final = "https://errata.rockylinux.org/"
MOST_PAGES: Final = 5000

_FOLDER: Final = "pages"
_WALK_FILE: Final = "walk.json"
_ECOSYSTEM: Final = re.compile(r"Rocky Linux:(\d{1,3})(?:\.\d{1,3})?")
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Links(msgspec.Struct):
    next: str | None = None


class _Page(msgspec.Struct):
    advisories: list[msgspec.Raw]
    links: _Links
    total: int | None = None


class _Head(msgspec.Struct):
    id: str


class _Walk(msgspec.Struct):
    """What a fetch left in the workspace, for `parse`."""

    pages: int


_pages: Final = msgspec.json.Decoder(_Page)
_heads: Final = msgspec.json.Decoder(_Head)


class RockyDriver(Driver):
    """Feed vulnerabilities, groups rocky:8, rocky:9, ... from Rocky Linux' Apollo."""

    name = "rocky"
    feeds = (FEED,)
    upstreams = (UPSTREAM,)
    Settings: ClassVar[type[DriverSettings]] = ErrataSettings

    settings: ErrataSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring all pages; a walk that does not give every advisory that upstream counts fails."""
        folder = context.workspace / _FOLDER
        folder.mkdir(exist_ok=True)
        (context.workspace / _WALK_FILE).unlink(missing_ok=True)
        digests: dict[str, bytes] = {}
        total, number, url = None, 0, ADDRESS
        asked: set[str] = set()
        while url:
            if url in asked or number >= MOST_PAGES:
                raise DownloadError(url, f"the pages do not end: {number} so far")
            asked.add(url)
            number += 1
            data = context.fetcher.get_json(url)
            page = _read(data, url)
            for advisory in page.advisories:
                # The first copy is the one that is parsed.
                digests.setdefault(_id_of(advisory, url), hashlib.sha256(advisory).digest())
            (folder / _place(number)).write_bytes(data)
            # What comes in while the pages are walked is had the next time.
            total = page.total if total is None else total
            context.report("fetch", len(digests), total)
            url = urljoin(ADDRESS, page.links.next) if page.links.next else ""
        if total is not None and len(digests) < total:
            raise DownloadError(ADDRESS, f"{number} pages hold {len(digests)} advisories of {total}")
        (context.workspace / _WALK_FILE).write_bytes(msgspec.json.encode(_Walk(number)))
        whole = hashlib.sha256()
        for name in sorted(digests):
            whole.update(name.encode() + digests[name])
        if context.checkpoint and context.checkpoint.fingerprint == whole.hexdigest() and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=whole.hexdigest())

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory in turn, one for each release of which it names packages."""
        released: dict[str, None] = {}
        seen: set[str] = set()
        for advisory in _advisories(context):
            # Pages shift while they are walked when an advisory comes in: one may be on two of them.
            if advisory.id in seen:
                continue
            seen.add(advisory.id)
            for release, ecosystems in _releases(context, advisory).items():
                if not self.settings.wants(release):
                    continue
                released[release] = None
                if not errata.is_served(advisory, self.settings):
                    continue
                link = f"{PAGES}{advisory.id}"
                made = errata.record(context, advisory, f"rocky:{release}", ecosystems=ecosystems, link=link)
                if made is not None:
                    yield made
        if not released:
            raise ParseError(_FOLDER, "no advisory of any release that is served")
        for release in released:
            context.cover(FEED, f"rocky:{release}")


def _place(number: int) -> str:
    return f"page-{number:04}.json"


def _read(data: bytes, place: str) -> _Page:
    try:
        return _pages.decode(data)
    except _UNREADABLE as error:
        raise ParseError(place, str(error)) from error


def _id_of(advisory: msgspec.Raw, place: str) -> str:
    try:
        return _heads.decode(advisory).id
    except _UNREADABLE as error:
        raise ParseError(place, f"an advisory without id: {error}") from error


def _advisories(context: Context) -> Iterator[OSVRecord]:
    walk = msgspec.json.decode((context.workspace / _WALK_FILE).read_bytes(), type=_Walk)
    for number in range(1, walk.pages + 1):
        context.report("parse", number - 1, walk.pages)
        place = _place(number)
        page = _read((context.workspace / _FOLDER / place).read_bytes(), place)
        for position, advisory in enumerate(page.advisories):
            yield osv.decode(bytes(advisory), f"{place}: advisories[{position}]")


def _releases(context: Context, advisory: OSVRecord) -> dict[str, set[str]]:
    """Return the ecosystems of each release of which an advisory names packages; others are counted."""
    found: dict[str, set[str]] = {}
    for ecosystem in dict.fromkeys(item.package.ecosystem for item in advisory.affected if item.package is not None):
        if match := _ECOSYSTEM.fullmatch(ecosystem):
            found.setdefault(match[1], set()).add(ecosystem)
        else:
            context.unknown("ecosystem", ecosystem)
    return found
