"""The versions of single gems, from the registry's versions API.

GET /api/v1/versions/rails.json -> [{"number": "8.0.2", "prerelease": false, "authors": "David Heinemeier Hansson",
                                     "licenses": ["MIT"], "platform": "ruby", ...}, ...]     the newest first
"""

from __future__ import annotations

from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import KeptDocuments, Wanted, bring
from vulnfeeds.errors import ParseError
from vulnfeeds.records.packages import GemPackage

FORM: Final = "gem 1"
"""Raised when the kept form of a gem changes: all are asked for again."""
KEPT: Final = "gems.sqlite"
_AT_ONCE: Final = 4
_HOUR: Final = 3600.0


class _Version(msgspec.Struct):
    number: str
    prerelease: bool = False
    platform: str = ""
    authors: str | None = None
    licenses: list[str] | None = None


_versions: Final = msgspec.json.Decoder(list[_Version])


def fetch(context: Context, site: str, names: frozenset[str], refresh_hours: float) -> str:
    """Bring what the API says of the gems that were last asked for so long ago; return a mark of all that is kept.

    A gem that the registry does not have any more is forgotten, and so is one that nobody wants.
    """
    with KeptDocuments(context.workspace / KEPT, FORM) as kept:
        for name in set(kept.names()) - names:
            kept.drop(name)
        kept.commit()
        due = context.now() - refresh_hours * _HOUR
        wanted = [
            Wanted(name, f"{site.rstrip('/')}/api/v1/versions/{name}.json", "", may_be_gone=True)
            for name in sorted(names)
            if context.forced or (known := kept.find(name)) is None or known.asked <= due
        ]
        bring(context, kept, wanted, read, at_once=_AT_ONCE)
        return kept.fingerprint()


def read(name: str, data: bytes) -> bytes:
    """Return the record of a gem from an answer about it. Raises ParseError for another shape."""
    try:
        found = _versions.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"versions of {name}", str(error)) from error
    if not found:
        raise ParseError(f"versions of {name}", "the list is empty")
    finals = [version for version in found if not version.prerelease]
    general = [version for version in finals if version.platform == "ruby"] or finals
    return msgspec.json.encode(
        GemPackage(
            name=name,
            versions=tuple(sorted({version.number for version in found})),
            latest=general[0].number if general else None,
            authors=tuple(sorted({(version.authors or "").strip() for version in found} - {""})),
            licenses=tuple(sorted({item for version in found for item in version.licenses or ()})),
        )
    )
