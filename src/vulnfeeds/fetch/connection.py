"""One answer from the network: politeness, redirects by hand, the gate, and errors in our own words."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import unquote, urljoin

import httpx2

from vulnfeeds import __version__
from vulnfeeds.errors import DownloadError, HostRefusedError, StatusError, UnreachableError
from vulnfeeds.fetch.addresses import parse_address, redacted
from vulnfeeds.fetch.gate import HostGate
from vulnfeeds.fetch.mirrors import Place, UpstreamMap
from vulnfeeds.fetch.retries import TransientError, asked_wait, is_transient
from vulnfeeds.fetch.settings import PROJECT_URL, FetchSettings
from vulnfeeds.fetch.stream import Deadline
from vulnfeeds.fetch.turnstile import Turnstile, Turnstiles
from vulnfeeds.fetch.watchdog import Watchdog

MAX_REDIRECTS = 5
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_HARMLESS = frozenset(("accept", "accept-encoding", "range", "if-range", "if-none-match", "if-modified-since"))
"""Request headers that go along when a redirect leads to another host: none that could hold a secret."""


class Connection:
    """Connections to upstreams and mirrors, kept open between requests. Safe to share between threads."""

    def __init__(
        self,
        settings: FetchSettings,
        upstreams: UpstreamMap,
        gate: HostGate,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._upstreams = upstreams
        self._gate = gate
        self._clock = clock
        self._turnstiles = Turnstiles(settings.per_host, settings.pace, monotonic, sleep)
        self._watchdog = Watchdog()
        self._lock = threading.Lock()
        self._made: httpx2.Client | None = None

    def close(self) -> None:
        """Close what is open; the next request opens it again."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def turnstile(self, place: Place) -> Turnstile:
        """Return the turnstile that requests for `place` pass."""
        return self._turnstiles.of(place.host, mirrored=place.mirrored)

    @contextmanager
    def answer(
        self,
        place: Place,
        headers: Mapping[str, str],
        deadline: Deadline,
        accept: tuple[int, ...],
        question: bytes | None = None,
    ) -> Iterator[httpx2.Response]:
        """Ask for `place` and give the answer, body unread, when its status is one of `accept`.

        A `question` is sent as the body of a POST, which no redirect leads elsewhere. Raises StatusError for another
        status, HostRefusedError for a redirect to where nothing leads, DownloadError for too many redirects, and
        TransientError for all that can pass, also while the body is read.
        """
        sent, start = dict(headers), place
        for _ in range(MAX_REDIRECTS + 1):
            with self._request(place, sent, deadline, question) as response:
                if response.status_code in accept:
                    yield response
                    return
                if question is not None and response.status_code in _REDIRECTS:
                    raise StatusError(place.url, response.status_code, "a question is not redirected")
                target = self._target_of(place, response)
            origin = place.address.origin if place.address else ""
            place = self._hop(place, target)
            if place.address is None or place.address.origin != origin:
                sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
        raise DownloadError(start.url, f"more than {MAX_REDIRECTS} redirects")

    @contextmanager
    def _request(
        self, place: Place, headers: Mapping[str, str], deadline: Deadline, question: bytes | None
    ) -> Iterator[httpx2.Response]:
        """Send one request, when its host's turn has come, and give whatever is answered."""
        if place.address is None:
            raise HostRefusedError(place.url, "a redirect into a folder mirror is not followed")
        client = self._client(place.url)
        user, _, password = place.address.user.partition(":")
        answered = False
        with self.turnstile(place).passage():
            deadline.check()
            try:
                with (
                    self._watchdog.over(place.address.origin, deadline.remaining) as trace,
                    client.stream(
                        "GET" if question is None else "POST",
                        str(place.address),
                        content=question,
                        headers=dict(headers),
                        auth=(unquote(user), unquote(password)) if user else None,
                        timeout=self._timeout(deadline),
                        extensions={"trace": trace},
                    ) as response,
                ):
                    answered = True
                    yield response
            except httpx2.TransportError as error:
                raise _explained(place, error, answered=answered, deadline=deadline) from error
            except httpx2.InvalidURL as error:
                raise HostRefusedError(place.url, f"not a URL that can be asked for: {error}") from error

    def _timeout(self, deadline: Deadline) -> httpx2.Timeout:
        left = max(0.001, deadline.remaining)
        silence = min(self._settings.read_seconds, left)
        # No wait for a free connection: the turnstiles decide how many there are.
        return httpx2.Timeout(
            connect=min(self._settings.connect_seconds, left), read=silence, write=silence, pool=None
        )

    def _target_of(self, place: Place, response: httpx2.Response) -> str:
        """Return where a redirect leads; raise the error that any other answer means."""
        status = response.status_code
        location = response.headers.get("Location", "")
        if status in _REDIRECTS and location:
            try:
                return urljoin(str(place.address), location)
            except ValueError as error:
                raise DownloadError(place.url, f"redirected to {redacted(location)[:200]!r}: {error}") from None
        detail = response.headers.get("message", "").strip()[:200]
        refusal = StatusError(place.url, status, "".join(c if c.isprintable() else " " for c in detail))
        if not is_transient(status, place.host, self._settings):
            raise refusal
        after = asked_wait(response.headers, self._clock())
        raise TransientError(refusal, after=after, throttled=after is not None or status in (403, 429))

    def _hop(self, place: Place, target: str) -> Place:
        """Return the place that a redirect leads to, if it may: through the gate, and never out of a mirror."""
        try:
            address = parse_address(target)
        except ValueError as error:
            raise DownloadError(place.url, f"redirected to {redacted(target)[:200]!r}: {error}") from None
        if place.mirrored and place.address is not None and address.origin == place.address.origin:
            return Place(upstream=place.upstream, address=address.with_user(place.address.user), mirrored=True)
        self._gate.check_hop(place.upstream, address)
        found = self._upstreams.resolve(target)
        if place.mirrored and not found.mirrored:
            raise HostRefusedError(place.url, f"the mirror redirects out of itself, to {address.host}")
        return found

    def _client(self, url: str) -> httpx2.Client:
        with self._lock:
            if self._made is None:
                try:
                    self._made = _new_client(self._settings)
                except (OSError, ValueError, httpx2.InvalidURL) as error:
                    reason = f"the certificates or proxies that are set cannot be used: {redacted(str(error))}"
                    raise UnreachableError(url, reason) from None
            return self._made


def _new_client(settings: FetchSettings) -> httpx2.Client:
    """Return a client that reads proxies and certificates from the environment and remembers nothing."""
    context = httpx2.create_ssl_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    # The libraries' own lines show queries whole, or say nothing that our line about a retry does not say.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("stamina").setLevel(logging.ERROR)
    contact = f"; {settings.contact}" if settings.contact else ""
    return httpx2.Client(
        verify=context,
        headers={"User-Agent": f"vulnfeeds/{__version__} (+{PROJECT_URL}{contact})", "Accept": "*/*"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        # HTTP/1.1 only: one large body over HTTP/2 crawls through its 64 KiB stream window.
        http2=False,
    )


def _explained(place: Place, error: httpx2.TransportError, *, answered: bool, deadline: Deadline) -> Exception:
    """Return what a failure of the connection means."""
    via = f" (asked at {place.shown})" if place.mirrored else ""
    if deadline.remaining <= 0:
        return deadline.over(error)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return UnreachableError(place.url, f"the request cannot be sent: {error}{via}")
    if _is_about_trust(error):
        hint = "a private authority is named by SSL_CERT_FILE or the setting fetch.ca_file"
        return UnreachableError(place.url, f"its certificate is not trusted{via}: {error}; {hint}")
    if isinstance(error, httpx2.ConnectTimeout):
        return TransientError(UnreachableError(place.url, f"no connection in time{via}"))
    if isinstance(error, httpx2.TimeoutException):
        return TransientError(UnreachableError(place.url, f"no answer in time{via}"))
    if answered and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return TransientError(DownloadError(place.url, f"the body was cut short{via}: {error}"))
    return TransientError(UnreachableError(place.url, f"{error or type(error).__name__}{via}"))


def _is_about_trust(error: BaseException | None) -> bool:
    """Tell whether a failed connection was a refused certificate, which does not pass by itself."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
