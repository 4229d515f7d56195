"""Put records into a store the way a run does, with a clock that tests move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vulnfeeds.records import canonical
from vulnfeeds.store import Store
from vulnfeeds.store.interface import Publication, StagedRecord
from vulnfeeds.testing.storing.scene import digests_of

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **how: float) -> datetime:
        """Move by a timedelta's arguments and return the new time."""
        self.now += timedelta(**how)
        return self.now


def os_record(group: str, key: str, text: str = "", *, fixes: int = 1) -> dict[str, Any]:
    """A record of feed `vulnerabilities`."""
    fix = {"Name": "p", "NamespaceName": group, "Version": "1.0", "VersionFormat": "dpkg"}
    return {
        "Vulnerability": {
            "Name": key,
            "NamespaceName": group,
            "Severity": "Low",
            "Link": f"https://example.org/{key}",
            "Description": text,
            "Metadata": {},
            "FixedIn": [{**fix, "Name": f"p{number}"} for number in range(fixes)],
        }
    }


def publish(
    store: Store,
    feed: str,
    group: str,
    records: Mapping[str, dict[str, Any]],
    *,
    withdrawn: Mapping[str, dict[str, Any]] | None = None,
    driver: str = "debian",
) -> int:
    """Publish those of the records that differ from what the store holds; return the task's id."""
    task = store.open_task("DriverExecutionTask", driver=driver, feed=feed)
    generation, known = digests_of(store, feed, group)
    changed: list[tuple[str, bytes, str]] = []
    for gone, some in ((False, records), (True, withdrawn or {})):
        for key, body in some.items():
            raw = canonical.encode(body)
            if known.get(key) != canonical.digest(raw) + (b"w" if gone else b""):
                changed.append((key, raw, "deleted" if gone else "updated" if key in known else "created"))
    packed = store.pack(driver, [raw for _, raw, _ in changed])
    staged = [
        StagedRecord(feed, group, key, canonical.digest(raw), pack, change)
        for (key, raw, change), pack in zip(changed, packed, strict=True)
    ]
    store.publish(Publication(task_id=task, driver=driver, staged=staged, expected={(feed, group): generation}))
    return task


def names(page: bytes) -> list[str]:
    """Names of the records on a page of feed `vulnerabilities`."""
    return [item["Vulnerability"]["Name"] for item in json.loads(page)["data"]]
