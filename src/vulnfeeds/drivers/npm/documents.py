"""A package's document in npm's registry, full or abbreviated, and what is kept of it.

    {"name": "left-pad", "dist-tags": {"latest": "1.3.0"}, "versions": {"1.3.0": {...}, ...}, "license": "WTFPL",
     "author": {"name": ..., "email": ..., "url": ...}, "maintainers": [{"name": ..., "email": ...}],
     "repository": {"type": "git", "url": "git+https://..."}}

A package that was taken back has a document without versions.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vulnfeeds.errors import ParseError
from vulnfeeds.records.packages import NPMPackage


class _Document(msgspec.Struct):
    name: str
    tags: dict[str, str] = msgspec.field(name="dist-tags", default_factory=dict)
    versions: dict[str, msgspec.Raw] = {}
    # What people write by hand comes in more shapes than the registry's own part.
    author: Any = None
    maintainers: Any = None
    license: Any = None
    licenses: Any = None
    repository: Any = None


_documents: Final = msgspec.json.Decoder(_Document)


def read(name: str, data: bytes) -> bytes:
    """Return the record of a package from its document. Raises ParseError for another shape or another package."""
    try:
        document = _documents.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"document of {name}", str(error)) from error
    if document.name != name:
        raise ParseError(f"document of {name}", f"is of {document.name[:80]!r}")
    latest = document.tags.get("latest")
    return msgspec.json.encode(
        NPMPackage(
            name=name,
            versions=tuple(sorted(document.versions)),
            latest=latest if latest in document.versions else None,
            origins=_origins(document),
            lics=tuple(sorted({*_licences(document.license), *_licences(document.licenses)})),
            sourcepkg=_said(document.repository, "url") or None,
        )
    )


def _origins(document: _Document) -> tuple[str, ...]:
    """Return the author, with an address of the web, else the maintainers, with those of mail, as the original."""
    author = _person(document.author, "url")
    if author:
        return (author,)
    listed = document.maintainers if isinstance(document.maintainers, list) else []
    return tuple(sorted({person for item in listed if (person := _person(item, "email"))}))


def _person(value: Any, address: str) -> str:
    name = _said(value, "name")
    where = _said(value, address) if isinstance(value, dict) else ""
    return f"{name} ({where})" if name and where else name


def _licences(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for item in items if (text := _said(item, "type"))]


def _said(value: Any, field: str) -> str:
    """Return a text, or that in a field of an object; "" for anything else."""
    found = value.get(field) if isinstance(value, dict) else value
    return found.strip() if isinstance(found, str) else ""
