"""SecureOS: one secdb document behind a pointer that names its newest state and digest.

{"latest_url": "https://.../v1/secdb.json.gz", "snapshot_url": "https://.../v1/secdb-20251126-224300.json.gz",
 "sha256": "97bb...", "published_at": 1764196980, "package_count": 59, "cve_count": 155, "version": "v1"}
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

import msgspec

from vulnfeeds.drivers.formats.secdb import Fixed
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Unchanged
from vulnfeeds.drivers.rolling import LIMITS, RollingDriver, common_page
from vulnfeeds.errors import DownloadError, ParseError, StatusError
from vulnfeeds.fetch.interface import Download

UPSTREAM: Final = "https://security.secureos.io/v1/"
POINTER: Final = f"{UPSTREAM}latest.json"
PAGE: Final = "https://security.secureos.io/"

_REVISED: Final = re.compile(r"(.+)-r([1-9][0-9]{0,8})")
_POINTER_FILE: Final = "latest.json"


class Pointer(msgspec.Struct):
    """Where the newest document is: under a name that moves, and under one of its own."""

    latest_url: str
    sha256: str
    snapshot_url: str = ""


class SecureOSDriver(RollingDriver):
    """Feed vulnerabilities, group secureos:rolling, from security.secureos.io."""

    name = "secureos"
    upstreams = (UPSTREAM,)
    file = "secdb.json.gz"

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the pointer, and the document that it names unless that one is published already."""
        path = context.workspace / _POINTER_FILE
        context.fetcher.download(POINTER, path, limits=LIMITS, expect=("json",))
        pointer = read_pointer(path.read_bytes())
        if context.checkpoint and context.checkpoint.fingerprint == pointer.sha256 and not context.forced:
            return UNCHANGED
        url, brought = self._document(context, pointer)
        if brought.sha256 != pointer.sha256:
            raise DownloadError(url, f"sha256 is {brought.sha256}, {POINTER} says {pointer.sha256}")
        return Checkpoint(fingerprint=pointer.sha256)

    def link(self, word: str) -> str:
        """Return the page at SecureOS, which has those of CVEs only."""
        return f"{PAGE}{word}" if word.startswith("CVE-") else common_page(word)

    def ranges(self, fixes: list[Fixed]) -> dict[Fixed, str]:
        """Return the range of each revision (9.3.1-r1) that fixes anew what an older version had fixed.

        Only the revisions before it of the same version are affected: 9.3.0-r1, fixed before, is not.
        """
        by_package: dict[str, list[Fixed]] = defaultdict(list)
        for fix in fixes:
            if _REVISED.fullmatch(fix.version):
                by_package[fix.package].append(fix)
        found: dict[Fixed, str] = {}
        for package, revised in by_package.items():
            others = {fix.version for fix in fixes if fix.package == package} - {"0", "None"}
            for fix in revised:
                base = f"{fix.version.rpartition('-r')[0]}-r0"
                if any(_older(version, fix.version) for version in others):
                    found[fix] = f">={base}, <{fix.version}"
        return found

    def _document(self, context: Context, pointer: Pointer) -> tuple[str, Download]:
        """Bring the document by its own name, which never means another one, else by the name of the newest."""
        target = context.workspace / self.file
        urls = [url for url in (pointer.snapshot_url, pointer.latest_url) if url]
        for url in urls:
            try:
                return url, context.fetcher.download(url, target, limits=LIMITS, expect=("gzip",))
            except StatusError as error:
                if error.status != 404 or url != pointer.snapshot_url:
                    raise
                context.note(f"{error}; {pointer.latest_url} is asked instead")
        raise ParseError(_POINTER_FILE, "leads nowhere")


def read_pointer(data: bytes) -> Pointer:
    """Return a pointer. Raises ParseError for another shape and for addresses that are not upstream's."""
    try:
        pointer = msgspec.json.decode(data, type=Pointer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(_POINTER_FILE, str(error)) from error
    for url in (pointer.latest_url, pointer.snapshot_url):
        if url and not url.startswith(UPSTREAM):
            raise ParseError(_POINTER_FILE, f"leads to {url[:200]}, outside of {UPSTREAM}")
    return pointer


def _older(first: str, second: str) -> bool:
    """Tell whether a version comes before another; False when they cannot be compared."""
    # Takes a tenth of a second to import, and a run without news compares no versions.
    from univers.versions import AlpineLinuxVersion

    try:
        return bool(AlpineLinuxVersion(first) < AlpineLinuxVersion(second))
    except ValueError:
        return False
