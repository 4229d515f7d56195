"""The filter grammar of the tasks listing."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.api.filters import STATUSES, TASK_TYPES, Wanted, parse_filter
from vulnfeeds.errors import BadRequestError
from vulnfeeds.store.interface import TaskFilter

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-:.", min_size=1, max_size=20)
IDS = st.integers(-10, 10**12)
TERMS = st.fixed_dictionaries(
    {},
    optional={
        "feed_id=": NAMES,
        "driver_id=": NAMES,
        "task_type=": st.sampled_from(TASK_TYPES),
        "status=": st.sampled_from(STATUSES),
        "task_id=": IDS,
        "task_id>": IDS,
        "task_id<": IDS,
    },
)
FIELDS = {"task_id>": "after_id", "task_id<": "before_id"}


@given(TERMS, st.randoms())
def test_any_mix_of_terms_is_read_raw_and_encoded(terms: dict[str, object], random: object) -> None:
    """Printing terms in any order and reading them back gives them, whatever the URL's encoding."""
    printed = [f"{name}{value}" for name, value in terms.items()]
    random.shuffle(printed)  # type: ignore[attr-defined]
    text = ",".join(printed)
    expected = Wanted(TaskFilter(**{FIELDS.get(name, name.rstrip("=")): value for name, value in terms.items()}))
    for sent in (text, quote(text), quote(text, safe=""), quote(text, safe="=,")):
        received = dict(parse_qsl(f"&details=True&filter={sent}", keep_blank_values=True))["filter"]
        assert parse_filter(received) == expected


def test_the_documented_example() -> None:
    """The filter that the original's documentation shows."""
    assert parse_filter("driver_id=centos,task_id>470") == Wanted(TaskFilter(driver_id="centos", after_id=470))


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_filter_asks_for_all(text: str) -> None:
    """`filter=` is no filter."""
    assert parse_filter(text) == Wanted()


def test_terms_of_one_field_must_all_hold() -> None:
    """Bounds are narrowed; two different values of a field can never both hold."""
    assert parse_filter("task_id>5,task_id>9,task_id<20,task_id<11") == Wanted(TaskFilter(after_id=9, before_id=11))
    assert parse_filter("feed_id=nvd,feed_id=nvd") == Wanted(TaskFilter(feed_id="nvd"))
    assert parse_filter("feed_id=nvd,feed_id=kev").nothing


def test_spaces_around_terms_do_not_matter() -> None:
    """A filter may be written with spaces."""
    assert parse_filter(" driver_id = debian , task_id > 4 ") == Wanted(TaskFilter(driver_id="debian", after_id=4))


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("driver_id=debian,colour=red", "colour=red"),
        ("driver_id", "driver_id"),
        ("driver_id>debian", "driver_id>debian"),
        ("status<failed", "status<failed"),
        ("status=queued", "status=queued"),
        ("task_type=Sync", "task_type=Sync"),
        ("task_id>ten", "task_id>ten"),
        ("task_id>=10", "task_id>=10"),
        ("task_id=", "task_id="),
        ("task_id=1e3", "task_id=1e3"),
        ("task_id=١٢", "task_id=١٢"),
        ("task_id>99999999999999999999999", "task_id>9999"),
        ("feed_id=", "feed_id="),
        ("feed_id==x", "feed_id==x"),
        ("driver_id=a\0b", "driver_id=a"),
        ("task_id>4,,driver_id=debian", ""),
        ("=5", "=5"),
    ],
)
def test_a_bad_term_is_named(text: str, term: str) -> None:
    """The error shows the term that cannot be understood, not the whole filter."""
    with pytest.raises(BadRequestError) as caught:
        parse_filter(text)
    assert str(caught.value).startswith(f"filter: term '{term}")


@given(st.text(max_size=80) | st.text("task_id=<>,0123456789driver status", max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """Nothing else than BadRequestError comes out."""
    try:
        parse_filter(text)
    except BadRequestError as error:
        assert str(error).startswith("filter: term ")
