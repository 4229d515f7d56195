"""Records of feed `eol`: one release cycle of a product and when its support ends, as endoflife.date gives it.

The wire form is upstream's own item with the product's name and identifiers, keys that we do not know included. Dates
are `YYYY-MM-DD`, or null where none is known.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

FEED: Final = "eol"
GROUP: Final = "eol:products"

Date = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]

_NAMES: Final = {
    "release_date": "releaseDate",
    "eoas_from": "eoasFrom",
    "eol_from": "eolFrom",
    "eoes_from": "eoesFrom",
    "is_eoas": "isEoas",
    "is_eol": "isEol",
    "is_eoes": "isEoes",
}


class Cycle(msgspec.Struct, frozen=True, rename=_NAMES):
    """The keys of a release cycle that are read here."""

    product: str
    name: str
    """Of the cycle: `22.04`, `9`."""
    codename: str | None = None
    release_date: Date | None = None
    eoas_from: Date | None = None
    """End of active support."""
    eol_from: Date | None = None
    """End of security support for everyone."""
    eoes_from: Date | None = None
    """End of extended security support, which has to be bought or asked for."""
    is_eoas: bool | None = None
    is_eol: bool | None = None
    is_eoes: bool | None = None


def key(product: str, cycle: str) -> str:
    """Return the key of a cycle's record: `ubuntu:22.04`."""
    return f"{product}:{cycle}"
