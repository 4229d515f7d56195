"""URLs as texts: their parts, their normal form, and how they may be shown. No I/O.

URLs are taken apart with as little interpretation as possible, because some upstreams refuse an equivalent spelling
(NVD answers 404 when the colons of a query are percent-encoded).
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443}
_SECRET = re.compile(r"(?i)([?&;][^=&;]*(?:key|token|secret|passw|auth|sign)[^=&;]*=)[^&;#]*")
_USER = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#]*@")


class Address(msgspec.Struct, frozen=True):
    """An http or https URL in parts."""

    scheme: str
    host: str
    """Lower case, without port."""
    port: int
    """The scheme's own port when the URL names none."""
    rest: str
    """Path and query exactly as written, beginning with "/"."""
    user: str = ""
    """User and password as written, "" when there are none."""

    @property
    def authority(self) -> str:
        """Host, with the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def path(self) -> str:
        """The path as written, without the query."""
        return self.rest.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as written, "" without one."""
        return self.rest.partition("?")[2]

    def with_user(self, user: str) -> Address:
        """Return the same address with user and password (as written)."""
        return Address(self.scheme, self.host, self.port, self.rest, user)

    def __str__(self) -> str:
        return self.origin + self.rest


def parse_address(url: str) -> Address:
    """Take an http or https URL apart. Raises ValueError that says what is wrong with it."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("only printable ASCII without blanks is possible in a URL")
    if "\\" in url:
        raise ValueError("a backslash is not possible in a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The library's own text would quote the port, which is half a password when a "/" in it is not encoded.
        raise ValueError("host or port cannot be understood") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError(f"not an http or https URL (scheme {scheme!r})")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    user = parts.netloc.rpartition("@")[0]
    rest = url.partition("://")[2][len(parts.netloc) :].partition("#")[0]
    if not rest.startswith("/"):
        rest = "/" + rest
    return Address(scheme, parts.hostname, port or _PORTS[scheme], rest, user)


def has_dots(path: str) -> bool:
    """Tell whether a path has a "." or ".." segment, plain or percent-encoded."""
    return any(unquote(segment) in (".", "..") for segment in path.split("/"))


def redacted(url: str) -> str:
    """Return the URL as it may be shown: without user and password, and without values of secret arguments."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\1", url))
