"""Mutations of valid documents: bytes cut, doubled, swapped, and pieces that parsers have trouble with."""

from __future__ import annotations

from random import Random
from typing import Final

PIECES: Final = (
    b"\0",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"[" * 3000,
    b'{"a":' * 3000,
    b"{" * 2000,
    b"- " * 500,
    b"? " * 500,
    b"&a [*a]",
    b"!!python/object:os.system x",
    b"\t",
    b"\r\n",
    b"\x85",
    b"\xe2\x80\xa8",
    b" " * 5000,
    b"/../../etc/passwd",
    b"CVE-2024-" + b"1" * 5000,
    b"9999-12-31T23:59:59-14:00",
    b"0001-01-01T00:00:00+14:00",
    b"%00%2e%2e",
    b"{0}%s\\",
)


def mutate(data: bytes, seed: int, extra: bytes = b"") -> bytes:
    """Return a document changed in a few places, always the same way for a seed."""
    chance = Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = _step(data, chance, extra)
    return data


def _step(data: bytes, chance: Random, extra: bytes) -> bytes:
    begin = chance.randrange(len(data) + 1)
    end = min(len(data), begin + chance.choice((0, 1, 2, 8, 64, 1000)))
    middle = data[begin:end]
    kind = chance.randrange(7)
    if kind == 0:
        middle = chance.choice(PIECES)
    elif kind == 1:
        middle = b""
    elif kind == 2:
        middle = middle * chance.choice((2, 3, 50))
    elif kind == 3:
        middle = bytes(chance.randrange(256) for _ in range(len(middle[:16]) or 1))
    elif kind == 4:
        middle = extra or chance.choice(PIECES)
    elif kind == 5:
        other = chance.randrange(len(data) + 1)
        middle = data[other : other + len(middle) + 8]
    else:
        # A value between two marks of JSON or YAML becomes another value.
        return _replace_value(data, begin, chance)
    return data[:begin] + middle + data[end:]


def _replace_value(data: bytes, begin: int, chance: Random) -> bytes:
    start = data.find(b": ", begin)
    if start < 0:
        return data + chance.choice(PIECES)
    ends = [at for mark in (b",", b"}", b"]", b"\n") if (at := data.find(mark, start)) > 0]
    return data[: start + 2] + chance.choice(PIECES) + data[min(ends, default=len(data)) :]
