"""Prefixes with spliced tails are single, strict gzip members and zstd frames."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib
from pathlib import Path

import httpx2
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vulnfeeds.publish.splice import ENCODINGS, Encoding, compress, prefix, splice

PLAIN = st.one_of(
    st.binary(max_size=2000),
    st.text(max_size=2000).map(str.encode),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 9000)).map(lambda pair: pair[0] * pair[1]),
)


def decode_strictly(coded: bytes, encoding: Encoding) -> bytes:
    """Decode one member or frame and insist that nothing is missing and nothing follows."""
    if encoding == "identity":
        return coded
    decoder = zlib.decompressobj(31) if encoding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    plain = decoder.decompress(coded)
    assert decoder.eof
    assert decoder.unused_data == b""
    return plain


@given(PLAIN, PLAIN, st.sampled_from(ENCODINGS))
@example(b"", b"", "gzip")
@example(b"", b"", "zstd")
@example(b"x" * 300_000, b"y" * 70_000, "gzip")
@example(b"x" * 300_000, b"y" * 140_000, "zstd")
@example(b"", b"y" * 131_072, "zstd")
@example(b"", b"y" * 65_535, "gzip")
@settings(max_examples=300, deadline=None)
def test_a_spliced_answer_decodes_to_prefix_and_tail(plain: bytes, tail: bytes, encoding: Encoding) -> None:
    """decode(splice(prefix(x), tail)) == x + tail, in one member or frame."""
    assert decode_strictly(splice(prefix(plain, encoding), tail), encoding) == plain + tail


@given(PLAIN, st.sampled_from(ENCODINGS))
@settings(max_examples=100, deadline=None)
def test_an_answer_coded_at_once_decodes_to_itself(plain: bytes, encoding: Encoding) -> None:
    """decode(compress(x)) == x, in one member or frame."""
    assert decode_strictly(compress(plain, encoding), encoding) == plain


@given(PLAIN, PLAIN, PLAIN, st.sampled_from(ENCODINGS))
@settings(max_examples=50, deadline=None)
def test_one_prefix_takes_any_tail(plain: bytes, first: bytes, second: bytes, encoding: Encoding) -> None:
    """Splicing does not use a prefix up, so that generations can share it."""
    beginning = prefix(plain, encoding)
    assert decode_strictly(splice(beginning, first), encoding) == plain + first
    assert decode_strictly(splice(beginning, second), encoding) == plain + second


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_decoder_fed_in_pieces_reads_it(encoding: Encoding, data: st.DataObject) -> None:
    """Streaming clients see the same bytes wherever the network cuts them."""
    plain, tail = data.draw(PLAIN), data.draw(PLAIN)
    coded = splice(prefix(plain, encoding), tail)
    step = data.draw(st.integers(1, len(coded)))
    decoder = zlib.decompressobj(31) if encoding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    pieces = [decoder.decompress(coded[at : at + step]) for at in range(0, len(coded), step)]
    assert b"".join(pieces) == plain + tail


def test_the_usual_readers_accept_it(tmp_path: Path) -> None:
    """The gzip module, the command-line tools and an HTTP client read spliced answers."""
    plain, tail = b'{"data":[' + b'{"a":1},' * 50_000, b'],"next_token":""}'
    packed = splice(prefix(plain, "gzip"), tail)
    framed = splice(prefix(plain, "zstd"), tail)
    assert gzip.decompress(packed) == plain + tail
    for name, coded, tool in (("page.gz", packed, "gzip"), ("page.zst", framed, "zstd")):
        if shutil.which(tool):
            (tmp_path / name).write_bytes(coded)
            done = subprocess.run([tool, "-dc", name], cwd=tmp_path, capture_output=True, check=True)
            assert done.stdout == plain + tail
    assert httpx2.Response(200, headers={"Content-Encoding": "gzip"}, content=packed).content == plain + tail


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_flipped_or_missing_byte_does_not_pass_for_the_page(encoding: Encoding) -> None:
    """A cut answer is an error or incomplete for the decoder, never a shorter success."""
    plain, tail = b"abc" * 1000, b"tail"
    coded = splice(prefix(plain, encoding), tail)
    for cut in range(len(coded)):
        decoder = zlib.decompressobj(31) if encoding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
        decoder.decompress(coded[:cut])
        assert not decoder.eof
