"""No request is sent to where no driver and no setting leads, not even by a redirect."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.errors import DownloadError, HostRefusedError, SettingsError, UpstreamError
from vulnfeeds.fetch.addresses import parse_address, redacted
from vulnfeeds.fetch.gate import HostGate
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import UpstreamSimulator

ALLOWED = ("https://example.org/data/", "https://api.example.org", "http://plain.example:8080/x")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/data/",
        "https://example.org/data/a/b.json?x=1",
        "https://EXAMPLE.org:443/data/a",
        "https://api.example.org",
        "https://api.example.org/",
        "https://api.example.org/any?thing",
        "http://plain.example:8080/xyz",
    ],
)
def test_what_a_prefix_covers_may_be_asked(url: str) -> None:
    """Host, port and scheme are compared whole, the path by its beginning."""
    HostGate(ALLOWED).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        "https://example.org/dat",
        "http://example.org/data/",
        "https://example.org:8443/data/",
        "https://example.org.evil.example/data/",
        "https://evil.example/https://example.org/data/",
        "https://example.org@evil.example/data/",
        "https://evil.example#@example.org/data/",
        "https://evil.example?https://example.org/data/",
        "https://api.example.orgx/",
        "http://plain.example/x",
        "ftp://example.org/data/",
        "file:///etc/passwd",
        "//example.org/data/",
        "example.org/data/",
        "https:///data/",
        "https://example.org\\@evil.example/data/",
        "https://example.org/data/\r\nHost: evil.example",
        "https://ex\u0430mple.org/data/",
        "",
    ],
)
def test_nothing_else_may_be_asked(tmp_path: Path, url: str) -> None:
    """The refusal comes before any connection, for downloads and pages, and names the settings that decide."""
    with HTTPFetcher(FetchSettings(), UpstreamMap(), ALLOWED, sleep=_never) as fetcher:
        with pytest.raises(HostRefusedError):
            fetcher.download(url, tmp_path / "x")
        with pytest.raises(HostRefusedError):
            fetcher.get_json(url)
    assert list(tmp_path.iterdir()) == []


def _never(seconds: float) -> None:
    raise AssertionError("a refusal waits for nothing")


def test_the_refusal_says_what_decides() -> None:
    """An operator learns which settings lead to hosts and where to see them."""
    with pytest.raises(HostRefusedError, match=r"settings `drivers`.*`vulnfeeds hosts`"):
        HostGate(ALLOWED).check("https://elsewhere.example/")
    with pytest.raises(HostRefusedError, match=r"for this path; `vulnfeeds hosts`"):
        HostGate(ALLOWED).check("https://example.org/other")


@pytest.mark.parametrize(
    "path", ["data/../secret", "data/%2e%2e/secret", "data/..%2Fx/../y", "data/./x", "data/%2E/x", "data/a/.."]
)
def test_paths_that_climb_are_refused(upstream: UpstreamSimulator, tmp_path: Path, path: str) -> None:
    """A prefix cannot be left by dots, plain or encoded."""
    with upstream.fetcher(allowed=ALLOWED) as fetcher, pytest.raises(HostRefusedError, match="segments"):
        fetcher.download(f"https://example.org/{path}", tmp_path / "x")
    assert upstream.log == []


def test_prefixes_must_be_urls() -> None:
    """A driver that declares rubbish is found when the fetcher is made."""
    with pytest.raises(SettingsError, match=r"upstream 'example.org/data'"):
        HTTPFetcher(FetchSettings(), UpstreamMap(), ["example.org/data"])


@given(st.text(max_size=60))
def test_any_text_is_either_allowed_or_refused(text: str) -> None:
    """Law: whatever a document holds where a URL is expected, the gate answers with HostRefusedError or passes."""
    gate = HostGate(ALLOWED)
    for url in (text, "https://example.org/data/" + text, "https://" + text):
        try:
            gate.check(url)
            UpstreamMap().resolve(url)
        except UpstreamError:
            continue
        address = parse_address(url)
        assert (address.scheme, address.host) in {("https", "example.org"), ("https", "api.example.org")}


def direct(one: UpstreamSimulator, *others: UpstreamSimulator, settings: FetchSettings | None = None) -> HTTPFetcher:
    """Return a fetcher that asks simulators themselves, without a mirror, below their folder /ok/."""
    quick = settings or FetchSettings(attempts=1, connect_seconds=5, read_seconds=5)
    return HTTPFetcher(quick, UpstreamMap(), [f"{each.address}/ok/" for each in (one, *others)])


def test_redirects_are_followed_on_the_same_host(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Absolute, absolute-path and relative locations lead on; the errors still name the URL that was asked."""
    upstream.put("https://ok/c.json", b"{}")
    upstream.redirect("https://ok/a", "/ok/dir/b", status=301)
    upstream.redirect("https://ok/dir/b", "../c.json?x=1", status=307)
    with direct(upstream) as fetcher:
        got = fetcher.download(f"{upstream.address}/ok/a", tmp_path / "x", expect=("json",))
    assert got.path.read_bytes() == b"{}"
    assert [seen.url for seen in upstream.log] == ["https://ok/a", "https://ok/dir/b", "https://ok/c.json?x=1"]


def test_a_redirect_to_a_declared_host_is_followed(tmp_path: Path) -> None:
    """A driver declares the host that its upstream redirects to, as with archives of a code host."""
    with UpstreamSimulator() as one, UpstreamSimulator({"https://elsewhere/c.json": b"{}"}) as two:
        other = two.address.replace("127.0.0.1", "localhost")
        one.redirect("https://ok/a", f"{other}/elsewhere/c.json")
        allowed = [f"{one.address}/ok/", f"{other}/ok/"]
        with HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(), allowed) as fetcher:
            secret = {"apiKey": "SECRET", "Authorization": "token SECRET", "Accept": "application/json"}
            assert fetcher.download(f"{one.address}/ok/a", tmp_path / "x", headers=secret).changed
        assert one.log[0].headers["apikey"] == "SECRET"
        assert "SECRET" not in str(two.log[0].headers)
        assert two.log[0].headers["accept"] == "application/json"


def test_a_redirect_to_another_host_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to a host that no driver declares, whatever an upstream answers."""
    with UpstreamSimulator() as one, UpstreamSimulator() as two:
        other = two.address.replace("127.0.0.1", "localhost")
        one.redirect("https://ok/a", f"{other}/ok/c.json?token=SECRET")
        with (
            direct(one) as fetcher,
            pytest.raises(HostRefusedError, match=r"redirected from http://\S+/ok/a: no ") as caught,
        ):
            fetcher.download(f"{one.address}/ok/a", tmp_path / "x")
        assert two.log == []
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "javascript:alert(1)", "https://a b/", "http://[/"])
def test_a_redirect_to_no_url_is_an_error(upstream: UpstreamSimulator, tmp_path: Path, location: str) -> None:
    """Locations that cannot be asked for end the download."""
    upstream.redirect("https://ok/a", location)
    with direct(upstream) as fetcher, pytest.raises(UpstreamError):
        fetcher.download(f"{upstream.address}/ok/a", tmp_path / "x")
    assert len(upstream.log) == 1


def test_redirects_in_a_circle_end(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Five redirects are followed, the sixth ends it, and it is not tried again."""
    upstream.redirect("https://ok/a", "/ok/a")
    with (
        direct(upstream, settings=FetchSettings()) as fetcher,
        pytest.raises(DownloadError, match="more than 5 redir"),
    ):
        fetcher.download(f"{upstream.address}/ok/a", tmp_path / "x")
    assert len(upstream.log) == 6


def test_https_is_not_left_for_http() -> None:
    """A redirect that drops the encryption is refused, even on the same host."""
    gate = HostGate(["https://example.org/", "http://example.org/"])
    with pytest.raises(HostRefusedError, match="from https to http"):
        gate.check_hop(parse_address("https://example.org/a"), parse_address("http://example.org/b"))


def test_redirects_stay_inside_a_mirror(tmp_path: Path) -> None:
    """A mirror may redirect to itself and to what the map leads back to it, but to nobody else."""
    url = "https://github.example/archive"
    with UpstreamSimulator({"https://code.example/archive": b"{}"}) as mirror, UpstreamSimulator() as other:
        with mirror.fetcher(allowed=["https://github.example/", "https://code.example/"]) as fetcher:
            mirror.redirect(url, "/code.example/archive", times=1)
            assert fetcher.get_json(url) == b"{}"
            mirror.redirect(url, "https://code.example/archive", times=1)
            assert fetcher.get_json(url) == b"{}"
            for location in ("https://undeclared.example/archive", f"{other.address}/code.example/archive"):
                mirror.redirect(url, location, times=1)
                with pytest.raises(HostRefusedError, match=r"undeclared|127\.0\.0\.1"):
                    fetcher.get_json(url)
        assert other.log == []
        half = UpstreamMap(hosts={"github.example": mirror.address})
        mirror.redirect(url, "https://code.example/archive", times=1)
        allowed = ["https://github.example/", "https://code.example/"]
        with (
            HTTPFetcher(FetchSettings(), half, allowed) as fetcher,
            pytest.raises(HostRefusedError, match=r"redirects out of itself, to code\.example"),
        ):
            fetcher.get_json(url)


def test_a_redirect_into_a_folder_mirror_is_refused(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A host that the map answers from a folder is not reached by another host's redirect."""
    upstream.redirect("https://ok/a", "https://secdb.example/x.json")
    upstreams = UpstreamMap(hosts={"secdb.example": str(tmp_path)})
    allowed = [f"{upstream.address}/ok/", "https://secdb.example/"]
    with (
        HTTPFetcher(FetchSettings(), upstreams, allowed) as fetcher,
        pytest.raises(HostRefusedError, match="into a folder mirror"),
    ):
        fetcher.get_json(f"{upstream.address}/ok/a")


def test_a_mirror_keeps_its_user_through_redirects(tmp_path: Path) -> None:
    """The mirror's own login goes with every hop inside of it."""
    url = "https://example.org/a"
    with UpstreamSimulator({"https://example.org/b": b"{}"}) as mirror:
        mirror.redirect(url, "/example.org/b", times=1)
        login = UpstreamMap(mirror.address.replace("http://", "http://us%40er:p%3Aw@"))
        with HTTPFetcher(FetchSettings(), login, ["https://example.org/"]) as fetcher:
            assert fetcher.get_json(url) == b"{}"
        expected = "Basic " + "dXNAZXI6cDp3"
        assert [seen.headers["authorization"] for seen in mirror.log] == [expected, expected]


def test_no_secret_is_logged_or_told(
    upstream: UpstreamSimulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys in headers and queries, and a mirror's password, appear in no log line and no error, at any level."""
    caplog.set_level(logging.DEBUG)
    url = "https://example.org/a?x=1&apiKey=SECRET1&token=SECRET2"
    mirror = UpstreamMap(upstream.address.replace("http://", "http://user:SECRET3@"))
    settings = FetchSettings(attempts=2, backoff_first_seconds=0, read_seconds=0.2)
    with HTTPFetcher(settings, mirror, ["https://example.org/"]) as fetcher:
        for fault in (
            {"status": 500},
            {"status": 401},
            {"hang": True},
            {"truncate_at": 1, "body": b"{}", "validators": False},
        ):
            upstream.heal()
            upstream.fault("https://example.org/", **fault)
            for ask in (
                lambda: fetcher.get_json(url, headers={"apiKey": "SECRET4"}),
                lambda: fetcher.download(url, tmp_path / "x", headers={"apiKey": "SECRET4"}),
            ):
                with pytest.raises(UpstreamError) as caught:
                    ask()
                assert "SECRET" not in str(caught.value)
                assert "apiKey=***" in str(caught.value)
        with pytest.raises(HostRefusedError) as refused:
            fetcher.get_json("https://user:SECRET5@elsewhere.example/?key=SECRET6")
    assert "SECRET" not in str(refused.value)
    # The HTTP library's debug lines of the wire are not ours; below is what any operator's log level shows.
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO or r.name.startswith("vulnfeeds")]
    assert any(line.startswith("retry url=") for line in lines)
    assert "SECRET" not in "\n".join(lines)


@given(st.text(alphabet="abc&=?;#%", max_size=30), st.text(alphabet="xyz@:%2F", max_size=10))
def test_redaction_hides_secrets_wherever_they_stand(query: str, password: str) -> None:
    """Law: the value of a secret argument and a password never survive, whatever stands around them."""
    shown = redacted(f"https://u:{password}SECRET@host/p?{query}&api_key=SECRET&n=1")
    assert "SECRET" not in shown
    assert shown.startswith("https://host/p?")
