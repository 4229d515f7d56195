"""Answers that every route gives alike: coding and type by negotiation, ETag and 304, HEAD. No knowledge of feeds.

Old clients send `Accept: */*` and `Accept-Encoding: gzip, deflate` and no condition; all else is for better ones.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec
import xxhash
from starlette.requests import Request
from starlette.responses import Response

from vulnfeeds.api.problems import JSON
from vulnfeeds.errors import NotAcceptableError
from vulnfeeds.publish.splice import ENCODINGS, Encoding, compress

# Answers are cheap to check and may change with every publish, so caches must ask again each time.
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_SMALL: Final = 600
"""Answers below this many bytes fit one packet anyhow and are not compressed unless the client insists."""
_QUALITY = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?("[^"]*")|(\*)')


class Wish(msgspec.Struct, frozen=True):
    """All that a client says of the coding of its answer."""

    encoding: Encoding
    """The one that it likes best."""
    takes_identity: bool


class Coded(msgspec.Struct, frozen=True):
    """An answer in one coding."""

    encoding: Encoding
    etag: str
    body: bytes


@lru_cache(maxsize=256)
def choose_encoding(accepted: str | None) -> Encoding:
    """Return the coding that a client likes best (of equals: zstd, gzip, identity); identity when it says nothing.

    `*` stands for gzip, the one that every client has. Raises NotAcceptableError when all are refused.
    """
    if accepted is None or accepted == "":
        return "identity"
    named = _qualities(accepted)
    rest = named.get("*")
    best: tuple[float, Encoding] | None = None
    for encoding in ENCODINGS:
        quality = _encoding_quality(encoding, named, rest)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, encoding)
    if best is None:
        raise NotAcceptableError(
            f"Accept-Encoding: {accepted[:100]!r} leaves no coding; known are gzip, zstd, identity"
        )
    return best[1]


def require_type(accepted: str | None, media_type: str) -> None:
    """Raise NotAcceptableError when a client's Accept header rules `media_type` out."""
    if not accepted or accepted == "*/*":
        return
    ranges = _qualities(accepted)
    main = media_type.partition("/")[0]
    for candidate in (media_type, f"{main}/*", "*/*", "*"):
        if candidate in ranges:
            if ranges[candidate] > 0:
                return
            break
    raise NotAcceptableError(f"Accept: {accepted[:100]!r} rules out {media_type}, the only type of this answer")


def matches(if_none_match: str | None, etag: str) -> bool:
    """Say whether a client already has the answer with this ETag."""
    if not if_none_match:
        return False
    return any(star or tag == etag for tag, star in _TAG.findall(if_none_match))


def negotiate(request: Request, media_type: str = JSON) -> Encoding:
    """Return the coding of the answer to a request; raises NotAcceptableError."""
    require_type(request.headers.get("accept"), media_type)
    # Several header lines of one name mean the same as one line with commas.
    return choose_encoding(",".join(request.headers.getlist("accept-encoding")) or None)


def wish_of(request: Request, media_type: str = JSON) -> Wish:
    """Return what a request says of the coding of its answer; raises NotAcceptableError."""
    encoding = negotiate(request, media_type)
    named = _qualities(",".join(request.headers.getlist("accept-encoding")))
    return Wish(encoding, _encoding_quality("identity", named, named.get("*")) > 0)


def code(plain: bytes, wish: Wish) -> Coded:
    """Return an answer coded as its client wishes. Takes a millisecond or more for a large one; pure."""
    encoding = "identity" if len(plain) < _SMALL and wish.takes_identity else wish.encoding
    etag = f'"{xxhash.xxh3_128_hexdigest(plain)}-{encoding}"'
    return Coded(encoding, etag, compress(plain, encoding))


def unchanged(request: Request, etag: str) -> Response | None:
    """Return 304 when the client already has the answer with this ETag, else None."""
    if not matches(request.headers.get("if-none-match"), etag):
        return None
    return Response(None, HTTPStatus.NOT_MODIFIED, {**_HEADERS, "ETag": etag})


def send(request: Request, coded: Coded, *, media_type: str = JSON) -> Response:
    """Return an answer that is already coded; to HEAD without its bytes."""
    body = b"" if request.method == "HEAD" else coded.body
    return Response(body, HTTPStatus.OK, headers_of(coded, media_type))


def headers_of(coded: Coded, media_type: str = JSON) -> dict[str, str]:
    """Return the headers of an answer that is already coded."""
    headers = {**_HEADERS, "ETag": coded.etag, "Content-Length": str(len(coded.body)), "Content-Type": media_type}
    if coded.encoding != "identity":
        headers["Content-Encoding"] = coded.encoding
    return headers


def give(request: Request, coded: Coded, *, media_type: str = JSON) -> Response:
    """Return an answer that is already coded, or 304 when the client has it."""
    return unchanged(request, coded.etag) or send(request, coded, media_type=media_type)


def answer(request: Request, plain: bytes, *, media_type: str = JSON) -> Response:
    """Return the answer with these plain bytes, coded as the client likes; raises NotAcceptableError."""
    coded = code(plain, wish_of(request, media_type.partition(";")[0]))
    return give(request, coded, media_type=media_type)


def _encoding_quality(encoding: Encoding, named: dict[str, float], rest: float | None) -> float:
    if encoding in named:
        return named[encoding]
    if encoding == "identity":
        # Always possible unless it is refused by name or with all others; never preferred.
        return 0.0 if rest == 0 else 0.0001
    if encoding == "gzip":
        return named.get("x-gzip", rest or 0.0)
    return 0.0


def _qualities(header: str) -> dict[str, float]:
    """Return the items of an Accept header with their quality; an item whose quality is no number counts as 1."""
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if name:
            quality = next((match[1] for part in parameters if (match := _QUALITY.fullmatch(part))), "1")
            found[name] = max(found.get(name, 0.0), float(quality))
    return found
