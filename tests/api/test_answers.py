"""Negotiation: codings, types, conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.api.answers import choose_encoding, matches, require_type
from vulnfeeds.errors import NotAcceptableError
from vulnfeeds.publish.splice import ENCODINGS


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate", "gzip"),
        ("gzip,deflate,br,zstd", "zstd"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate, br", "identity"),
        ("identity", "identity"),
        ("*", "gzip"),
        ("gzip;q=0.5, zstd;q=0.4", "gzip"),
        ("gzip;q=0.5, identity;q=0.9", "identity"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, *", "identity"),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("*;q=0, zstd", "zstd"),
        ("gzip ; Q=1.0 , zstd;q=0.999", "gzip"),
        ("gzip;q=nonsense", "gzip"),
        (",,;,", "identity"),
    ],
)
def test_the_best_liked_coding_is_taken(accepted: str | None, encoding: str) -> None:
    """Quality decides, then our order; identity is always possible unless refused."""
    assert choose_encoding(accepted) == encoding


@pytest.mark.parametrize("accepted", ["identity;q=0", "*;q=0", "br, *;q=0", "gzip;q=0, zstd;q=0.0, identity;q=0.000"])
def test_nothing_left_is_not_acceptable(accepted: str) -> None:
    """A client that refuses all codings hears so."""
    with pytest.raises(NotAcceptableError, match="Accept-Encoding"):
        choose_encoding(accepted)


@given(st.text(max_size=60) | st.text("gzipstd*,;=q01.identity ", max_size=40))
def test_any_header_is_understood_or_refused(accepted: str) -> None:
    """Garbage in the header is no reason to fail."""
    try:
        assert choose_encoding(accepted) in ENCODINGS
    except NotAcceptableError:
        assert "q" in accepted.lower()


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", "application/json", "Application/JSON; charset=utf-8", "application/*", "*",
        "text/html, */*;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
        "application/json;q=0.1, */*;q=0",
    ],
)  # fmt: skip
def test_json_is_acceptable(accept: str | None) -> None:
    """Old clients, browsers and strict clients get JSON."""
    require_type(accept, "application/json")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, */*", "application/*;q=0", "image/*, text/*"])
def test_json_is_ruled_out(accept: str) -> None:
    """The most specific range decides."""
    with pytest.raises(NotAcceptableError, match="Accept"):
        require_type(accept, "application/json")


def test_conditions() -> None:
    """A list, a star and a weak form of the tag match; another tag does not."""
    assert matches('"a", W/"b-gzip"', '"b-gzip"')
    assert matches("*", '"b"')
    assert not matches('"a"', '"b"')
    assert not matches(None, '"b"')
    assert not matches("b", '"b"')
