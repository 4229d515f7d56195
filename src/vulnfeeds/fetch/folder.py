"""Downloads from a folder mirror: copies with the same checks and ceilings as from the network."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from vulnfeeds.errors import DownloadError, LimitError, StatusError
from vulnfeeds.fetch.interface import Download, Limits
from vulnfeeds.fetch.partial import PartialFile, describe, known_good
from vulnfeeds.fetch.sniff import check_head
from vulnfeeds.fetch.validators import BLOCK, Validators


def copy_into(url: str, file: Path, target: Path, *, limits: Limits, expect: tuple[str, ...]) -> Download:
    """Bring a folder's file into `target`; its size and time of change play the part of an ETag.

    Raises StatusError 404 when there is no such file, DownloadError and LimitError as for any download.
    """
    state = _state_of(url, file)
    place = file.as_uri()
    modified = format_datetime(datetime.fromtimestamp(int(state.st_mtime), UTC), usegmt=True)
    marks = Validators(place, f'"{state.st_mtime_ns:x}-{state.st_size:x}"', modified)
    known = known_good(target, place)
    if known is not None and known.etag == marks.etag:
        return describe(target, known, changed=False, bytes_fetched=0)
    partial = PartialFile(target, url, file.name, expect)
    try:
        partial.begin(Validators(place))
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                partial.write(block, limits.max_bytes)
        return partial.commit(marks, partial.size)
    finally:
        partial.discard()


def read_whole(url: str, file: Path, limits: Limits) -> bytes:
    """Return a small JSON file of a folder. Raises as `copy_into`."""
    if _state_of(url, file).st_size > limits.max_bytes:
        raise LimitError(url, f"more than the {limits.max_bytes} bytes that it may have")
    body = file.read_bytes()
    if not body:
        raise DownloadError(url, "the body is empty")
    check_head(url, file.name, body, ("json",))
    return body


def _state_of(url: str, file: Path) -> os.stat_result:
    try:
        state = file.stat()
    except OSError as error:
        raise StatusError(url, 404, f"the folder mirror has no {file.name}: {error.strerror}") from error
    if not file.is_file():
        raise StatusError(url, 404, f"{file.name} in the folder mirror is no file")
    return state
