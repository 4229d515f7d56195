"""Settings of fetching: how patient, how polite, and how much an upstream may send."""

from __future__ import annotations

import msgspec

from vulnfeeds.errors import SettingsError

PROJECT_URL = "https://github.com/vulnfeeds/vulnfeeds"
"""Named in the User-Agent, so that an upstream's operator finds out who asks."""


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How upstreams are asked. Times are seconds, sizes are bytes.

    Proxies come from the usual environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), certificates from
    SSL_CERT_FILE or SSL_CERT_DIR, else from the system. Raises SettingsError for values that make no sense.
    """

    connect_seconds: float = 10.0
    """Longest wait for a connection, TLS included."""
    read_seconds: float = 60.0
    """Longest silence of an upstream before a request counts as failed."""
    attempts: int = 5
    """Requests for one download before it fails; only failures that can pass are tried again."""
    backoff_first_seconds: float = 1.0
    """Wait before the second attempt; it doubles with every further one (with jitter down to half of it)."""
    backoff_max_seconds: float = 60.0
    """Longest such wait."""
    throttled_seconds: float = 30.0
    """Wait after an upstream said "too many requests" without saying for how long."""
    retry_after_max_seconds: float = 300.0
    """Longest wait that an upstream's Retry-After is given."""
    max_bytes: int = 2 << 30
    """Most bytes of one download on the wire, unless the driver names another ceiling."""
    max_seconds: float = 3600.0
    """Longest time for one download, retries included, unless the driver names another ceiling."""
    max_decompressed_bytes: int = 16 << 30
    """Most bytes that one download may decompress to."""
    max_ratio: float = 250.0
    """Most decompressed bytes for each compressed byte, judged from the first 32 MiB on (0: any)."""
    min_bytes_per_second: float = 256.0
    """A body that comes slower than this over `rate_window_seconds` counts as failed (0: any)."""
    rate_window_seconds: float = 60.0
    """Time over which the speed of a body is measured."""
    per_host: int = 2
    """Most requests to one host at the same time."""
    pace: dict[str, float] = {}
    """Shortest time between the starts of two requests, by host; hosts behind a mirror are not paced."""
    throttle_403: tuple[str, ...] = ("services.nvd.nist.gov", "alas.aws.amazon.com", "api.github.com")
    """Hosts that answer 403 when they mean "too many requests": there it is tried again."""
    contact: str = ""
    """Added to the User-Agent: an address at which upstreams can reach who runs this service."""
    ca_file: str = ""
    """PEM file of certificate authorities to trust besides the system's ("": only what the environment names)."""

    def __post_init__(self) -> None:
        """Refuse values that could not work, with the name of the setting."""
        positive = (
            "connect_seconds",
            "read_seconds",
            "attempts",
            "max_bytes",
            "max_seconds",
            "max_decompressed_bytes",
            "rate_window_seconds",
            "per_host",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise SettingsError(f"fetch.{name} must be more than 0, not {getattr(self, name)}")
        not_negative = (
            "backoff_first_seconds",
            "backoff_max_seconds",
            "throttled_seconds",
            "retry_after_max_seconds",
            "max_ratio",
            "min_bytes_per_second",
        )
        for name in not_negative:
            if getattr(self, name) < 0:
                raise SettingsError(f"fetch.{name} must not be negative, but is {getattr(self, name)}")
        for host, seconds in self.pace.items():
            if seconds < 0:
                raise SettingsError(f"fetch.pace of {host} must not be negative, but is {seconds}")
        if not self.contact.isprintable() or not self.contact.isascii():
            raise SettingsError("fetch.contact goes into a header: only printable ASCII is possible")
