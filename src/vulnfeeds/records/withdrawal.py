"""The form of a record that makes clients drop it: they know no delete, only a version that matches nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from vulnfeeds.errors import RecordError
from vulnfeeds.records import canonical, wire

WITHDRAWN: Final = "withdrawn"
"""Key that says so in feeds whose clients have no other way (kev, and feeds that we do not know)."""


def withdraw(feed: str, body: bytes, *, at: str = "") -> bytes:
    """Return the canonical withdrawn form of a record; withdrawing twice gives the same bytes.

    `at` is the time that the key `withdrawn` of github and osv takes (ISO 8601); other feeds do not look at it.
    Raises RecordError when the body does not have its feed's shape.
    """
    try:
        record = msgspec.json.decode(body, type=dict[str, Any])
        return canonical.encode(_FORMS.get(feed, _marked)(record, at))
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise RecordError(f"no withdrawn form: {error!r}") from error


def _without_fixes(record: dict[str, Any], at: str) -> dict[str, Any]:
    return {wire.WRAPPER: {**record[wire.WRAPPER], wire.FIXES: []}}


def _without_cpes(record: dict[str, Any], at: str) -> dict[str, Any]:
    return {**record, wire.CPES: []}


def _without_software(record: dict[str, Any], at: str) -> dict[str, Any]:
    return {**record, wire.SOFTWARE: {}}


def _retracted(record: dict[str, Any], at: str) -> dict[str, Any]:
    advisory = record["Advisory"]
    # Upstream's own date says more than ours.
    return {**record, "Advisory": {**advisory, WITHDRAWN: advisory.get(WITHDRAWN) or at}}


def _without_versions(record: dict[str, Any], at: str) -> dict[str, Any]:
    # The name must stay the only key.
    return {name: {**package, "latest": None, "versions": []} for name, package in record.items()}


def _without_updates(record: dict[str, Any], at: str) -> dict[str, Any]:
    # A record of the group of products is a product itself and names no updates.
    emptied: dict[str, Any] = {wire.MSRC_VULNERABLE: [], wire.MSRC_FIXES: []} if "product" in record else {}
    return {**record, **emptied, WITHDRAWN: True}


def _marked(record: dict[str, Any], at: str) -> dict[str, Any]:
    return {**record, WITHDRAWN: True}


_FORMS: Final[dict[str, Callable[[dict[str, Any], str], dict[str, Any]]]] = {
    "vulnerabilities": _without_fixes,
    "nvdv2": _without_cpes,
    "nvd": _without_software,
    "github": _retracted,
    "osv": _retracted,
    "packages": _without_versions,
    "microsoft": _without_updates,
}
