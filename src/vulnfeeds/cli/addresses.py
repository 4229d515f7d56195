"""The address that the service listens on."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from vulnfeeds.errors import VulnfeedsError

_REASONS: Final = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "this user may not listen there; ports below 1024 need a privilege",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}
_BACKLOG: Final = 2048


class AddressError(VulnfeedsError):
    """The service cannot listen on its address."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free one. Raises AddressError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # asyncio turns Nagle's algorithm off only on sockets that name their protocol, and connections take this from
        # the socket that listens; without it every answer in two parts waits 40 ms for the client's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        number = error.errno or 0
        # The resolver's errors have negative numbers.
        reason = "that name leads to no address" if number < 0 else _REASONS.get(number, os.strerror(number))
        what = "host" if number < 0 or number == errno.EADDRNOTAVAIL else "port"
        raise AddressError(
            f"cannot listen on {host}, port {port}: {reason}. Choose another with --{what}, "
            f"VULNFEEDS_{what.upper()} or the setting `{what}`"
        ) from error


def address_of(listening: socket.socket) -> str:
    """Return the URL at which this machine reaches a listening socket."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"
