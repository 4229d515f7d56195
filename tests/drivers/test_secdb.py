"""The secdb reader: quirks, both forms, and documents that must be refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.drivers.driver_runs import archive_members
from vulnfeeds.drivers.formats import secdb
from vulnfeeds.drivers.formats.secdb import Fix
from vulnfeeds.errors import ParseError

CVE = "CVE-2024-0001"


def written(folder: Path, text: str | bytes, name: str = "main.yaml") -> Path:
    """Write a document and return its path."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def package(secfixes: str) -> str:
    """Return a YAML document of one package."""
    return f"---\nreponame: main\npackages:\n  - pkg:\n      name: ex\n      secfixes:\n{secfixes}"


@pytest.mark.parametrize(
    ("secfixes", "expected"),
    [
        (f"        1.10:\n          - {CVE}\n", [Fix("ex", "1.10", CVE)]),
        (f"        0:\n          - {CVE}\n", [Fix("ex", "0", CVE)]),
        (f'        "1-r0":\n          - {CVE}  CVE-2024-0002 XSA-1\n          - null\n',
         [Fix("ex", "1-r0", CVE), Fix("ex", "1-r0", "CVE-2024-0002")]),
        ("        1-r0:\n        2-r0: ~\n        3-r0: []\n", []),
        (f'        1-r0:\n          - "{CVE} (+ regression fix)"\n', [Fix("ex", "1-r0", CVE)]),
        (f"        1e3:\n          - {CVE}\n", [Fix("ex", "1e3", CVE)]),
    ],
)  # fmt: skip
def test_quirks_of_upstream(tmp_path: Path, secfixes: str, expected: list[Fix]) -> None:
    """Versions stay text, id strings are split at blanks, null and empty lists hold nothing."""
    assert list(secdb.read(written(tmp_path, package(secfixes)))) == expected


def test_all_ids_can_be_wanted(tmp_path: Path) -> None:
    """Without prefixes every id counts."""
    path = written(tmp_path, package(f"        1-r0:\n          - {CVE} GHSA-1\n"))
    assert [fix.id for fix in secdb.read(path, prefixes=("",))] == [CVE, "GHSA-1"]
    assert [fix.id for fix in secdb.read(path, prefixes=("GHSA-", "CVE-"))] == [CVE, "GHSA-1"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bomb.yaml", "a: &a [x, x]\nb: &b [*a, *a]\npackages: *b\n", "bomb.yaml:1: anchors and aliases"),
        ("merge.yaml", "packages: []\nother:\n  <<: *gone\n", "merge.yaml:3: anchors and aliases"),
        ("deep.yaml", "[" * 400 + "]" * 400, "deep.yaml:1: nested more than 16 deep"),
        ("deeper.yaml", "[" * 100000, "nest"),
        ("deep.json", "[" * 100000, "deep.json: not JSON"),
        ("two.yaml", "---\npackages: []\n---\npackages: []\n", "2 documents"),
        ("none.yaml", "# nothing\n", "0 documents"),
        ("key.yaml", "? [a]\n: b\n", "key.yaml:3: a key is not text"),
        ("open.yaml", "packages: [", "open.yaml: not YAML"),
        ("tab.yaml", "packages:\n\t- pkg\n", "not YAML"),
        ("bytes.yaml", b"packages: \xff\xfe\n", "not YAML"),
        ("bytes.json", b'{"packages": "\xff"}', "not JSON"),
        ("tag.yaml", "packages: !!python/object/apply:os.system [x]\n", "$.packages[0]"),
        ("cut.json", '{"packages": [', "cut.json: not JSON"),
        ("cut.json.gz", gzip.compress(b'{"packages": []}', mtime=0)[:-9], "cut.json.gz: "),
        ("bomb.json.gz", gzip.compress(b"[" * (40 << 20), 1), "bomb.json.gz: "),
        ("list.json", "[]", "Expected `object`"),
        ("shape.json", '{"packages": {}}', "$.packages"),
        ("name.json", '{"packages": [{"pkg": {"secfixes": {}}}]}', "field `name` - at `$.packages[0].pkg`"),
        (
            "ids.json",
            '{"packages": [{"pkg": {"name": "a", "secfixes": {"1": "CVE-1"}}}]}',
            "$.packages[0].pkg.secfixes",
        ),
        (
            "twice.json",
            '{"packages": [], "packages": [{}], "reponame": 1, "reponame": 2}',
            "'reponame' is given twice",
        ),
    ],
)
def test_what_is_no_secdb_is_refused(tmp_path: Path, name: str, text: str | bytes, reason: str) -> None:
    """The error names the file and the place."""
    with pytest.raises(ParseError) as caught:
        list(secdb.read(written(tmp_path, text, name)))
    assert reason in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_version_given_twice_loses_nothing(tmp_path: Path, suffix: str) -> None:
    """Both lists count, and the reader is told."""
    twice = {
        "yaml": package(f"        1-r0:\n          - {CVE}\n        1-r0:\n          - CVE-2024-0002\n"),
        "json": '{"packages":[{"pkg":{"name":"ex","secfixes":{"1-r0":["CVE-2024-0001"],"1-r0":["CVE-2024-0002"]}}}]}',
    }[suffix]
    told: list[str] = []
    fixes = list(secdb.read(written(tmp_path, twice, f"main.{suffix}"), on_duplicate=told.append))
    assert [fix.id for fix in fixes] == [CVE, "CVE-2024-0002"]
    assert told == ["1-r0"]


def test_lists_by_package(tmp_path: Path) -> None:
    """Rejections map packages to ids; an empty document rejects nothing."""
    path = written(tmp_path, f"ex:\n  - {CVE} # not built\nother:\nthird: [CVE-2024-0002, TEMP-1]\n")
    assert list(secdb.read_lists(path)) == [("ex", CVE), ("third", "CVE-2024-0002")]
    assert list(secdb.read_lists(written(tmp_path, "--- {}\n"))) == []
    assert list(secdb.read_lists(written(tmp_path, "---\n"))) == []


words = st.text("abCVE-0123456789._~+: ", min_size=1, max_size=12).filter(str.strip)
documents = st.lists(
    st.fixed_dictionaries(
        {
            "pkg": st.fixed_dictionaries(
                {
                    "name": words,
                    "secfixes": st.dictionaries(words, st.none() | st.lists(st.none() | words, max_size=3)),
                }
            )
        }
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(documents)
def test_both_forms_say_the_same(tmp_path: Path, packages: list[dict[str, Any]]) -> None:
    """A document gives the same fixes as JSON and as YAML."""
    document = {"reponame": "main", "packages": packages}
    first = written(tmp_path, json.dumps(document), "main.json")
    second = written(tmp_path, yaml.safe_dump(document, sort_keys=False), "main.yaml")
    assert list(secdb.read(first, prefixes=("",))) == list(secdb.read(second, prefixes=("",)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(["json", "yaml"]))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    """Nothing but ParseError leaves the reader."""
    try:
        list(secdb.read(written(tmp_path, data, f"main.{suffix}")))
    except ParseError as error:
        assert error.place.startswith(f"main.{suffix}")


def test_the_whole_secdb_of_2020_is_read(shared: Path, tmp_path: Path) -> None:
    """Upstream's own YAML, byte for byte: every file is read, and each entry counted once."""
    archive = shared / "upstream" / "data" / "alpine" / "secdb-yaml-2020-06-08.tar.xz"
    told: list[str] = []
    fixes = [
        fix
        for name, data in archive_members(archive)
        if name.endswith(".yaml")
        for fix in secdb.read(written(tmp_path, data), on_duplicate=told.append)
    ]
    assert len(fixes) == 11_937
    assert told == []
