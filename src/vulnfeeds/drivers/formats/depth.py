"""A ceiling for the nesting of a JSON document that is read as a stream.

The streaming parser keeps the path to every open list and object, so that memory grows with the square of the depth:
a document of 400 KB that is nothing but brackets would take more than any machine has.
"""

from __future__ import annotations

from itertools import accumulate
from typing import BinaryIO, Final

from vulnfeeds.errors import ParseError

_KEPT: Final = b'"\\[]{}'
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in _KEPT)
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class ShallowJSON:
    """A file of JSON that is refused, while it is read, when lists and objects nest deeper than `most`."""

    def __init__(self, file: BinaryIO, place: str, most: int) -> None:
        self._file = file
        self._place = place
        self._most = most
        self._depth = 0
        self._within_text = False
        self._escape = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ParseError, naming the place, when they nest too deep."""
        chunk = self._file.read(size)
        self._count(chunk)
        return chunk

    def _count(self, chunk: bytes) -> None:
        text = self._escape + chunk
        whole = text.rstrip(b"\\")
        # An odd backslash at the end escapes what comes next.
        self._escape = b"\\" if (len(text) - len(whole)) % 2 else b""
        if b"\\" in whole:
            whole = whole.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Texts without brackets, nearly all, are two quotation marks now; taking both away changes nothing.
        pieces = whole.translate(None, _OTHERS).replace(b"\\", b"").replace(b'""', b"").split(b'"')
        outside = b"".join(pieces[1::2] if self._within_text else pieces[::2])
        if len(pieces) % 2 == 0:
            self._within_text = not self._within_text
        if not outside:
            return
        deepest, depth = self._depth, self._depth
        for depth in accumulate(map(_STEPS.__getitem__, outside), initial=self._depth):
            deepest = max(deepest, depth)
        self._depth = depth
        if deepest > self._most:
            raise ParseError(self._place, f"lists and objects nest more than {self._most} deep")
