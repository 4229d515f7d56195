"""The Grype database over HTTP: what old and new clients rely on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.api.filling import Clock
from tests.publish.grypedb.conftest import BUILT, fill
from vulnfeeds.api.app import create_app
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.making import Maker
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import open_store
from vulnfeeds.testing.live import live_service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and archives of both schemas."""
    made = tmp_path_factory.mktemp("databases")
    store = open_store(f"sqlite:///{made / 'store.sqlite'}", clock=Clock())
    fill(store)
    maker = Maker(store, ArchiveFolder(made / "grypedb"), processor="test", most_shrink=0.2, old=True)
    maker.make(BUILT, lambda *said: None)
    store.close()
    return made


@pytest.fixture(scope="module", params=["", "https://feeds.example/base/"])
def external_url(request: pytest.FixtureRequest) -> str:
    """The setting of that name."""
    return str(request.param)


@pytest.fixture(scope="module")
def client(folder: Path, external_url: str) -> Iterator[httpx2.Client]:
    """A client of the live service."""
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    pages = PageFolder(folder / "pages", store)
    databases = ArchiveFolder(folder / "grypedb")
    app = create_app(store, pages, clock=Clock(), databases=databases, external_url=external_url)
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as opened:
        yield opened
    store.close()


def test_the_listing_has_the_four_keys_and_no_other(client: httpx2.Client, external_url: str) -> None:
    """Old engines fail on a fifth one; addresses are those under which clients reach the service."""
    available = client.get("/v1/databases/grypedb").json()["available"]
    base = external_url.rstrip("/") or str(client.base_url).rstrip("/")
    assert sorted(available) == ["3", "6"]
    for schema, (entry,) in available.items():
        assert set(entry) == {"built", "version", "url", "checksum"}
        assert (entry["version"], entry["built"]) == (int(schema), "2026-01-02T03:04:05Z")
        assert entry["url"].startswith(f"{base}/v1/databases/grypedb/vulnerability-db_v")


def test_grype_finds_the_archive_beside_its_document(client: httpx2.Client) -> None:
    """The path is joined to the document's folder, and the digest is that of what comes."""
    latest = client.get("/v1/databases/v6/latest.json").json()
    archive = client.get(f"/v1/databases/v6/{latest['path']}", headers={"Accept-Encoding": "gzip"})
    assert latest["checksum"] == f"sha256:{hashlib.sha256(archive.content).hexdigest()}"
    assert latest["schemaVersion"] == "v6.1.9"


def test_an_archive_is_sent_as_it_is(client: httpx2.Client) -> None:
    """A type without parameters, a length, no coding: clients check all of it."""
    name = client.get("/v1/databases/v6/latest.json").json()["path"]
    for path in (f"/v1/databases/grypedb/{name}", f"/databases/v6/{name}"):
        got = client.get(path, headers={"Accept-Encoding": "gzip, zstd"})
        head = client.head(path)
        assert got.status_code == head.status_code == 200
        assert got.headers["content-type"] == head.headers["content-type"] == "application/x-tar"
        assert got.headers["content-length"] == head.headers["content-length"] == str(len(got.content))
        assert "content-encoding" not in got.headers
        assert head.content == b""


def test_a_part_can_be_had(client: httpx2.Client) -> None:
    """A download that broke off goes on where it was."""
    path = f"/v1/databases/v6/{client.get('/v1/databases/v6/latest.json').json()['path']}"
    whole = client.get(path).content
    part = client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"


def test_an_archive_that_the_client_has_is_not_sent_again(client: httpx2.Client) -> None:
    """Its ETag is its digest."""
    path = f"/v1/databases/v6/{client.get('/v1/databases/v6/latest.json').json()['path']}"
    etag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.tar.zst", "..%2farchives.json", "archives.json", "%2e%2e%2fstore.sqlite"])
def test_nothing_else_of_the_folder_can_be_had(client: httpx2.Client, name: str) -> None:
    """Names that no listing has are not looked for."""
    answer = client.get(f"/v1/databases/grypedb/{name}")
    assert answer.status_code == 404
    assert json.loads(answer.content)["httpcode"] == 404


def test_without_a_database_the_listing_is_empty(tmp_path: Path, sqlite_url: str) -> None:
    """And the document says how to get one."""
    store = open_store(sqlite_url, clock=Clock())
    app = create_app(store, PageFolder(tmp_path / "pages", store), clock=Clock(), databases=ArchiveFolder(tmp_path))
    with live_service(app) as base:
        assert httpx2.get(f"{base}/v1/databases/grypedb").json() == {"available": {}}
        answer = httpx2.get(f"{base}/v1/databases/v6/latest.json")
        assert answer.status_code == 404
        assert "grypedb.enabled" in answer.json()["message"]
    store.close()
