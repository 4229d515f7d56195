"""The NVD's feed files: one a year and `modified`, each with a `.meta` that tells whether it changed.

    lastModifiedDate:2026-03-12T03:00:01-04:00
    size:31217075
    zipSize:3251148
    gzSize:3251012
    sha256:F7272BD76DB8B41CBDE02C7B8E7AE8C363DAE56D9F2AAC40EC2B65DA3281CCDC

The digest is that of the unpacked document. File 2002 holds the CVEs of 1999 to 2002.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.nvd.items import MAX_UNPACKED
from vulnfeeds.errors import DownloadError, LimitError, ParseError, StatusError
from vulnfeeds.fetch.decompress import open_bounded
from vulnfeeds.fetch.interface import Limits

ADDRESS: Final = "https://nvd.nist.gov/feeds/json/cve/2.0/"
MODIFIED: Final = "modified"
FIRST_YEAR: Final = 2002

_MAX_PACKED: Final = 512 << 20
_MAX_META: Final = 64 << 10


class Meta(msgspec.Struct, frozen=True):
    """What a `.meta` says of its feed file."""

    sha256: str
    """Upper-case hex digest of the unpacked document."""
    modified_at: datetime
    """When the file was made."""
    size: int
    """Bytes of the unpacked document."""


class FeedFiles:
    """Feed files in a folder of the workspace; a file is fetched only when its digest is not the kept one's."""

    def __init__(self, context: Context, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self.metas: dict[str, Meta] = {}
        """What `look` found, by file."""

    def look(self, names: Iterable[str]) -> list[str]:
        """Ask for the metas; return the names that exist. Raises StatusError 404 when none does."""
        missing: list[str] = []
        last: StatusError | None = None
        for name in names:
            try:
                self.metas[name] = self._meta(name)
            except StatusError as error:
                if error.status != 404:
                    raise
                missing.append(name)
                last = error
        if not self.metas and last is not None:
            raise last
        if missing:
            self._context.note(f"the NVD has no feed file for {', '.join(_runs(missing))}")
        return list(self.metas)

    def bring(self, name: str) -> Path:
        """Return the feed file, whole and of the digest that its meta gives.

        Raises DownloadError when it is not, even after meta and file were fetched again: the NVD replaces them one
        after the other.
        """
        target = self._folder / f"nvdcve-2.0-{name}.json.gz"
        kept = target.with_name(f"{target.name}.sha256")
        if target.is_file() and kept.is_file() and kept.read_text() == self.metas[name].sha256:
            return target
        kept.unlink(missing_ok=True)
        try:
            self._download(name, target)
        except DownloadError:
            self.metas[name] = self._meta(name)
            self._download(name, target)
        kept.write_text(self.metas[name].sha256)
        return target

    def _download(self, name: str, target: Path) -> None:
        url = f"{ADDRESS}nvdcve-2.0-{name}.json.gz"
        self._context.fetcher.download(url, target, limits=Limits(max_bytes=_MAX_PACKED), expect=("gzip",))
        try:
            found = _digest(target, self.metas[name].size, url)
        except DownloadError:
            # With the bad file in place the next request would be answered "not modified".
            target.unlink()
            raise
        if found != self.metas[name].sha256:
            target.unlink()
            raise DownloadError(url, f"sha256 of the unpacked document is {found}, the meta says otherwise")

    def _meta(self, name: str) -> Meta:
        url = f"{ADDRESS}nvdcve-2.0-{name}.meta"
        target = self._folder / f"nvdcve-2.0-{name}.meta"
        self._context.fetcher.download(url, target, limits=Limits(max_bytes=_MAX_META), expect=("text",))
        meta = read_meta(target)
        # A file from the future would end the next windows before they begin.
        now = datetime.fromtimestamp(self._context.now(), UTC)
        return msgspec.structs.replace(meta, modified_at=min(meta.modified_at, now))


def read_meta(path: Path) -> Meta:
    """Return what a `.meta` says. Raises ParseError when it lacks the digest, the date or the size."""
    try:
        lines = [line.strip().split(":", 1) for line in path.read_text("ascii").splitlines() if line.strip()]
        pairs = dict(lines)
        if len(pairs) != len(lines):
            raise ValueError("a line twice")
        moment = datetime.fromisoformat(pairs["lastModifiedDate"])
        if moment.tzinfo is None or len(bytes.fromhex(pairs["sha256"])) != 32:
            raise ValueError("a date without a zone, or no sha256")
        return Meta(pairs["sha256"].upper(), moment.astimezone(UTC), int(pairs["size"]))
    except (ValueError, KeyError, OverflowError) as error:
        raise ParseError(path.name, f"no meta of a feed file: {error!r}") from error


def years(first: int, now: datetime) -> list[str]:
    """Return the names of the yearly files from `first` to the current year."""
    return [str(year) for year in range(max(first, FIRST_YEAR), now.year + 1)]


def bring_all(files: FeedFiles, names: list[str], report: Callable[[str, int, int | None], None]) -> list[Path]:
    """Return the feed files of those names, telling how far it has come."""
    paths = []
    for done, name in enumerate(names):
        report("fetch", done, len(names))
        paths.append(files.bring(name))
    return paths


def _digest(path: Path, size: int, url: str) -> str:
    digest = hashlib.sha256()
    total = 0
    try:
        with open_bounded(path, max_bytes=MAX_UNPACKED, url=url) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                total += len(chunk)
                if total > size:
                    raise LimitError(url, f"unpacks to more than the {size} bytes that the meta says")
    except OSError as error:
        raise DownloadError(url, f"cannot be read: {error}") from error
    return digest.hexdigest().upper()


def _runs(names: list[str]) -> list[str]:
    """Return years as runs (`2002-2023`); other names as they are."""
    runs: list[list[str]] = []
    for name in names:
        if runs and name.isdigit() and runs[-1][-1].isdigit() and int(name) == int(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
