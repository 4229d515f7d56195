"""The months of Microsoft's updates: which there are, and what is kept of each in the workspace.

The list says when each month was last revised. Only those with another date than last time are asked for; what is
read of them is kept, one document per vulnerability, and the month itself is thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.msrc import cvrf
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.interface import Limits, forget
from vulnfeeds.records.microsoft import Product

API: Final = "https://api.msrc.microsoft.com/cvrf/v3.0/"
LIST: Final = f"{API}updates"
FORM: Final = "1"
"""Raised when another part of a month is kept: everything is asked for anew."""

_LIMITS: Final = Limits(max_bytes=256 << 20)
_ID: Final = re.compile(r"[0-9]{4}-[A-Za-z0-9-]{1,20}")
"""`2024-Mar`, `2017-May-B`."""
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
_COMPLETE: Final = "complete"
_PRODUCTS: Final = "products"
"""Behind all ids of vulnerabilities in the order of names."""
_GIVE_UP_AFTER: Final = 5
"""Months in a row that could not be had, after which the others are left for the next run."""

_saying = msgspec.json.Decoder(cvrf.Said)
_listing = msgspec.json.Decoder(list[Product])


class Month(
    msgspec.Struct, frozen=True, rename={"id": "ID", "begun": "InitialReleaseDate", "mark": "CurrentReleaseDate"}
):
    """A month as the list names it."""

    id: str
    begun: str
    mark: str


class _List(msgspec.Struct, frozen=True):
    value: list[Month]


def gather(context: Context, kept: KeptDocuments) -> None:
    """Bring the months that were revised since they were read.

    A month that cannot be had or read leaves what is kept of it, with a note, and is asked for again by the next run.
    Until all were had once, raises UpstreamError or ParseError at the end: what came is kept for the next run.
    """
    listed = _months(context)
    _note_missing(context, kept, listed)
    wanted = [month for month in listed if context.forced or kept.get_mark(_mark(month)) != month.mark]
    failures: list[tuple[Month, UpstreamError | ParseError]] = []
    in_a_row = 0
    for done, month in enumerate(wanted):
        context.report("fetch", done, len(wanted))
        try:
            _bring(context, kept, month)
            in_a_row = 0
        except (UpstreamError, ParseError) as error:
            kept.rollback()
            failures.append((month, error))
            in_a_row += 1
        if in_a_row >= _GIVE_UP_AFTER:
            context.note(f"{LIST}: after {in_a_row} failures in a row the other months were left for the next run")
            break
    if failures and not kept.get_mark(_COMPLETE):
        raise failures[0][1]
    for month, failure in failures:
        use = "its last copy is used" if kept.get_mark(_mark(month)) else "it is new, so nothing of it is known"
        context.note(f"{month.id} could not be had, {use}: {failure}")
    kept.set_mark(_COMPLETE, "yes")
    kept.commit()


def sayings(kept: KeptDocuments) -> Iterator[cvrf.Said]:
    """Yield what the months say of the vulnerabilities, by their ids; of one id the oldest month first."""
    return (_saying.decode(body) for name, body in kept.bodies() if not name.startswith(_PRODUCTS))


def products(kept: KeptDocuments) -> dict[str, Product]:
    """Return the products of all months by id, each as the newest month names it."""
    found: dict[str, Product] = {}
    for name in kept.names():
        if name.startswith(_PRODUCTS) and (body := kept.body(name)) is not None:
            for product in _listing.decode(body):
                found.pop(product.id, None)
                found[product.id] = product
    return found


def _months(context: Context) -> list[Month]:
    data = context.fetcher.get_json(LIST, headers={"Accept": "application/json"})
    try:
        found = msgspec.json.decode(data, type=_List).value
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(LIST, str(error)) from error
    if not found:
        raise ParseError(LIST, "no month is listed")
    seen: set[str] = set()
    for place, month in enumerate(found):
        where = f"{LIST} value[{place}]"
        if not _ID.fullmatch(month.id):
            raise ParseError(where, f"{month.id[:80]!r} is no month")
        if not _DAY.fullmatch(month.begun) or not month.mark:
            raise ParseError(where, f"{month.id} has no dates")
        if month.id in seen:
            raise ParseError(where, f"{month.id} is listed twice")
        seen.add(month.id)
    return sorted(found, key=lambda month: (month.begun, month.id))


def _note_missing(context: Context, kept: KeptDocuments, listed: list[Month]) -> None:
    known = {name.rpartition(" ")[2] for name in kept.names() if name.startswith(_PRODUCTS)}
    if gone := sorted(known - {month.id for month in listed}):
        context.note(f"{LIST} no longer names {', '.join(gone[:20])}: what is known of them is used on")


def _bring(context: Context, kept: KeptDocuments, month: Month) -> None:
    target = context.workspace / f"{month.id}.xml"
    try:
        context.fetcher.download(
            f"{API}cvrf/{month.id}",
            target,
            limits=_LIMITS,
            headers={"Accept": "application/xml", "Accept-Encoding": "gzip"},
            expect=("xml",),
        )
        _keep(context, kept, month)
    finally:
        forget(target)
        target.unlink(missing_ok=True)
    kept.set_mark(_mark(month), month.mark)
    kept.commit()


def _keep(context: Context, kept: KeptDocuments, month: Month) -> None:
    behind = f" {month.id}"
    for name in kept.names():
        if name.endswith(behind):
            kept.drop(name)
    for part in cvrf.read(context, context.workspace / f"{month.id}.xml", month.id):
        name = part.id if isinstance(part, cvrf.Said) else _PRODUCTS
        kept.put(f"{name} {month.begun[:10]} {month.id}", month.mark, context.now(), msgspec.json.encode(part))


def _mark(month: Month) -> str:
    return f"month {month.id}"
