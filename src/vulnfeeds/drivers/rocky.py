"""Rocky Linux: its advisories as OSV, from the pages of apollo.build.resf.org.

    {"advisories": [{"id": "RLSA-2024:3671", "affected": [...], ...}], "total": 766,
     "links": {"next": "/api/v3/osv/?page=2&size=50"}}

The API has no conditions and no dates to ask by, so every fetch walks all pages; the digests of the advisories tell
in which releases any of them changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final
from urllib.parse import urljoin

import msgspec

from vulnfeeds.drivers.formats import errata, osv
from vulnfeeds.drivers.formats.errata import FEED, ErrataSettings, Releases
from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.records.record import Record

UPSTREAM: Final = "https://apollo.build.resf.org/api/v3/osv"
ADDRESS: Final = f"{UPSTREAM}/"
PAGES: Final = "https://errata.rockylinux.org/"
PREFIX: Final = "rocky:"
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


class _Walk(msgspec.Struct):
    """What a fetch left in the workspace, for `parse`."""

    pages: int


_pages: Final = msgspec.json.Decoder(_Page)


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
        releases = Releases(context, PREFIX)
        seen: set[str] = set()
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
                name, ecosystems = osv.head(advisory, url)
                seen.add(name)
                for release in _releases(ecosystems):
                    releases.add(release, name, advisory)
            (folder / _place(number)).write_bytes(data)
            # What comes in while the pages are walked is had the next time.
            total = page.total if total is None else total
            context.report("fetch", len(seen), total)
            url = urljoin(ADDRESS, page.links.next) if page.links.next else ""
        if total is not None and len(seen) < total:
            raise DownloadError(ADDRESS, f"{number} pages hold {len(seen)} advisories of {total}")
        (context.workspace / _WALK_FILE).write_bytes(msgspec.json.encode(_Walk(number)))
        return releases.checkpoint(ADDRESS)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of each advisory of a release with news, one for each such release."""
        changed = Releases(context, PREFIX).changed()
        seen: set[str] = set()
        for place, data in _advisories(context):
            name, ecosystems = osv.head(data, place)
            # Pages shift while they are walked when an advisory comes in: one may be on two of them.
            if name in seen:
                continue
            seen.add(name)
            for ecosystem in ecosystems:
                if not _ECOSYSTEM.fullmatch(ecosystem):
                    context.unknown("ecosystem", ecosystem)
            of_releases = _releases(ecosystems)
            if not changed & of_releases.keys():
                continue
            advisory = osv.decode(data, place)
            if not errata.is_served(advisory, self.settings):
                continue
            for release in filter(changed.__contains__, of_releases):
                link = f"{PAGES}{advisory.id}"
                made = errata.record(
                    context, advisory, f"{PREFIX}{release}", ecosystems=of_releases[release], link=link
                )
                if made is not None:
                    yield made
        for release in sorted(changed):
            context.cover(FEED, f"{PREFIX}{release}")


def _place(number: int) -> str:
    return f"page-{number:04}.json"


def _read(data: bytes, place: str) -> _Page:
    try:
        return _pages.decode(data)
    except _UNREADABLE as error:
        raise ParseError(place, str(error)) from error


def _advisories(context: Context) -> Iterator[tuple[str, bytes]]:
    """Yield (place, document) of each advisory that was fetched."""
    walk = msgspec.json.decode((context.workspace / _WALK_FILE).read_bytes(), type=_Walk)
    for number in range(1, walk.pages + 1):
        context.report("parse", number - 1, walk.pages)
        page = _read((context.workspace / _FOLDER / _place(number)).read_bytes(), _place(number))
        for position, advisory in enumerate(page.advisories):
            yield f"{_place(number)}: advisories[{position}]", bytes(advisory)


def _releases(ecosystems: list[str]) -> dict[str, set[str]]:
    """Return the ecosystems of each release of Rocky Linux: a point release counts as its release."""
    found: dict[str, set[str]] = {}
    for ecosystem in ecosystems:
        if match := _ECOSYSTEM.fullmatch(ecosystem):
            found.setdefault(match[1], set()).add(ecosystem)
    return found
