"""The tokens by which a walk continues: all that the next page needs, in letters that a URL takes as they are. Pure.

A token holds a mark of its group, so that it is refused elsewhere, and a checksum, so that a cut one is refused too.
The tokens of the original service, base64 of a time, are understood: a client that changes over in mid-walk goes on.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from datetime import datetime
from typing import Final

import msgspec
import xxhash

from vulnfeeds.api.since import parse_since
from vulnfeeds.errors import BadRequestError
from vulnfeeds.store.interface import Place

# No time begins with this byte, and no text does.
_OURS: Final = 0xA5
_WALK: Final = ord("w")
_DELTA: Final = ord("d")
_PLACE: Final = ord("p")
_HEAD: Final = struct.Struct(">BB8s")
_WALK_NUMBER: Final = struct.Struct(">Q")
_DELTA_NUMBERS: Final = struct.Struct(">QQ")
_CHECK: Final = 4
_LARGEST: Final = (1 << 63) - 1
_LETTERS = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)


class WalkToken(msgspec.Struct, frozen=True):
    """Go on with a whole group."""

    generation: int
    key: str
    """The first key that was not sent."""


class DeltaToken(msgspec.Struct, frozen=True):
    """Go on with changes."""

    after: int
    """The last number that was sent."""
    upto: int
    """The number at which the walk began, where it ends."""


class TimeToken(msgspec.Struct, frozen=True):
    """A token of the original service: go on with what changed since then."""

    at: datetime


Token = WalkToken | DeltaToken | TimeToken


def encode(feed: str, group: str, token: WalkToken | DeltaToken) -> str:
    """Return the text of a token for one group: letters, digits, `_` and `-` only."""
    if isinstance(token, WalkToken):
        kind, payload = _WALK, _WALK_NUMBER.pack(token.generation) + token.key.encode()
    else:
        kind, payload = _DELTA, _DELTA_NUMBERS.pack(token.after, token.upto)
    raw = _HEAD.pack(_OURS, kind, _mark(feed, group)) + payload
    return base64.urlsafe_b64encode(raw + xxhash.xxh32_digest(raw)).rstrip(b"=").decode("ascii")


def decode(feed: str, group: str, text: str) -> Token:
    """Return what a token of this group means; raises BadRequestError for any other text."""
    raw = _bytes(text)
    if raw[:1] != bytes([_OURS]):
        return TimeToken(_time(raw))
    return _payload(*_checked(raw, _mark(feed, group), "group"))


def _checked(raw: bytes, mark: bytes, what: str) -> tuple[int, bytes]:
    """Return the kind and the payload of a whole token that belongs to this group or question."""
    body, check = raw[:-_CHECK], raw[-_CHECK:]
    if len(body) < _HEAD.size or xxhash.xxh32_digest(body) != check:
        raise BadRequestError("next_token: damaged; use it exactly as it was given")
    first, kind, marked = _HEAD.unpack_from(body)
    if first != _OURS:
        raise _unknown()
    if marked != mark:
        raise BadRequestError(f"next_token: belongs to another {what}")
    return kind, body[_HEAD.size :]


def encode_place(route: str, question: str, place: Place) -> str:
    """Return the text of a token that goes on behind a place, good for one question to one route."""
    payload = "\0".join((place.feed, place.group, place.key)).encode()
    raw = _HEAD.pack(_OURS, _PLACE, _mark(route, question)) + payload
    return base64.urlsafe_b64encode(raw + xxhash.xxh32_digest(raw)).rstrip(b"=").decode("ascii")


def decode_place(route: str, question: str, text: str) -> Place:
    """Return the place behind which a walk goes on; raises BadRequestError for any other text."""
    kind, payload = _checked(_bytes(text), _mark(route, question), "question")
    try:
        parts = payload.decode().split("\0")
    except UnicodeDecodeError as error:
        raise _unknown() from error
    if kind != _PLACE or len(parts) != 3:
        raise _unknown()
    return Place(*parts)


def _payload(kind: int, payload: bytes) -> Token:
    if kind == _WALK and len(payload) >= _WALK_NUMBER.size:
        (generation,) = _WALK_NUMBER.unpack_from(payload)
        try:
            key = payload[_WALK_NUMBER.size :].decode()
        except UnicodeDecodeError as error:
            raise _unknown() from error
        # PostgreSQL refuses NUL in any text, so no record's key has one.
        if generation <= _LARGEST and "\0" not in key:
            return WalkToken(generation, key)
    if kind == _DELTA and len(payload) == _DELTA_NUMBERS.size:
        after, upto = _DELTA_NUMBERS.unpack(payload)
        if after <= _LARGEST and upto <= _LARGEST:
            return DeltaToken(after, upto)
    raise _unknown()


def _bytes(text: str) -> bytes:
    if not _LETTERS.fullmatch(text):
        raise _unknown()
    letters = text.rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except binascii.Error as error:
        raise _unknown() from error
    # Base64 has several texts for the same bytes; only the one that is ever given counts.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != letters:
        raise _unknown()
    return raw


def _time(raw: bytes) -> datetime:
    try:
        return parse_since(raw.decode("ascii"), "next_token")
    except (UnicodeDecodeError, BadRequestError) as error:
        raise _unknown() from error


def _mark(feed: str, group: str) -> bytes:
    return xxhash.xxh3_64_digest(f"{feed}\0{group}".encode())


def _unknown() -> BadRequestError:
    return BadRequestError("next_token: not a token of this service; use it exactly as it was given")
