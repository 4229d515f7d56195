"""The upstream map: which real address stands behind an upstream's URL.

`https://HOST/PATH?QUERY` becomes `MIRROR/HOST/PATH?QUERY` for an http or https mirror, or the file `FOLDER/HOST/PATH`
for a folder. Closed networks, company mirrors, the sample and tests use the same mechanism.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import msgspec

from vulnfeeds.errors import DownloadError, HostRefusedError, SettingsError, StatusError
from vulnfeeds.fetch.addresses import Address, has_dots, parse_address, redacted

DIRECT = "direct"
"""In the place of a mirror: this host is asked itself, whatever the default says."""


class Place(msgspec.Struct, frozen=True):
    """Where an upstream URL is really asked for."""

    upstream: Address
    """The address before the map."""
    address: Address | None = None
    """The http or https address to ask; None for a file."""
    file: Path | None = None
    """The file in a folder mirror; None for an address."""
    mirrored: bool = False
    """True when a mirror stands in for the host: our own machine, so not paced."""

    @property
    def url(self) -> str:
        """The address before the map, as it may be shown."""
        return redacted(str(self.upstream))

    @property
    def host(self) -> str:
        """The host before the map."""
        return self.upstream.host

    @property
    def shown(self) -> str:
        """The real address or file, without secrets."""
        return str(self.file) if self.file is not None else redacted(str(self.address))


class UpstreamMap(msgspec.Struct, frozen=True):
    """Mirrors by host; `default` is the mirror of all other hosts ("" asks them directly).

    A mirror is an http(s) URL, a `file://` URL or the path of a folder. Raises SettingsError for anything else.
    """

    default: str = ""
    hosts: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse mirrors that could not work, before anything is asked."""
        for host, mirror in {"default": self.default, **self.hosts}.items():
            if "://" in mirror and not mirror.startswith("file://"):
                # Not even redacted: a password whose "/" is not encoded cannot be told from a path.
                shown = "(its text is not shown, it may hold a password)" if "@" in mirror else repr(mirror)
                try:
                    address = parse_address(mirror)
                except ValueError as error:
                    raise SettingsError(f"upstreams: mirror of {host}: {shown}: {error}") from None
                if "?" in mirror or "#" in mirror or has_dots(address.path):
                    raise SettingsError(
                        f"upstreams: mirror of {host}: {shown}: no query, fragment or dots are possible"
                    )
            elif mirror.startswith("file://"):
                _folder_of(mirror)

    def mirror_of(self, host: str) -> str:
        """Return the mirror that stands in for a host, "" when it is asked directly."""
        lowered = host.lower()
        named = next((mirror for name, mirror in self.hosts.items() if name.lower() == lowered), self.default)
        return "" if named == DIRECT else named

    def resolve(self, url: str) -> Place:
        """Return where `url` is really asked for.

        Raises HostRefusedError for what is no http(s) URL or tries to leave a mirror, StatusError 404 for what a
        folder cannot answer (a URL with a query).
        """
        shown = redacted(url)
        try:
            address = parse_address(url)
        except ValueError as error:
            raise HostRefusedError(shown, str(error)) from None
        if address.user:
            raise HostRefusedError(shown, "an upstream's URL must not carry a user or password")
        if has_dots(address.path):
            raise HostRefusedError(shown, 'a path with "." or ".." segments is not asked for')
        mirror = self.mirror_of(address.host)
        if not mirror:
            return Place(upstream=address, address=address)
        if "://" in mirror and not mirror.startswith("file://"):
            whole = mirror.rstrip("/") + "/" + address.authority + address.rest
            return Place(upstream=address, address=parse_address(whole), mirrored=True)
        file = _file_in(_folder_of(mirror), address, shown)
        return Place(upstream=address, file=file, mirrored=True)

    def hosts_of(self, urls: Iterable[str]) -> dict[str, str]:
        """Return for each URL (or URL prefix) the real address or file that it leads to, without secrets."""
        return {url: self._leads_to(url) for url in urls}

    def _leads_to(self, url: str) -> str:
        try:
            place = self.resolve(url)
        except StatusError:
            return "nowhere: a folder has no answers to queries"
        if place.file is not None and url.endswith("/"):
            return f"{place.file.parent}/"
        return place.shown


def _folder_of(mirror: str) -> Path:
    """Return the folder that a `file://` URL or a path names. Raises SettingsError for another machine's."""
    if not mirror.startswith("file://"):
        return Path(mirror)
    parts = urlsplit(mirror)
    if parts.netloc not in ("", "localhost"):
        raise SettingsError(f"upstreams: {mirror!r}: a folder must be on this machine (file:///FOLDER)")
    return Path(url2pathname(parts.path))


def _file_in(folder: Path, address: Address, shown: str) -> Path:
    """Return the file of a folder mirror that answers an address, which may not exist.

    Raises StatusError 404 for a query, HostRefusedError when the path, or a link on it, leads out of the folder.
    """
    if address.query:
        raise StatusError(shown, 404, "a folder mirror has no answers to queries")
    names = unquote(address.path).split("/")[1:]
    if any("\0" in name or "\\" in name or name in (".", "..") for name in names):
        raise HostRefusedError(shown, "the path leads out of the folder mirror")
    if names[-1] == "":
        names[-1] = "index.html"
    if "" in names:
        raise StatusError(shown, 404, "a folder mirror has no empty names")
    try:
        root = folder.resolve()
        file = root.joinpath(address.authority, *names).resolve()
        if file.is_dir():
            file = (file / "index.html").resolve()
    except OSError as error:
        raise DownloadError(shown, f"the folder mirror cannot be read: {error.strerror}") from error
    if not file.is_relative_to(root / address.authority):
        raise HostRefusedError(shown, "the path leads out of the folder mirror")
    return file
