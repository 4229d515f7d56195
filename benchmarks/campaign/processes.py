"""Entries of the campaign's own processes: python -m benchmarks.campaign.processes sync|serve|migrate ARGUMENT."""

from __future__ import annotations

import json
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import msgspec

from benchmarks.campaign import parts
from benchmarks.campaign.clocks import SERVER, SteppedClock


def sync(order: str) -> None:
    """Run a cycle; the last line says how it ended."""
    ended = parts.cycle(msgspec.json.decode(order, type=parts.Order))
    errors = {name: outcome.result.get("error") for name, outcome in ended.outcomes.items()}
    print(json.dumps({"completed": ended.completed, "errors": errors, "skipped": ended.skipped}), flush=True)


def serve(clocks: str) -> None:
    """Be `vulnfeeds serve`, whole and real but for the clock that it looks at."""
    from vulnfeeds import cli
    from vulnfeeds.cli import service

    stepped = SteppedClock(Path(clocks), SERVER)

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(stepped.seconds(), tz)

    service.datetime = Datetime  # type: ignore[attr-defined]
    sys.argv = ["vulnfeeds", "serve"]
    cli.main()


def migrate(url: str) -> None:
    """Open a new store, after everything has been imported that this needs."""
    from vulnfeeds.store import applying
    from vulnfeeds.store.opening import open_store

    assert applying
    print("ready", flush=True)
    open_store(url).close()
    print("done", flush=True)


if __name__ == "__main__":
    actions: dict[str, Any] = {"sync": sync, "serve": serve, "migrate": migrate}
    actions[sys.argv[1]](sys.argv[2])
