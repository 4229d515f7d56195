"""The OVAL reader: what a document means, however it is packed, and documents that must be refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drivers.oval_documents import HEAD, both, criterion, definition, document, either, facts, package
from vulnfeeds.drivers.formats import oval
from vulnfeeds.drivers.formats.oval import Condition, Criteria, Criterion, PackageTest
from vulnfeeds.errors import DownloadError, LimitError, ParseError

METADATA = """
<affected family="unix"><platform>Ex 1</platform><platform>Ex 2</platform></affected>
<reference source="CVE" ref_id="CVE-2024-0001" ref_url="https://x/1"/><patchable>true</patchable>
<description> two
lines </description>
<advisory from="x"><severity>Low</severity><issued date="2024-01-02"/>
<cve href="https://x/cve">CVE-2024-0001</cve><affected_cpe_list><cpe>cpe:/o:x</cpe></affected_cpe_list></advisory>
"""
ONE = document(
    [definition("CVE-2024-0001", both(criterion("1", "ex is old")), metadata=METADATA)], package("1", "ex", "0:1-2")
)


def written(folder: Path, data: bytes, name: str = "x.xml") -> Path:
    """Write a document and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def titles(path: Path) -> list[str]:
    """Return the keys of a document whose keys are titles."""
    with oval.opened(path, lambda found: found.title) as read:
        return [key for key, _ in read.records()]


def test_a_definition_says_all_that_a_record_needs(tmp_path: Path) -> None:
    """Metadata and advisory are one set of facts, and the criteria lead to a package."""
    with oval.opened(written(tmp_path, ONE), lambda found: found.title) as read:
        ((key, (found,)),) = list(read.records())
        test = read.test("oval:x:tst:1")
    assert key == found.title == "CVE-2024-0001"
    assert (found.id, found.version, found.platforms) == ("oval:x:def:1", 1, ["Ex 1", "Ex 2"])
    assert found.description == "two\nlines"
    assert found.facts == {"patchable": "true", "severity": "Low", "issued": "2024-01-02", "affected_cpe_list": ""}
    assert found.cves == [oval.Cited("CVE-2024-0001", {"href": "https://x/cve"})]
    assert found.reference("cve") == oval.Reference("CVE", "CVE-2024-0001", "https://x/1")
    assert found.reference("elsa") is None
    assert found.criteria == Criteria(True, [Criterion("oval:x:tst:1", "ex is old", False)])
    assert test == PackageTest("ex", (Condition("evr", "less than", "0:1-2"),))
    assert test.condition("arch") is None


@pytest.mark.parametrize(
    "pack",
    [
        bz2.compress,
        lambda data: bz2.compress(data[:400]) + bz2.compress(data[400:]),
        lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
        lzma.compress,
        lambda data: lzma.compress(data[:50]) + lzma.compress(data[50:]),
        bytes,
    ],
)
def test_the_first_bytes_tell_how_it_is_packed(tmp_path: Path, pack: Any) -> None:
    """Whatever the name says; several streams in a row are one document."""
    assert titles(written(tmp_path, pack(ONE), "x.xml.gz")) == ["CVE-2024-0001"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.xml.gz"]


def test_prefixes_mean_nothing(tmp_path: Path) -> None:
    """Some vendors write the namespace before each name."""
    text = ONE.decode().replace("<rpminfo_", "<l:rpminfo_").replace("</rpminfo_", "</l:rpminfo_")
    text = text.replace("<object ", "<l:object ").replace("<name>", "<l:name>").replace("</name>", "</l:name>")
    with oval.opened(written(tmp_path, text.encode()), lambda found: found.title) as read:
        assert read.test("oval:x:tst:1") == PackageTest("ex", (Condition("evr", "less than", "0:1-2"),))


def test_definitions_of_a_key_come_together(tmp_path: Path) -> None:
    """Sorted by key, each in the document's order; what is deprecated or has no key is left out."""
    made = [definition(title, both(), version=str(number)) for number, title in enumerate(("b", "a", "b", "no"))]
    made.append(definition("a", both(), more='deprecated="true"'))
    path = written(tmp_path, document(made, package("1", "ex", "0:1-2")))
    with oval.opened(path, lambda found: None if found.title == "no" else found.title) as read:
        assert [(key, [found.version for found in group]) for key, group in read.records()] == [
            ("a", [1]),
            ("b", [0, 2]),
        ]
        assert (read.count, read.keys) == (5, 2)


@pytest.mark.parametrize("gone", ["_test ", "_object ", "_state "])
def test_what_leads_nowhere_means_nothing(tmp_path: Path, gone: str) -> None:
    """A missing test, object or state; the others are read."""
    kept = [fact for fact in package("1", "ex", "0:1-2") if gone not in fact]
    path = written(tmp_path, document([definition("a", both())], kept + package("2", "ex", "0:1-2")))
    with oval.opened(path, lambda found: found.title) as read:
        assert read.test("oval:x:tst:1") is None
        assert read.test("oval:x:tst:2") is not None
        assert read.test("") is None


def test_an_object_may_be_no_package(tmp_path: Path) -> None:
    """Such as the file that says which module is enabled."""
    asked = facts("1", "<filepath>/etc/x</filepath>", "<text>y</text>")
    with oval.opened(written(tmp_path, document([definition("a", both())], asked)), lambda found: "x") as read:
        assert read.test("oval:x:tst:1") == PackageTest("", (Condition("text", "equals", "y"),))


def read_ways(criteria: str, tmp_path: Path, **read: Any) -> set[tuple[str, ...]]:
    """Return the ways in which criteria hold, by comments; `read` says what a comment means."""
    path = written(tmp_path, document([definition("a", criteria)], package("1", "ex", "0:1-2")))
    with oval.opened(path, lambda found: found.title) as document_:
        ((_, (found,)),) = list(document_.records())

    def meaning(leaf: Criterion) -> Any:
        name = f"-{leaf.comment}" if leaf.negate else leaf.comment
        return read.get(name, name)

    return set(oval.ways(found.criteria, meaning, "place"))


def test_criteria_hold_in_ways(tmp_path: Path) -> None:
    """Each way is a set of leaves that must all hold; a leaf may say nothing, or never hold."""
    a, b, c, d = (criterion(name, name) for name in "abcd")
    tree = both(a, either(both(b, c), d))
    assert read_ways(tree, tmp_path) == {("a", "b", "c"), ("a", "d")}
    assert read_ways(tree, tmp_path, c=None) == {("a", "b"), ("a", "d")}
    assert read_ways(tree, tmp_path, d=False) == {("a", "b", "c")}
    assert read_ways(tree, tmp_path, a=False) == set()
    assert read_ways(both(either(a, b), either(c, d)), tmp_path) == {("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")}
    assert read_ways(either(), tmp_path) == set()
    assert read_ways(both(), tmp_path) == {()}


def test_what_is_denied_is_turned_around(tmp_path: Path) -> None:
    """Not (a and b) is not a, or not b; denied twice is not denied."""
    inner = f'<criteria operator="AND" negate="true">{criterion("a", "a")}{criterion("b", "b")}</criteria>'
    assert read_ways(both(inner), tmp_path) == {("-a",), ("-b",)}
    denied = criterion("a", "a", 'negate="true"')
    twice = f'<criteria negate="true">{denied}</criteria>'
    assert read_ways(twice, tmp_path) == {("a",)}


def bad(name: str, data: bytes | str, reason: str) -> Any:
    """Return a case of a document that must be refused."""
    return pytest.param(data.encode() if isinstance(data, str) else data, reason, id=name)


DEEP = "".join(["<criteria>"] * 30) + "".join(["</criteria>"] * 30)
WHOLE = ONE.decode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        bad("another root", "<rss></rss>", "x.xml:1: the outermost element is 'rss'"),
        bad("text", "{}", "x.xml:1: not XML"),
        bad("cut", ONE[:-30], "x.xml:.*not XML"),
        bad("no definitions", f"{HEAD}<definitions/></oval_definitions>", "x.xml: no definitions"),
        bad("no tests", document([definition("a", both())], []), "x.xml: no tests"),
        bad("entities", '<!DOCTYPE x [<!ENTITY e "e">]>' + WHOLE[WHOLE.index("<oval") :], "declares a document type"),
        bad("unknown encoding", WHOLE.replace("UTF-8", "utf-99"), "not XML"),
        bad("no metadata", WHOLE.replace("metadata>", "data>"), "oval:x:def:1: the definition has no metadata"),
        bad("version", WHOLE.replace('version="1" class', 'version="one" class'), "oval:x:def:1: version 'one'"),
        bad("operator", WHOLE.replace('"AND"', '"XOR"'), "oval:x:def:1: operator 'XOR' is not known"),
        bad("deep", document([definition("a", DEEP)], package("1", "e", "1")), "nest more than 24 deep"),
    ],
)
def test_other_shapes_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """The error says where in the document."""
    with pytest.raises(ParseError, match=reason):
        titles(written(tmp_path, data))


def test_broken_packing_is_refused(tmp_path: Path) -> None:
    """Cut short, damaged, or much larger than it looks."""
    with pytest.raises(DownloadError, match=r"x\.xml"):
        titles(written(tmp_path, bz2.compress(ONE)[:-8]))
    with pytest.raises(LimitError, match="above the ratio"):
        blanks = f'<a b="{" " * (1 << 20)}"/>' * 33
        titles(written(tmp_path, bz2.compress(f"{HEAD}{blanks}".encode())))


def test_one_element_cannot_fill_the_memory(tmp_path: Path) -> None:
    """A definition that never ends is refused before it is whole."""
    text = f"{HEAD}<definitions><definition>".encode() + b"x" * (oval.MAX_ITEM + (1 << 20))
    with pytest.raises(ParseError, match="one element has more than"):
        titles(written(tmp_path, text))


def test_ways_are_bounded(tmp_path: Path) -> None:
    """A few hundred leaves can hold in more ways than there are atoms."""
    group = either(*(criterion(str(number), str(number)) for number in range(10)))
    with pytest.raises(ParseError, match="place: the criteria can hold in more than"):
        read_ways(both(*[group] * 20), tmp_path)


@given(parts=st.permutations(["<a>", "</a>", "<criteria>", "</criteria>", "<definition>", "</definition>", "x"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(tmp_path: Path, parts: Iterable[str]) -> None:
    """Whatever stands where definitions are, it is read or refused."""
    text = f"{HEAD}<definitions>{''.join(parts)}</definitions></oval_definitions>"
    with pytest.raises(ParseError):
        titles(written(tmp_path, text.encode()))


def test_an_epoch_is_always_there() -> None:
    """An rpm version without one has epoch 0."""
    assert [oval.with_epoch(evr) for evr in ("1.2-3", "1:1.2-3")] == ["0:1.2-3", "1:1.2-3"]


def test_definitions_may_come_last(tmp_path: Path) -> None:
    """Their place among the sections means nothing."""
    start, end = WHOLE.index("<definitions>"), WHOLE.index("</definitions>") + len("</definitions>")
    moved = WHOLE[:start] + WHOLE[end:].replace("</oval_definitions>", WHOLE[start:end] + "</oval_definitions>")
    assert titles(written(tmp_path, moved.encode())) == ["CVE-2024-0001"]
