"""Requests and answers as they are on the wire."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

_CHANGES = re.compile(rb"\r\ndate: [^\r]*")


def connect(url: str, receive: int = 0) -> socket.socket:
    """Return a connection to a service; `receive` makes what the system buffers for its reader small."""
    address = urlsplit(url)
    made = socket.socket()
    if receive:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.settimeout(30)
    made.connect((address.hostname, address.port))
    return made


def request(target: str, *headers: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """Return the bytes of a request with exactly these headers and `Host`."""
    lines = [f"{method} {target} HTTP/{version}", "Host: a", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def heard(connection: socket.socket) -> bytes:
    """Return all that comes until the service ends the connection, without the date of each answer."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return _CHANGES.sub(b"", b"".join(parts))


def said_to(url: str, parts: Sequence[bytes]) -> bytes:
    """Send the parts one after another on one connection, and return what is heard."""
    with connect(url) as connection:
        for part in parts:
            connection.sendall(part)
        return heard(connection)


def one_answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the head and the body of the next answer, which tells its length."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(1 << 16)
        assert part, "the connection ended"
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None, head
    while len(body) < int(length[1]):
        part = connection.recv(1 << 16)
        assert part, "the connection ended"
        body += part
    return head, body
