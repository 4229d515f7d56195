"""Bodies that a server compressed for transport: decoded piece by piece, under ceilings."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from vulnfeeds.errors import DownloadError, LimitError

PIECE = 1 << 20
RATIO_FROM = 32 << 20
"""Decompressed bytes up to which any ratio is fine: short repetitive documents compress far better than long ones."""


class Expansion:
    """Counts compressed and decompressed bytes. `add` raises LimitError when they look like a decompression bomb."""

    def __init__(self, url: str, max_bytes: int, max_ratio: float) -> None:
        self._url = url
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self.decompressed = 0

    def add(self, decompressed: int, compressed_so_far: int) -> None:
        """Count a piece; `compressed_so_far` is what it and all before it were made from."""
        self.decompressed += decompressed
        if self.decompressed > self._max_bytes:
            raise LimitError(self._url, f"decompresses to more than the {self._max_bytes} bytes that it may have")
        allowed = self._max_ratio * max(1, compressed_so_far)
        if self._max_ratio and self.decompressed > max(RATIO_FROM, allowed):
            raise LimitError(
                self._url,
                f"{compressed_so_far} bytes decompress to {self.decompressed} and more, above the ratio "
                f"{self._max_ratio:g} that is taken for harmless",
            )


class TransportDecoder:
    """Decodes a body with Content-Encoding gzip (also of several members) or deflate."""

    def __init__(self, url: str, encoding: str, max_bytes: int, max_ratio: float) -> None:
        name = encoding.strip().lower()
        if name not in ("gzip", "x-gzip", "deflate"):
            raise DownloadError(url, f"the server used the encoding {name[:40]!r}, which was not asked for")
        self._url = url
        self._bits = zlib.MAX_WBITS | (16 if name.endswith("gzip") else 0)
        self._inflate = zlib.decompressobj(self._bits)
        self._fed = 0
        self._expansion = Expansion(url, max_bytes, max_ratio)

    def decode(self, block: bytes) -> Iterator[bytes]:
        """Yield what a block decodes to, in pieces of bounded size. Raises DownloadError, LimitError."""
        self._fed += len(block)
        more = bool(block)
        while more:
            if self._inflate.eof:
                # Zeros after the end are padding; anything else is the next member.
                block = block.lstrip(b"\0")
                if not block:
                    return
                self._inflate = zlib.decompressobj(self._bits)
            try:
                piece = self._inflate.decompress(block, PIECE)
            except zlib.error as error:
                raise DownloadError(self._url, f"the transport encoding is broken: {error}") from error
            block = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            # A full piece may leave output inside of the decoder although all input is taken.
            more = bool(block) or (len(piece) == PIECE and not self._inflate.eof)
            if piece:
                self._expansion.add(len(piece), self._fed)
                yield piece

    def finish(self) -> None:
        """Raise DownloadError when the compressed stream was cut short."""
        if not self._inflate.eof and self._fed:
            raise DownloadError(self._url, f"the encoded body ends after {self._fed} bytes, before its end mark")


def is_file_itself(encoding: str, path: str, head: bytes) -> bool:
    """Tell whether a "Content-Encoding: gzip" means the file itself, which is a .gz, and not its transport.

    Some web servers announce every .gz file so. When the first bytes decode to gzip again it really is transport.
    """
    if not encoding.lower().endswith("gzip") or not path.lower().endswith((".gz", ".tgz")):
        return False
    try:
        return not zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 2).startswith(b"\x1f\x8b")
    except zlib.error:
        return True
