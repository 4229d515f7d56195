"""What the first bytes of a download say about its type. No I/O."""

from __future__ import annotations

import re

from vulnfeeds.errors import DownloadError

HEAD_BYTES = 1024
"""So many first bytes are enough for every check."""

_BOM = b"\xef\xbb\xbf"
_HTML = re.compile(rb"(?is)(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]")
_MAGIC = {
    "gzip": (b"\x1f\x8b",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "zstd": (b"\x28\xb5\x2f\xfd",),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
}
KINDS = frozenset((*_MAGIC, "json", "xml", "html", "tar", "text"))
"""The names that `expect` may hold."""
_DATA_NAMES = (
    ".gz",
    ".json",
    ".xml",
    ".zip",
    ".zst",
    ".bz2",
    ".xz",
    ".tar",
    ".tgz",
    ".csv",
    ".meta",
    ".yaml",
    ".txt",
)


def looks_like(kind: str, head: bytes) -> bool:
    """Tell whether the first bytes of a body look like `kind`, one of KINDS. Raises ValueError for another."""
    if kind in _MAGIC:
        return head.startswith(_MAGIC[kind])
    start = head.removeprefix(_BOM).lstrip()
    if kind == "json":
        return start[:1] in (b"{", b"[")
    if kind == "xml":
        return start.startswith(b"<") and not _HTML.match(start)
    if kind == "html":
        return bool(_HTML.match(start))
    if kind == "tar":
        return head[257:262] == b"ustar"
    if kind == "text":
        return b"\0" not in head and not _HTML.match(start)
    raise ValueError(f"{kind!r} is not a kind of content; known are {', '.join(sorted(KINDS))}")


def check_head(url: str, path: str, head: bytes, expect: tuple[str, ...]) -> None:
    """Raise DownloadError that quotes the start of the body when it does not look like any of `expect`.

    Without `expect` an HTML page is refused under the name (`path`) of a data file, where it is an error page.
    """
    if expect:
        if not any(looks_like(kind, head) for kind in expect):
            what = "an HTML page" if looks_like("html", head) else "something else"
            raise DownloadError(url, f"expected {' or '.join(expect)}, got {what}: {quoted(head)}")
    elif path.lower().endswith(_DATA_NAMES) and looks_like("html", head):
        raise DownloadError(url, f"an HTML page came under the name of a data file: {quoted(head)}")


def quoted(head: bytes, most: int = 80) -> str:
    """Return the start of a body in a form fit for an error's text."""
    return repr(head[:most]).removeprefix("b") + ("..." if len(head) > most else "")
