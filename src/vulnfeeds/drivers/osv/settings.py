"""Settings of driver osv: which archives or folders are read, and which groups their ecosystems fill."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from vulnfeeds.drivers.github.ecosystems import OF_OSV
from vulnfeeds.drivers.interface import DriverSettings

ECOSYSTEMS: Final = {
    **OF_OSV,
    "Bitnami": "bitnami",
    "CRAN": "cran",
    "ConanCenter": "conan",
    "Hackage": "hackage",
    "Julia": "julia",
    "Opam": "opam",
    "VSCode": "vscode",
}
"""What stands behind the colon of a group by the ecosystem's name in documents, where the settings say nothing."""
PAGES: Final = "https://osv.dev/vulnerability/"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_GROUP: Final = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}")

Preset = Literal["bitnami", "govulndb", "malicious-packages", "pypa", "rustsec"]


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of OSV documents; one of `archive` and `folder` says where they are."""

    archive: str = ""
    """URL of an archive: zip or tar, plain or packed (gz, bz2, xz, zst). A bucket is its `all.zip`."""
    redirected: str = ""
    """What the URL begins with to which that one redirects, when it is on another host."""
    folder: str = ""
    """Folder of documents, which is copied before it is read. Links are not followed."""
    documents: tuple[str, ...] = ("*.json",)
    """Patterns of the documents' paths; `*` stands for slashes, too."""
    ecosystems: dict[str, str] = msgspec.field(default_factory=dict)
    """What stands behind the colon of a group, by ecosystem (`Go = "go"`: group `NAME:go`); others are counted and
    left out. Empty: the ecosystems of the table on the driver's page."""
    page: str = PAGES
    """What stands before the id in the link of an advisory that names no page of its own."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself. Raises ValueError."""
        if bool(self.archive) == bool(self.folder):
            raise ValueError("exactly one of archive and folder is needed")
        for url in (self.archive, self.redirected):
            if url and urlsplit(url).scheme not in ("http", "https"):
                raise ValueError(f"{url[:80]!r} is no http or https URL")
        if self.redirected and not self.archive:
            raise ValueError("redirected goes with archive only")
        if not self.documents:
            raise ValueError("documents names no pattern")
        for ecosystem, group in self.ecosystems.items():
            if not _GROUP.fullmatch(group):
                raise ValueError(f"ecosystem {ecosystem[:64]!r}: {group[:64]!r} is no name of a group")

    def group_of(self, ecosystem: str) -> str:
        """Return what stands behind the colon of an ecosystem's group, "" when the settings know none.

        What stands behind a colon in the ecosystem's own name ("Maven:https://repo.example/") matters only where the
        settings name it whole.
        """
        known = self.ecosystems or ECOSYSTEMS
        return known.get(ecosystem) or known.get(ecosystem.partition(":")[0], "")


class OSVSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver osv."""

    presets: tuple[Preset, ...] = ("bitnami", "malicious-packages")
    """Sources that need no settings: `bitnami`, `malicious-packages`; and `govulndb`, `pypa`, `rustsec`, most of
    whose advisories GitHub has, too."""
    sources: dict[str, SourceSettings] = msgspec.field(default_factory=dict)
    """More sources by name (`[driver.osv.sources.lab]`); one with the name of a preset takes its place."""

    def __post_init__(self) -> None:
        """Refuse names that could be no group's. Raises ValueError."""
        for name in self.sources:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:64]!r} is no name of a source: small letters, digits, '-' and '_'")

    @property
    def chosen(self) -> dict[str, SourceSettings]:
        """Return the sources that are read, by name."""
        return {**{name: PRESETS[name] for name in self.presets}, **self.sources}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the prefixes of all URLs that are asked for."""
        urls = (url for source in self.chosen.values() for url in (source.archive, source.redirected) if url)
        return tuple(dict.fromkeys(urls))


def _of_github(repository: str, branch: str, *documents: str, **settings: dict[str, str]) -> SourceSettings:
    return SourceSettings(
        archive=f"https://github.com/{repository}/archive/refs/heads/{branch}.tar.gz",
        redirected=f"https://codeload.github.com/{repository}/",
        documents=documents,
        **settings,  # type: ignore[arg-type]
    )


PRESETS: Final[dict[str, SourceSettings]] = {
    "bitnami": _of_github("bitnami/vulndb", "main", "*/data/*/BIT-*.json", ecosystems={"Bitnami": "bitnami"}),
    "govulndb": SourceSettings(
        archive="https://vuln.go.dev/vulndb.zip",
        documents=("ID/GO-*.json",),
        ecosystems={"Go": "go"},
        page="https://pkg.go.dev/vuln/",
    ),
    "malicious-packages": _of_github("ossf/malicious-packages", "main", "*/osv/*/MAL-*.json"),
    # The repository holds YAML; the bucket has the same documents as JSON, among GitHub's.
    "pypa": SourceSettings(
        archive="https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
        documents=("PYSEC-*.json",),
        ecosystems={"PyPI": "python"},
    ),
    # The branch holds what the database's own tool makes of its TOML documents.
    "rustsec": _of_github("rustsec/advisory-db", "osv", "*/crates/RUSTSEC-*.json"),
}
"""Sources that are known by name."""
