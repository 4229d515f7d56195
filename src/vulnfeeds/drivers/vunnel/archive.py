"""Archives of finished workspaces, and the listing that names them.

    {"schema": {...}, "available": {"1": [{"built": "2024-08-29T06:12:00Z", "distribution_version": 1,
      "url": "https://HOST/arch/1/vunnel-1-arch_archive.tar.zst", "distribution_checksum": "sha256:...",
      "enclosed_checksum": "xxh64:..."}]}}

In the archive is the workspace, in a folder of its own or not: `arch/metadata.json`, `arch/checksums`,
`arch/results/...`. Nothing else is taken from it.
"""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urljoin

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.vunnel import schemas
from vulnfeeds.drivers.vunnel.settings import SourceSettings
from vulnfeeds.drivers.vunnel.workspace import METADATA, Schema, same
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.fetch.interface import Limits, forget

LISTING: Final = "listing.json"
ARCHIVE: Final = "archive"

_LISTING_LIMITS: Final = Limits(max_bytes=16 << 20)
_LIMITS: Final = Limits(max_bytes=8 << 30)
_ARCHIVE_LIMITS: Final = ArchiveLimits(max_member_bytes=8 << 30)
_MEMBER: Final = re.compile(r"(?:([^/]+)/)?(metadata\.json|checksums|results/.+)")
_CHECKSUM: Final = re.compile(r"sha256:([0-9a-f]{64})")


class Entry(msgspec.Struct):
    """One archive of a listing."""

    built: datetime
    url: str
    distribution_checksum: str
    """Digest of the archive."""
    enclosed_checksum: str = ""
    """Digest of the listing of checksums within it."""


class _Listing(msgspec.Struct, rename={"source": "provider"}):
    schema: Schema
    source: str
    available: dict[str, list[Entry]]


class Brought(msgspec.Struct, frozen=True):
    """An archive in our folder."""

    path: Path
    url: str
    sha256: str
    enclosed: str = ""
    """What the listing says the digest of its checksums is, with the algorithm before it; "" when it says none."""


def bring(context: Context, folder: Path, name: str, source: SourceSettings) -> Brought:
    """Bring the archive that the settings lead to, by way of a listing or not.

    Raises UpstreamError when it cannot be had or is not the one that was announced, ParseError for a listing of
    another shape, schema or source.
    """
    url, wanted, enclosed = source.archive, source.archive_sha256.lower(), ""
    if url.partition("?")[0].endswith(".json"):
        entry = _newest(context, folder / LISTING, name, url)
        url, enclosed = urljoin(url, entry.url), entry.enclosed_checksum
        announced = _CHECKSUM.fullmatch(entry.distribution_checksum)
        if announced is None:
            raise ParseError(LISTING, f"{entry.distribution_checksum[:80]!r} is no SHA-256 of an archive")
        wanted = wanted or announced[1]
    brought = context.fetcher.download(
        url, folder / ARCHIVE, limits=_LIMITS, expect=("zstd", "gzip", "xz", "bzip2", "tar")
    )
    if wanted and brought.sha256 != wanted:
        raise DownloadError(url, f"the archive's SHA-256 is {brought.sha256}, announced is {wanted}")
    return Brought(path=brought.path, url=url, sha256=brought.sha256, enclosed=enclosed)


def distrust(folder: Path) -> None:
    """Let listing and archive be asked for without a condition: their ETag may be of other bytes than ours."""
    for name in (LISTING, ARCHIVE):
        forget(folder / name)


def unpack(archive: Brought, folder: Path) -> None:
    """Unpack the workspace of an archive into a folder, which is made.

    Raises DownloadError for names that lead out of it, links, two workspaces in one archive, or none; LimitError
    above the ceilings.
    """
    roots: set[str] = set()
    for name, content in members(
        archive.path, wanted=lambda name: bool(_MEMBER.fullmatch(name)), limits=_ARCHIVE_LIMITS, url=archive.url
    ):
        found = _MEMBER.fullmatch(name)
        if found is None:
            continue
        roots.add(found[1] or "")
        if len(roots) > 1:
            raise DownloadError(archive.url, f"the archive holds several workspaces: {sorted(roots)}"[:300])
        try:
            _write(content, folder / found[2])
        except OSError as error:
            raise DownloadError(archive.url, f"{name[:120]!r} cannot be unpacked: {error.strerror}") from error
    if not (folder / METADATA).is_file():
        raise DownloadError(archive.url, f"the archive holds no workspace: no {METADATA}")


def _newest(context: Context, target: Path, name: str, url: str) -> Entry:
    brought = context.fetcher.download(url, target, limits=_LISTING_LIMITS, expect=("json",))
    try:
        listing = msgspec.json.decode(brought.path.read_bytes(), type=_Listing)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(LISTING, str(error)) from error
    schemas.check(listing.schema.url, schemas.LISTING, LISTING)
    if same(listing.source) != same(name):
        raise ParseError(LISTING, f"is of {listing.source[:64]!r}, not of {name!r}")
    versions = {int(version): entries for version, entries in listing.available.items() if version.isdecimal()}
    entries = versions[max(versions)] if versions else []
    try:
        return max(entries, key=lambda entry: entry.built)
    except (ValueError, TypeError) as error:
        raise ParseError(LISTING, "names no archive, or times with and without a zone") from error


def _write(content: BinaryIO, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
