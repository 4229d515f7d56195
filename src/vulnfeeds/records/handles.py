"""Handles: the words under which a record is found, derived from its outline. Pure.

A record's own key is not among them: the store finds records by key without.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final, NamedTuple

from vulnfeeds.errors import RecordError
from vulnfeeds.records.outline import Outline, outline, product_word

RULES: Final = 1
"""Raised when a record's handles come out otherwise: the store then makes all of them anew."""
LONGEST: Final = 400
"""Bytes of a word; what is longer is no identifier and no name, and an index of PostgreSQL would refuse it."""

_SEPARATORS: Final = re.compile(r"[-_.]+")
_PYTHON: Final = "github:python"


class Kind(IntEnum):
    """What a word is to the record."""

    ALIAS = 1
    """Another name of the same vulnerability."""
    COVERS = 2
    """A vulnerability that the advisory is about, among others or alone."""
    CITES = 3
    """An advisory that a fix is cited in."""
    PACKAGE = 4
    """A package, as `package_words` writes its name."""
    PRODUCT = 5
    """`vendor:product` of a CPE name."""


class Handle(NamedTuple):
    """A word under which a record is found."""

    kind: int
    word: str


def handles(feed: str, group: str, key: str, body: bytes, *, withdrawn: bool = False) -> frozenset[Handle]:
    """Return a record's handles; none for a body that does not have its feed's shape."""
    try:
        found = outline(feed, group, key, body, withdrawn=withdrawn)
    except RecordError:
        return frozenset()
    return of_outline(group, found)


def of_outline(group: str, found: Outline) -> frozenset[Handle]:
    """Return the handles of a record with that outline."""
    made = {Handle(Kind.ALIAS, word) for word in found.aliases}
    made |= {Handle(Kind.COVERS, word) for word in found.covers}
    for fix in found.fixes:
        made.add(Handle(Kind.PACKAGE, package_word(group, fix.package)))
        made |= {Handle(Kind.CITES, cited.id) for cited in fix.advisories}
    for name in {product.cpe for product in found.products}:
        if word := product_word(name):
            made.add(Handle(Kind.PRODUCT, word))
    return frozenset(handle for handle in made if _fits(handle.word))


def _fits(word: str) -> bool:
    return 0 < len(word) <= LONGEST and (word.isascii() or len(word.encode("utf-8", "replace")) <= LONGEST)


def package_word(group: str, name: str) -> str:
    """Return a package's name as it is looked for in a group: in small letters, and Python's by PEP 503."""
    word = name.lower()
    return _SEPARATORS.sub("-", word) if group == _PYTHON else word


def package_words(name: str) -> tuple[str, ...]:
    """Return the words under which a package of that name may be found, whatever the group."""
    return tuple(dict.fromkeys((name.lower(), package_word(_PYTHON, name))))


def identifier(text: str) -> str:
    """Return an identifier as records write it: the prefixes whose letters have one form are mended, others stay."""
    prefix, _, rest = text.partition("-")
    if prefix.upper() == "GHSA":
        return f"GHSA-{rest.lower()}"
    return text.upper() if prefix.upper() in _CAPITALS else text


_CAPITALS: Final = frozenset(
    {"CVE", "RHSA", "RHBA", "RHEA", "ELSA", "ALAS", "ALAS2", "DSA", "DLA", "USN", "GO", "PYSEC", "RUSTSEC"}
)
