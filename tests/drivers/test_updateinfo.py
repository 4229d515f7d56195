"""The format updateinfo: what is read, that it is read as a stream, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.drivers.formats import elements, updateinfo
from vulnfeeds.errors import DownloadError, ParseError

UPDATE = """<update author="a" type="security" status="final" version="1">
  <id>{id}</id><title>t</title><issued date="2024-01-01 10:00"/><severity>low</severity><description> d
</description><references><reference href="h" id="CVE-2024-0001" title="" type="cve"/></references>
  <pkglist><collection short="s"><name>n</name>
  <package name="a" epoch="1" version="2" release="3" arch="x86_64"><filename>f</filename></package>
  <package name="b" version="2" release="3" arch="noarch"/></collection></pkglist></update>"""
DOCUMENT = f'<?xml version="1.0" ?>\n<updates>{UPDATE.format(id="A-1")}</updates>'.encode()
INDEX = """<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
<data type="primary"><location href="repodata/primary.xml.gz"/></data>
<data type="updateinfo"><checksum type="{kind}">{digest}</checksum><location href="{href}"/></data></repomd>"""


def written(tmp_path: Path, data: bytes) -> Path:
    """Return a file with these bytes."""
    path = tmp_path / "document"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_a_document_is_read_however_it_is_packed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """The first bytes tell the packing; an epoch that is not given is 0."""
    (update,) = updateinfo.read(written(tmp_path, pack(DOCUMENT)), "here")
    assert update == updateinfo.Update(
        id="A-1",
        kind="security",
        status="final",
        title="t",
        severity="low",
        description="d",
        issued="2024-01-01 10:00",
        references=(updateinfo.Reference("cve", "CVE-2024-0001", "h", ""),),
        packages=(
            updateinfo.Package("a", "1", "2", "3", "x86_64"),
            updateinfo.Package("b", "0", "2", "3", "noarch"),
        ),
    )
    assert [package.evr for package in update.packages] == ["1:2-3", "0:2-3"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "here: not well-formed XML"),
        (b"<updates/", "not well-formed XML"),
        (DOCUMENT[:-5], "not well-formed XML after 1 elements"),
        (b"<html><body/></html>", "the root is <html>, not <updates>"),
        (DOCUMENT.replace(b"<id>A-1</id>", b""), "here update 1: no id"),
        (DOCUMENT.replace(b'version="2"', b""), r"here update 1 \(A-1\) package a: no name, version or release"),
        (
            DOCUMENT.replace(b"<updates>", b'<!DOCTYPE x [<!ENTITY e "e">]><updates>'),
            "document type .x. is not allowed",
        ),
        (DOCUMENT.replace(b"<updates>", b'<!DOCTYPE x SYSTEM "http://h/x"><updates>'), "document type"),
        (DOCUMENT.replace(b" d\n", b"&e;"), "not well-formed XML"),
        (b'<?xml version="1.0" encoding="x-y"?><updates/>', "here: not "),
        (b"<updates>" + b"<a>" * 100 + b"</a>" * 100 + b"</updates>", "nest more than 64 deep"),
        (b"<updates><update>" + b"<a/>" * 200_001 + b"</update></updates>", "holds more than 200000 others"),
        (b"<updates><update>" + b"a" * (17 << 20) + b"</update></updates>", "holds more than 16777216 letters"),
    ],
)
def test_other_shapes_are_refused_with_their_place(tmp_path: Path, data: bytes, says: str) -> None:
    """Broken, foreign, hostile: the error says where and why."""
    with pytest.raises(ParseError, match=says):
        list(updateinfo.read(written(tmp_path, data), "here"))


def test_broken_packing_is_told(tmp_path: Path) -> None:
    """Half of a packed document is no document."""
    packed = gzip.compress(DOCUMENT)
    with pytest.raises(DownloadError, match="here: the compressed bytes"):
        list(updateinfo.read(written(tmp_path, packed[: len(packed) // 2]), "here"))


def test_other_elements_are_passed_over(tmp_path: Path) -> None:
    """Upstream may add what it likes, at any place."""
    more = DOCUMENT.replace(b"<updates>", b"<updates><note>x</note>").replace(b"<pkglist>", b"<x><y/></x><pkglist>")
    more = more.replace(b"</updates>", b"<note/></updates>")
    path = written(tmp_path, more)
    assert [update.id for update in updateinfo.read(path, "here")] == ["A-1"]


def test_a_document_is_never_whole_in_memory() -> None:
    """An element is given out before the document's end is asked for."""

    class Endless(BytesIO):
        asked = 0

        def read(self, size: int | None = -1) -> bytes:
            self.asked += 1
            return b"<updates>" if self.asked == 1 else b"<update><id>A</id></update>" * 100

    stream = Endless()
    walk = elements.children(stream, "here", "updates")
    for _ in range(250):
        assert elements.text_of(next(walk), "id") == "A"
    assert stream.asked == 4


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever comes, it is read or refused with ParseError."""
    try:
        list(elements.children(BytesIO(data), "here", "updates"))
    except ParseError as error:
        assert error.place == "here"


@given(st.integers(0, len(DOCUMENT) - 1), st.binary(min_size=1, max_size=3))
def test_a_spoilt_document_is_read_or_refused(place: int, bytes_: bytes) -> None:
    """Any few bytes in the place of others give ParseError or elements."""
    spoilt = DOCUMENT[:place] + bytes_ + DOCUMENT[place + len(bytes_) :]
    try:
        list(elements.children(BytesIO(spoilt), "here", "updates"))
    except ParseError as error:
        assert error.place == "here"


def test_the_index_tells_where_and_what(tmp_path: Path) -> None:
    """Path and digest of the advisories; a repository without them has none."""
    path = written(tmp_path, INDEX.format(kind="sha256", digest="AB", href="repodata/u.xml.gz").encode())
    assert updateinfo.find(path, "here") == updateinfo.Location("repodata/u.xml.gz", "sha256", "ab")
    path = written(tmp_path, INDEX.replace('"updateinfo"', '"other"').encode())
    assert updateinfo.find(path, "here") is None


@pytest.mark.parametrize("href", ["", "/etc/x", "../x", "a/../../x", "http://other/x", "..\\x"])
def test_an_index_does_not_lead_out_of_its_repository(tmp_path: Path, href: str) -> None:
    """A location is a path under the repository's address."""
    path = written(tmp_path, INDEX.format(kind="sha256", digest="ab", href=href).encode())
    with pytest.raises(ParseError, match=r"here: (the index gives no location|the location of updateinfo leads out)"):
        updateinfo.find(path, "here")


@pytest.mark.parametrize("kind", ["sha", "sha256", "sha512"])
def test_the_digest_of_the_index_is_kept(tmp_path: Path, kind: str) -> None:
    """Another file than the one that the index speaks of is refused; an algorithm that we do not know is passed."""
    right = hashlib.new("sha1" if kind == "sha" else kind, DOCUMENT).hexdigest()
    path = tmp_path / "repomd.xml"
    path.write_text(INDEX.format(kind=kind, digest=right, href="x"))
    location = updateinfo.find(path, "here")
    assert location is not None
    updateinfo.verify(written(tmp_path, DOCUMENT), location, "url")
    with pytest.raises(DownloadError, match="url: its sha"):
        updateinfo.verify(written(tmp_path, DOCUMENT + b" "), location, "url")
    updateinfo.verify(written(tmp_path, b""), location._replace(algorithm=""), "url")
