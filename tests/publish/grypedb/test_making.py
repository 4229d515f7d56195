"""The next archive: made when it is due, and only if it is fit for clients."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from tests.api.filling import publish
from tests.publish.grypedb.conftest import BUILT, build_into, change, query
from tests.publish.grypedb.records import GROUP, fixed_in, os_record
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.grypedb.check import check
from vulnfeeds.publish.grypedb.diffing import Change, diff
from vulnfeeds.publish.grypedb.errors import ArchiveError, RefusedError
from vulnfeeds.publish.grypedb.making import Maker, last_build
from vulnfeeds.publish.grypedb.packing import unpack
from vulnfeeds.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> ArchiveFolder:
    """The folder that clients download from."""
    return ArchiveFolder(tmp_path / "grypedb")


def maker(store: Store, folder: ArchiveFolder, *, old: bool = False) -> Maker:
    """What makes archives of the store."""
    return Maker(store, folder, processor="test", most_shrink=0.2, old=old)


def make(store: Store, folder: ArchiveFolder, at: datetime = BUILT, *, accept: bool = False) -> str:
    """Make an archive and return its name."""
    return maker(store, folder).make(at, lambda *said: None, accept=accept).archive.name


def many(store: Store, number: int) -> None:
    """Let a group have so many records, and no other."""
    group = "alpine:3.20"
    records = {
        f"CVE-{key:04}": os_record(group, f"CVE-{key:04}", fixed_in(group, f"p{key}", "1-r1", "apk"))
        for key in range(number)
    }
    gone = {f"CVE-{key:04}": os_record(group, f"CVE-{key:04}") for key in range(number, 200)}
    publish(store, "vulnerabilities", group, records, withdrawn=gone if number < 200 else None, driver="alpine")


def test_an_archive_is_what_the_document_says(store: Store, folder: ArchiveFolder, tmp_path: Path) -> None:
    """Path relative to the document, digest of the archive, the time in the database: the client's three checks."""
    name = make(store, folder)
    latest = json.loads((folder.root / "v6" / "latest.json").read_bytes())
    archive = folder.root / "v6" / latest["path"]
    assert latest["path"] == name == "vulnerability-db_v6.1.9_2026-01-02T03-04-05Z_1767323045.tar.zst"
    assert latest["checksum"] == f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    unpack(archive, tmp_path / "out.db")
    assert query(tmp_path / "out.db", "SELECT build_timestamp FROM db_metadata") == [("2026-01-02 03:04:05+00:00",)]
    assert latest["built"] == "2026-01-02T03:04:05Z"


def test_an_archive_holds_one_file_that_its_client_may_write(store: Store, folder: ArchiveFolder) -> None:
    """The client opens what it unpacks for writing."""
    archive = folder.root / "v6" / make(store, folder)
    with zstandard.open(archive, "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        assert [(member.name, member.mode, member.isreg()) for member in tar] == [("vulnerability.db", 0o644, True)]


def test_nothing_is_made_when_nothing_changed(store: Store, folder: ArchiveFolder) -> None:
    """Due: without an archive, after a change, after a day."""
    making = maker(store, folder)
    assert making.is_due(BUILT)
    make(store, folder)
    assert not making.is_due(BUILT + timedelta(hours=22))
    assert making.is_due(BUILT + timedelta(hours=23))
    publish(store, "vulnerabilities", GROUP, {"CVE-9": os_record(GROUP, "CVE-9", fixed_in(GROUP, "fish", "3"))})
    assert making.is_due(BUILT + timedelta(minutes=1))


def test_a_database_that_lost_much_is_refused(store: Store, folder: ArchiveFolder) -> None:
    """The archive before it stays the newest, until the operator accepts the loss."""
    many(store, 200)
    first = make(store, folder)
    many(store, 100)
    with pytest.raises(RefusedError, match="vulnerabilities of alpine: 200 in the database before, 100 now"):
        make(store, folder, BUILT + timedelta(hours=1))
    assert folder.newest().name == first  # type: ignore[union-attr]
    second = make(store, folder, BUILT + timedelta(hours=1), accept=True)
    assert folder.newest().name == second  # type: ignore[union-attr]


def test_three_archives_stay(store: Store, folder: ArchiveFolder) -> None:
    """A client may have read the document just before a new one."""
    names = [make(store, folder, BUILT + timedelta(hours=hour)) for hour in range(5)]
    assert [archive.name for archive in folder.archives()] == names[:1:-1]
    assert sorted(path.name for path in (folder.root / "v6").iterdir()) == sorted([*names[2:], "latest.json"])


def test_the_same_database_packs_to_the_same_bytes(store: Store, tmp_path: Path) -> None:
    """Archives of two services with the same records can be compared by their digest."""
    one, two = (ArchiveFolder(tmp_path / name) for name in ("one", "two"))
    make(store, one)
    make(store, two)
    assert [each.checksum for each in one.archives()] == [each.checksum for each in two.archives()]


def test_the_old_schema_has_an_archive_of_its_own(store: Store, folder: ArchiveFolder) -> None:
    """Engines of that time want a gzipped tar with a description beside the database, of three keys."""
    maker(store, folder, old=True).make(BUILT, lambda *said: None)
    old = folder.newest(3)
    assert old is not None
    with tarfile.open(folder.path(old), "r:gz") as tar:
        assert tar.getnames() == ["vulnerability.db", "metadata.json"]
        facts = json.loads(tar.extractfile("metadata.json").read())  # type: ignore[union-attr]
        content = tar.extractfile("vulnerability.db").read()  # type: ignore[union-attr]
    assert facts == {
        "built": "2026-01-02T03:04:05Z",
        "version": 3,
        "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }


def test_a_build_is_described_beside_its_archive(store: Store, folder: ArchiveFolder) -> None:
    """Counts and what was left out are kept for the operator."""
    name = make(store, folder)
    build = last_build(folder)
    assert build is not None
    assert build.archive.name == name
    assert build.records == {
        "debian": 4,
        "eol": 3,
        "epss": 2,
        "github": 1,
        "kev": 1,
        "msrc": 1,
        "nvd": 2,
        "rhel": 1,
    }


def test_what_a_killed_build_left_is_swept_away(store: Store, folder: ArchiveFolder) -> None:
    """Databases take gigabytes: the next build begins with an empty table."""
    make(store, folder)
    (folder.root / ".building-x").mkdir()
    (folder.root / "v6" / ".x.tar.zst.partial").write_bytes(b"x")
    make(store, folder, BUILT + timedelta(hours=1))
    assert sorted(path.name for path in folder.root.rglob(".*")) == []


def test_two_builds_do_not_meet_in_one_folder(store: Store, folder: ArchiveFolder) -> None:
    """A command beside the service would sweep away what that is building."""
    refused = []

    def meanwhile(*said: object) -> None:
        with pytest.raises(ArchiveError, match="another build is under way"):
            make(store, folder)
        refused.append(said)

    built = maker(store, folder).make(BUILT, meanwhile)
    assert refused
    assert [archive.name for archive in folder.archives()] == [built.archive.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_an_error(store: Store, folder: ArchiveFolder) -> None:
    """With the folder's name."""
    folder.root.mkdir()
    folder.root.chmod(0o500)
    with pytest.raises((ArchiveError, OSError), match="grypedb"):
        make(store, folder)


@pytest.mark.parametrize("content", [b"", b"no archive", zstandard.compress(b"no tar")])
def test_a_damaged_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    """It may have been cut short on its way to a closed network."""
    archive = tmp_path / "x.tar.zst"
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"x\.tar\.zst"):
        unpack(archive, tmp_path / "out.db")


def test_a_spoilt_listing_is_an_error(folder: ArchiveFolder) -> None:
    """Not "there is no archive"."""
    folder.root.mkdir()
    (folder.root / "archives.json").write_text("{")
    with pytest.raises(ArchiveError, match=r"archives\.json cannot be read"):
        folder.archives()


def test_a_comparison_says_what_was_added_changed_and_removed(store: Store, database: Path, tmp_path: Path) -> None:
    """By vulnerability, package and range, whatever numbers the rows have."""
    after = tmp_path / "after.db"
    records = {
        "CVE-2024-0001": os_record(GROUP, "CVE-2024-0001", fixed_in(GROUP, "bash", "1.9")),
        "CVE-2024-0003": os_record(GROUP, "CVE-2024-0003", fixed_in(GROUP, "fish", "3"), severity="Low"),
    }
    gone = {"CVE-2024-0002": os_record(GROUP, "CVE-2024-0002")}
    publish(store, "vulnerabilities", GROUP, records, withdrawn=gone)
    build_into(store, after)
    assert check(after) == []
    assert list(diff(database, after)) == [
        Change("vulnerability", "added", "debian", "CVE-2024-0003", after="active low"),
        Change(
            "package", "changed", "debian", "CVE-2024-0001", "deb bash", "debian:12", "< 1.2 (fixed)", "< 1.9 (fixed)"
        ),
        Change("package", "removed", "debian", "CVE-2024-0002", "deb zsh", "debian:12", "all (not-fixed)"),
        Change("package", "added", "debian", "CVE-2024-0003", "deb fish", "debian:12", after="< 3 (fixed)"),
    ]
    assert list(diff(after, after)) == []


def test_rows_in_another_order_are_no_difference(database: Path, tmp_path: Path) -> None:
    """Numbers of rows say nothing."""
    other = tmp_path / "other.db"
    other.write_bytes(database.read_bytes())
    change(other, "UPDATE affected_package_handles SET id = 1000 - id")
    assert list(diff(database, other)) == []
