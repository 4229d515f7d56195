"""Tokens survive the way to the client and back; nothing else passes for one."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.api.tokens import DeltaToken, TimeToken, WalkToken, decode, decode_place, encode, encode_place
from vulnfeeds.errors import BadRequestError
from vulnfeeds.store.interface import Place

NUMBERS = st.integers(0, 2**63 - 1)
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
TOKENS = st.one_of(st.builds(WalkToken, NUMBERS, KEYS), st.builds(DeltaToken, NUMBERS, NUMBERS))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(NAMES, NAMES, TOKENS)
def test_a_token_comes_back_as_it_was(feed: str, group: str, token: WalkToken | DeltaToken) -> None:
    """decode(encode(x)) == x, with and without padding, in letters that need no encoding."""
    text = encode(feed, group, token)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert decode(feed, group, text) == token
    assert decode(feed, group, text + "=" * (-len(text) % 4)) == token


@given(NAMES, NAMES, NAMES, NAMES, TOKENS)
def test_a_token_of_another_group_is_refused(
    feed: str, group: str, feed2: str, group2: str, token: WalkToken | DeltaToken
) -> None:
    """A token is good for its own group only."""
    if (feed, group) != (feed2, group2):
        with pytest.raises(BadRequestError, match="another group"):
            decode(feed2, group2, encode(feed, group, token))


@given(TOKENS, st.data())
def test_a_damaged_token_is_refused(token: WalkToken | DeltaToken, data: st.DataObject) -> None:
    """One letter changed, left out or added makes it no token."""
    text = encode("vulnerabilities", "debian:12", token)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("Aa0_-zQ9"))
    for damaged in {text[:at] + letter + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + letter + text[at:]}:
        if damaged != text:
            with pytest.raises(BadRequestError, match="next_token"):
                decode("vulnerabilities", "debian:12", damaged)


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_garbage_is_refused(text: str) -> None:
    """Any text is a token or a BadRequestError that names the parameter."""
    try:
        decode("nvdv2", "nvdv2:cves", text)
    except BadRequestError as error:
        assert str(error).startswith("next_token")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MjAxOC0wMi0xNFQyMTowNToxNC40NjIwMjU=", datetime(2018, 2, 14, 21, 5, 14, 462025, UTC)),
        ("MjAxOC0wMi0xNFQyMTowNToxNC40NjIwMjU", datetime(2018, 2, 14, 21, 5, 14, 462025, UTC)),
        ("MjAxOC0wNC0yMVQwMzoyNjowNy4xMTYzNzI=", datetime(2018, 4, 21, 3, 26, 7, 116372, UTC)),
        ("MjAxOS0wNC0xN1QxMDoxNjo1Ni42MTg1MzI=", datetime(2019, 4, 17, 10, 16, 56, 618532, UTC)),
    ],
)
def test_tokens_of_the_original_service_are_times(text: str, expected: datetime) -> None:
    """Documented and recorded tokens, with padding or without."""
    assert decode("vulnerabilities", "alpine:3.7", text) == TimeToken(expected)


@given(st.datetimes())
def test_any_time_in_base64_is_a_token_of_the_original(moment: datetime) -> None:
    """With and without microseconds."""
    text = base64.b64encode(moment.isoformat().encode()).decode()
    assert decode("nvdv2", "nvdv2:cves", text) == TimeToken(moment.replace(tzinfo=UTC))


@given(NAMES, NAMES, st.builds(Place, KEYS, KEYS, KEYS), TOKENS)
def test_a_place_is_good_for_its_own_question(route: str, question: str, place: Place, other: WalkToken) -> None:
    """It comes back as it was; another question, a token of a group, a time and garbage are refused by name."""
    text = encode_place(route, question, place)
    assert decode_place(route, question, text) == place
    for wrong in (
        encode_place(route, f"{question}?", place),
        encode(route, question, other),
        base64.b64encode(b"2021-06-03T20:18:03").decode(),
        text[:-1],
        "",
        "%",
    ):
        with pytest.raises(BadRequestError, match="next_token"):
            decode_place(route, question, wrong)
    with pytest.raises(BadRequestError, match="next_token"):
        decode(route, question, text)
