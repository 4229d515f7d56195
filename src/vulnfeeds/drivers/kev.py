"""KEV: the catalog of vulnerabilities that CISA knows to be exploited; one document, one group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, Unchanged
from vulnfeeds.errors import ParseError, RecordError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records import kev
from vulnfeeds.records.record import Record

FEED: Final = "kev"
GROUP: Final = "kev:known-exploited"
CATALOG: Final = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"

_FILE = "known_exploited_vulnerabilities.json"
_LIMITS: Final = Limits(max_bytes=16 << 20)
"""Ten times the catalog of 2026: it is read whole."""


class _Catalog(msgspec.Struct):
    count: int
    vulnerabilities: list[dict[str, Any]]


class KEVDriver(Driver):
    """Feed kev, group kev:known-exploited, from the catalog's JSON form."""

    name = "kev"
    feeds = (FEED,)
    upstreams = (CATALOG,)

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the catalog; unchanged when its bytes are those that were last published."""
        download = context.fetcher.download(CATALOG, context.workspace / _FILE, limits=_LIMITS, expect=("json",))
        published = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if download.sha256 == published else Checkpoint(fingerprint=download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record an item; refuse a catalog whose list is not as long as it says."""
        catalog = _read((context.workspace / _FILE).read_bytes())
        total = len(catalog.vulnerabilities)
        if total == 0 or total != catalog.count:
            raise ParseError(_FILE, f"count says {catalog.count}, the list has {total}")
        seen: set[str] = set()
        for position, item in enumerate(catalog.vulnerabilities):
            place = f"{_FILE} vulnerabilities[{position}]"
            try:
                known = kev.view(item)
            except RecordError as error:
                raise ParseError(place, str(error)) from error
            if known.cve_id in seen:
                raise ParseError(place, f"{known.cve_id} is listed twice")
            seen.add(known.cve_id)
            if known.known_ransomware_campaign_use not in kev.RANSOMWARE_USE:
                context.unknown("knownRansomwareCampaignUse", known.known_ransomware_campaign_use)
            yield Record(feed=FEED, group=GROUP, key=known.cve_id, body=item)
        context.report("parse", total, total)
        context.cover(FEED, GROUP)


def _read(data: bytes) -> _Catalog:
    try:
        return msgspec.convert(json.loads(data, object_pairs_hook=_unique), _Catalog)
    except (ValueError, RecursionError) as error:
        raise ParseError(_FILE, str(error)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = sorted({name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1})
        raise ParseError(_FILE, f"key {twice[0]!r} is given twice")
    return made
