"""The upstream map: mirrors by http, mirrors in folders, and what `vulnfeeds hosts` says about them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import DownloadError, HostRefusedError, LimitError, SettingsError, StatusError, UpstreamError
from vulnfeeds.fetch.hosts import Reached, reached
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.mirrors import DIRECT, UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_~:@!$&'()*+,;=", min_size=1, max_size=12)
PATHS = st.lists(NAMES, max_size=5).map(lambda names: "/" + "/".join(names))
QUERIES = st.text("abc=&:%2B0,;/?@", max_size=20)


def test_without_mirrors_every_host_is_asked_itself() -> None:
    """The empty map changes nothing, not even the spelling."""
    url = "https://services.nvd.nist.gov/rest/json/cves/2.0?a=2026-01-01T00:00:00.000%2B00:00"
    place = UpstreamMap().resolve(url)
    assert (str(place.address), place.mirrored, place.file) == (url, False, None)


@given(PATHS, QUERIES, st.sampled_from(["http://m.example", "https://m.example:8443/base", "http://u:p@m.example/"]))
def test_a_url_is_put_behind_the_mirror_as_it_is(path: str, query: str, mirror: str) -> None:
    """Law: https://HOST/PATH?QUERY becomes MIRROR/HOST/PATH?QUERY, byte for byte."""
    rest = path + (f"?{query}" if query else "")
    place = UpstreamMap(mirror).resolve("https://Example.org" + rest)
    base = mirror.replace("u:p@", "").rstrip("/")
    assert str(place.address) == f"{base}/example.org{rest}"
    assert place.mirrored
    assert place.address is not None
    assert place.address.user == ("u:p" if "@" in mirror else "")


def test_a_port_is_part_of_the_host() -> None:
    """Only the scheme's own port is left out; a fragment is never sent."""
    mirror = UpstreamMap("http://m.example")
    assert str(mirror.resolve("https://h.example:8443/x#part").address) == "http://m.example/h.example:8443/x"
    assert str(mirror.resolve("https://h.example:443").address) == "http://m.example/h.example/"


def test_hosts_may_have_mirrors_of_their_own() -> None:
    """A host's own mirror wins over the default; "direct" takes a host out of it; names are without case."""
    upstreams = UpstreamMap("http://all.example", {"A.example": "http://a-mirror.example/x", "b.example": DIRECT})
    found = upstreams.hosts_of(["https://a.example/p", "https://b.example/p", "https://c.example/p"])
    assert list(found.values()) == [
        "http://a-mirror.example/x/a.example/p",
        "https://b.example/p",
        "http://all.example/c.example/p",
    ]


@pytest.mark.parametrize(
    "mirror",
    [
        "ftp://m.example",
        "http://",
        "http://m.example/?x=1",
        "http://m.example/../x",
        "file://other-machine/x",
        "http://u:p/w@m/",
    ],
)
def test_mirrors_that_cannot_work_are_refused(mirror: str) -> None:
    """The error names the host and never a password."""
    with pytest.raises(SettingsError, match="upstreams") as caught:
        UpstreamMap(hosts={"a.example": mirror})
    assert "p/w" not in str(caught.value)
    with pytest.raises(SettingsError):
        UpstreamMap(mirror)


def test_the_map_goes_to_another_process() -> None:
    """Runs live in processes of their own; the map travels as settings do."""
    upstreams = UpstreamMap("http://m.example", {"a.example": "/srv/mirror"})
    assert msgspec.json.decode(msgspec.json.encode(upstreams), type=UpstreamMap) == upstreams


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder mirror with a few documents."""
    root = tmp_path / "mirror"
    for name, text in {
        "secdb.example/index.html": "<html><body>index</body></html>",
        "secdb.example/v3.19/main.json": '{"packages": []}',
        "secdb.example/odd name+x.json": "[1]",
        "secdb.example/empty.json": "",
        "other.example/x.json": "{}",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.json").write_text('{"secret": 1}')
    return root


def fetcher_of(mirror: str) -> HTTPFetcher:
    return HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(mirror), ["https://secdb.example/"])


@pytest.mark.parametrize("form", ["path", "url"])
def test_a_folder_gives_downloads(folder: Path, tmp_path: Path, form: str) -> None:
    """A plain path and a file:// URL do the same; the second time nothing is read and nothing changed."""
    target = tmp_path / "work" / "main.json"
    with fetcher_of(str(folder) if form == "path" else folder.as_uri()) as fetcher:
        first = fetcher.download("https://secdb.example/v3.19/main.json", target, expect=("json",))
        assert (first.changed, first.bytes_fetched) == (True, 16)
        assert first.last_modified is not None
        second = fetcher.download("https://secdb.example/v3.19/main.json", target)
        assert (second.changed, second.bytes_fetched, second.sha256) == (False, 0, first.sha256)
        source = folder / "secdb.example/v3.19/main.json"
        os.utime(source, (1, 1))
        touched = fetcher.download("https://secdb.example/v3.19/main.json", target)
        assert (touched.changed, touched.bytes_fetched) == (False, 16)
        assert touched.last_modified == datetime.fromtimestamp(1, UTC)
        source.write_text('{"packages": [1]}')
        assert fetcher.download("https://secdb.example/v3.19/main.json", target).changed
        assert target.read_text() == '{"packages": [1]}'
        assert fetcher.get_json("https://secdb.example/v3.19/main.json") == b'{"packages": [1]}'
    assert sorted(path.name for path in target.parent.iterdir()) == ["main.json", "main.json.validators.json"]


def test_a_folder_url_is_its_index(folder: Path, tmp_path: Path) -> None:
    """`https://HOST/` is the file index.html; so is a folder without its slash."""
    with fetcher_of(str(folder)) as fetcher:
        got = fetcher.download("https://secdb.example/", tmp_path / "index", expect=("html",))
        assert "index" in got.path.read_text()
        (folder / "secdb.example/v3.19/index.html").write_text("<html><body>3.19</body></html>")
        assert "3.19" in fetcher.download("https://secdb.example/v3.19", tmp_path / "i").path.read_text()


def test_encoded_names_are_files_of_that_name(folder: Path, tmp_path: Path) -> None:
    """Percent-encoding is of the URL, not of the folder."""
    with fetcher_of(str(folder)) as fetcher:
        assert fetcher.get_json("https://secdb.example/odd%20name%2Bx.json") == b"[1]"
        assert fetcher.get_json("https://secdb.example/odd%20name+x.json") == b"[1]"


@pytest.mark.parametrize(
    "path", ["v3.19/main.json?x=1", "missing.json", "v3.20/", "v3.19", "v3.19//main.json", "index.html/"]
)
def test_what_a_folder_has_not_is_404(folder: Path, tmp_path: Path, path: str) -> None:
    """A query, a missing file, a folder without index: StatusError 404, for files and pages."""
    with fetcher_of(str(folder)) as fetcher:
        for ask in (lambda u: fetcher.download(u, tmp_path / "x"), fetcher.get_json):
            with pytest.raises(StatusError) as caught:
                ask(f"https://secdb.example/{path}")
            assert caught.value.status == 404
    assert not (tmp_path / "x").exists()


def test_a_folder_that_does_not_exist_is_404(tmp_path: Path) -> None:
    """A wrong path in the settings shows as missing documents."""
    with fetcher_of(str(tmp_path / "nowhere")) as fetcher, pytest.raises(StatusError, match="404"):
        fetcher.get_json("https://secdb.example/v3.19/main.json")


@pytest.mark.parametrize(
    "path", ["..%2Foutside.json", "a/..%2f..%2foutside.json", "%2e%2e/x", "..%5Coutside.json", "x%00.json"]
)
def test_paths_cannot_leave_the_folder(folder: Path, tmp_path: Path, path: str) -> None:
    """Encoded dots, slashes, backslashes and NULs are refused, not resolved."""
    with fetcher_of(str(folder)) as fetcher, pytest.raises(UpstreamError) as caught:
        fetcher.get_json(f"https://secdb.example/{path}")
    assert isinstance(caught.value, HostRefusedError | StatusError)


def test_links_cannot_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    """A symbolic link inside of the folder is fine; one that leads out, or to another host, is refused."""
    (folder / "secdb.example/good.json").symlink_to("v3.19/main.json")
    (folder / "secdb.example/out.json").symlink_to(tmp_path / "outside.json")
    (folder / "secdb.example/other.json").symlink_to("../other.example/x.json")
    with fetcher_of(str(folder)) as fetcher:
        assert fetcher.get_json("https://secdb.example/good.json") == b'{"packages": []}'
        for name in ("out", "other"):
            with pytest.raises(HostRefusedError, match="leads out"):
                fetcher.get_json(f"https://secdb.example/{name}.json")


@given(st.text(max_size=40))
def test_no_path_reads_outside_of_the_folder(text: str) -> None:
    """Law: whatever the URL, a folder mirror resolves to a file below FOLDER/HOST or refuses."""
    root = Path("/nonexistent-folder-mirror")
    try:
        place = UpstreamMap(str(root)).resolve("https://h.example/" + text)
    except UpstreamError:
        return
    assert place.file is not None
    assert place.file.is_relative_to(root / "h.example")
    assert ".." not in place.file.parts


def test_a_folder_has_the_same_checks_and_ceilings(folder: Path, tmp_path: Path) -> None:
    """Types, empty files, sizes and the gate count for copies as for downloads."""
    with fetcher_of(str(folder)) as fetcher:
        with pytest.raises(DownloadError, match="HTML"):
            fetcher.download("https://secdb.example/", tmp_path / "x", expect=("json",))
        with pytest.raises(DownloadError, match="empty"):
            fetcher.download("https://secdb.example/empty.json", tmp_path / "x")
        with pytest.raises(DownloadError, match="empty"):
            fetcher.get_json("https://secdb.example/empty.json")
        for ask in (
            lambda: fetcher.download(
                "https://secdb.example/v3.19/main.json", tmp_path / "x", limits=Limits(max_bytes=9)
            ),
            lambda: fetcher.get_json("https://secdb.example/v3.19/main.json", limits=Limits(max_bytes=9)),
        ):
            with pytest.raises(LimitError, match="9 bytes"):
                ask()
        with pytest.raises(HostRefusedError):
            fetcher.get_json("https://other.example/x.json")
    assert not any(path.name.startswith("x") for path in tmp_path.iterdir())


def test_hosts_lists_where_requests_go(folder: Path) -> None:
    """One row for each upstream of each driver: its host, and the real address after the map, without secrets."""
    upstreams = UpstreamMap("http://us:pw@m.example/all", {"secdb.example": str(folder), "b.example": DIRECT})
    drivers = [
        ("alpine", ["https://secdb.example/", "https://b.example/rejected?key=abc"]),
        ("kev", ("https://www.example.gov/kev.json",)),
    ]
    root = folder.resolve()
    assert reached(drivers, upstreams) == [
        Reached("alpine", "secdb.example", "https://secdb.example/", f"{root}/secdb.example/", "folder"),
        Reached(
            "alpine",
            "b.example",
            "https://b.example/rejected?key=***",
            "https://b.example/rejected?key=***",
            "direct",
        ),
        Reached(
            "kev",
            "www.example.gov",
            "https://www.example.gov/kev.json",
            "http://m.example/all/www.example.gov/kev.json",
            "mirror",
        ),
    ]
    queried = reached([("api", ["https://secdb.example/api?x=1"])], upstreams)
    assert queried[0].address.startswith("nowhere")


def test_hosts_refuses_what_is_no_url() -> None:
    """A driver that declares rubbish is named by its URL."""
    with pytest.raises(HostRefusedError, match="not an http"):
        reached([("x", ["gopher://h/"])], UpstreamMap())
