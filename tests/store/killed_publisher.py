"""Run by test_survival: publishes, and stops for ever after some of its staged records."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Publication, StagedRecord
from vulnfeeds.testing.storing.scene import DRIVER, FEED, GROUP, Clock, Scene, digests_of


def main(url: str, after: int) -> None:
    scene = Scene(lambda **options: open_store(url, **options))
    scene.clock = Clock()
    task = scene.task()
    staged = scene.staged({f"k{number:05}": "half" for number in range(5000)})

    def stopping() -> Iterator[StagedRecord]:
        yield from staged[:after]
        print("half way", flush=True)
        signal.pause()

    generation = digests_of(scene.store, FEED, GROUP)[0]
    scene.store.publish(
        Publication(task_id=task, driver=DRIVER, staged=stopping(), expected={(FEED, GROUP): generation})
    )


main(sys.argv[1], int(sys.argv[2]))
