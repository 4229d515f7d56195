"""Records of feed `kev`: one vulnerability that CISA knows to be exploited, as the catalog gives it.

The wire form is upstream's own item, keys that we do not know included, so that nothing is lost when CISA adds one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vulnfeeds.errors import RecordError

RANSOMWARE_USE: Final = ("Known", "Unknown")
"""What the catalog says of use in ransomware campaigns."""

_CVE: Final = "cveID"
_NAMES: Final = {
    "cve_id": _CVE,
    "vendor_project": "vendorProject",
    "vulnerability_name": "vulnerabilityName",
    "date_added": "dateAdded",
    "short_description": "shortDescription",
    "required_action": "requiredAction",
    "due_date": "dueDate",
    "known_ransomware_campaign_use": "knownRansomwareCampaignUse",
}


class KnownExploited(msgspec.Struct, frozen=True, rename=_NAMES):
    """The keys of an item that are there on every record; dates are `YYYY-MM-DD`."""

    cve_id: str
    vendor_project: str
    product: str
    vulnerability_name: str
    date_added: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_campaign_use: str = "Unknown"
    notes: str = ""
    cwes: tuple[str, ...] = ()


def view(body: dict[str, Any]) -> KnownExploited:
    """Return the typed view of a record's body.

    Raises RecordError when a required key is missing or of another type, or when a key is half a surrogate pair.
    """
    try:
        return msgspec.convert(body, KnownExploited)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise RecordError(str(error)) from error
