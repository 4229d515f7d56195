"""Downloads are whole, atomic, and asked for again only under a condition."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vulnfeeds import __version__
from vulnfeeds.errors import DownloadError, StatusError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import MODIFIED, UpstreamSimulator

URL = "https://example.org/data.json"
BODY = b'{"a": [' + b"1," * 200_000 + b"1]}"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_first_download_brings_the_whole_body(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The file holds the body, the answer says what it is, and nothing but the validators is left beside it."""
    upstream.put(URL, BODY)
    with upstream.fetcher() as fetcher:
        got = fetcher.download(URL, tmp_path / "deep" / "data.json", expect=("json",))
    assert got.path.read_bytes() == BODY
    assert got.changed
    assert got.sha256 == hashlib.sha256(BODY).hexdigest()
    assert got.bytes_fetched == len(BODY)
    assert got.last_modified == MODIFIED
    assert files(tmp_path / "deep") == ["data.json", "data.json.validators.json"]


def test_an_unchanged_document_is_confirmed_not_sent(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The second request carries ETag and Last-Modified, costs no body and says "not changed"."""
    upstream.put(URL, BODY)
    with upstream.fetcher() as fetcher:
        first = fetcher.download(URL, tmp_path / "data.json")
        again = fetcher.download(URL, tmp_path / "data.json")
    assert [seen.status for seen in upstream.log] == [200, 304]
    assert {"if-none-match", "if-modified-since"} <= upstream.log[1].headers.keys()
    assert (again.changed, again.bytes_fetched, again.sha256) == (False, 0, first.sha256)
    assert again.last_modified == MODIFIED


def test_a_new_version_replaces_the_old_one(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Changed upstream bytes arrive in the same file."""
    upstream.put(URL, BODY)
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, tmp_path / "data.json")
        upstream.put(URL, b'{"b": 2}', modified=datetime(2024, 6, 1, tzinfo=UTC))
        got = fetcher.download(URL, tmp_path / "data.json")
    assert got.changed
    assert got.path.read_bytes() == b'{"b": 2}'


def test_equal_bytes_are_no_change_even_when_sent_again(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An upstream without validators sends everything again; the digest shows that nothing changed."""
    upstream.put(URL, BODY)
    upstream.fault(URL, validators=False)
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, tmp_path / "data.json")
        again = fetcher.download(URL, tmp_path / "data.json")
    assert [seen.status for seen in upstream.log] == [200, 200]
    assert (again.changed, again.bytes_fetched) == (False, len(BODY))
    assert again.last_modified is None


@pytest.mark.parametrize("damage", ["longer", "same size", "gone"])
def test_a_target_that_was_touched_is_fetched_whole(upstream: UpstreamSimulator, tmp_path: Path, damage: str) -> None:
    """Validators count only while the target has the digest that they were given for."""
    upstream.put(URL, BODY)
    target = tmp_path / "data.json"
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, target)
        if damage == "gone":
            target.unlink()
        else:
            target.write_bytes(BODY + b" " if damage == "longer" else b"x" + BODY[1:])
        got = fetcher.download(URL, target)
    assert "if-none-match" not in upstream.log[1].headers
    assert got.changed
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"url": 5}', b"\x00\xff" * 32])
def test_unreadable_validators_only_cost_a_request(
    upstream: UpstreamSimulator, tmp_path: Path, rubbish: bytes
) -> None:
    """Whatever lies where the validators should be, the download works."""
    upstream.put(URL, BODY)
    target = tmp_path / "data.json"
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, target)
        (tmp_path / "data.json.validators.json").write_bytes(rubbish)
        got = fetcher.download(URL, target)
    assert (got.changed, upstream.log[1].status) == (False, 200)


def test_validators_of_another_server_mean_nothing(tmp_path: Path) -> None:
    """When the map leads elsewhere than last time, the document is fetched without a condition."""
    target = tmp_path / "data.json"
    with UpstreamSimulator({URL: BODY}) as one, UpstreamSimulator({URL: b"[1]"}) as other:
        with one.fetcher() as fetcher:
            fetcher.download(URL, target)
        with other.fetcher() as fetcher:
            assert fetcher.download(URL, target).changed
        assert "if-none-match" not in other.log[0].headers
    assert target.read_bytes() == b"[1]"


def test_not_modified_without_a_condition_is_an_error(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A server that says 304 to a first request gave nothing, and that is said."""
    upstream.fault(URL, status=304)
    with upstream.fetcher() as fetcher, pytest.raises(StatusError, match="nothing was named"):
        fetcher.download(URL, tmp_path / "data.json")
    assert files(tmp_path) == []


def test_a_failure_leaves_the_last_good_file(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Nothing that goes wrong later touches the file and its validators."""
    upstream.put(URL, BODY)
    target = tmp_path / "data.json"
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, target, expect=("json",))
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        for wrong in ({"status": 500}, {"status": 404}, {"body": b""}, {"body": b"<html><body>sorry</body></html>"}):
            upstream.heal()
            upstream.fault(URL, validators=False, **wrong)
            with pytest.raises((StatusError, DownloadError)):
                fetcher.download(URL, target, expect=("json",))
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        upstream.heal()
        assert not fetcher.download(URL, target).changed


def test_the_validators_hold_no_secret(tmp_path: Path) -> None:
    """A mirror's user and password, and a key in a query, are not written beside the download."""
    url = "https://example.org/data.json?apiKey=SECRET1&x=1"
    with UpstreamSimulator({url: BODY}) as upstream:
        mirror = upstream.address.replace("http://", "http://user:SECRET2@")
        with HTTPFetcher(FetchSettings(), UpstreamMap(mirror), ["https://example.org/"]) as fetcher:
            fetcher.download(url, tmp_path / "data.json")
            assert not fetcher.download(url, tmp_path / "data.json").changed
        assert upstream.log[0].headers["authorization"].startswith("Basic ")
        assert [seen.status for seen in upstream.log] == [200, 304]
        assert upstream.log[0].url == url
    kept = (tmp_path / "data.json.validators.json").read_text()
    assert "SECRET" not in kept
    assert json.loads(kept)["size"] == len(BODY)


def test_a_local_disk_that_refuses_is_named(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """When the file cannot be written, the error is an UpstreamError that names the local file."""
    upstream.put(URL, BODY)
    (tmp_path / "data.json").mkdir()
    (tmp_path / "data.json" / "x").write_text("in the way")
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match=r"local file .*data\.json"):
        fetcher.download(URL, tmp_path / "data.json")


def test_urls_are_sent_as_written(upstream: UpstreamSimulator) -> None:
    """Colons in a query stay colons, and what is percent-encoded stays so: NVD answers nothing else."""
    asked = "https://example.org/api?start=2026-03-01T00:00:00.000%2B00:00&cpe=cpe:2.3:a:*:x~y&e=&f"
    seen: list[str] = []

    def answer(url: str) -> bytes:
        seen.append(url)
        return b"{}"

    upstream.serve("https://example.org/", answer)
    with upstream.fetcher() as fetcher:
        assert fetcher.get_json(asked) == b"{}"
    assert seen == [asked]


def test_every_request_says_who_asks(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The User-Agent names product, version, project, and the operator's contact when there is one."""
    upstream.put(URL, BODY)
    with upstream.fetcher(FetchSettings(contact="security@example.org")) as fetcher:
        fetcher.download(URL, tmp_path / "data.json")
        fetcher.get_json(URL)
    expected = f"vulnfeeds/{__version__} (+https://github.com/vulnfeeds/vulnfeeds; security@example.org)"
    assert [seen.headers["user-agent"] for seen in upstream.log] == [expected, expected]


def test_cookies_are_not_kept(upstream: UpstreamSimulator) -> None:
    """No upstream recognises us by a cookie that it gave."""
    upstream.put(URL, BODY)
    upstream.fault(URL, headers={"Set-Cookie": "id=1; Path=/"})
    with upstream.fetcher() as fetcher:
        fetcher.get_json(URL)
        fetcher.get_json(URL)
    assert "cookie" not in upstream.log[1].headers


def test_progress_is_told_with_bytes_and_total(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Whoever listens hears (URL, bytes, total) growing up to the end; the total is None when it is not announced."""
    large = b"{" + b" " * 3_000_000 + b"}"
    upstream.put(URL, large)
    told: list[tuple[str, int, int | None]] = []
    with upstream.fetcher(progress=lambda *args: told.append(args)) as fetcher:
        fetcher.download(URL, tmp_path / "data.json")
        assert len(told) >= 3
        assert told == sorted(told)
        assert told[-1] == (URL, len(large), len(large))
        upstream.fault(URL, chunked=True)
        fetcher.download(URL, tmp_path / "other.json")
    assert told[-1] == (URL, len(large), None)


def test_a_date_that_cannot_be_read_is_no_date(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An odd Last-Modified is sent back as it came, and shown as unknown."""
    upstream.put(URL, BODY)
    upstream.fault(URL, headers={"Last-Modified": "yesterday", "ETag": ""})
    with upstream.fetcher() as fetcher:
        assert fetcher.download(URL, tmp_path / "data.json").last_modified is None
