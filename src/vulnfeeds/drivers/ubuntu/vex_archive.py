"""Canonical's VEX archive (OpenVEX): for each CVE, what becomes of each package of each release.

    statements: [{status: "affected", action_statement: "... decided to not fix it.",
                  products: [{"@id": "pkg:deb/ubuntu/glibc@2.23-0ubuntu11.3?arch=source&distro=xenial"}, ...]}]

OSV says what is affected and what fixes it. Only here stands that there will be no fix, and that a package was never
affected. Products are listed for every binary and architecture; the source packages are enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from vulnfeeds.drivers.ubuntu.issues import Remarks
from vulnfeeds.drivers.ubuntu.osv_archive import LIMITS, Unknown
from vulnfeeds.drivers.ubuntu.releases import channel
from vulnfeeds.errors import ParseError
from vulnfeeds.fetch.archives import members
from vulnfeeds.records.vulnerability import NOT_AFFECTED

WILL_NOT_FIX: Final = "-"
"""What stands for it in a remark; the package stays affected."""

_MEMBER = re.compile(r"(?:[^/]+/)*(CVE-\d{4}-\d{4,})\.json")
_SOURCE = re.compile(r"pkg:deb/ubuntu/([^@?/]+)(?:@[^?]*)?\?(?:[^#]*&)?arch=source(?![^&#])")
_LONGEST: Final = 1000
"""Characters of the longest product that is looked at; true ones stay below 200."""
_DISTRO = re.compile(r"[?&]distro=([^&#]+)")
_NO_FIX = re.compile(r"decided to not fix|no longer supported", re.IGNORECASE)
_ABSENT: Final = "component_not_present"
_STATUSES: Final = frozenset({"affected", "not_affected", "fixed", "under_investigation"})


class _Product(msgspec.Struct):
    id: str = msgspec.field(name="@id")


class _Statement(msgspec.Struct):
    status: str
    products: list[_Product] = []
    action_statement: str = ""
    justification: str = ""


class _Document(msgspec.Struct):
    statements: list[_Statement]


_decoder: Final = msgspec.json.Decoder(_Document)


def read(
    path: Path, versions: Mapping[str, str], wanted: Callable[[str], bool], unknown: Unknown
) -> Iterator[Remarks]:
    """Yield remarks WILL_NOT_FIX and NOT_AFFECTED by CVE, on releases without Ubuntu Pro; `versions` are by codename.

    Raises ParseError, naming the member, when a document has another shape or when there is none, and what
    `archives.members` raises.
    """
    found = False
    for name, stream in members(path, wanted=lambda name: bool(_MEMBER.fullmatch(name)), limits=LIMITS):
        found = True
        remarks = [
            (versions[codename], package, meaning)
            for statement in _decoded(stream.read(), f"{path.name}: {name}").statements
            if (meaning := _meaning(statement, unknown))
            for codename, package in _sources(statement.products)
            if codename in versions and wanted(versions[codename])
        ]
        if remarks:
            yield Remarks(name.rpartition("/")[2].removesuffix(".json"), remarks)
    if not found:
        raise ParseError(path.name, "no VEX document in the archive")


def _decoded(data: bytes, place: str) -> _Document:
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(place, str(error)) from error


def _meaning(statement: _Statement, unknown: Unknown) -> str:
    """Return WILL_NOT_FIX, NOT_AFFECTED, or "" for what OSV says too."""
    if statement.status not in _STATUSES:
        unknown("status", statement.status)
    if statement.status == "affected" and _NO_FIX.search(statement.action_statement):
        return WILL_NOT_FIX
    return NOT_AFFECTED if statement.status == "not_affected" and statement.justification != _ABSENT else ""


def _sources(products: list[_Product]) -> Iterator[tuple[str, str]]:
    """Yield (codename, package) of the source packages of releases without Ubuntu Pro."""
    for product in products:
        if "arch=source" not in product.id or len(product.id) > _LONGEST:
            continue
        source = _SOURCE.match(product.id)
        if source is None:
            continue
        distro = _DISTRO.search(product.id)
        part = channel(unquote(distro[1])) if distro else None
        if part is not None and not part.esm:
            yield part.codename, unquote(source[1])
