"""Publishes to one group again and again, beside a measurement.

python -m benchmarks.publisher STORE RECORDS

The group has made-up records of an operating system, about 400 bytes each. Each publish changes 100 of them, spread
over the group, so that most of its pages are new ones; between two publishes is a quarter of a second.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from vulnfeeds.records import canonical
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Publication, StagedRecord, Store

FEED, GROUP = "vulnerabilities", "bench:1"
PATH = f"/v1/feeds/{FEED}/{GROUP}"
CHANGED, PAUSE = 100, 0.25


@contextlib.contextmanager
def publisher(url: str, records: int) -> Iterator[None]:
    """Publish to the group from a process of its own while the block runs."""
    command = [sys.executable, "-m", "benchmarks.publisher", url, str(records)]
    with subprocess.Popen(command) as process:
        try:
            time.sleep(2)
            yield
        finally:
            process.kill()


def publish_on(url: str, records: int) -> None:
    """Publish changed records again and again."""
    chosen = random.Random(1)
    with contextlib.closing(open_store(url)) as store:
        version = 0
        while True:
            version += 1
            publish(store, chosen.sample(range(records), CHANGED), version)
            time.sleep(PAUSE)


def publish(store: Store, numbers: Any, version: int) -> None:
    """Publish one version of some records."""
    task = store.open_task("DriverExecutionTask", driver="bench", feed=FEED)
    head = store.group(FEED, GROUP)
    keys = [f"CVE-{2000 + number % 25}-{number:06}" for number in numbers]
    bodies = [canonical.encode(record(key, version)) for key in keys]
    packed = store.pack("bench", bodies)
    staged = [
        StagedRecord(FEED, GROUP, key, canonical.digest(body), pack, "updated" if version else "created")
        for key, body, pack in zip(keys, bodies, packed, strict=True)
    ]
    expected = {(FEED, GROUP): head.generation if head else 0}
    store.publish(Publication(task_id=task, driver="bench", staged=staged, expected=expected))


def record(key: str, version: int) -> dict[str, Any]:
    """Return a record of an operating system."""
    fix = {"Name": f"package-{key[-3:]}", "NamespaceName": GROUP, "Version": f"1.{version}-{key[-2:]}"}
    body = {
        "Name": key,
        "NamespaceName": GROUP,
        "Severity": "Medium",
        "Link": f"https://example.org/{key}",
        "Description": f"{random.Random(key).getrandbits(400):x}",
        "Metadata": {},
        "FixedIn": [{**fix, "VersionFormat": "dpkg", "VendorAdvisory": {"NoAdvisory": False, "AdvisorySummary": []}}],
    }
    return {"Vulnerability": body}


if __name__ == "__main__":
    publish_on(sys.argv[1], int(sys.argv[2]))
