"""Helpers of the NVD tests: published records as a dictionary, a driver run as the service does, an NVD to order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.drivers.nvd import sample_documents as sample
from vulnfeeds.drivers.interface import Checkpoint, Context, Unchanged
from vulnfeeds.drivers.nvd.api import ADDRESS as API
from vulnfeeds.drivers.nvd.feeds import ADDRESS as FEED_FILES
from vulnfeeds.drivers.nvd.nvdv2 import NVDv2Driver
from vulnfeeds.drivers.nvd.overrides import ADDRESS as OVERRIDES
from vulnfeeds.drivers.nvd.plan import GROUP, NVDv2Settings
from vulnfeeds.errors import RecordError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Record, Score
from vulnfeeds.testing.upstream import UpstreamSimulator


class Published:
    """The published nvdv2 records, in the order of their last change."""

    def __init__(self) -> None:
        self.bodies_by_key: dict[str, bytes] = {}
        self.positions: dict[str, int] = {}
        self.scores: dict[str, Score | None] = {}

    def sequence(self, feed: str, group: str) -> int:
        """Return the last position."""
        return max(self.positions.values(), default=0) if group == GROUP else 0

    def changes(self, feed: str, group: str, after: int, upto: int) -> Iterator[tuple[str, bytes, bool]]:
        """Yield what changed between two positions."""
        for key, position in sorted(self.positions.items(), key=lambda pair: pair[1]):
            if after < position <= upto:
                yield key, self.bodies_by_key[key], False

    def bodies(self, feed: str, group: str, keys: list[str]) -> dict[str, bytes]:
        """Return the bodies of those keys that exist."""
        return {key: self.bodies_by_key[key] for key in keys if key in self.bodies_by_key}

    def publish(self, records: list[Record]) -> None:
        """Take what a run yielded, each key once, and only what the client contract allows."""
        keys = [record.key for record in records]
        assert len(keys) == len(set(keys))
        position = self.sequence("nvdv2", GROUP)
        for record in records:
            body = canonical.encode(record.body)
            contract.check(record.feed, record.group, body)
            self.scores[record.key] = record.score
            if self.bodies_by_key.get(record.key) != body:
                position += 1
                self.bodies_by_key[record.key] = body
                self.positions[record.key] = position

    def record(self, key: str) -> dict[str, Any]:
        """Return one record as clients get it."""
        found: dict[str, Any] = json.loads(self.bodies_by_key[key])
        return found


class Feed:
    """Driver nvdv2 with a workspace, a checkpoint and published records of its own."""

    def __init__(self, workspace: Path, mirror: str, **settings: Any) -> None:
        workspace.mkdir(parents=True, exist_ok=True)
        self.workspace = workspace
        self.mirror = mirror
        self.driver = NVDv2Driver(NVDv2Settings(**settings))
        self.published = Published()
        self.checkpoint: Checkpoint | None = None
        self.now: float | None = None
        self.key = ""
        self.quick = FetchSettings(attempts=1, throttled_seconds=0.1)

    def context(self, fetcher: Fetcher, forced: bool) -> Context:
        """Return the context of a run."""
        return Context(
            fetcher=fetcher,
            workspace=self.workspace,
            published=self.published,
            checkpoint=self.checkpoint,
            secrets={"NVD_API_KEY": self.key} if self.key else {},
            forced=forced,
            now=lambda: time.time() if self.now is None else self.now,
        )

    def stage(self, *, forced: bool = False) -> tuple[list[Record], Checkpoint | Unchanged, Context]:
        """Fetch and parse, and publish nothing: what a run does that dies before it publishes."""
        with HTTPFetcher(self.quick, UpstreamMap(self.mirror), self.driver.upstreams) as fetcher:
            context = self.context(fetcher, forced)
            answer = self.driver.fetch(context)
        return ([] if isinstance(answer, Unchanged) else list(self.driver.parse(context))), answer, context

    def run(self, *, forced: bool = False) -> tuple[list[Record], Context]:
        """Fetch, parse and publish."""
        records, answer, context = self.stage(forced=forced)
        self.published.publish(records)
        if isinstance(answer, Checkpoint):
            self.checkpoint = answer
        return records, context

    @property
    def bodies(self) -> dict[str, bytes]:
        """What is published."""
        return self.published.bodies_by_key


class NVD:
    """An NVD whose items, answers and faults a test decides."""

    def __init__(self, upstream: UpstreamSimulator, items: list[dict[str, Any]]) -> None:
        self.upstream = upstream
        self.items = items
        self.timestamp = "2024-08-30T06:40:00.000"
        self.claims: list[int] = []
        """Taken one by one in the place of totalResults."""
        self.spelled: dict[str, str] = {}
        """By id: items in JSON that no dictionary gives."""
        self.queries: list[dict[str, str]] = []
        upstream.serve(API, self._answer)

    def feed_file(self, name: str, items: list[dict[str, Any]], moment: str) -> None:
        """Publish a feed file with its meta."""
        document = sample.feed(items, moment)
        packed = sample.packed(document)
        self.upstream.put(f"{FEED_FILES}nvdcve-2.0-{name}.json.gz", packed)
        self.upstream.put(f"{FEED_FILES}nvdcve-2.0-{name}.meta", sample.meta(document, packed, f"{moment}-04:00"))

    def overrides(self, archive: bytes) -> None:
        """Publish an archive of overrides."""
        self.upstream.put(OVERRIDES, archive)

    def change(self, changed: dict[str, Any]) -> None:
        """Replace or add an item."""
        name = changed["cve"]["id"]
        self.items = [*(item for item in self.items if item["cve"]["id"] != name), changed]

    def _answer(self, url: str) -> bytes:
        # The dates hold raw colons and no plus sign, so a plain split is enough.
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.queries.append(query)
        start, size = int(query["startIndex"]), int(query["resultsPerPage"])
        found = sorted(self.items, key=lambda item: str(item["cve"]["published"]))
        if "lastModStartDate" in query:
            low, high = query["lastModStartDate"].rstrip("Z"), query["lastModEndDate"].rstrip("Z")
            found = [item for item in found if low <= item["cve"]["lastModified"] <= high]
        page = found[start : start + size]
        answer = {
            "resultsPerPage": len(page),
            "startIndex": start,
            "totalResults": self.claims.pop(0) if self.claims else len(found),
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": self.timestamp,
            "vulnerabilities": page,
        }
        text = json.dumps(answer)
        for item in page:
            if item["cve"]["id"] in self.spelled:
                text = text.replace(json.dumps(item), self.spelled[item["cve"]["id"]])
        return text.encode()


def refused(records: list[Record]) -> dict[str, str]:
    """Return the records that the service would put into quarantine, with the reason."""
    found: dict[str, str] = {}
    for record in records:
        try:
            contract.check(record.feed, record.group, canonical.encode(record.body))
        except RecordError as error:
            found[record.key] = str(error)
    return found
