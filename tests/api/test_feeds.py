"""The feed routes on a live server."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zstandard

from tests.api.conftest import GROUP
from tests.api.filling import Clock, names, os_record, publish
from vulnfeeds.api.app import create_app
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store, open_store
from vulnfeeds.testing.live import live_service

DEBIAN = f"/v1/feeds/vulnerabilities/{GROUP}"


def walk(client: httpx2.Client, path: str, **query: Any) -> list[list[str]]:
    """Names of the records of every page, from the first to the last."""
    pages, tokens = [], set()
    answer = client.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(names(answer.content))
        token = answer.json()["next_token"]
        if not token:
            return pages
        assert token not in tokens
        tokens.add(token)
        answer = client.get(path, params={**query, "next_token": token})


def problem_of(answer: httpx2.Response, status: int) -> str:
    """The message of a problem answer, after checking its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["httpcode"] == status
    assert body["detail"]["error_codes"]
    return str(body["message"])


def test_feeds_are_listed_as_the_original_did(reader: httpx2.Client) -> None:
    """Names, descriptions and the integer tier; sorted; with an empty token."""
    assert reader.get("/v1/feeds").json() == {
        "feeds": [
            {"access_tier": 0, "description": "Feed record for type kev", "name": "kev"},
            {"access_tier": 0, "description": "Feed record for type vulnerabilities", "name": "vulnerabilities"},
        ],
        "next_token": "",
    }


def test_groups_are_listed_as_the_original_did(reader: httpx2.Client) -> None:
    """Sorted as plain text, described by group and feed."""
    answer = reader.get("/v1/feeds/vulnerabilities").json()
    assert [group["name"] for group in answer["groups"]] == ["alpine:3.10", "alpine:3.2", GROUP]
    assert answer["groups"][0]["description"] == (
        "Group record for namespace: alpine:3.10 and feed type: vulnerabilities"
    )
    assert answer["next_token"] == ""


def test_an_empty_store_has_an_empty_list_of_feeds(sqlite_url: str, tmp_path: Path, clock: Clock) -> None:
    """Before the first sync, clients get an empty list and not an error, or they would ask for ever."""
    store = open_store(sqlite_url)
    with live_service(create_app(store, PageFolder(tmp_path / "pages", store), clock=clock)) as base:
        answer = httpx2.get(f"{base}/v1/feeds")
    store.close()
    assert answer.json() == {"feeds": [], "next_token": ""}


@pytest.mark.parametrize("prefix", ["/v1", "/v2", "", "/v1/", "//v2"])
@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_every_form_of_the_path_leads_to_the_group(reader: httpx2.Client, prefix: str, ending: str) -> None:
    """With any version or none, with slashes too many, with a raw or an encoded colon."""
    expected = reader.get(DEBIAN).content
    for group in (GROUP, GROUP.replace(":", "%3A")):
        assert reader.get(f"{prefix}/feeds//vulnerabilities/{group}{ending}").content == expected


def test_a_walk_gives_each_record_once(reader: httpx2.Client) -> None:
    """All pages together are the group, no page is larger than 1000, and keys ascend."""
    pages = walk(reader, DEBIAN)
    found = [name for page in pages for name in page]
    assert found == [f"CVE-2024-{number:04}" for number in range(2345)]
    assert max(map(len, pages)) <= 1000


@pytest.mark.parametrize("limit", [1000, 999, 500, 7])
def test_a_walk_in_steps_of_any_size_gives_each_record_once(reader: httpx2.Client, limit: int) -> None:
    """`limit` cuts smaller pages of the same walk."""
    path = "/v1/feeds/vulnerabilities/alpine:3.10" if limit == 1 else DEBIAN
    pages = walk(reader, path, limit=limit) if limit > 7 else walk(reader, path, limit=limit)[:3]
    assert all(len(page) <= limit for page in pages)
    if limit > 7:
        assert [name for page in pages for name in page] == [f"CVE-2024-{number:04}" for number in range(2345)]


def test_the_step_may_change_in_mid_walk(reader: httpx2.Client) -> None:
    """A token belongs to a place, not to a page size."""
    first = reader.get(DEBIAN, params={"limit": 10})
    rest = walk(reader, DEBIAN, next_token=first.json()["next_token"])
    found = names(first.content) + [name for page in rest for name in page]
    assert found[:10] == names(first.content)
    assert len(found) == len(set(found)) == 2345


def test_a_walk_stays_on_its_generation(client: httpx2.Client, filled: Store) -> None:
    """What is published between two pages is not seen, in whole pages and in small ones."""
    for query in ({}, {"limit": 300}):
        first = client.get(DEBIAN, params=query)
        body = os_record(GROUP, "CVE-2024-2000", f"changed {query}")
        publish(filled, "vulnerabilities", GROUP, {"CVE-2024-2000": body, f"CVE-2024-1500-{len(query)}": body})
        rest = walk(client, DEBIAN, **query, next_token=first.json()["next_token"])
        found = names(first.content) + [name for page in rest for name in page]
        assert f"CVE-2024-1500-{len(query)}" not in found
        assert len(found) == 2345 + len(query)


def test_a_walk_that_outlives_its_generation_goes_on(
    client: httpx2.Client, filled: Store, clock: Clock, pages: PageFolder
) -> None:
    """It continues at the same key in the current generation and misses nothing that was there throughout."""
    first = client.get(DEBIAN)
    clock.move(days=3)
    publish(filled, "vulnerabilities", GROUP, {"CVE-2024-2001": os_record(GROUP, "CVE-2024-2001", "new")})
    clock.move(days=3)
    filled.prune(generations_before=clock.now, versions_before=clock.now, tasks_before=clock.now)
    pages.prune(filled.live_pages())
    rest = walk(client, DEBIAN, next_token=first.json()["next_token"])
    found = names(first.content) + [name for page in rest for name in page]
    assert sorted(found) == [f"CVE-2024-{number:04}" for number in range(2345)]


def test_since_gives_what_changed(client: httpx2.Client, filled: Store, clock: Clock) -> None:
    """Only changes since then, less the margin, withdrawn ones too."""
    at = clock.move(days=1)
    publish(
        filled, "vulnerabilities", GROUP,
        {"CVE-2024-0005": os_record(GROUP, "CVE-2024-0005", "changed")},
        withdrawn={"CVE-2024-0006": os_record(GROUP, "CVE-2024-0006", fixes=0)},
    )  # fmt: skip
    clock.move(hours=10)
    both = ["CVE-2024-0005", "CVE-2024-0006"]
    for since in (at, at + timedelta(hours=1, minutes=59), clock.now + timedelta(days=900)):
        expected = both if since < clock.now else []
        assert sorted(walk(client, DEBIAN, since=since.replace(tzinfo=None).isoformat())[0]) == expected
    assert client.get(DEBIAN, params={"since": (at + timedelta(hours=3)).isoformat()}).json() == {
        "data": [],
        "next_token": "",
    }
    everything = walk(client, DEBIAN, since="1970-01-01")
    assert sorted(name for page in everything for name in page) == [f"CVE-2024-{number:04}" for number in range(2345)]


def test_every_form_of_since_means_the_same(url: str, clock: Clock) -> None:
    """Raw, encoded and with a plus that becomes a space."""
    forms = [
        "2025-12-31T23:00:00", "2025-12-31T23:00:00.000000", "2025-12-31T23:00:00Z", "2025-12-31T23:00:00+00:00",
        "2025-12-31T23:00:00%2B00:00", "2025-12-31T23:00:00%20" "00:00", "2026-01-01T01:00:00+02:00", "2025-12-31",
        "2025-12-31%2023:00:00",
    ]  # fmt: skip
    answers = {urllib.request.urlopen(f"{url}{DEBIAN}?since={form}&limit=5").read() for form in forms}
    assert len(answers) == 1


def test_a_delta_ends_where_it_began(client: httpx2.Client, filled: Store) -> None:
    """What is published after its first page is not part of it; a record that changes again is not missed."""
    first = client.get(DEBIAN, params={"since": "1970-01-01"})
    publish(filled, "vulnerabilities", GROUP, {"CVE-2024-9999": os_record(GROUP, "CVE-2024-9999")})
    rest = walk(client, DEBIAN, since="1970-01-01", next_token=first.json()["next_token"])
    found = names(first.content) + [name for page in rest for name in page]
    assert sorted(found) == [f"CVE-2024-{number:04}" for number in range(2345)]


def test_a_token_of_the_original_service_is_a_time(client: httpx2.Client, filled: Store, clock: Clock) -> None:
    """With and without padding; the walk then goes on with tokens of ours."""
    at = clock.move(days=1)
    publish(filled, "vulnerabilities", GROUP, {"CVE-2024-0005": os_record(GROUP, "CVE-2024-0005", "new")})
    token = base64.b64encode(at.replace(tzinfo=None).isoformat().encode()).decode()
    for text in (token, token.rstrip("=")):
        assert walk(client, DEBIAN, next_token=text) == [["CVE-2024-0005"]]
    old = base64.b64encode(b"2018-02-14T21:05:14.462025").decode()
    assert len([name for page in walk(client, DEBIAN, next_token=old) for name in page]) == 2345


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("since=yesterday", "since"),
        ("since=2021-02-30", "since"),
        ("next_token=abc", "next_token"),
        ("next_token=pQ", "next_token"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("since=1970-01-01&since=1971-01-01", "since"),
        ("since=garbage&next_token={token}", "since"),
        ("since=1970-01-01&next_token=%00", "next_token"),
        ("x=" + "y" * 9000, "query"),
    ],
)
def test_what_cannot_be_understood_is_named(reader: httpx2.Client, query: str, named: str) -> None:
    """400 with the parameter's name."""
    token = reader.get(DEBIAN).json()["next_token"]
    assert named in problem_of(reader.get(f"{DEBIAN}?{query.format(token=token)}"), 400)


def test_a_token_of_another_group_is_refused(reader: httpx2.Client) -> None:
    """A token is good for the group that gave it."""
    token = reader.get(DEBIAN).json()["next_token"]
    answer = reader.get("/v1/feeds/vulnerabilities/alpine:3.2", params={"next_token": token})
    assert "another group" in problem_of(answer, 400)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/feeds/nix",
        "/v1/feeds/nix/debian:12",
        "/v1/feeds/vulnerabilities/debian:99",
        "/v3/feeds",
        "/v1/v1/feeds",
        "/v1/feeds/vulnerabilities/debian:12/records",
        "/v1/feeds/vulnerabilities/debian:12/records/CVE-1",
        "/v1/feeds/vulnerabilities/debian:99/records/CVE-1",
        "/v1/feeds/%00",
        "/v1/feeds/%ff%fe/%0a",
        "/v1/feeds/%2e%2e/x",
        "/v1/feeds/vulnerabilities/..%2f..%2fetc%2fpasswd",
        "/v1/feeds/vulnerabilities/" + "g" * 5000,
        "/v1/feeds/vulnerabilities/debian:12/records/%00",
        "/v1/feeds/vulnerabilities/debian:12/records/" + "k" * 5000,
        "/v1/feeds/%F0%9F%92%A9",
        "/v1/feeds/vulnerabilities/debian%0012",
        "/v1/tasks/99",
        "/v1/tasks/x",
        "/v1/tasks/%D9%A1",
        "/v1/tasks/-1",
        "/v1/tasks/99999999999999999999999999",
    ],
)
def test_what_does_not_exist_is_not_found(reader: httpx2.Client, path: str) -> None:
    """404 with a message, whatever stands in the path."""
    assert problem_of(reader.get(path), 404)


def test_a_record_by_its_key(client: httpx2.Client, filled: Store, clock: Clock) -> None:
    """The current version; with `history` all versions, newest first."""
    clock.move(hours=1)
    publish(filled, "vulnerabilities", GROUP, {"CVE-2024-0007": os_record(GROUP, "CVE-2024-0007", "changed")})
    path = f"{DEBIAN}/records/CVE-2024-0007"
    now = client.get(path).json()
    assert now["record"] == os_record(GROUP, "CVE-2024-0007", "changed")
    assert (now["feed"], now["group"], now["key"], now["withdrawn"]) == (
        "vulnerabilities", GROUP, "CVE-2024-0007", False,
    )  # fmt: skip
    assert now["published_at"] == "2026-01-02T01:00:00.000000+00:00"
    assert "versions" not in now
    versions = client.get(path, params={"HISTORY": "True"}).json()["versions"]
    assert [version["record"]["Vulnerability"]["Description"] for version in versions] == ["changed", ""]
    assert versions[1]["ended"] == versions[0]["sequence"]


@pytest.mark.parametrize(
    "path", [DEBIAN, f"{DEBIAN}?limit=50", f"{DEBIAN}?since=1970-01-01", "/v1/feeds", "/v1/tasks"]
)
def test_every_coding_holds_the_same_answer(reader: httpx2.Client, path: str) -> None:
    """Single gzip members and zstd frames, exact types, ETags per coding, HEAD with the same headers, and 304."""

    def ask(method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(str(reader.base_url.join(path)), method=method, headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, {k.lower(): v for k, v in answer.headers.items()}, answer.read()

    _, plain_headers, plain = ask()
    assert "content-encoding" not in plain_headers
    etags = {plain_headers["etag"]}
    for coding in ("gzip", "zstd"):
        status, headers, coded = ask(**{"Accept-Encoding": f"identity;q=0, {coding}"})
        assert (status, headers["content-encoding"], headers["content-type"]) == (200, coding, "application/json")
        assert headers["vary"] == "Accept-Encoding"
        assert int(headers["content-length"]) == len(coded)
        decoded = (
            gzip.decompress(coded)
            if coding == "gzip"
            else zstandard.ZstdDecompressor().decompressobj().decompress(coded)
        )
        assert decoded == plain
        etags.add(headers["etag"])
        _, head, nothing = ask("HEAD", **{"Accept-Encoding": f"identity;q=0, {coding}"})
        assert nothing == b""
        assert {**head, "date": ""} == {**headers, "date": ""}
        known = f'"other", {headers["etag"]}'
        status, same, nothing = ask(**{"Accept-Encoding": f"identity;q=0, {coding}", "If-None-Match": known})
        assert (status, same["etag"], nothing) == (304, headers["etag"], b"")
    assert len(etags) == 3
    assert ask(**{"If-None-Match": "*"})[0] == 304
    assert ask(**{"If-None-Match": '"other"'})[0] == 200
    assert ask(**{"Accept-Encoding": "*;q=0"})[0] == 406
    assert ask(Accept="text/html")[0] == 406
    assert json.loads(plain) is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_the_service_is_only_read(reader: httpx2.Client, method: str) -> None:
    """Any other method is refused, with what is allowed."""
    for path in ("/", "/v1/feeds", DEBIAN, "/v2/tasks/1", "/docs"):
        answer = reader.request(method, path)
        assert problem_of(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"


def test_authorization_is_ignored(reader: httpx2.Client) -> None:
    """Old clients send credentials of another service."""
    for value in ("Basic YTpi", "Bearer x", "nonsense"):
        assert reader.get("/v1/feeds", headers={"Authorization": value}).status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_reads_a_compressed_page(url: str) -> None:
    """The command line that the documentation shows."""
    done = subprocess.run(["curl", "-sS", "--compressed", f"{url}{DEBIAN}"], capture_output=True, check=True)
    assert len(names(done.stdout)) > 500


@pytest.fixture
def any_store(store_url: str, clock: Clock) -> Iterator[Store]:
    """An empty store, once on SQLite and once on PostgreSQL."""
    opened = open_store(store_url, clock=clock)
    yield opened
    opened.close()


def test_the_main_walk_on_both_stores(any_store: Store, tmp_path: Path, clock: Clock) -> None:
    """First sync and incremental sync of one client."""
    keys = [f"CVE-2024-{number:04}" for number in range(1234)]
    publish(any_store, "vulnerabilities", GROUP, {key: os_record(GROUP, key) for key in keys})
    began = clock.move(hours=1)
    app = create_app(any_store, PageFolder(tmp_path / "pages", any_store), clock=clock, since_margin=timedelta(0))
    with live_service(app) as base, httpx2.Client(base_url=base) as client:
        assert [name for page in walk(client, DEBIAN) for name in page] == keys
        clock.move(hours=1)
        publish(any_store, "vulnerabilities", GROUP, {"CVE-2024-0003": os_record(GROUP, "CVE-2024-0003", "new")})
        assert walk(client, DEBIAN, since=began.replace(tzinfo=None).isoformat()) == [["CVE-2024-0003"]]
        assert client.get("/v1/version").json()["db"]["schema_version"] == any_store.schema_version()
