"""TLS is checked: a private authority is trusted only when the settings or the environment name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vulnfeeds.errors import UnreachableError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.json"


def ask(upstream: UpstreamSimulator, settings: FetchSettings, mirror: str = "") -> bytes:
    with HTTPFetcher(settings, UpstreamMap(mirror or upstream.address), ["https://example.org/"]) as fetcher:
        return fetcher.get_json(URL)


def test_an_authority_that_nobody_named_is_refused(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is at once (it does not pass by itself), and says how to name the authority."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with UpstreamSimulator({URL: b"{}"}, tls=(certificates / "cert.pem", certificates / "key.pem")) as upstream:
        with pytest.raises(UnreachableError, match=r"not trusted.*SSL_CERT_FILE or the setting fetch\.ca_file"):
            ask(upstream, FetchSettings(backoff_first_seconds=3600))
        assert upstream.log == []


def test_ca_file_names_a_private_authority(certificates: Path) -> None:
    """The setting adds an authority to those of the system."""
    with UpstreamSimulator({URL: b"{}"}, tls=(certificates / "cert.pem", certificates / "key.pem")) as upstream:
        assert ask(upstream, FetchSettings(ca_file=str(certificates / "ca.pem"))) == b"{}"


def test_the_environment_names_a_private_authority(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE works as for every other program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    with UpstreamSimulator({URL: b"{}"}, tls=(certificates / "cert.pem", certificates / "key.pem")) as upstream:
        assert ask(upstream, FetchSettings()) == b"{}"


def test_a_certificate_of_another_host_is_refused(certificates: Path) -> None:
    """A trusted authority is not enough: the name must be right."""
    with UpstreamSimulator({URL: b"{}"}, tls=(certificates / "cert.pem", certificates / "key.pem")) as upstream:
        other = upstream.address.replace("127.0.0.1", "127.0.0.2")
        with pytest.raises(UnreachableError):
            ask(upstream, FetchSettings(ca_file=str(certificates / "ca.pem"), attempts=1), other)
        assert upstream.log == []


def test_a_ca_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A wrong path or rubbish in the file is an UnreachableError about certificates, not a crash."""
    (tmp_path / "rubbish.pem").write_text("no certificate")
    with UpstreamSimulator({URL: b"{}"}) as upstream:
        for name in ("missing.pem", "rubbish.pem"):
            with pytest.raises(UnreachableError, match="certificates or proxies"):
                ask(upstream, FetchSettings(ca_file=str(tmp_path / name)))


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain requests go to HTTP_PROXY, whole URL and all; hosts of NO_PROXY do not."""
    with UpstreamSimulator() as proxy:
        proxy.fault("", body=b"{}")
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.address.replace("http://", "http://user:SECRET@"))
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        url = "http://upstream.invalid/data.json"
        with HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(), [url]) as fetcher:
            assert fetcher.get_json(url) == b"{}"
        assert proxy.log[0].headers["proxy-authorization"].startswith("Basic ")
        assert proxy.log[0].url.endswith("http://upstream.invalid/data.json")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "upstream.invalid")
        with (
            HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(), [url]) as fetcher,
            pytest.raises(UnreachableError) as caught,
        ):
            fetcher.get_json(url)
        assert "SECRET" not in str(caught.value)
        assert len(proxy.log) == 1


def test_a_proxy_that_is_no_url_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong proxy in the environment is an UnreachableError without its password."""
    monkeypatch.setenv("http_proxy", "gopher://user:SECRET@proxy.invalid")
    url = "http://upstream.invalid/data.json"
    with (
        HTTPFetcher(FetchSettings(attempts=1), UpstreamMap(), [url]) as fetcher,
        pytest.raises(UnreachableError, match="proxies") as caught,
    ):
        fetcher.get_json(url)
    assert "SECRET" not in str(caught.value)
