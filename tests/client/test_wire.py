"""What the strict client puts on the wire, and what it takes from it."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.scripted import GROUP, FakeService, Reply, os_record, page
from vulnfeeds.testing.client import (
    AnswerError,
    ConnectionFailedError,
    CredentialsError,
    MissingError,
    StrictClient,
    TierError,
)

Sync = Callable[..., Any]


def test_targets_go_out_as_formatted(service: FakeService, client: StrictClient, clock: Any) -> None:
    """Colons, equal signs and tokens stay raw; since comes first and is repeated on every page."""
    service.lists()
    service.says(GROUP, page(os_record(), token="MjAy_w-0NA=="))
    service.says(f"{GROUP}?next_token=MjAy_w-0NA==", page())
    client.sync(["vulnerabilities"])
    service.says(f"{GROUP}?since=2024-06-01T12:00:00.123456", page(token="dA=="))
    service.says(f"{GROUP}?since=2024-06-01T12:00:00.123456&next_token=dA==", page())
    assert not client.sync(["vulnerabilities"]).problems
    listings = ["/v1/feeds", "/v1/feeds/vulnerabilities"]
    since = f"{GROUP}?since=2024-06-01T12:00:00.123456"
    assert service.targets() == [
        *listings, GROUP, f"{GROUP}?next_token=MjAy_w-0NA==", *listings, since, f"{since}&next_token=dA=="
    ]  # fmt: skip


def test_a_since_on_the_second_has_no_fraction(service: FakeService, client: StrictClient, clock: Any) -> None:
    """The ISO form drops microseconds that are 0, as the real client's does."""
    clock.now = clock.now.replace(microsecond=0)
    service.lists()
    service.says(GROUP, page())
    service.says(f"{GROUP}?since=2024-06-01T12:00:00", page())
    client.sync(["vulnerabilities"])
    assert client.sync(["vulnerabilities"]).of("vulnerabilities", "alpine:3.10").since == "2024-06-01T12:00:00"


def test_headers_and_connections_are_those_of_the_real_client(service: FakeService, client: StrictClient) -> None:
    """No conditional headers, no Range, no authorization; every request opens its own connection."""
    service.lists()
    service.says(GROUP, page())
    client.sync(["vulnerabilities"])
    for _, headers, _ in service.asked:
        assert headers == {
            "Host": service.address.split("/")[2],
            "User-Agent": "python-requests/2.26.0",
            "Accept-Encoding": "gzip, deflate",
            "Accept": "*/*",
            "Connection": "keep-alive",
        }
    assert len({port for _, _, port in service.asked}) == 3


def test_a_base_with_a_slash_gives_two(service: FakeService, tmp_path: Path) -> None:
    """Plain formatting: the operator's trailing slash stays, so a service must bear `//`."""
    service.says("/v1/feeds//github", Reply({"groups": [], "next_token": ""}))
    with StrictClient(f"{service.address}/", tmp_path / "client.sqlite") as client:
        client.list_groups("github")
    assert service.targets() == ["/v1/feeds//github"]


@pytest.mark.parametrize("status", [204, 206, 301, 304, 400, 409, 410, 429, 500, 503])
def test_other_statuses_get_three_immediate_attempts(service: FakeService, client: StrictClient, status: int) -> None:
    """Retry-After is ignored; the error carries the body."""
    body = b"" if status in (204, 304) else b"what was wrong"
    service.says("/v1/feeds", Reply(body, status=status, headers={"Retry-After": "60"}))
    with pytest.raises(AnswerError) as caught:
        client.sync()
    assert caught.value.body == body.decode()
    assert caught.value.status == status
    assert len(service.asked) == 3


def test_the_third_attempt_may_succeed(service: FakeService, client: StrictClient) -> None:
    """Two failures and a success are a success."""
    bad = Reply(b"busy", status=503)
    service.says("/v1/feeds", bad, bad, Reply({"feeds": [], "next_token": ""}))
    assert client.list_feeds() == []


@pytest.mark.parametrize(("status", "kind"), [(401, CredentialsError), (403, TierError), (404, MissingError)])
def test_some_statuses_are_final(
    service: FakeService, client: StrictClient, status: int, kind: type[Exception]
) -> None:
    """401, 403 and 404 are not tried again."""
    service.says("/v1/feeds", Reply(b"no", status=status))
    with pytest.raises(kind):
        client.sync()
    assert len(service.asked) == 1


def test_nobody_there_is_tried_three_times(tmp_path: Path) -> None:
    """A refused connection ends as ConnectionFailedError."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/feeds"
    with StrictClient(address, tmp_path / "client.sqlite") as client, pytest.raises(ConnectionFailedError):
        client.sync()
    assert len(client.asked) == 3


def test_silence_ends_at_the_read_timeout(tmp_path: Path) -> None:
    """A service that accepts and says nothing costs the read timeout, at each attempt."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/v1/feeds"
        with StrictClient(address, tmp_path / "c.sqlite", read_seconds=0.05) as client:
            with pytest.raises(ConnectionFailedError, match="timed out"):
                client.sync()
            assert len(client.asked) == 3


def test_redirects_are_followed(service: FakeService, client: StrictClient) -> None:
    """The Location counts, its query too."""
    service.says("/v1/feeds", Reply(status=302, headers={"Location": "/elsewhere?a=b"}))
    service.says("/elsewhere?a=b", Reply({"feeds": [], "next_token": ""}))
    assert client.list_feeds() == []


def test_a_circle_of_redirects_ends(service: FakeService, client: StrictClient) -> None:
    """More than 30 redirects are refused."""
    service.says("/v1/feeds", Reply(status=302, headers={"Location": "/v1/feeds"}))
    with pytest.raises(AnswerError, match="30 redirects"):
        client.list_feeds()


def encoded(name: str, pack: Callable[[bytes], bytes], cut: int | None = None) -> Reply:
    """Return a page with one record in an encoding."""
    return Reply(pack(page(os_record()).raw()), headers={"Content-Encoding": name}, cut=cut)


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_asked_encodings_are_understood(sync_group: Sync, name: str, pack: Callable[[bytes], bytes]) -> None:
    """gzip and deflate are unpacked."""
    report = sync_group(encoded(name, pack))
    assert (report.records, report.problem) == (1, "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (encoded("gzip", lambda raw: gzip.compress(raw[:20]) + gzip.compress(raw[20:])), "bytes after the end"),
        (encoded("gzip", lambda raw: gzip.compress(raw) + b"\0"), "bytes after the end"),
        (encoded("gzip", lambda raw: gzip.compress(raw)[:-9]), "has no end"),
        (encoded("gzip", lambda raw: raw), "not gzip"),
        (encoded("gzip", lambda raw: gzip.compress(raw)[:-8] + b"\1\2\3\4\5\6\7\x08"), "not gzip"),
        (encoded("zstd", lambda raw: raw), "was not asked for"),
        (encoded("br", lambda raw: raw), "was not asked for"),
        (encoded("gzip", gzip.compress, cut=60), "60 bytes came"),
        (encoded("identity", bytes, cut=60), "60 bytes came"),
        (Reply(b"ff\r\n{", headers={"Transfer-Encoding": "chunked"}, cut=5), "broke off"),
    ],
)
def test_bodies_that_are_not_whole_are_refused(
    sync_group: Sync, service: FakeService, reply: Reply, reason: str
) -> None:
    """Not tried again, since the status was 200; the group fails and stays where it was."""
    report = sync_group(reply)
    assert reason in report.problem
    assert report.failed
    assert service.targets().count(GROUP) == 1
