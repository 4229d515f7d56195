"""The simulator is shipped for tests of drivers, so it has promises of its own."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from vulnfeeds.errors import StatusError, UpstreamError
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.json"


def test_it_serves_a_mapping_and_what_is_put_later(upstream: UpstreamSimulator) -> None:
    """Documents come and go while it runs."""
    with UpstreamSimulator({URL: b"[1]"}) as simulator, simulator.fetcher() as fetcher:
        assert fetcher.get_json(URL) == b"[1]"
        simulator.put(URL, b"[2]")
        assert fetcher.get_json(URL) == b"[2]"
        simulator.remove(URL)
        with pytest.raises(StatusError, match="404"):
            fetcher.get_json(URL)


def test_it_serves_a_folder(tmp_path: Path) -> None:
    """HOST/PATH in a folder, with index.html for folders, as the folder mirror does."""
    (tmp_path / "example.org" / "list").mkdir(parents=True)
    (tmp_path / "example.org" / "data.json").write_text("{}")
    (tmp_path / "example.org" / "list" / "index.html").write_text("<html></html>")
    with UpstreamSimulator(tmp_path) as simulator, simulator.fetcher() as fetcher:
        assert fetcher.get_json(URL + "?x=1") == b"{}"
        assert fetcher.download("https://example.org/list/", tmp_path / "l").changed
        with pytest.raises(StatusError, match="404"):
            fetcher.get_json("https://example.org/missing")


def test_a_function_may_answer(upstream: UpstreamSimulator) -> None:
    """An API with arguments is a function of the URL."""
    upstream.serve("https://api.example/", lambda url: None if "page=3" in url else b'["%d"]' % len(url))
    with upstream.fetcher() as fetcher:
        assert fetcher.get_json("https://api.example/?page=2") == b'["27"]'
        with pytest.raises(StatusError):
            fetcher.get_json("https://api.example/?page=3")


def test_it_keeps_a_log_with_headers_and_bytes(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Tests ask it what was asked."""
    upstream.put(URL, b"{}")
    with upstream.fetcher() as fetcher:
        fetcher.download(URL, tmp_path / "x", headers={"X-Mark": "1"})
    (seen,) = upstream.log
    assert (seen.method, seen.url, seen.status, seen.sent, seen.headers["x-mark"]) == ("GET", URL, 200, 2, "1")


def test_head_and_plain_clients_work(upstream: UpstreamSimulator) -> None:
    """It is a web server for anybody: HEAD has the headers and no body, an unknown document is 404."""
    upstream.put(URL, b"{}")
    address = f"{upstream.address}/example.org/data.json"
    with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=5) as answer:
        assert (answer.headers["Content-Length"], answer.read()) == ("2", b"")
        assert answer.headers["ETag"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address + "x", timeout=5)


def test_closing_lets_hanging_requests_go(tmp_path: Path) -> None:
    """A test that ends while a request hangs does not hang itself."""
    before = threading.active_count()
    simulator = UpstreamSimulator({URL: b"{}"})
    simulator.fault(URL, hang=True)
    with simulator.fetcher() as fetcher:

        def ask() -> None:
            with pytest.raises(UpstreamError):
                fetcher.get_json(URL)

        waiting = threading.Thread(target=ask)
        waiting.start()
        while not simulator.log:
            pass
        simulator.close()
        waiting.join(20)
        assert not waiting.is_alive()
    assert threading.active_count() <= before + 1
