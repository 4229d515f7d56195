"""A download that is being written: `<name>.partial`, counted, hashed, checked, then put in place atomically."""

from __future__ import annotations

import hashlib
import os
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from vulnfeeds.errors import DownloadError, LimitError
from vulnfeeds.fetch.interface import Download
from vulnfeeds.fetch.sniff import HEAD_BYTES, check_head
from vulnfeeds.fetch.validators import BLOCK, Validators, digest_of, load, save, sync_folder, validators_path


class PartialFile:
    """The file that a body is written to; a context manager that keeps the partial file for resuming when left early.

    `url` and `name` (the path of the URL) are for errors and for the check of the content's type.
    """

    def __init__(self, target: Path, url: str, name: str, expect: tuple[str, ...]) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".partial")
        self.marks_path = target.with_name(target.name + ".partial.json")
        self.size = 0
        """Bytes in the file."""
        self._url = url
        self._name = name
        self._expect = expect
        self._head = b""
        self._checked = False
        self._hash = hashlib.sha256()
        self._stream: BinaryIO | None = None

    def resumable(self, place: str) -> Validators | None:
        """Return the marks of a partial body of the same address that can be resumed, else None."""
        marks = load(self.marks_path)
        if marks is None or marks.url != place or not marks.resume_mark:
            return None
        return marks if self.path.is_file() and self.path.stat().st_size > 0 else None

    def begin(self, marks: Validators) -> None:
        """Start a new body; `marks` allow to resume it (when it has a resume mark)."""
        self.close()
        self.discard()
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.path.open("wb", buffering=BLOCK // 4)
        self.size, self._head, self._checked, self._hash = 0, b"", False, hashlib.sha256()
        if marks.resume_mark:
            save(self.marks_path, marks)

    def resume(self) -> None:
        """Go on with the body that is there, after reading it again for its digest."""
        self.close()
        self.size, self._head, self._checked, self._hash = 0, b"", False, hashlib.sha256()
        with self.path.open("rb") as stream:
            while block := stream.read(BLOCK):
                self._take(block)
        self._stream = self.path.open("ab", buffering=BLOCK // 4)

    def write(self, block: bytes, most: int) -> None:
        """Append bytes. Raises LimitError above `most` bytes, DownloadError when they are of the wrong type."""
        if self._stream is None:
            raise ValueError("write() before begin() or resume()")
        if self.size + len(block) > most:
            raise LimitError(self._url, f"more than the {most} bytes that it may have")
        self._take(block)
        self._stream.write(block)
        if not self._checked and self.size >= HEAD_BYTES:
            self._check()

    def _take(self, block: bytes) -> None:
        self._hash.update(block)
        self.size += len(block)
        if len(self._head) < HEAD_BYTES:
            self._head += block[: HEAD_BYTES - len(self._head)]

    def _check(self) -> None:
        check_head(self._url, self._name, self._head, self._expect)
        self._checked = True

    def commit(self, validators: Validators, bytes_fetched: int) -> Download:
        """Put the whole body in the place of the target and keep its validators.

        A body equal to the target leaves the target alone.
        Raises DownloadError when it is empty or of the wrong type.
        """
        if self._stream is None:
            raise ValueError("commit() before begin() or resume()")
        if self.size == 0:
            raise DownloadError(self._url, "the body is empty")
        self._check()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.close()
        sha256 = self._hash.hexdigest()
        changed = not (self.target.is_file() and self._same_as_target(sha256))
        if changed:
            self.path.replace(self.target)
        self.discard()
        whole = Validators(validators.url, validators.etag, validators.last_modified, sha256, self.size)
        save(validators_path(self.target), whole)
        sync_folder(self.target.parent)
        return describe(self.target, whole, changed=changed, bytes_fetched=bytes_fetched)

    def _same_as_target(self, sha256: str) -> bool:
        return self.target.stat().st_size == self.size and digest_of(self.target) == sha256

    def close(self) -> None:
        """Close the file and leave it where it is."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def discard(self) -> None:
        """Remove the partial body and its marks."""
        self.close()
        self.marks_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def known_good(target: Path, place: str) -> Validators | None:
    """Return the validators of a target that is still exactly what they describe, else None."""
    validators = load(validators_path(target))
    if validators is None or validators.url != place or not target.is_file():
        return None
    if target.stat().st_size != validators.size or digest_of(target) != validators.sha256:
        return None
    return validators


def describe(target: Path, validators: Validators, *, changed: bool, bytes_fetched: int) -> Download:
    """Return the Download for a target and its validators."""
    try:
        modified = parsedate_to_datetime(validators.last_modified) if validators.last_modified else None
    except (TypeError, ValueError, OverflowError, LookupError):
        modified = None
    return Download(target, changed, validators.sha256, bytes_fetched, modified)
