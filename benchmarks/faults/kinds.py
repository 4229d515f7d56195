"""The kinds of faults: what an upstream sends instead of a document, or how it fails to send it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import zstandard

from vulnfeeds.fetch.sniff import looks_like

Make = Callable[[bytes], dict[str, Any] | None]
"""Returns the fields of the simulator's Fault for a document; None where a document cannot have this fault."""

_CODECS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.decompress, lambda data: gzip.compress(data, mtime=0)),
    "bzip2": (bz2.decompress, bz2.compress),
    "xz": (lzma.decompress, lzma.compress),
    "zstd": (lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data), zstandard.compress),
}
_CHECKED = ("gzip", "bzip2", "xz")
"""Packings whose bytes are covered by a checksum."""
_ROOT = re.compile(rb"<(?![?!])([^\s>/]+)([^>]*)>")


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    name: str
    make: Make
    passes: bool = False
    """It passes by itself within the attempts of one download."""
    forgetful: bool = False
    """What the workspace knows of ETags is lost before."""
    quiet: bool = False
    """Nothing comes, so that every attempt lasts as long as the patience."""

    def __str__(self) -> str:
        return self.name


def _packing(body: bytes) -> str:
    return next((name for name in _CODECS if looks_like(name, body[:512])), "")


def _as_packed(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return the document with its content changed, packed as it was."""
    name = _packing(body)
    if not name:
        return change(body)
    unpack, pack = _CODECS[name]
    return pack(change(unpack(body)))


def _hollow(body: bytes) -> bytes:
    """Return the document of its form that says nothing at all."""
    if body[257:262] == b"ustar":
        out = io.BytesIO()
        tarfile.open(fileobj=out, mode="w").close()
        return out.getvalue()
    text = body.lstrip()
    if text[:1] in b"{[":
        return b"[]" if text[:1] == b"[" else b"{}"
    if text[:1] == b"<" and (root := _ROOT.search(text)):
        return b"<%b%b></%b>" % (root[1], root[2], root[1])
    return b"\n"


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2 + 1]


def _cut_in_the_middle_of_an_archive(body: bytes) -> dict[str, Any] | None:
    """Cut an archive behind a whole member, as when its maker dies between two, and pack that properly."""
    name = _packing(body)
    plain = _CODECS[name][0](body) if name else body
    if plain[257:262] != b"ustar":
        return None
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        ends = [member.offset for member in archive.getmembers() if member.isfile()]
    cut = plain[: ends[len(ends) // 2]]
    return {"body": _CODECS[name][1](cut) if name else cut}


def _flipped(body: bytes) -> dict[str, Any] | None:
    if _packing(body) not in _CHECKED:
        return None
    at = len(body) // 2
    return {"body": body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :]}


def _status(number: int, **fields: Any) -> Make:
    return lambda body: {"status": number, "body": b"injected\n", **fields}


_GARBAGE = Random(1).randbytes(3000)
_PAGE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>"
_UNRESUMABLE: dict[str, Any] = {"validators": False, "ranges": False}

KINDS: tuple[Kind, ...] = (
    Kind("not found (404)", _status(404)),
    Kind("forbidden (403)", _status(403)),
    Kind("server error (500)", _status(500)),
    Kind("too many requests (429)", _status(429, headers={"Retry-After": "0"})),
    Kind("unavailable once (503)", _status(503, times=1), passes=True),
    Kind(
        "not modified, unasked (304)", lambda body: {"status": 304, "body": b"", "validators": False}, forgetful=True
    ),
    Kind("a redirect elsewhere", _status(302, headers={"Location": "https://elsewhere.example/x"})),
    Kind("silence", lambda body: {"hang": True}, quiet=True),
    Kind("a trickle", lambda body: {"bytes_per_second": 40.0, **_UNRESUMABLE}, quiet=True),
    Kind("cut off", lambda body: {"truncate_at": len(body) // 2, **_UNRESUMABLE}),
    Kind("cut off, can be resumed", lambda body: {"truncate_at": len(body) // 2 + 1, "times": 1}, passes=True),
    Kind("cut off, without a length", lambda body: {"truncate_at": len(body) // 2, "chunked": True, **_UNRESUMABLE}),
    Kind(
        "announced too long",
        lambda body: {"truncate_at": len(body), "headers": {"Content-Length": str(len(body) + 100)}, **_UNRESUMABLE},
    ),
    Kind(
        "announced too short",
        lambda body: {
            "truncate_at": len(body),
            "headers": {"Content-Length": str(len(body) // 2 + 1)},
            **_UNRESUMABLE,
        },
    ),
    Kind("half a document", lambda body: {"body": _half(body)}),
    Kind(
        "half a document under the whole one's ETag",
        lambda body: {"body": _half(body), "headers": _etag(body)},
        forgetful=True,
    ),
    Kind("half of what is packed", lambda body: {"body": _as_packed(body, _half)} if _packing(body) else None),
    Kind("an archive that ends early", _cut_in_the_middle_of_an_archive),
    Kind("a flipped bit", _flipped),
    Kind("an empty body", lambda body: {"body": b""}),
    Kind("an empty document", lambda body: {"body": _as_packed(body, _hollow)}),
    Kind("garbage", lambda body: {"body": _GARBAGE}),
    Kind("garbage in its packing", lambda body: {"body": _as_packed(body, lambda _: _GARBAGE)}),
    Kind("garbage behind it", lambda body: {"body": body + _GARBAGE}),
    Kind("a page instead of it", lambda body: {"body": _PAGE}),
    Kind("an error as JSON", lambda body: {"body": b'{"error": "internal", "status": 500}'}),
)


def _etag(body: bytes) -> dict[str, str]:
    """Return the mark that the simulator gives to a document."""
    return {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}
