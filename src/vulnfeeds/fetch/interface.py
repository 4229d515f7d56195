"""The contract between drivers and the network: a Fetcher gives downloads, bounded and conditional.

Drivers name upstream URLs; the fetcher applies the upstream map (mirrors), validators, limits and retries. Tests and
closed networks use the same seam with a folder or another address behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

VALIDATORS: Final = ".validators.json"
"""What is added to the name of a download for the file that holds its validators."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The ceilings of one download."""

    max_bytes: int = 2 << 30
    """Most bytes on the wire."""
    max_seconds: float = 3600.0
    """Most seconds from the first request to the last byte, retries included."""


class Download(msgspec.Struct, frozen=True):
    """A file in a workspace that holds an upstream's answer."""

    path: Path
    changed: bool
    """False when the upstream confirmed, or the digest shows, that the bytes are those of last time."""
    sha256: str
    """Hex digest of the file's bytes."""
    bytes_fetched: int
    """Bytes that came over the wire; 0 when the upstream said "not modified"."""
    last_modified: datetime | None = None


def forget(target: Path) -> None:
    """Let the next download of `target` be an unconditional one: its bytes may not be what upstream has."""
    target.with_name(target.name + VALIDATORS).unlink(missing_ok=True)


class Fetcher(Protocol):
    """The only way to an upstream. Raises only UpstreamError; every file it leaves is whole."""

    def download(
        self,
        url: str,
        target: Path,
        *,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        expect: tuple[str, ...] = (),
    ) -> Download:
        """Bring `url` into the file `target`, atomically, conditionally when `target` is there from before.

        The validators (ETag, Last-Modified, digest) lie beside the target as `<name>.validators.json`. An interrupted
        body is kept as `<name>.partial` and resumed by Range. `expect` names what the first bytes must look like:
        any of "json", "gzip", "xml", "zip", "zstd", "bzip2", "xz", "tar", "text", "html"; an HTML page under any
        other announcement, or an empty body, raises DownloadError and leaves the last good target in place.

        A body is asked for as it is, so that it can be resumed. A driver may pass `Accept-Encoding: gzip` in
        `headers` when an upstream compresses well: then the file still holds the decoded bytes, but is never resumed.
        """
        ...

    def get_json(self, url: str, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None) -> bytes:
        """Return the body of a small JSON answer (an API page), whole and checked to begin like JSON.

        Held in memory, so `limits.max_bytes` defaults to 64 MiB here.
        """
        ...

    def post_json(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> bytes:
        """Send a JSON body and return the JSON answer, as `get_json` does; for APIs whose questions are bodies.

        Sent again after failures that can pass, so only for questions. Never redirected: the body and what
        authorises it go to the URL alone. A folder mirror answers nothing: StatusError 405.
        """
        ...
