"""Settings of driver npm, and what it takes from the user's own settings of npm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from vulnfeeds.drivers.interface import DriverSettings

_MOST_BYTES: Final = 1 << 20


class NPMSettings(DriverSettings, frozen=True, kw_only=True):
    """Which packages, and where they come from: there is no default address."""

    registry: str = ""
    """Address of the registry. Empty: the `registry` of `npmrc`."""
    replica: str = ""
    """Address of the registry's replica, whose stream of changes (`REPLICA/_changes`) tells which documents to ask
    for again. Empty: the `replica` of `npmrc`, else each document is asked for again when it is old."""
    npmrc: str = "~/.npmrc"
    """Settings file of npm, read for addresses only."""
    only: tuple[str, ...] = ()
    """Only these packages."""
    packages: str = ""
    """Text file with more such names, or package URLs (`pkg:npm/%40babel/core@7.24.0`), one a line: what you use."""
    refresh_hours: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    """How long a document holds when there is no replica."""
    abbreviated: bool = False
    """Ask for short documents, without authors, licences and source."""
    max_document_mb: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32
    """Largest document that is read; of a larger one the short form is asked for."""

    def __post_init__(self) -> None:
        """Refuse addresses that are none. Raises ValueError."""
        for name in ("registry", "replica"):
            if getattr(self, name) and not _is_address(getattr(self, name)):
                raise ValueError(f"{name} is no http or https URL")

    def address(self, name: str) -> str:
        """Return the address `registry` or `replica`, without a slash at its end; "" when none is set."""
        own: str = getattr(self, name)
        return (own or _of_npm(self.npmrc).get(name, "")).rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and "@" not in parts.netloc


def _of_npm(file: str) -> dict[str, str]:
    """Return the addresses in a settings file of npm; none when there is no such file."""
    if not file:
        return {}
    try:
        with Path(file).expanduser().open("rb") as stream:
            lines = stream.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, RuntimeError):
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", ";")))
    found = {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return {name: value for name, value in found.items() if _is_address(value)}
