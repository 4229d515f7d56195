"""Which hosts are asked, for whom, and where such a request really goes: what `vulnfeeds hosts` shows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vulnfeeds.fetch.addresses import parse_address, redacted
from vulnfeeds.fetch.mirrors import UpstreamMap


class Reached(msgspec.Struct, frozen=True):
    """One upstream of one driver."""

    driver: str
    host: str
    """The upstream's host."""
    url: str
    """The URL prefix that the driver asks."""
    address: str
    """Where the request really goes, after the upstream map; without secrets."""
    via: str
    """"direct", "mirror" or "folder"."""


def reached(drivers: Iterable[tuple[str, Iterable[str]]], upstreams: UpstreamMap) -> list[Reached]:
    """Return a row for each (driver name, its URL prefixes), in the order given.

    Raises HostRefusedError for a prefix that is no http(s) URL.
    """
    rows = []
    for driver, urls in drivers:
        for url, address in upstreams.hosts_of(urls).items():
            host = parse_address(url).host
            rows.append(Reached(driver, host, redacted(url), address, _via(host, upstreams)))
    return rows


def _via(host: str, upstreams: UpstreamMap) -> str:
    mirror = upstreams.mirror_of(host)
    if not mirror:
        return "direct"
    return "mirror" if mirror.startswith(("http://", "https://")) else "folder"
