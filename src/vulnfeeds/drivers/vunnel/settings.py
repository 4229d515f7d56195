"""Settings of driver vunnel: its sources, where the results of each come from, and which groups they fill."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from vulnfeeds.drivers.interface import DriverSettings

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WAYS: Final = ("program", "workspace", "archive")
_OF_PROGRAM: Final = ("arguments", "config", "environment", "secrets")
_OF_ARCHIVE: Final = ("archive_sha256", "archives_at")


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of vunnel's sources; one of `program`, `workspace` and `archive` says where its results come from."""

    program: str = ""
    """Program to run: a path, or a name that is looked for in the `PATH` of `environment`. It is called as
    `PROGRAM ARGUMENTS -c FILE run NAME`, where FILE names the folder in which it must leave its results."""
    arguments: tuple[str, ...] = ()
    """Arguments of the program before ours (`-m`, `vunnel`)."""
    config: str = ""
    """vunnel's own settings file (YAML), of which the program gets a copy with another `root`. Empty: vunnel's
    defaults."""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables that the program gets besides `PATH`, `HOME`, `TMPDIR` and `LANG`. It gets none of the service's."""
    secrets: tuple[Literal["NVD_API_KEY", "GITHUB_TOKEN"], ...] = ()
    """Tokens of the service that the program gets as variables."""
    seconds: Positive = 7200.0
    """A program that takes longer is ended with all that it started."""
    workspace: str = ""
    """Folder of a finished workspace: that with the `metadata.json` of this source."""
    archive: str = ""
    """URL of a `listing.json` whose newest archive is read, or of an archive (tar, plain or packed)."""
    archive_sha256: str = ""
    """SHA-256 that the archive must have, in hexadecimal digits; a listing gives that of its own archives."""
    archives_at: str = ""
    """What the URLs of a listing's archives begin with when they are on another host than the listing."""
    max_age_days: NotNegative = 7.0
    """Results that vunnel made longer ago are refused as stale. 0: any age."""
    prefix: str = "vunnel-"
    """Put before groups that would be of the same family as those of one of our own drivers (`vunnel-arch:rolling`).
    Empty: the names stay as they are, and that driver must be off."""
    rename: dict[str, str] = msgspec.field(default_factory=dict)
    """Group by vunnel's name of it (`"rhel:8" = "lab:8"`), or family by family (`"rhel" = "lab"`); wins over
    `prefix`."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself. Raises ValueError."""
        ways = [way for way in _WAYS if getattr(self, way)]
        if len(ways) != 1:
            raise ValueError(f"exactly one of {', '.join(_WAYS)} is needed, there is {' and '.join(ways) or 'none'}")
        for way, others in (("program", _OF_PROGRAM), ("archive", _OF_ARCHIVE)):
            for other in others:
                if getattr(self, other) and ways != [way]:
                    raise ValueError(f"{other} goes with {way} only")
        for url in (self.archive, self.archives_at):
            if url and urlsplit(url).scheme not in ("http", "https"):
                raise ValueError(f"{url[:80]!r} is no http or https URL")
        if self.archive_sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", self.archive_sha256):
            raise ValueError("archive_sha256 has 64 hexadecimal digits")


class VunnelSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver vunnel."""

    sources: dict[str, SourceSettings] = msgspec.field(default_factory=dict)
    """vunnel's sources to read, by vunnel's name of them (`[driver.vunnel.sources.arch]`)."""

    def __post_init__(self) -> None:
        """Refuse names that no source of vunnel has. Raises ValueError."""
        for name in self.sources:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:64]!r} is no name of a source: small letters, digits, '-' and '_'")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the prefixes of all URLs that are asked for; what a program asks is not among them."""
        found: dict[str, None] = {}
        for source in self.sources.values():
            if source.archive:
                parts = urlsplit(source.archive)
                found[f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"] = None
            if source.archives_at:
                found[source.archives_at] = None
        return tuple(found)
