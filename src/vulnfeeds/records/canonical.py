"""The canonical bytes of a body and their digest: equal content, equal bytes, everywhere."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import xxhash

from vulnfeeds.errors import RecordError

_encoder = msgspec.json.Encoder(order="sorted")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def encode(body: Any) -> bytes:
    """Return a body as canonical JSON: keys sorted, ASCII only, no insignificant spaces.

    ASCII because clients up to 0.6 guess the charset. NaN and the infinities become null, which the contract refuses
    wherever clients read a number. Raises RecordError when a value has no JSON form (a lone surrogate, a key that is
    not text, nesting without end).
    """
    try:
        raw = _encoder.encode(body)
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise RecordError(f"no JSON form: {error}") from error
    if raw.isascii():
        return raw
    return _NOT_ASCII.sub(_escape, raw.decode()).encode("ascii")


def digest(canonical: bytes) -> bytes:
    """Return the 16-byte xxh3-128 digest of canonical bytes."""
    return xxhash.xxh3_128_digest(canonical)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
