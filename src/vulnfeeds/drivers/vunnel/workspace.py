"""A workspace of vunnel's: what it says of itself, and whether its results are whole.

    arch/metadata.json          who made it, when, and the digest of `checksums`
    arch/checksums              94e5d70b05084b28  results/results.db
    arch/results/results.db     table results (id, record), or results/ID.json each

vunnel writes the results first, then `checksums`, then `metadata.json`. One that is being written, or was left half
written, shows in a digest that does not fit.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import xxhash

from vulnfeeds.drivers.vunnel import schemas
from vulnfeeds.errors import DownloadError, ParseError
from vulnfeeds.fetch.archives import safe_name

METADATA: Final = "metadata.json"
RESULTS: Final = "results/"
DATABASE: Final = "results/results.db"

_BLOCK: Final = 1 << 20
_MOST_METADATA: Final = 16 << 20
_LINE: Final = re.compile(r"([0-9a-f]{16}|[0-9a-f]{64})\s+(\S.*)")
_LONGEST_LINE: Final = 8192
_HASHES: Final[dict[str, Any]] = {"xxh64": xxhash.xxh64, "sha256": hashlib.sha256}
_HOW = "is vunnel at work there, or did it end half-way?"


class Listing(msgspec.Struct):
    """Where the digests of the results are, and the digest of that file itself."""

    digest: str
    path: str
    algorithm: Literal["xxh64", "sha256"] = "xxh64"


class Schema(msgspec.Struct):
    """Under which schema a document is written."""

    url: str
    version: str = ""


class State(msgspec.Struct, rename={"source": "provider"}):
    """What a workspace says of itself."""

    source: str
    """vunnel's name of what it is of."""
    store: Literal["sqlite", "flat-file"]
    timestamp: datetime
    """When the run that made it began."""
    schema: Schema
    listing: Listing | None = None
    stale: bool = False
    """The results were imported, not made there."""


_state: Final = msgspec.json.Decoder(State)


class Workspace:
    """A workspace, known to be of a source; `name` stands for it in errors.

    Raises ParseError when it is of another source, of an unknown schema, or tells no listing.
    """

    def __init__(self, folder: Path, source: str, name: str) -> None:
        self.folder = folder
        self._name = name
        place = f"{name}/{METADATA}"
        self.state = self._read_state(place)
        schemas.check(self.state.schema.url, schemas.STATE, place)
        if same(self.state.source) != same(source):
            raise ParseError(place, f"is of {self.state.source[:64]!r}, not of {source!r}")
        if self.state.timestamp.tzinfo is None:
            raise ParseError(place, "timestamp has no time zone")
        if self.state.listing is None:
            raise ParseError(place, "names no listing of checksums: the results were cleared, or never finished")
        self.listing: Listing = self.state.listing
        if "/" in self.listing.path or self.listing.path in ("", ".", ".."):
            raise ParseError(place, f"the listing {self.listing.path[:80]!r} is no file beside it")

    @property
    def mark(self) -> str:
        """Return what two workspaces with the same results have in common. Raises ParseError without a listing."""
        with self._open(self.listing.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def refuse_stale(self, now: float, max_age_days: float) -> None:
        """Raise ParseError when the results are older than they may be (0: any age)."""
        days = (now - self.state.timestamp.timestamp()) / 86400
        if max_age_days and days > max_age_days:
            raise ParseError(
                f"{self._name}/{METADATA}",
                f"the results are stale: of {self.state.timestamp:%Y-%m-%dT%H:%M:%SZ}, {days:.1f} days old;"
                f" {max_age_days:g} are allowed (max_age_days)",
            )

    def verify_listing(self) -> None:
        """Raise ParseError unless the listing is as its digest says."""
        with self._open(self.listing.path) as file:
            found = self._digest(file)
        if found != self.listing.digest:
            raise ParseError(
                f"{self._name}/{self.listing.path}",
                f"its digest is {found}, {METADATA} says {self.listing.digest[:80]!r}: {_HOW}",
            )

    def verify(self) -> None:
        """Raise ParseError unless the listing and every file of results that is read are as their digests say."""
        self.verify_listing()
        for path, digest in self.listed():
            with self._open(path) as file:
                found = self._digest(file)
            if found != digest:
                raise ParseError(
                    f"{self._name}/{path}", f"its digest is {found}, {self.listing.path} says {digest}: {_HOW}"
                )

    def listed(self) -> Iterator[tuple[str, str]]:
        """Yield (path, digest) of the files that hold results, in the listing's order.

        Raises ParseError for a line of another form, for a path that leads out of the results, and when there is no
        file of results.
        """
        place = f"{self._name}/{self.listing.path}"
        count = 0
        with self._open(self.listing.path) as file:
            for number, raw in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                found = _LINE.fullmatch(raw.decode("utf-8", "replace").strip())
                if found is None:
                    raise ParseError(f"{place} line {number}", "is no digest and path")
                digest, path = found[1], found[2]
                try:
                    safe = safe_name(place, path)
                except DownloadError as error:
                    raise ParseError(f"{place} line {number}", f"{path[:120]!r} leads out of the folder") from error
                if safe != path or not path.startswith(RESULTS):
                    raise ParseError(f"{place} line {number}", f"{path[:120]!r} is no file of results")
                if path == DATABASE if self.state.store == "sqlite" else path.endswith(".json"):
                    count += 1
                    yield path, digest
        if not count:
            raise ParseError(place, f"names no results of a {self.state.store} store")

    def path(self, name: str) -> Path:
        """Return a file of the workspace. Raises ParseError when it is none, or a link that leads elsewhere."""
        path = self.folder / name
        if not path.is_file() or not path.resolve().is_relative_to(self.folder.resolve()):
            raise ParseError(f"{self._name}/{name}", f"is no file: {_HOW}")
        return path

    def _read_state(self, place: str) -> State:
        path = self.path(METADATA)
        if path.stat().st_size > _MOST_METADATA:
            raise ParseError(place, f"has more than {_MOST_METADATA} bytes")
        try:
            return _state.decode(path.read_bytes())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ParseError(place, str(error)) from error

    def _open(self, name: str) -> io.BufferedReader:
        try:
            return self.path(name).open("rb")
        except OSError as error:
            raise ParseError(f"{self._name}/{name}", f"cannot be read: {error.strerror}") from error

    def _digest(self, file: io.BufferedReader) -> str:
        hasher = _HASHES[self.listing.algorithm]()
        while block := file.read(_BLOCK):
            hasher.update(block)
        return str(hasher.hexdigest())


def same(name: str) -> str:
    """Return vunnel's name of a source as names are compared: it writes "-" and "_" for each other."""
    return name.lower().replace("_", "-")
