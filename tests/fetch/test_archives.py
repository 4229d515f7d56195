"""Compressed downloads and archives are read without trusting their sizes, names or ends."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vulnfeeds.errors import DownloadError, LimitError
from vulnfeeds.fetch.archives import ArchiveLimits, members
from vulnfeeds.fetch.decompress import open_bounded

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}
PACKED = sorted(set(FORMS) - {"plain"})
TEXT = b"".join(b"%d: some line of a document\n" % number for number in range(20_000))


def written(tmp_path: Path, body: bytes, name: str = "download.bin") -> Path:
    path = tmp_path / name
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_the_first_bytes_tell_the_compression(tmp_path: Path, form: str) -> None:
    """The name does not matter; lines can be read one by one."""
    path = written(tmp_path, FORMS[form](TEXT), "data.txt")
    with open_bounded(path) as stream:
        assert stream.read() == TEXT
    with open_bounded(path) as stream:
        assert next(iter(stream)) == TEXT.splitlines(keepends=True)[0]
        assert stream.read(10) == TEXT.split(b"\n", 1)[1][:10]


@pytest.mark.parametrize("form", PACKED)
def test_several_streams_in_a_row_are_one(tmp_path: Path, form: str) -> None:
    """Concatenated members (bzip2 of parallel packers, gzip appended to) are all read."""
    pack = FORMS[form]
    path = written(tmp_path, pack(TEXT) + pack(b"") + pack(b"end\n"))
    with open_bounded(path) as stream:
        assert stream.read() == TEXT + b"end\n"


@pytest.mark.parametrize("form", PACKED)
@pytest.mark.parametrize("missing", [1, 5, 1000])
def test_a_stream_that_was_cut_short_is_an_error(tmp_path: Path, form: str, missing: int) -> None:
    """What came is never taken for everything; the error names the file, or the URL when it is given."""
    path = written(tmp_path, FORMS[form](TEXT)[:-missing])
    with pytest.raises(DownloadError, match=r"download\.bin: the compressed bytes"), open_bounded(path) as stream:
        while stream.read(1 << 16):
            pass
    with (
        pytest.raises(DownloadError, match=r"https://example\.org/x: "),
        open_bounded(path, url="https://example.org/x") as s,
    ):
        s.read()


@pytest.mark.parametrize("form", PACKED)
def test_broken_bytes_are_an_error(tmp_path: Path, form: str) -> None:
    """A flipped byte in the middle, or rubbish after the end, is noticed."""
    whole = bytearray(FORMS[form](TEXT))
    if form != "zstd":
        # A zstd frame carries no checksum unless its maker asked for one, so only the others must notice a flip.
        whole[len(whole) // 2] ^= 0xFF
        with pytest.raises(DownloadError), open_bounded(written(tmp_path, bytes(whole))) as stream:
            stream.read()
    checked = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    flipped = checked[:-1] + bytes([checked[-1] ^ 1])
    with pytest.raises(DownloadError), open_bounded(written(tmp_path, flipped)) as stream:
        stream.read()


@pytest.mark.parametrize("form", PACKED)
def test_a_bomb_ends_at_the_ceilings(tmp_path: Path, form: str) -> None:
    """40 MB of zeros in a few KB: refused by ratio and by size, long before its end."""
    path = written(tmp_path, FORMS[form](b"\0" * (40 << 20)))
    assert path.stat().st_size < 100_000
    with pytest.raises(LimitError, match="above the ratio 250"), open_bounded(path) as stream:
        while stream.read(1 << 20):
            pass
    with (
        pytest.raises(LimitError, match="more than the 1048576 bytes"),
        open_bounded(path, max_bytes=1 << 20) as stream,
    ):
        while stream.read(1 << 16):
            pass
    with open_bounded(path, max_ratio=0) as stream:
        assert sum(len(block) for block in iter(lambda: stream.read(1 << 20), b"")) == 40 << 20


def test_a_plain_file_has_a_ceiling_too(tmp_path: Path) -> None:
    """Nothing is compressed, but the size still counts."""
    path = written(tmp_path, b"x" * 1000)
    with pytest.raises(LimitError), open_bounded(path, max_bytes=999) as stream:
        stream.read()


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    """No magic bytes, no content, no error."""
    with open_bounded(written(tmp_path, b"")) as stream:
        assert stream.read() == b""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(PACKED),
    st.lists(st.binary(max_size=5000), min_size=1, max_size=3),
    st.lists(st.integers(1, 3000), min_size=1, max_size=5),
)
def test_reading_gives_back_what_was_packed(tmp_path: Path, form: str, parts: list[bytes], sizes: list[int]) -> None:
    """Law: read(pack(a) + pack(b)) = a + b, in whatever steps it is read."""
    path = written(tmp_path, b"".join(FORMS[form](part) for part in parts))
    out, turn = b"", 0
    with open_bounded(path) as stream:
        while block := stream.read(sizes[turn % len(sizes)]):
            out += block
            turn += 1
    assert out == b"".join(parts)


def tar_of(*entries: tuple[str, Any], **fields: Any) -> bytes:
    """Make a tar; an entry's content is bytes, or a tarfile type for what is no file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes) and len(content) != 1:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content, "target"
                archive.addfile(member)
    return out.getvalue()


def zip_of(*entries: tuple[str, bytes], kind: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = kind << 16
            archive.writestr(member, content)
    return out.getvalue()


def read_all(path: Path, wanted: Callable[[str], bool] = lambda name: True, **limits: Any) -> dict[str, bytes]:
    found = members(path, wanted=wanted, limits=ArchiveLimits(**limits), url="https://example.org/a")
    return {name: stream.read() for name, stream in found}


FILES = (("top/a.json", b'{"a": 1}'), ("./top/deep/b.json", b"[]" * 9000), ("top/c.txt", b"no json"))


@pytest.mark.parametrize("form", [*FORMS, "zip"])
def test_wanted_files_are_given_one_by_one(tmp_path: Path, form: str) -> None:
    """Every kind of archive gives the same names and bytes; what nobody wants is passed over."""
    body = zip_of(*FILES) if form == "zip" else FORMS[form](tar_of(("top", tarfile.DIRTYPE), *FILES))
    found = read_all(written(tmp_path, body), lambda name: name.endswith(".json"))
    assert found == {"top/a.json": b'{"a": 1}', "top/deep/b.json": b"[]" * 9000}


def test_an_archive_may_be_left_early(tmp_path: Path) -> None:
    """Who has found what he looked for reads no further, and files are closed."""
    path = written(tmp_path, gzip.compress(tar_of(*FILES)))
    walk = members(path, wanted=lambda name: True)
    name, stream = next(walk)
    assert (name, stream.read(3)) == ("top/a.json", b'{"a')
    walk.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up.json", "a/../../up.json", "a/..", "C:/x", "\\\\host\\x", "a\\..\\b"]
)
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_names_that_lead_out_are_refused(tmp_path: Path, form: str, name: str) -> None:
    """Absolute names and climbing ones end the walk, wanted or not: such an archive is not trusted at all."""
    entries = (("fine.json", b"{}"), (name, b"{}"))
    body = tar_of(*entries) if form == "tar" else zip_of(*entries)
    for wanted in (lambda name: True, lambda name: name == "fine.json"):
        with pytest.raises(DownloadError, match=r"https://example\.org/a: .*leads out"):
            read_all(written(tmp_path, body), wanted)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_never_given(tmp_path: Path, kind: bytes) -> None:
    """Where a file is wanted they are an error; elsewhere they are passed over, because real archives have them."""
    path = written(tmp_path, tar_of(("a.json", b"{}"), ("link.json", kind)))
    assert read_all(path, lambda name: name == "a.json") == {"a.json": b"{}"}
    with pytest.raises(DownloadError, match="link or device"):
        read_all(path)


def test_links_in_a_zip_are_never_given(tmp_path: Path) -> None:
    """A symbolic link in a zip is a file with a mark; so is a device."""
    for kind in (stat.S_IFLNK, stat.S_IFCHR):
        with pytest.raises(DownloadError, match="link or device"):
            read_all(written(tmp_path, zip_of(("link.json", b"target"), kind=kind | 0o777)))
    assert read_all(written(tmp_path, zip_of(("a.json", b"{}"), kind=stat.S_IFREG | 0o644)))


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_archives_have_ceilings(tmp_path: Path, form: str) -> None:
    """Members, bytes of a member and bytes in all are bounded, each with an error that says the number."""
    entries = tuple((f"{number}.json", b"x" * 5000) for number in range(10))
    path = written(tmp_path, tar_of(*entries) if form == "tar" else zip_of(*entries))
    assert len(read_all(path, max_members=10)) == 10
    with pytest.raises(LimitError, match="more than 9 members"):
        read_all(path, max_members=9)
    with pytest.raises(LimitError, match=r"'0\.json' has 5000 bytes, 4999 are allowed"):
        read_all(path, max_member_bytes=4999)
    with pytest.raises(LimitError, match="20000 bytes"):
        read_all(path, max_total_bytes=20_000)


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_an_archive_bomb_is_refused(tmp_path: Path, form: str) -> None:
    """Zeros that compress a thousandfold are refused by their ratio."""
    entries = tuple((f"{number}.bin", b"\0" * (20 << 20)) for number in range(2))
    path = written(tmp_path, gzip.compress(tar_of(*entries)) if form == "tar" else zip_of(*entries))
    with pytest.raises(LimitError, match="ratio 250"):
        for _name, stream in members(path, wanted=lambda name: True):
            while stream.read(1 << 20):
                pass


@pytest.mark.parametrize("form", PACKED)
def test_a_packed_tar_that_was_cut_short_is_an_error(tmp_path: Path, form: str) -> None:
    """Also when the cut is behind the last wanted member, as long as the archive is read to its end."""
    path = written(tmp_path, FORMS[form](tar_of(*FILES))[:-7])
    with pytest.raises(DownloadError):
        read_all(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_tar_whose_maker_died_between_two_members_is_an_error(tmp_path: Path, form: str) -> None:
    """Packed properly, but without the blocks of zeros that end an archive: what is missing must not be lost."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("one", "two"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    path = written(tmp_path, FORMS[form](out.getvalue()[: 2 * 512]))
    with pytest.raises(DownloadError, match="ends early, behind its member 2"):
        list(members(path, wanted=lambda name: True))


def test_broken_archives_are_errors(tmp_path: Path) -> None:
    """Rubbish, a tar cut in a member, a zip without its end, and an encrypted zip."""
    whole = tar_of(*FILES)
    for body in (b"rubbish" * 300, whole[:1000], zip_of(*FILES)[:-10], b"PK\x03\x04rubbish"):
        with pytest.raises(DownloadError):
            read_all(written(tmp_path, body))
    encrypted = bytearray(zip_of(("a.json", b"{}")))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DownloadError, match="encrypted"):
        read_all(written(tmp_path, bytes(encrypted)))


def test_a_zip_member_with_wrong_bytes_is_an_error(tmp_path: Path) -> None:
    """The checksum of a member is checked while it is read."""
    body = bytearray(zip_of(("a.json", TEXT)))
    body[200] ^= 0xFF
    with pytest.raises(DownloadError):
        read_all(written(tmp_path, bytes(body)))


def test_a_tar_that_ends_in_a_wanted_member_is_an_error(tmp_path: Path) -> None:
    """The reader of the member learns it, not only who asks for the next one."""
    path = written(tmp_path, tar_of(("a.json", TEXT))[:9000])
    with pytest.raises(DownloadError, match=r"member 'a\.json' is broken"):
        read_all(path)


def test_names_with_any_letters_are_fine(tmp_path: Path) -> None:
    """Unicode and long names come as they are."""
    name = "dir/" + "ü" * 150 + ".json"
    assert read_all(written(tmp_path, tar_of((name, b"{}")))) == {name: b"{}"}
    assert read_all(written(tmp_path, zip_of((name, b"{}")))) == {name: b"{}"}
