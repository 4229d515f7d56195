"""What is kept beside a download to ask "has it changed?" next time, and beside a partial one to resume it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from vulnfeeds.fetch.interface import VALIDATORS

BLOCK = 1 << 20
_LONGEST_MARK = 1000


class Validators(msgspec.Struct, frozen=True):
    """What an upstream said about a body, and what the body is."""

    url: str
    """The address that was asked, after the map: another server's marks mean nothing here."""
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""
    """Hex digest of the file; "" for a partial one."""
    size: int = 0
    """Bytes of the file; for a partial one those of the whole body, 0 when unknown."""

    @property
    def resume_mark(self) -> str:
        """Return what If-Range may hold, "" when the body cannot be resumed safely (no mark, or a weak one)."""
        if self.etag and not self.etag.startswith("W/") and is_sendable(self.etag):
            return self.etag
        return self.last_modified if is_sendable(self.last_modified) else ""


def is_sendable(mark: str) -> bool:
    """Tell whether an upstream's mark can be sent back to it: only printable ASCII of a sensible length can."""
    return mark.isascii() and mark.isprintable() and len(mark) <= _LONGEST_MARK


def validators_path(target: Path) -> Path:
    """Return where the validators of `target` lie."""
    return target.with_name(target.name + VALIDATORS)


def load(path: Path) -> Validators | None:
    """Return what is kept at `path`; None when there is nothing that can be read, which only costs a request."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Validators)
    except (OSError, ValueError, RecursionError):
        return None


def save(path: Path, validators: Validators) -> None:
    """Write validators atomically."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.encode(validators))
    fresh.replace(path)


def digest_of(path: Path) -> str:
    """Return the sha256 of a file as hex digits."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
