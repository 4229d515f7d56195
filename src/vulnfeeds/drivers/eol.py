"""eol: when the support of products ends, from endoflife.date; one document of all products, one group.

{"schema_version": "1.2.0", "total": 2, "result": [{"name": "ubuntu", "identifiers": [...], "releases": [
  {"name": "22.04", "codename": "Jammy Jellyfish", "eolFrom": "2027-04-01", "eoesFrom": "2032-04-09", ...}]}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.records import eol
from vulnfeeds.records.record import Record

PRODUCTS: Final = "https://endoflife.date/api/v1/products/full"
SCHEMA: Final = "1."
"""How the versions of the shape begin that is read here."""

_FILE: Final = "products.json"
_LIMITS: Final = Limits(max_bytes=64 << 20)
"""Ten times the document of 2025: it is read whole, product by product."""
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Document(msgspec.Struct):
    schema_version: str
    total: int
    result: list[msgspec.Raw]


class _Product(msgspec.Struct):
    name: str
    releases: list[dict[str, Any]]
    identifiers: list[dict[str, Any]] = []


class EOLDriver(Driver):
    """Feed eol, group eol:products, from endoflife.date."""

    name = "eol"
    feeds = (eol.FEED,)
    upstreams = (PRODUCTS,)

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the document; unchanged when its bytes are those that were last published."""
        download = context.fetcher.download(PRODUCTS, context.workspace / _FILE, limits=_LIMITS, expect=("json",))
        published = context.checkpoint.fingerprint if context.checkpoint and not context.forced else ""
        return UNCHANGED if download.sha256 == published else Checkpoint(fingerprint=download.sha256)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield one record for each release cycle; refuse a list of products that is not as long as it says."""
        document = _read(context.workspace / _FILE)
        total = len(document.result)
        if total == 0 or total != document.total:
            raise ParseError(_FILE, f"total says {document.total}, the list has {total}")
        products: set[str] = set()
        for position, raw in enumerate(document.result):
            context.report("parse", position, total)
            place = f"{_FILE} result[{position}]"
            product = _product(raw, place)
            if product.name in products:
                raise ParseError(place, f"product {product.name[:80]!r} is listed twice")
            products.add(product.name)
            yield from _records(product, place)
        context.cover(eol.FEED, eol.GROUP)


def _read(path: Path) -> _Document:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except _UNREADABLE as error:
        raise ParseError(path.name, str(error)) from error
    if not document.schema_version.startswith(SCHEMA):
        raise ParseError(path.name, f"schema_version {document.schema_version[:40]!r} is not {SCHEMA}x")
    return document


def _product(raw: msgspec.Raw, place: str) -> _Product:
    try:
        return msgspec.json.decode(raw, type=_Product)
    except _UNREADABLE as error:
        raise ParseError(place, str(error)) from error


def _records(product: _Product, place: str) -> Iterator[Record]:
    cycles: set[str] = set()
    for number, release in enumerate(product.releases):
        body = {**release, "product": product.name, "identifiers": product.identifiers}
        try:
            cycle = msgspec.convert(body, eol.Cycle)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise ParseError(f"{place} ({product.name[:80]}) releases[{number}]", str(error)) from error
        if cycle.name in cycles:
            raise ParseError(f"{place} ({product.name[:80]})", f"cycle {cycle.name[:80]!r} is listed twice")
        cycles.add(cycle.name)
        yield Record(feed=eol.FEED, group=eol.GROUP, key=eol.key(cycle.product, cycle.name), body=body)
