"""Which documents one run of nvdv2 reads, and where the next run begins."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.nvd import api, feeds, overrides
from vulnfeeds.drivers.nvd.plan import Cursor, NVDv2Settings
from vulnfeeds.errors import StatusError, UpstreamError

# The modified feed reaches eight days back; a day is left for the time that its own making takes.
_REACH: Final = timedelta(days=7)


OVERRIDES: Final = "overrides"
"""Name of the archive of overrides among the digests."""


class Gathered(msgspec.Struct, frozen=True):
    """Documents in the order of their age, and the next run's beginning."""

    paths: list[Path]
    modified_at: datetime
    digests: dict[str, str]
    archive: Path | None = None
    """The archive of overrides, when it is not the one of the last published run."""


class Gathering:
    """One run's way through the NVD."""

    def __init__(self, context: Context, settings: NVDv2Settings, now: datetime) -> None:
        self._context = context
        self._settings = settings
        self._now = now
        self._api = api.CVEAPI(context, _folder(context.workspace / "api"))
        self._files = feeds.FeedFiles(context, _folder(context.workspace / "feeds"))
        self._years = feeds.years(settings.first_year, now)

    def changes(self, last: Cursor) -> Gathered:
        """Bring what changed since the last published run."""
        return self._with_overrides(self._changes(last), last.digests.get(OVERRIDES))

    def everything(self, run: int, published: int | None) -> Gathered:
        """Bring all CVEs."""
        return self._with_overrides(self._everything(run, published), None)

    def _with_overrides(self, gathered: Gathered, known: str | None) -> Gathered:
        if not self._settings.overrides:
            return gathered
        target = _folder(self._context.workspace / OVERRIDES) / "main.tar.gz"
        try:
            digest = self._context.fetcher.download(overrides.ADDRESS, target, expect=("gzip",)).sha256
        except UpstreamError as error:
            if not target.is_file():
                raise
            self._context.note(f"the overrides of last time are used: {error}")
            digest = hashlib.sha256(target.read_bytes()).hexdigest()
        digests = {**gathered.digests, OVERRIDES: digest}
        archive = None if digest == known else target
        return msgspec.structs.replace(gathered, digests=digests, archive=archive)

    def _changes(self, last: Cursor) -> Gathered:
        self._api.forget_crawl()
        if self._settings.source == "feeds":
            return self._changed_files(last, [*self._years, feeds.MODIFIED])
        try:
            pages, modified_at = self._window(last.modified_at)
        except UpstreamError as error:
            self._fall_back(error)
            return self._changed_files(last, self._instead_of_window(last.modified_at))
        return Gathered(pages, modified_at, last.digests)

    def _everything(self, run: int, published: int | None) -> Gathered:
        if self._settings.source == "api":
            pages, began_at = self._api.crawl(self._now, run, published)
            more, modified_at = self._window(began_at)
            return Gathered([*pages, *more], modified_at, {})
        names = self._files.look(self._years)
        paths = feeds.bring_all(self._files, names, self._context.report)
        oldest = min(self._files.metas[name].modified_at for name in names)
        if self._settings.source == "auto":
            made_at = [self._files.metas[name].modified_at for name in names]
            try:
                more, modified_at = self._window(begin_after(made_at, whole=len(names) == len(self._years)))
                return Gathered([*paths, *more], modified_at, self._digests())
            except UpstreamError as error:
                self._fall_back(error)
        self._files.look([feeds.MODIFIED])
        if feeds.MODIFIED in self._files.metas:
            paths.append(self._files.bring(feeds.MODIFIED))
        return Gathered(paths, self._reached(oldest), self._digests())

    def _changed_files(self, last: Cursor, names: list[str]) -> Gathered:
        names = self._files.look(names)
        changed = [name for name in names if self._files.metas[name].sha256 != last.digests.get(name)]
        paths = feeds.bring_all(self._files, changed, self._context.report)
        reached = max(last.modified_at, self._reached(last.modified_at))
        return Gathered(paths, reached, {**last.digests, **self._digests()})

    def _instead_of_window(self, begin: datetime) -> list[str]:
        """Return the files that hold what a window from `begin` holds: `modified` alone, when it reaches back so far.

        The NVD makes almost every yearly file anew every day, so looking at them would read everything again.
        """
        with suppress(StatusError):
            self._files.look([feeds.MODIFIED])
            if self._files.metas[feeds.MODIFIED].modified_at - _REACH <= begin:
                return [feeds.MODIFIED]
        return [*self._years, feeds.MODIFIED]

    def _window(self, begin: datetime) -> tuple[list[Path], datetime]:
        begin -= timedelta(seconds=self._settings.overlap_seconds)
        return self._api.window(begin, max(self._now, begin))

    def _reached(self, begin: datetime) -> datetime:
        """Return up to when feed files hold everything, when what came before `begin` is in hand."""
        recent = self._files.metas.get(feeds.MODIFIED)
        if recent is not None and recent.modified_at - _REACH <= begin:
            return recent.modified_at
        return min(meta.modified_at for name, meta in self._files.metas.items() if name != feeds.MODIFIED)

    def _digests(self) -> dict[str, str]:
        return {name: meta.sha256 for name, meta in self._files.metas.items()}

    def _fall_back(self, error: UpstreamError) -> None:
        self._context.note(f"the NVD's API cannot be had, feed files are read instead: {error}")


def begin_after(made_at: list[datetime], *, whole: bool) -> datetime:
    """Return from when on the API must be asked once the yearly files made at these times are in hand.

    The NVD makes a year's file anew only when one of its CVEs changed (in March 2026 that of 2003 was ten months
    old), so with all years in hand an old file hides nothing that came before the newest one; a week is left for
    files that are late. With a year missing, its changes can be anywhere since the oldest file.
    """
    oldest, newest = min(made_at), max(made_at)
    return max(oldest, newest - _REACH) if whole else oldest


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
