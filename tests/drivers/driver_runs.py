"""Helpers of the drivers' tests: run a driver on its sample or on the replay, and look at what clients get."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Record
from vulnfeeds.testing.driver_suite import NOW, NothingPublished, Trial, copied

SAMPLE = Path(str(files("vulnfeeds") / "sample" / "upstream"))

Key = tuple[str, str]


class Upstreams:
    """Runs a driver against the replay as the service does, and keeps its checkpoint between runs."""

    def __init__(
        self, driver: type[Driver], mirror: str, workspace: Path, secrets: dict[str, str] | None = None
    ) -> None:
        self.driver = driver
        self.secrets = secrets
        self.mirror = mirror
        self.workspace = workspace
        self.checkpoint: Checkpoint | None = None
        workspace.mkdir(parents=True, exist_ok=True)

    def run(self, settings: DriverSettings | None = None) -> tuple[list[Record], Context]:
        """Fetch and parse, and keep the checkpoint as after a publish; no records when nothing changed."""
        allowed = self.driver.upstreams
        with HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(default=self.mirror), allowed) as fetcher:
            context = Context(
                fetcher=fetcher,
                workspace=self.workspace,
                published=NothingPublished(),
                checkpoint=self.checkpoint,
                selection=(settings or self.driver.Settings()).selection,
                secrets=self.secrets,
                now=lambda: NOW,
            )
            answer = self.driver(settings).fetch(context)
        if isinstance(answer, Unchanged):
            return [], context
        records = list(context.selection.of(self.driver(settings).parse(context)))
        self.checkpoint = answer
        return records, context


def bodies(records: list[Record]) -> dict[Key, dict[str, Any]]:
    """Return what clients get by (group, key), every record checked as the service does before it is stored."""
    found: dict[Key, dict[str, Any]] = {}
    for record in records:
        encoded = canonical.encode(record.body)
        contract.check(record.feed, record.group, encoded)
        assert (record.group, record.key) not in found
        found[record.group, record.key] = msgspec.json.decode(encoded)
    return found


def archive_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a tar.xz."""
    with lzma.open(path) as plain, tarfile.open(fileobj=plain) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)) is not None:
                yield member.name.removeprefix("./"), file.read()


def oracle_items(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what an independent implementation makes of the documents of the replay."""
    with file.open("rb") as packed:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"):
            yield json.loads(line)["item"]


def on_sample(driver: type[Driver], tmp_path: Path, settings: DriverSettings | None = None) -> Trial:
    """Return a driver with a copy of its sample documents."""
    folder = copied(driver, SAMPLE, tmp_path / "upstream")
    return Trial(driver, folder, tmp_path / "workspace", settings=settings)


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change that replaces one piece of a document by another; the piece must be there."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def packed(codec: Any, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a change of what a packed document says; `codec` is the module that packs it (bz2, gzip)."""

    def repack(data: bytes) -> bytes:
        return bytes(codec.compress(change(codec.decompress(data))))

    return repack
