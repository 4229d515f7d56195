"""What every database carries whatever its records are: how a client finds rows of one distribution for another.

Without these rows a host that calls itself `centos`, `oracle` or `amzn` finds nothing, and no error says so.
"""

from __future__ import annotations

from typing import Final

_RHEL: Final = ("centos", "rocky", "rockylinux", "alma", "almalinux", "scientific", "sl", "gentoo")
_NAMES: Final = {
    "raspbian": "debian",
    "oracle": "ol",
    "oraclelinux": "ol",
    "amazon": "amzn",
    "amazonlinux": "amzn",
}
_ROLLING: Final = ("hummingbird", "wolfi", "chainguard", "secureos", "archlinux", "minimos", "echo")
# postmarketOS names its releases after months; each is an Alpine release underneath.
_POSTMARKETOS: Final = {
    "25.12": "23",
    "25.06": "22",
    "24.12": "21",
    "24.06": "20",
    "23.12": "19",
    "23.06": "18",
    "22.12": "17",
    "22.06": "16",
    "21.12": "15",
    "21.06": "14",
    "21.03": "13",
    "20.05": "12",
}
# Clients older than schema 6.0.3 know no channels and would take the rows of a minor release for all there is.
_MINOR_RELEASE: Final = r"^\d+\.\d+"
_OLD_CLIENTS: Final = "< 6.0.3"

SystemOverride = tuple[str, str, str, str, str, str | None, str | None, str | None, str | None, str | None, int, str]


def _system(
    alias: str,
    *,
    version: str = "",
    version_pattern: str = "",
    codename: str = "",
    name: str | None = None,
    major: str | None = None,
    minor: str | None = None,
    label: str | None = None,
    rolling: bool = False,
    clients: str = "",
) -> SystemOverride:
    return (alias, version, version_pattern, codename, "", name, major, minor, label, None, int(rolling), clients)


SYSTEMS: Final[tuple[SystemOverride, ...]] = (
    *(_system(alias, name="rhel") for alias in _RHEL),
    *(_system(alias, name=name) for alias, name in _NAMES.items()),
    _system("arch", name="archlinux", rolling=True),
    _system("rhel", version_pattern=_MINOR_RELEASE, minor="", clients=_OLD_CLIENTS),
    _system("redhat", version_pattern=_MINOR_RELEASE, name="rhel", minor="", clients=_OLD_CLIENTS),
    *(_system(alias, rolling=True) for alias in _ROLLING),
    _system("alpine", version_pattern=".*_alpha.*", label="edge", rolling=True),
    _system("debian", codename="forky", label="unstable", rolling=True),
    _system("postmarketos", version="edge", name="alpine", label="edge", rolling=True),
    _system("postmarketos", codename="edge", name="alpine", label="edge", rolling=True),
    *(
        _system("postmarketos", version=version, name="alpine", major="3", minor=minor)
        for version, minor in _POSTMARKETOS.items()
    ),
    _system("postmarketos", version_pattern="^$", name="alpine"),
)
"""Rows of `operating_system_specifier_overrides`, in the order of its columns."""

PACKAGES: Final[tuple[tuple[str, str], ...]] = (
    ("R", "R-package"),
    ("apkg", "apk"),
    ("cargo", "rust-crate"),
    ("cocoapods", "pod"),
    ("composer", "php-composer"),
    ("cran", "R-package"),
    ("dart", "dart-pub"),
    ("dotnet", "dotnet"),
    ("dpkg", "deb"),
    ("elixir", "hex"),
    ("erlang", "hex"),
    ("erlang-otp", "hex"),
    ("github", "github-action"),
    ("go", "go-module"),
    ("golang", "go-module"),
    ("haskell", "hackage"),
    ("java", "java-archive"),
    ("javascript", "npm"),
    ("jenkins-plugin", "java-archive"),
    ("kb", "msrc-kb"),
    ("lua", "lua-rocks"),
    ("luarocks", "lua-rocks"),
    ("maven", "java-archive"),
    ("nuget", "dotnet"),
    ("ocaml", "opam"),
    ("otp", "erlang-otp"),
    ("pacman", "alpm"),
    ("pear", "php-pear"),
    ("pear", "php-pecl"),
    ("pecl", "php-pecl"),
    ("php", "php-composer"),
    ("pub", "dart-pub"),
    ("pypi", "python"),
    ("python", "python"),
    ("ruby", "gem"),
    ("rust", "rust-crate"),
    ("swift", "swift"),
    ("swipl", "swiplpack"),
)
"""What people call an ecosystem, and the package type under which its rows are found."""

ARCHITECTURES: Final[tuple[tuple[str, str], ...]] = (
    ("aarch64", "arm64"),
    ("i386", "386"),
    ("i686", "386"),
    ("ppc64el", "ppc64le"),
    ("x64", "amd64"),
    ("x86", "386"),
    ("x86_64", "amd64"),
)
"""Other names of an architecture."""
