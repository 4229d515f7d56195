"""What arrives must be what was announced: types, transport encodings, empty bodies."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import DownloadError, LimitError
from vulnfeeds.fetch.encoding import TransportDecoder
from vulnfeeds.fetch.interface import Limits
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.fetch.sniff import KINDS, looks_like
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.json"
HTML = b"<!DOCTYPE html>\n<html lang='en'><head><title>Request blocked</title></head></html>"


def tar_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def zip_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


SAMPLES = {
    "json": b' \n{"a": 1}',
    "gzip": gzip.compress(b"x"),
    "xml": b'<?xml version="1.0"?><oval_definitions/>',
    "html": HTML,
    "zip": zip_of(a=b"1"),
    "zstd": zstandard.compress(b"x"),
    "bzip2": bz2.compress(b"x"),
    "xz": lzma.compress(b"x"),
    "tar": tar_of(a=b"1"),
    "text": b"[07 Oct 2024] DSA-5784-1 oath-toolkit - security update",
}


def test_there_is_a_sample_of_every_kind() -> None:
    """The table of samples is complete."""
    assert set(SAMPLES) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_recognised_and_nothing_else_is(kind: str) -> None:
    """A sample looks like its own kind and like no other; only texts and the start of JSON look alike."""
    also = {name for name, body in SAMPLES.items() if looks_like(kind, body)}
    expected = {kind} | ({"text"} if kind == "json" else set()) | ({"json", "xml"} if kind == "text" else set())
    # Compressed samples this short may be without NUL, which is all that tells a text.
    binary = {"bzip2", "xz", "zstd", "gzip"} if kind == "text" else set()
    assert also - binary == expected


def test_byte_order_marks_and_odd_html_are_known() -> None:
    """A BOM does not hide JSON; comments, an XML declaration and capitals do not hide HTML."""
    assert looks_like("json", b"\xef\xbb\xbf[]")
    assert looks_like("html", b"\r\n<!-- saved -->\n<HTML>")
    assert looks_like("html", b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML">')
    assert not looks_like("html", b"<htmlish/>")
    assert not looks_like("xml", HTML)
    with pytest.raises(ValueError, match="'yaml' is not a kind"):
        looks_like("yaml", b"a: 1")


@pytest.mark.parametrize("kind", sorted(KINDS - {"html", "text"}))
def test_an_html_page_is_refused_under_any_other_announcement(
    upstream: UpstreamSimulator, tmp_path: Path, kind: str
) -> None:
    """The error quotes the start of what came, and is not tried again: it does not pass by itself."""
    upstream.put(URL, HTML)
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match=r"an HTML page: .<!DOCTYPE html>"):
        fetcher.download(URL, tmp_path / "data", expect=(kind,))
    assert len(upstream.log) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data.json", "list.json.gz", "oval.XML.bz2", "db.zip"])
def test_without_expectations_html_is_refused_under_a_data_name(
    upstream: UpstreamSimulator, tmp_path: Path, name: str
) -> None:
    """A driver that expects nothing in particular still gets no error page for a data file."""
    url = f"https://example.org/{name}"
    upstream.put(url, HTML)
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match="an HTML page came"):
        fetcher.download(url, tmp_path / "data")


def test_html_is_fine_where_it_is_asked_for(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An index page may be HTML, by its name or because the driver expects it."""
    upstream.put("https://example.org/index/", HTML)
    with upstream.fetcher() as fetcher:
        assert fetcher.download("https://example.org/index/", tmp_path / "a").path.read_bytes() == HTML
        assert fetcher.download("https://example.org/index/", tmp_path / "b", expect=("html",)).changed


def test_any_of_several_kinds_will_do(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """`expect` names alternatives."""
    upstream.put(URL, gzip.compress(b"{}"))
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, tmp_path / "a", expect=("json", "gzip"))
        with pytest.raises(DownloadError, match="expected xz or zip, got something else"):
            fetcher.download(URL, tmp_path / "b", expect=("xz", "zip"))


def test_a_wrong_type_is_noticed_before_all_of_it_came(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An endless wrong answer ends at its first bytes."""
    upstream.fault(URL, body=b"no json at all " * 100, endless=True)
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match="expected json"):
        fetcher.download(URL, tmp_path / "data", expect=("json",))


def test_an_empty_body_is_refused(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Neither a file nor an API page may be empty."""
    upstream.put(URL, b"")
    with upstream.fetcher() as fetcher:
        with pytest.raises(DownloadError, match="empty"):
            fetcher.download(URL, tmp_path / "data")
        with pytest.raises(DownloadError, match="empty"):
            fetcher.get_json(URL)
    assert list(tmp_path.iterdir()) == []


def test_files_are_asked_for_as_they_are_and_pages_compressed(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Ranges fit only unencoded bytes, so downloads ask for identity; API pages ask for gzip."""
    upstream.put(URL, b"{}")
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, tmp_path / "data")
        fetcher.get_json(URL)
    assert [seen.headers["accept-encoding"] for seen in upstream.log] == ["identity", "gzip"]


def test_a_body_that_is_encoded_anyway_is_decoded(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A server that compresses without being asked gives the same file; Content-Length is of the encoded bytes."""
    body = b'{"a": "' + b"abc" * 100_000 + b'"}'
    upstream.put(URL, body)
    upstream.fault(URL, gzip=True)
    with upstream.fetcher() as fetcher:
        got = fetcher.download(URL, tmp_path / "data", expect=("json",))
        assert got.path.read_bytes() == body
        assert got.bytes_fetched < len(body) / 10
        assert not fetcher.download(URL, tmp_path / "data").changed
        assert fetcher.get_json(URL) == body


def test_an_encoded_body_is_never_resumed(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Cut short while encoded: the next attempt begins anew, without a range."""
    body = bytes(range(256)) * 4000
    upstream.put(URL, body)
    upstream.fault(URL, gzip=True, times=1, truncate_at=3000)
    with upstream.fetcher() as fetcher:
        got = fetcher.download(URL, tmp_path / "data")
    assert got.path.read_bytes() == body
    assert [("range" in seen.headers) for seen in upstream.log] == [False, False]


def test_a_gz_file_announced_as_encoded_stays_a_gz_file(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Some servers say "Content-Encoding: gzip" of every .gz file: it arrives as the file that it is."""
    url, body = "https://example.org/data.json.gz", gzip.compress(b'{"a": 1}' * 1000)
    upstream.put(url, body)
    upstream.fault(url, headers={"Content-Encoding": "gzip"})
    with upstream.fetcher() as fetcher:
        got = fetcher.download(url, tmp_path / "data.json.gz", expect=("gzip",))
    assert got.path.read_bytes() == body


def test_a_gz_file_that_really_is_encoded_is_decoded_once(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """When the encoded bytes decode to gzip again, the transport encoding is removed and no more."""
    url, body = "https://example.org/data.json.gz", gzip.compress(b'{"a": 1}' * 1000)
    upstream.put(url, body)
    upstream.fault(url, gzip=True)
    with upstream.fetcher() as fetcher:
        got = fetcher.download(url, tmp_path / "data.json.gz", expect=("gzip",))
    assert got.path.read_bytes() == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13"])
def test_an_unknown_encoding_is_refused(upstream: UpstreamSimulator, tmp_path: Path, encoding: str) -> None:
    """What was not asked for and cannot be undone is an error that names it."""
    upstream.put(URL, b"{}")
    upstream.fault(URL, headers={"Content-Encoding": encoding})
    with upstream.fetcher() as fetcher:
        with pytest.raises(DownloadError, match=encoding):
            fetcher.download(URL, tmp_path / "data")
        with pytest.raises(DownloadError, match=encoding):
            fetcher.get_json(URL)


def test_a_broken_encoding_is_refused(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Bytes that are not what Content-Encoding says, or that end early, never become a file."""
    upstream.fault(URL, times=2, body=b"not gzip", headers={"Content-Encoding": "gzip"})
    with upstream.fetcher() as fetcher:
        with pytest.raises(DownloadError, match="transport encoding is broken"):
            fetcher.download(URL, tmp_path / "data")
        with pytest.raises(DownloadError, match="transport encoding is broken"):
            fetcher.get_json(URL)
        upstream.fault(URL, body=gzip.compress(b"{}" * 5000)[:-9], headers={"Content-Encoding": "gzip"})
        with pytest.raises(DownloadError, match="before its end mark"):
            fetcher.download(URL, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_decompression_bomb_ends_at_the_ceiling(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A small encoded body that grows without end is a LimitError, in memory and on disk, and leaves nothing."""
    bomb = gzip.compress(b"{" + b" " * (80 << 20), 9, mtime=0)
    assert len(bomb) < 100_000
    upstream.fault(URL, body=bomb, headers={"Content-Encoding": "gzip"})
    with upstream.fetcher() as fetcher:
        with pytest.raises(LimitError, match="decompresses to more than"):
            fetcher.get_json(URL, limits=Limits(max_bytes=1 << 20))
        with pytest.raises(LimitError, match="ratio 250"):
            fetcher.download(URL, tmp_path / "data")
    with upstream.fetcher(FetchSettings(max_decompressed_bytes=5 << 20)) as fetcher, pytest.raises(LimitError):
        fetcher.download(URL, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


@given(
    members=st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 500), min_size=1, max_size=50),
    padding=st.integers(0, 3),
)
def test_decoding_does_not_depend_on_how_the_bytes_are_cut(
    members: list[bytes], cuts: list[int], padding: int
) -> None:
    """Law: decode(any cutting of encode(x)) = x, for several gzip members and zero padding after them."""
    encoded = b"".join(gzip.compress(member, mtime=0) for member in members) + b"\0" * padding
    decoder = TransportDecoder("u", "gzip", 1 << 30, 0)
    out, at, turn = b"", 0, 0
    while at < len(encoded):
        step = cuts[turn % len(cuts)]
        out += b"".join(decoder.decode(encoded[at : at + step]))
        at, turn = at + step, turn + 1
    decoder.finish()
    assert out == b"".join(members)


def test_large_pieces_come_out_whole() -> None:
    """Output that fills the decoder's piece exactly, or remains inside of it, is not lost."""
    for size in ((1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20):
        body = b"\0" * size
        decoder = TransportDecoder("u", "deflate", 1 << 30, 0)
        assert b"".join(decoder.decode(zlib.compress(body))) == body
        decoder.finish()


def test_json_must_begin_like_json(upstream: UpstreamSimulator) -> None:
    """An API page that is something else is quoted in the error."""
    upstream.put(URL, b"Service unavailable, sorry")
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match="'Service unavailable, sorry'"):
        fetcher.get_json(URL)
