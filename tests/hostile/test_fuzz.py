"""No parser of what comes from outside raises anything but an error of our own: a short campaign.

`python -m benchmarks.fuzz --minutes N` is the long one; what it finds is kept in `corpus/`, one file a case.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.mutation import mutate
from tests.hostile.seeds import CORPUS, distilled, kept
from tests.hostile.targets import TARGETS, run


@pytest.mark.parametrize("name", TARGETS)
def test_the_good_document_is_taken(name: str) -> None:
    """The beginnings of the campaign are documents that the parsers know."""
    parse, data = TARGETS[name]
    parse(data) if name not in ("head", "headers", "page") else run(name, data)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.bin")), ids=lambda path: str(path.stem))
def test_what_once_broke_a_parser_does_not_again(path: Path) -> None:
    """Every case of the corpus, named PARSER-DIGEST.bin, ends well."""
    run(path.name.rpartition("-")[0], path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_reaches_far_ends_well(name: str) -> None:
    """Every document of the parser's corpus is taken, or refused in our own words."""
    for data in kept(name):
        run(name, data)


def test_only_what_reaches_something_new_is_kept() -> None:
    """Of documents that a parser treats alike the smallest is kept, and none that does what the good one does."""
    _, good = TARGETS["since"]
    assert distilled("since", [good, b"yesterday", b"yesterday and the day before"]) == [b"yesterday"]


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 62), extra=st.binary(max_size=64))
def test_mutated_documents_end_well(name: str, seed: int, extra: bytes) -> None:
    """Whatever becomes of a valid document, the parser takes it or refuses it in our own words."""
    run(name, mutate(TARGETS[name][1], seed, extra))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300))
def test_any_bytes_end_well(name: str, data: bytes) -> None:
    """Bytes without any form are refused in our own words."""
    run(name, data)
