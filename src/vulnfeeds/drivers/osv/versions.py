"""How versions of an ecosystem are compared, where a document's events are out of order."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from univers.versions import (
    ComposerVersion,
    GolangVersion,
    MavenVersion,
    NugetVersion,
    PypiVersion,
    RubygemsVersion,
    SemverVersion,
    Version,
)

from vulnfeeds.drivers.formats.osv import Order

_KINDS: Final[dict[str, type[Version]]] = {
    "Bitnami": SemverVersion,
    "Go": GolangVersion,
    "Hex": SemverVersion,
    "Maven": MavenVersion,
    "NuGet": NugetVersion,
    "Packagist": ComposerVersion,
    "Pub": SemverVersion,
    "PyPI": PypiVersion,
    "RubyGems": RubygemsVersion,
    "SwiftURL": SemverVersion,
    "npm": SemverVersion,
}
"""By the ecosystem's name in OSV documents."""


def order_of(ecosystem: str, kind: str) -> Order | None:
    """Return how the versions of a range of an ecosystem compare; `kind` is the range's type. None: nobody knows."""
    order = _ORDERS.get(ecosystem.partition(":")[0])
    return order or (_SEMVER if kind == "SEMVER" else None)


def _order(kind: type[Version]) -> Order:
    @lru_cache(maxsize=65536)
    def key(version: str) -> Any:
        try:
            return kind(version)
        except (AttributeError, LookupError) as error:
            # What the library calls refuses in ways of its own.
            raise ValueError(f"{version!r} is no version") from error

    return key


_ORDERS: Final = {ecosystem: _order(kind) for ecosystem, kind in _KINDS.items()}
_SEMVER: Final = _order(SemverVersion)
