"""Paths as old clients send them: `//`, a slash at the end, with `/v1`, with `/v2`, with neither."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

VERSIONS: Final = ("v1", "v2")


class TidyPaths:
    """Hand requests on with one form of path; `vulnfeeds.path` of the scope keeps the client's form, tidied."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            parts = [part for part in scope["path"].split("/") if part]
            version = parts[0] if parts and parts[0] in VERSIONS else None
            tidy = "/" + "/".join(parts)
            path = tidy.removeprefix(f"/{version}") or "/"
            scope = {**scope, "path": path, "vulnfeeds.path": tidy, "vulnfeeds.version": version or VERSIONS[0]}
        await self._app(scope, receive, send)
