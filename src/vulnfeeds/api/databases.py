"""The routes of the Grype database: the listings of old and new clients, and the archives themselves.

An archive is sent as it lies on disk: with a length, ranges, an ETag, and never with a content coding, because
clients check the digest of what they receive.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from vulnfeeds.api.answers import answer, matches
from vulnfeeds.errors import NotFoundError
from vulnfeeds.publish.grypedb.archives import Archive, ArchiveFolder
from vulnfeeds.records import canonical

ARCHIVE_TYPE: Final = "application/x-tar"
"""Old clients refuse any other word, whatever the compression."""

_FOREVER: Final = "public, max-age=31536000, immutable"


class DatabaseRoutes:
    """The handlers of the database routes."""

    def __init__(self, folder: ArchiveFolder | None, external_url: str) -> None:
        self._folder = folder
        self._external_url = external_url.rstrip("/")

    async def listing(self, request: Request) -> Response:
        """Answer the archives of each schema, newest first, with absolute addresses."""
        prefix = f"{self._base(request)}/v1/databases/grypedb/"
        available: dict[str, list[dict[str, Any]]] = {}
        archives = [] if self._folder is None else await run_in_threadpool(self._folder.archives)
        for archive in archives:
            # Old clients refuse a listing whose entries have other keys than these four.
            entry = {"built": archive.built, "version": archive.version, "checksum": archive.checksum}
            available.setdefault(str(archive.version), []).append({**entry, "url": f"{prefix}{archive.name}"})
        return answer(request, canonical.encode({"available": available}))

    async def latest(self, request: Request) -> Response:
        """Answer the document that grype asks for."""
        latest = None if self._folder is None else await run_in_threadpool(self._folder.latest)
        if latest is None:
            raise NotFoundError("there is no Grype database yet; the setting grypedb.enabled has one built")
        return answer(request, msgspec.json.encode(latest))

    async def archive(self, request: Request) -> Response:
        """Answer an archive, or the part of it that a client lacks."""
        name = request.path_params["name"]
        found = await run_in_threadpool(self._find, name)
        if found is None:
            raise NotFoundError(f"there is no archive {name[:300]!r}; the listing names those that there are")
        archive, path = found
        etag = f'"{archive.checksum.removeprefix("sha256:")}"'
        if matches(request.headers.get("if-none-match"), etag):
            return Response(None, HTTPStatus.NOT_MODIFIED, {"ETag": etag, "Cache-Control": _FOREVER})
        headers = {"ETag": etag, "Cache-Control": _FOREVER}
        return FileResponse(path, media_type=ARCHIVE_TYPE, headers=headers)

    def _find(self, name: str) -> tuple[Archive, Path] | None:
        archive = None if self._folder is None else self._folder.find(name)
        if self._folder is None or archive is None:
            return None
        path = self._folder.path(archive)
        return (archive, path) if path.is_file() else None

    def _base(self, request: Request) -> str:
        return self._external_url or f"{request.url.scheme}://{request.url.netloc}"
