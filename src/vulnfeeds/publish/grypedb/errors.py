"""What can go wrong with a Grype database, beyond what goes wrong with the store."""

from __future__ import annotations

from vulnfeeds.errors import VulnfeedsError


class ArchiveError(VulnfeedsError):
    """An archive cannot be made, read or put in place."""


class RefusedError(VulnfeedsError):
    """A build is not fit for clients; the archive before it stays."""
