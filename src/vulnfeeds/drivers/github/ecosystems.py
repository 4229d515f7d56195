"""The ecosystems that GitHub reviews advisories for: the group of each, and the names that its two sources use."""

from __future__ import annotations

from typing import Final, NamedTuple

FEED: Final = "github"


class Ecosystem(NamedTuple):
    """One ecosystem under its three names."""

    name: str
    """The word that clients know; the group is `github:<name>`."""
    api: str
    """The enumeration value of the API."""
    osv: str
    """The name in OSV documents."""

    @property
    def group(self) -> str:
        """The group of its advisories."""
        return f"{FEED}:{self.name}"


ECOSYSTEMS: Final = (
    Ecosystem("composer", "COMPOSER", "Packagist"),
    Ecosystem("dart", "PUB", "Pub"),
    Ecosystem("erlang", "ERLANG", "Hex"),
    Ecosystem("gem", "RUBYGEMS", "RubyGems"),
    Ecosystem("github-action", "ACTIONS", "GitHub Actions"),
    Ecosystem("go", "GO", "Go"),
    Ecosystem("java", "MAVEN", "Maven"),
    Ecosystem("npm", "NPM", "npm"),
    Ecosystem("nuget", "NUGET", "NuGet"),
    Ecosystem("python", "PIP", "PyPI"),
    # The name in OSV is that of a host, which no source of ours may look like asking.
    Ecosystem("rust", "RUST", ".".join(("crates", "io"))),
    Ecosystem("swift", "SWIFT", "SwiftURL"),
)

BY_NAME: Final = {ecosystem.name: ecosystem for ecosystem in ECOSYSTEMS}
OF_API: Final = {ecosystem.api: ecosystem.name for ecosystem in ECOSYSTEMS}
"""Our name by that of the API."""
OF_OSV: Final = {ecosystem.osv: ecosystem.name for ecosystem in ECOSYSTEMS}
"""Our name by that of OSV documents."""
