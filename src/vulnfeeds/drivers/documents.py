"""Upstreams that publish one document for each release: each is had, or not, and read, or not, for itself.

A document that could not be had leaves its groups as they are, and so does one whose bytes are those of the last run
that published. Which groups a document is for may be known only when it has been read; then it is kept in the
workspace, and a document whose groups are not known is read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Unchanged
from vulnfeeds.errors import StatusError, UpstreamError
from vulnfeeds.fetch.interface import Limits

UNCHANGED_REASON: Final = "unchanged"
_FETCHED: Final = "fetched.json"
_GROUPS: Final = "groups.json"


class _Fetched(msgspec.Struct):
    files: dict[str, str] = {}
    """File in the workspace by name of the document."""
    digests: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    """Why a document could not be had, by its name."""


class Documents:
    """The documents of one driver in its workspace; `feed` is that of all their groups."""

    def __init__(self, context: Context, feed: str) -> None:
        self._context = context
        self._feed = feed

    def fetch(
        self, addresses: Mapping[str, tuple[str, ...]], *, limits: Limits, expect: tuple[str, ...]
    ) -> Checkpoint | Unchanged:
        """Bring each document from the first of its addresses that exists; UpstreamError when none can be had."""
        fetched = _Fetched()
        failure: UpstreamError | None = None
        for done, (name, urls) in enumerate(addresses.items()):
            self._context.report("fetch", done, len(addresses))
            try:
                fetched.files[name], fetched.digests[name] = self._bring(urls, limits, expect)
            except UpstreamError as error:
                failure = error
                fetched.unavailable[name] = str(error)
        if failure is not None and not fetched.files:
            raise failure
        self._write(_FETCHED, fetched)
        published = self._published()
        digests = {
            **{name: mark for name, mark in published.items() if name in fetched.unavailable},
            **fetched.digests,
        }
        is_first = self._context.checkpoint is None
        if not is_first and digests == published and all(name in self._groups() for name in digests):
            self._skip_unavailable(fetched)
            return UNCHANGED
        text = "\n".join(f"{name} {mark}" for name, mark in sorted(digests.items()))
        return Checkpoint(fingerprint=hashlib.sha256(text.encode()).hexdigest(), cursor={"documents": digests})

    def changed(self) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of each document that is to be read; the groups of the others are skipped.

        Call `read` with the groups of a document before the next one is taken.
        """
        fetched = msgspec.json.decode((self._context.workspace / _FETCHED).read_bytes(), type=_Fetched)
        self._skip_unavailable(fetched)
        published, groups = self._published(), self._groups()
        for done, (name, file) in enumerate(fetched.files.items()):
            self._context.report("parse", done, len(fetched.files))
            if name in groups and published.get(name) == fetched.digests[name]:
                self._skip(groups[name], UNCHANGED_REASON)
            else:
                yield name, self._context.workspace / file

    def read(self, name: str, groups: list[str]) -> None:
        """Say that a document was read whole, and for which groups it is."""
        known = self._groups()
        known[name] = groups
        self._write(_GROUPS, known)
        for group in groups:
            self._context.cover(self._feed, group)

    def _bring(self, urls: tuple[str, ...], limits: Limits, expect: tuple[str, ...]) -> tuple[str, str]:
        missing: StatusError | None = None
        for url in urls:
            file = url.rpartition("/")[2]
            try:
                brought = self._context.fetcher.download(
                    url, self._context.workspace / file, limits=limits, expect=expect
                )
            except StatusError as error:
                if error.status != 404:
                    raise
                missing = missing or error
            else:
                return file, brought.sha256
        raise missing or ValueError("a document without an address")

    def _skip_unavailable(self, fetched: _Fetched) -> None:
        known = self._groups()
        for name, reason in fetched.unavailable.items():
            self._skip(known.get(name, []), reason)
            if name not in known:
                self._context.note(f"{name} could not be had: {reason}")

    def _skip(self, groups: list[str], reason: str) -> None:
        for group in groups:
            self._context.skip(self._feed, group, reason)

    def _published(self) -> dict[str, str]:
        """Return the digest of each document that the last run published; empty when all must be read again."""
        if self._context.forced or self._context.checkpoint is None:
            return {}
        found: dict[str, str] = self._context.checkpoint.cursor.get("documents", {})
        return found

    def _groups(self) -> dict[str, list[str]]:
        path = self._context.workspace / _GROUPS
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]]) if path.exists() else {}

    def _write(self, name: str, value: object) -> None:
        target = self._context.workspace / name
        part = target.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(value))
        part.replace(target)
