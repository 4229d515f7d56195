"""OSV: events to affected versions in any order, documents from archives and folders, shapes that are refused."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.formats.osv import Affected, Event, Range, Span, constraint, spans, spans_of
from vulnfeeds.errors import DownloadError, LimitError, ParseError
from vulnfeeds.fetch.archives import ArchiveLimits

DOCUMENT = {
    "id": "ALSA-2024:0001",
    "modified": "2024-01-02T03:04:05Z",
    "related": ["CVE-2024-0001"],
    "affected": [
        {
            "package": {"ecosystem": "AlmaLinux:9", "name": "brookssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:3.1-2.el9"}]}],
            "ecosystem_specific": {"binaries": [{"libbrook": "3.1"}]},
        }
    ],
}


def number(version: str) -> float:
    """Order the versions of these tests: plain numbers."""
    return float(version)


def events(*marks: str) -> list[Event]:
    """Make events of marks such as "introduced 1.2"."""
    return [Event(**dict([mark.split()])) for mark in marks]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (["introduced 0", "fixed 2"], [Span("0", "2")]),
        (["fixed 2", "introduced 0"], [Span("0", "2")]),
        (["introduced 0"], [Span("0")]),
        (["fixed 2"], [Span("0", "2")]),
        (["introduced 1", "last_affected 2"], [Span("1", None, "2")]),
        (["introduced 0", "fixed 0"], [Span("0", "0")]),
        (["introduced 0", "fixed 2", "introduced 3", "fixed 10"], [Span("0", "2"), Span("3", "10")]),
        (["fixed 10", "introduced 3", "fixed 2", "introduced 0"], [Span("0", "2"), Span("3", "10")]),
        (["introduced 3", "introduced 0", "fixed 2"], [Span("0", "2"), Span("3")]),
        (["introduced 0", "last_affected 1", "fixed 2"], [Span("0", "2", "1")]),
        (["introduced 0", "fixed 10", "fixed 2"], [Span("0", "2")]),
        (["introduced 0", "fixed 2", "introduced 2", "fixed 3"], [Span("0", "2"), Span("2", "3")]),
        (["introduced 1", "last_affected 1", "introduced 4", "fixed 5"], [Span("1", None, "1"), Span("4", "5")]),
        (["introduced 1", "introduced 2", "fixed 3"], [Span("1", "3")]),
        (["fixed 2", "introduced 3", "fixed 4"], [Span("0", "2"), Span("3", "4")]),
        (["introduced 0", "limit 9"], [Span("0", None, None, "9")]),
        (
            ["limit 9", "introduced 0", "fixed 2", "introduced 4", "limit 12"],
            [Span("0", "2"), Span("4", None, None, "12")],
        ),
        ([], []),
        (["limit 9"], []),
    ],
)
def test_events_say_which_versions_are_affected(marks: list[str], expected: list[Span]) -> None:
    """Whatever the order of the events, several ranges in one, and whatever ends them."""
    assert spans(events(*marks), order=number) == expected


@given(marks=st.permutations(["introduced 0", "fixed 2", "introduced 3", "last_affected 5", "introduced 11"]))
def test_the_order_of_events_does_not_matter(marks: list[str]) -> None:
    """Law: every order of the same events means the same."""
    assert spans(events(*marks), order=number) == [Span("0", "2"), Span("3", None, "5"), Span("11")]


@given(
    marks=st.lists(
        st.tuples(st.sampled_from(["introduced", "fixed", "last_affected"]), st.integers(0, 9)), max_size=8
    )
)
def test_affected_versions_are_those_of_the_schema(marks: list[tuple[str, int]]) -> None:
    """Law: a version is in a span exactly when the schema's own walk over the sorted events ends with "affected"."""
    found = spans([Event(**{kind: str(at)}) for kind, at in marks], order=number)
    begins = {at for kind, at in marks if kind == "introduced"}
    ends = {at for kind, at in marks if kind == "fixed"}
    lasts = {at for kind, at in marks if kind == "last_affected"}
    # A single pair is not compared.
    assume(len(marks) > 2 or not begins or min(begins) < min(ends | lasts, default=99))
    if not begins or min(begins) > min(ends | lasts, default=99):
        begins = begins | {0}
    # The schema does not say which of two events of one version comes first.
    assume(not begins & (ends | lasts))
    for version in range(11):
        affected = False
        for at in range(version + 1):
            affected = ((affected and at - 1 not in lasts) or at in begins) and at not in ends
        assert any(_within(version, span) for span in found) == (affected and bool(marks))


def _within(version: int, span: Span) -> bool:
    end = span.fixed if span.last_affected is None else None
    return (
        int(span.introduced) <= version
        and (end is None or version < int(end))
        and (span.last_affected is None or version <= int(span.last_affected))
    )


def test_versions_that_cannot_be_compared_are_taken_as_they_come() -> None:
    """And the first of them is told."""
    told: list[str] = []
    marks = events("introduced 0", "fixed x1", "introduced 3", "fixed 4")
    assert spans(marks, order=number, on_incomparable=told.append) == [Span("0", "x1"), Span("3", "4")]
    assert told == ["x1"]
    assert spans(events("introduced 0", "fixed x1"), order=number, on_incomparable=told.append) == [Span("0", "x1")]
    assert told == ["x1"]


def test_ranges_of_commits_are_no_versions() -> None:
    """Several ranges of a package count, equal spans once; a package with versions only is affected by those."""
    ranges = [
        Range("GIT", events("introduced 0", "fixed 6879efc")),
        Range("ECOSYSTEM", events("introduced 0", "fixed 2")),
        Range("ECOSYSTEM", events("introduced 0", "fixed 2")),
        Range("SEMVER", events("introduced 3", "fixed 4")),
    ]
    assert spans_of(Affected(ranges=ranges, versions=["1"]), order=number) == [Span("0", "2"), Span("3", "4")]
    assert spans_of(Affected(versions=["10", "9"]), order=number) == [Span("9", None, "10")]
    assert spans_of(Affected(versions=["10", "9"])) == [Span("10", None, "9")]
    assert spans_of(Affected()) == []


def test_a_span_as_a_constraint() -> None:
    """Only where "older than what fixes", or "all", is not the same."""
    given = [
        Span("0", "2"),
        Span("0"),
        Span("1"),
        Span("1", "2"),
        Span("0", None, "2"),
        Span("1", "3", "2"),
        Span("0", None, None, "9"),
    ]
    assert list(map(constraint, given)) == ["", "", ">=1", ">=1, <2", "<=2", ">=1, <3", "<9"]


def test_a_document_is_typed_and_the_rest_left_alone() -> None:
    """Unknown keys pass; what one upstream alone means is decoded on demand."""
    data = json.dumps(DOCUMENT | {"credits": None, "something": [1]}).encode()
    record = osv.decode(data, "place")
    assert (record.id, record.related, record.withdrawn) == ("ALSA-2024:0001", ["CVE-2024-0001"], "")
    assert bytes(record.affected[0].ecosystem_specific["binaries"]) == b'[{"libbrook": "3.1"}]'


def test_lists_may_be_null() -> None:
    """As the schema has it: null means none."""
    record = osv.decode(json.dumps(DOCUMENT | {"aliases": None, "affected": None}).encode(), "place")
    assert (record.aliases, record.affected) == ([], [])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "array"),
        (b'{"modified": "x"}', "`id`"),
        (
            b'{"id": "A", "modified": "x", "affected": [{"ranges": [{"events": []}]}]}',
            r"\$\.affected\[0\]\.ranges\[0\]",
        ),
        (b'{"id": "A", "modified": "x", "affected": [{"ranges": null}]}', r"\$\.affected\[0\]\.ranges"),
        (b'{"id": "\xff", "modified": "x"}', "utf-8"),
        (b'{"id": "A", "modified": "x", "more": ' + b"[" * 100_000, "."),
    ],
)
def test_another_shape_is_refused_with_its_place(data: bytes, reason: str) -> None:
    """The error names the document and the key."""
    with pytest.raises(ParseError, match=f"^place: .*{reason}"):
        osv.decode(data, "place")


def tar(path: Path, files: dict[str, bytes]) -> Path:
    """Write a tar.gz."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def document(name: str) -> bytes:
    """Return a document with another id."""
    changed: dict[str, Any] = DOCUMENT | {"id": name}
    return json.dumps(changed).encode()


def test_archives_and_folders_give_the_same(tmp_path: Path) -> None:
    """A tar, a zip and a folder with the same files; what is no document is passed over."""
    files = {"osv/b.json": document("B"), "osv/a.json": document("A"), "README.md": b"# hello"}
    tar(tmp_path / "all.tar.gz", files)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_bytes(data)
    (tmp_path / "folder" / "out.json").symlink_to(tmp_path / "folder" / "README.md")
    expected = [("osv/b.json", "B"), ("osv/a.json", "A")]
    assert [(name, record.id) for name, record in osv.read_archive(tmp_path / "all.tar.gz")] == expected
    assert [(name, record.id) for name, record in osv.read_archive(tmp_path / "all.zip")] == expected
    assert [(name, record.id) for name, record in osv.read_folder(tmp_path / "folder")] == sorted(expected)


def test_archives_are_not_trusted(tmp_path: Path) -> None:
    """Names that lead out, members that are too large, an empty archive and a spoilt member are refused."""
    with pytest.raises(DownloadError, match="leads out"):
        list(osv.read_archive(tar(tmp_path / "out.tar.gz", {"../a.json": document("A")})))
    with pytest.raises(LimitError, match=r"osv/a\.json"):
        limits = ArchiveLimits(max_member_bytes=10)
        list(osv.read_archive(tar(tmp_path / "big.tar.gz", {"osv/a.json": document("A")}), limits=limits))
    with pytest.raises(ParseError, match="no OSV document in the archive"):
        list(osv.read_archive(tar(tmp_path / "none.tar.gz", {"README.md": b""})))
    with pytest.raises(ParseError, match=r"bad\.tar\.gz: osv/a\.json: "):
        list(osv.read_archive(tar(tmp_path / "bad.tar.gz", {"osv/a.json": b'{"id": 7}'})))


def test_folders_are_not_trusted(tmp_path: Path) -> None:
    """An empty folder and a spoilt document are refused."""
    with pytest.raises(ParseError, match="no OSV document in the folder"):
        list(osv.read_folder(tmp_path))
    (tmp_path / "a.json").write_bytes(b"null")
    with pytest.raises(ParseError, match=r"^a\.json: "):
        list(osv.read_folder(tmp_path))
