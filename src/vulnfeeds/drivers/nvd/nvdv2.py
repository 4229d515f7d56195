"""NVDv2: feed nvdv2, group nvdv2:cves, from the NVD's API 2.0, its feed files, or both.

`fetch` decides what must be read and leaves the list of documents as `plan.json`; `parse` reads them twice: once to
bring the index of products up to date, once to make records. A run is whole (everything is read, the index is built
anew) or follows its checkpoint (what changed is read, and records whose ranges cover a version that came or went are
made again from what is published).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Mode, Unchanged
from vulnfeeds.drivers.nvd.api import ADDRESS as API
from vulnfeeds.drivers.nvd.feeds import ADDRESS as FEED_FILES
from vulnfeeds.drivers.nvd.gathering import Gathering
from vulnfeeds.drivers.nvd.making import Making, has_news, open_index
from vulnfeeds.drivers.nvd.overrides import ADDRESS as OVERRIDES
from vulnfeeds.drivers.nvd.overrides import REDIRECTED
from vulnfeeds.drivers.nvd.plan import FEED, Cursor, NVDv2Settings, Plan
from vulnfeeds.drivers.nvd.products import ProductIndex
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record

_PLAN = "plan.json"


class NVDv2Driver(Driver):
    """Feed nvdv2: all CVEs of the NVD in one group."""

    name = "nvdv2"
    feeds = (FEED,)
    mode = Mode.DELTA
    upstreams: ClassVar[tuple[str, ...]] = (API, FEED_FILES)
    Settings = NVDv2Settings

    settings: NVDv2Settings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        if self.settings.overrides:
            # Only settings that ask for them lead to the overrides' hosts.
            self.upstreams = (API, FEED_FILES, OVERRIDES, REDIRECTED)  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring what is new; UNCHANGED when all that came was published before."""
        index = open_index(context.workspace)
        try:
            return self._fetch(context, index)
        finally:
            if index is not None:
                index.close()

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of the fetched documents and those that new versions touch."""
        try:
            plan = msgspec.json.decode((context.workspace / _PLAN).read_bytes(), type=Plan)
        except (OSError, msgspec.MsgspecError) as error:
            raise ParseError(_PLAN, f"nothing was fetched: {error}") from error
        yield from Making(context, plan, self.settings.max_versions_per_range).records()

    def _fetch(self, context: Context, index: ProductIndex | None) -> Checkpoint | Unchanged:
        last = _last(context)
        follows = index is not None and last is not None and index.follows(last.index, last.run)
        if last is not None and not follows:
            context.note("the index of products does not go with the checkpoint: everything is read again")
        run = max(last.run if last else 0, index.run if index else 0) + 1
        now = datetime.fromtimestamp(context.now(), UTC)
        gathering = Gathering(context, self.settings, now)
        if index is None or last is None or not follows or context.forced:
            gathered = gathering.everything(run, last.run if last else None)
            identity, published = uuid.uuid4().hex, None
        else:
            gathered = gathering.changes(last)
            identity, published = last.index, last.run
            if gathered.archive is None and not has_news(gathered.paths, index, last.run):
                return UNCHANGED
        documents = tuple(str(path.relative_to(context.workspace)) for path in gathered.paths)
        archive = str(gathered.archive.relative_to(context.workspace)) if gathered.archive else None
        plan = Plan(run, identity, documents, published, self.settings.overrides, archive)
        (context.workspace / _PLAN).write_bytes(msgspec.json.encode(plan))
        cursor = Cursor(run, identity, gathered.modified_at, gathered.digests)
        return Checkpoint(fingerprint=f"{identity}:{run}", cursor=msgspec.to_builtins(cursor))


def _last(context: Context) -> Cursor | None:
    if context.checkpoint is None:
        return None
    try:
        return msgspec.convert(context.checkpoint.cursor, Cursor)
    except msgspec.ValidationError:
        return None
