"""The host gate: no request is sent to where no driver and no setting leads."""

from __future__ import annotations

from collections.abc import Collection

from vulnfeeds.errors import HostRefusedError, SettingsError
from vulnfeeds.fetch.addresses import Address, parse_address, redacted


class HostGate:
    """Knows the URL prefixes that may be asked. Raises SettingsError for a prefix that is no URL."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._prefixes: list[Address] = []
        for prefix in allowed:
            try:
                self._prefixes.append(parse_address(prefix))
            except ValueError as error:
                raise SettingsError(f"upstream {redacted(prefix)!r}: {error}") from None

    def check(self, url: str) -> None:
        """Raise HostRefusedError unless `url` begins with an allowed prefix; host and port are compared whole."""
        try:
            address = parse_address(url)
        except ValueError as error:
            raise HostRefusedError(redacted(url), str(error)) from None
        for prefix in self._prefixes:
            if prefix.origin == address.origin and address.rest.startswith(prefix.rest):
                return
        raise HostRefusedError(redacted(url), self._reason(address.host))

    def check_hop(self, asked: Address, target: Address) -> None:
        """Raise HostRefusedError unless a redirect may lead from `asked` to `target` (both before the map)."""
        if asked.scheme == "https" and target.scheme != "https":
            raise HostRefusedError(
                redacted(str(target)),
                f"redirected from {redacted(str(asked))}: a redirect from https to http is not followed",
            )
        if asked.origin == target.origin or any(prefix.host == target.host for prefix in self._prefixes):
            return
        reason = f"redirected from {redacted(str(asked))}: {self._reason(target.host)}"
        raise HostRefusedError(redacted(str(target)), reason)

    def _reason(self, host: str) -> str:
        if any(prefix.host == host for prefix in self._prefixes):
            return f"no enabled driver asks {host} for this path; `vulnfeeds hosts` lists what may be asked"
        return (
            f"no enabled driver leads to {host}: the settings `drivers` and the drivers' own URLs decide, "
            "`vulnfeeds hosts` lists all hosts"
        )
