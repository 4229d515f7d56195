"""The second opinions: records that others made, from the folder that is shared by all."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.drivers.driver_runs import archive_members, oracle_items

EXACT_PAIR = "dev-exact-pair-alpine-3.7.tar.xz"
NVDV2_PAIR = "nvdv2-pair-10-CVE-1999.tar.xz"
PAIRS = "pairs-47-groups-2021-04.tar.xz"
CLIENT_DATA = "anchore-engine-feed-data.tar.xz"
DELTAS = "tests/data/test_data_env/feeds/vulnerabilities/"
"""Where the answers of 2017 are among the client's data."""


def json_of(text: bytes | Path) -> Any:
    """Return what a JSON text or file says."""
    return msgspec.json.decode(text if isinstance(text, bytes) else text.read_bytes())


def vunnel(shared: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield what vunnel 0.44 makes of the documents of the replay."""
    return oracle_items(shared / "oracle" / f"{name}.jsonl.zst")


def snapshots(shared: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield what vunnel's own tests expect of the small documents of a name, without dates that depend on the day."""
    beginning = f"tests/unit/providers/{name}/test-fixtures/snapshots/"
    for path, data in archive_members(shared / "upstream" / "fixtures" / "vunnel-inputs-and-snapshots.tar.xz"):
        if path.startswith(beginning) and path.endswith(".json"):
            item: dict[str, Any] = json_of(data)["item"]
            for fix in item["Vulnerability"]["FixedIn"]:
                fix.pop("Available", None)
            yield item


def pages(shared: Path, archive: str, *beginnings: str) -> list[dict[str, Any]]:
    """Return the records on all recorded pages whose path in the archive has one of these beginnings."""
    found: list[dict[str, Any]] = []
    for name, data in archive_members(shared / "golden" / archive):
        if name.endswith(".json") and name.startswith(beginnings):
            page = json_of(data)
            found += page if isinstance(page, list) else page["data"]
    return found


def lay_out(shared: Path, archive: str, beginning: str, folder: Path) -> None:
    """Unpack the members of an archive that begin so, without that beginning, into a folder."""
    for name, data in archive_members(shared / archive):
        if name.startswith(beginning):
            path = folder / name.removeprefix(beginning)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def secdb_index(folder: Path) -> None:
    """Write the index pages over laid out releases: `<folder>/v3.7/main.yaml`."""
    releases = sorted(path for path in folder.iterdir() if path.is_dir())
    (folder / "index.html").write_text(_links([f"{release.name}/" for release in releases]))
    for release in releases:
        (release / "index.html").write_text(_links(sorted(path.name for path in release.glob("*.yaml"))))


def _links(names: list[str]) -> str:
    links = "".join(f'<a href="{name}">{name}</a>' for name in names)
    return f"<html>{links}</html>"


def nvd_items(shared: Path, form: str, day: str, name: str) -> list[dict[str, Any]]:
    """Return the items of a feed file of form "1.1" or "2.0"."""
    path = shared / "upstream" / "data" / "nvd" / f"feed-{form}" / day / f"nvdcve-{form}-{name}.json.gz"
    document = json_of(gzip.decompress(path.read_bytes()))
    return list(document["CVE_Items"] if form == "1.1" else document["vulnerabilities"])
