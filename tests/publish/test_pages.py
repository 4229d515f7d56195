"""The page folder: made once, noticed when damaged, cleaned when not used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.publish.pages import PageFolder, PageGoneError, closing
from vulnfeeds.publish.splice import ENCODINGS, Encoding, splice
from vulnfeeds.store import Store, open_store
from vulnfeeds.store.interface import Manifest

FEED, GROUP = "vulnerabilities", "debian:12"


@pytest.fixture
def clock() -> Clock:
    """The store's clock."""
    return Clock()


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Iterator[Store]:
    """A store with 2100 records in one group."""
    opened = open_store(sqlite_url, clock=clock)
    keys = [f"CVE-{number:04}" for number in range(2100)]
    publish(opened, FEED, GROUP, {key: os_record(GROUP, key) for key in keys})
    yield opened
    opened.close()


@pytest.fixture
def manifest(store: Store) -> Manifest:
    """The group's pages."""
    found = store.manifest(FEED, GROUP)
    assert found is not None
    return found


def files(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_page_holds_its_records(store: Store, manifest: Manifest, tmp_path: Path, encoding: Encoding) -> None:
    """All pages together, each with a tail, are the group's records in order."""
    folder = PageFolder(tmp_path / "pages", store)
    found: list[Any] = []
    for index, page in enumerate(manifest.pages):
        assert folder.ready(page.name, encoding) is None
        made = folder.prefix(manifest, index, encoding)
        kept = folder.ready(page.name, encoding)
        assert kept is not None
        assert splice(kept, closing("abc")) == splice(made, closing("abc"))
        assert PageFolder(tmp_path / "pages", store).ready(page.name, encoding) is not None
        if encoding == "identity":
            body = json.loads(splice(made, closing("abc")))
            assert body["next_token"] == "abc"
            assert len(body["data"]) == page.records
            found += [item["Vulnerability"]["Name"] for item in body["data"]]
    assert len(files(tmp_path / "pages")) == len(manifest.pages)
    if encoding == "identity":
        assert found == [f"CVE-{number:04}" for number in range(2100)]


def test_a_publish_makes_only_the_pages_that_it_changed(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """The other pages are the same files under the same names."""
    folder = PageFolder(tmp_path / "pages", store)
    for index in range(len(manifest.pages)):
        folder.prefix(manifest, index, "gzip")
    publish(store, FEED, GROUP, {"CVE-0001": os_record(GROUP, "CVE-0001", "changed")})
    current = store.manifest(FEED, GROUP)
    assert current is not None
    missing = [page.name for page in current.pages if folder.ready(page.name, "gzip") is None]
    assert missing == [current.pages[0].name]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_made_again(store: Store, manifest: Manifest, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever a crash or a disk left under a page's name, the page is right."""
    folder = PageFolder(tmp_path / "pages", store)
    encoding = data.draw(st.sampled_from(ENCODINGS))
    right = splice(folder.prefix(manifest, 0, encoding), closing(""))
    (file,) = (
        path
        for path in files(tmp_path / "pages")
        if path.suffix == {"gzip": ".gz", "zstd": ".zst"}.get(encoding, ".json")
    )
    content = file.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
    file.write_bytes(data.draw(st.sampled_from([flipped, content[:at], b"", content + b"x", b"\0" * len(content)])))
    assert folder.ready(manifest.pages[0].name, encoding) is None
    assert splice(folder.prefix(manifest, 0, encoding), closing("")) == right
    assert file.read_bytes() == content


def test_a_file_of_another_coding_is_not_taken(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """A file that was renamed by hand does not pass."""
    folder = PageFolder(tmp_path / "pages", store)
    folder.prefix(manifest, 0, "gzip")
    (file,) = files(tmp_path / "pages")
    file.rename(file.with_suffix(".zst"))
    assert folder.ready(manifest.pages[0].name, "zstd") is None


def test_what_no_generation_uses_is_removed(store: Store, manifest: Manifest, tmp_path: Path, clock: Clock) -> None:
    """Pruning keeps live pages and removes others, and what killed processes left."""
    times = [1000.0]
    folder = PageFolder(tmp_path / "pages", store, clock=lambda: times[0])
    for index in range(len(manifest.pages)):
        folder.prefix(manifest, index, "gzip")
    left = tmp_path / "pages" / "ab" / "cdef.gz.77-1.part"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    os.utime(left, (900, 900))
    assert folder.prune(store.live_pages()) == 0
    times[0] += 7200
    assert folder.prune(store.live_pages()) == 1
    clock.move(days=3)
    publish(store, FEED, GROUP, {"CVE-0001": os_record(GROUP, "CVE-0001", "changed")})
    clock.move(days=3)
    store.prune(generations_before=clock.now, versions_before=clock.now, tasks_before=clock.now)
    assert folder.prune(store.live_pages()) == 1
    assert folder.ready(manifest.pages[0].name, "gzip") is None
    assert folder.ready(manifest.pages[1].name, "gzip") is not None
    assert PageFolder(tmp_path / "nothing", store).prune(set()) == 0


def test_a_page_that_the_store_forgot_is_no_page(
    store: Store, manifest: Manifest, tmp_path: Path, clock: Clock
) -> None:
    """Rather no answer than one with records missing."""
    clock.move(days=3)
    publish(store, FEED, GROUP, {"CVE-0001": os_record(GROUP, "CVE-0001", "changed")})
    clock.move(days=3)
    store.prune(generations_before=clock.now, versions_before=clock.now, tasks_before=clock.now)
    folder = PageFolder(tmp_path / "pages", store)
    with pytest.raises(PageGoneError, match="generation 1 page 0"):
        folder.prefix(manifest, 0, "gzip")
    assert files(tmp_path / "pages") == []


def test_many_at_once_get_the_same_page(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """Threads that ask for a page together get equal bytes, and one file is left."""
    folder = PageFolder(tmp_path / "pages", store)
    start = threading.Barrier(8)

    def ask() -> bytes:
        start.wait()
        return splice(folder.prefix(manifest, 0, "gzip"), closing(""))

    with ThreadPoolExecutor(8) as pool:
        answers = {done.result() for done in [pool.submit(ask) for _ in range(8)]}
    assert len(answers) == 1
    assert len(files(tmp_path / "pages")) == 1


def test_a_folder_that_takes_no_files_costs_speed_only(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """The page is made for each request."""
    (tmp_path / "pages").write_text("in the way")
    folder = PageFolder(tmp_path / "pages", store)
    first = splice(folder.prefix(manifest, 0, "gzip"), closing(""))
    assert splice(folder.prefix(manifest, 0, "gzip"), closing("")) == first
    assert folder.prune(set()) == 0


def test_the_folder_stays_below_its_limit(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """The files that were made first go when a new one needs room, and are made again when asked for."""
    unlimited = PageFolder(tmp_path / "pages", store)
    unlimited.prefix(manifest, 0, "identity")
    (first,) = files(tmp_path / "pages")
    os.utime(first, (1, 1))
    most = first.stat().st_size * 3 // 2
    folder = PageFolder(tmp_path / "pages", store, max_bytes=most)
    folder.prefix(manifest, 1, "identity")
    assert not first.exists()
    folder.prefix(manifest, 2, "identity")
    folder.prefix(manifest, 0, "identity")
    assert sum(path.stat().st_size for path in files(tmp_path / "pages")) <= most


RENDER_FOR_EVER = """
import sys
from pathlib import Path
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import open_store
store = open_store(sys.argv[1])
folder = PageFolder(Path(sys.argv[2]), store)
manifest = store.manifest("vulnerabilities", "debian:12")
print("ready", flush=True)
while True:
    for index in range(len(manifest.pages)):
        for encoding in ("gzip", "zstd", "identity"):
            folder.prefix(manifest, index, encoding)
    folder.prune(set())
"""


def test_a_process_killed_while_it_makes_pages_leaves_no_wrong_page(
    store: Store, manifest: Manifest, sqlite_url: str, tmp_path: Path
) -> None:
    """After SIGKILL at any instant every page under a name is whole, and what was begun is cleaned in time."""
    right = PageFolder(tmp_path / "right", store)
    late = time.time() + 7200
    folder = PageFolder(tmp_path / "pages", store, clock=lambda: late)
    for delay in (0.0, 0.013, 0.029, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", RENDER_FOR_EVER, sqlite_url, str(tmp_path / "pages")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        for index, page in enumerate(manifest.pages):
            for encoding in ENCODINGS:
                kept = folder.ready(page.name, encoding)
                assert kept is None or splice(kept, b"") == splice(right.prefix(manifest, index, encoding), b"")
    folder.prune(store.live_pages())
    assert [path for path in files(tmp_path / "pages") if path.suffix == ".part"] == []
