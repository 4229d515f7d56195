"""What a search asks for: a package by name or by purl, or a product by CPE. Pure.

package=openssl&group=debian:*      purl=pkg:deb/debian/openssl@1.1.1?distro=debian-11
cpe=cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec
from packageurl import PackageURL

from vulnfeeds.errors import BadRequestError, NotFoundError
from vulnfeeds.records import cpe
from vulnfeeds.records.handles import LONGEST, Kind, package_words
from vulnfeeds.records.outline import product_word

PARAMETERS: Final = ("package", "purl", "cpe", "group", "version")

_KINDS: Final = PARAMETERS[:3]
_SHOWN: Final = 100
_WILD: Final = re.compile(r"(?<!\\)[*?]")
_SHORT_CPE: Final = re.compile(r"cpe:2\.3(?::(?:[^:\\]|\\.)+){3,11}", re.DOTALL)
_LANGUAGES: Final = {
    "cargo": "rust",
    "composer": "composer",
    "gem": "gem",
    "golang": "go",
    "hex": "erlang",
    "maven": "java",
    "npm": "npm",
    "nuget": "nuget",
    "pub": "dart",
    "pypi": "python",
    "swift": "swift",
    "githubactions": "github-action",
}
"""Types of purl to GitHub's ecosystems, as the groups of feed `github` are named."""
_DISTRIBUTIONS: Final = {
    "almalinux": "alma",
    "alma": "alma",
    "amazon": "amzn",
    "amazonlinux": "amzn",
    "azurelinux": "mariner",
    "archlinux": "arch",
    "oracle": "ol",
    "oraclelinux": "ol",
    "redhat": "rhel",
    "rockylinux": "rocky",
    "suse": "sles",
}
"""Namespaces of purl, and names of distributions in its qualifier, that are not the name of the groups already."""
_SYSTEMS: Final = ("deb", "rpm", "apk", "alpm")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a search asks for."""

    kind: Kind
    words: tuple[str, ...]
    """Handles to look under."""
    name: str
    """The package's name, or `part:vendor:product` of a CPE."""
    groups: tuple[str, ...] = ()
    """Patterns of groups' names; none for all groups."""
    release: str = ""
    """The release of a distribution that a purl names: of the groups, the one that says most of it."""
    version: str = ""
    also: tuple[str, ...] = ()
    """Other names of the package: that of its source, where a purl tells it."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the package."""
        return (self.name, *self.also)


def parse(given: Mapping[str, str]) -> Question:
    """Return what the parameters of a search ask for; raises BadRequestError that names the wrong one."""
    asked = [name for name in _KINDS if name in given]
    if len(asked) != 1:
        raise BadRequestError(
            f"{' and '.join(asked) or 'package, purl, cpe'}: exactly one of the three says what to look for"
        )
    for name in PARAMETERS:
        text = given.get(name, "")
        if len(text.encode("utf-8", "replace")) > LONGEST or not text.isprintable():
            raise BadRequestError(f"{name}: {text[:_SHOWN]!r} is longer than {LONGEST} bytes or not printable")
    if "group" in given and asked == ["cpe"]:
        raise BadRequestError("group: a CPE is looked for where products are told by CPE; leave group out")
    if "version" in given and asked != ["package"]:
        raise BadRequestError(f"version: it is a part of {asked[0]}")
    if asked == ["cpe"]:
        return _of_cpe(given["cpe"])
    groups = tuple(part for part in given.get("group", "").split(",") if part)
    if asked == ["purl"]:
        return _of_purl(given["purl"], groups)
    name = given["package"]
    return Question(
        kind=Kind.PACKAGE, words=package_words(name), name=name, groups=groups, version=given.get("version", "")
    )


def choose(question: Question, groups: Sequence[str]) -> list[str] | None:
    """Return which of the groups a question is about, None for all; raises NotFoundError when it is about none."""
    if not question.groups:
        return None
    found = [name for name in groups if any(fnmatchcase(name, pattern) for pattern in question.groups)]
    parts = question.release.split(".")
    # A purl says alpine-3.18.4 and rhel-8.6 where the groups are alpine:3.18 and rhel:8.
    for count in range(len(parts) if question.release else 0, 0, -1):
        release = ".".join(parts[:count])
        if of_release := [name for name in found if name.partition(":")[2].partition("+")[0] == release]:
            return of_release
    if not found or question.release:
        wanted = ", ".join(question.groups) + (f" of release {question.release}" if question.release else "")
        raise NotFoundError(f"no group is {wanted[:300]!r}")
    return found


def _of_purl(text: str, groups: tuple[str, ...]) -> Question:
    try:
        purl = PackageURL.from_string(text)
    except ValueError as error:
        raise BadRequestError(f"purl: {text[:_SHOWN]!r} is no package URL: {error}") from error
    qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
    space, name, release = purl.namespace or "", purl.name, ""
    also: tuple[str, ...] = ()
    if purl.type in _LANGUAGES:
        separator = ":" if purl.type == "maven" else "/"
        name = f"{space}{separator}{name}" if space else name
        groups = groups or (f"github:{_LANGUAGES[purl.type]}",)
    elif purl.type in _SYSTEMS:
        # distro=debian-11: the release is behind the last hyphen.
        distribution, _, release = qualifiers.get("distro", "").rpartition("-")
        system = (space or distribution).lower()
        if not system:
            raise BadRequestError(f"purl: {text[:_SHOWN]!r} names no distribution: neither namespace nor distro")
        release = "" if groups else release
        groups = groups or (f"{_DISTRIBUTIONS.get(system, system)}:*",)
        also = tuple(filter(None, (qualifiers.get("upstream", "").partition("@")[0],)))
    else:
        known = ", ".join(sorted((*_LANGUAGES, *_SYSTEMS)))
        raise BadRequestError(f"purl: nothing is known of packages of type {purl.type[:_SHOWN]!r}; known are {known}")
    words = tuple(dict.fromkeys(word for each in (name, *also) for word in package_words(each)))
    return _printable(
        Question(
            kind=Kind.PACKAGE,
            words=words,
            name=name,
            groups=groups,
            release=release,
            version=purl.version or "",
            also=tuple(each for each in also if each != name),
        )
    )


def _of_cpe(text: str) -> Question:
    # Short names are common: what is missing at the end is any.
    padded = f"{text}{':*' * (cpe.PARTS - len(_fields(text)))}" if _SHORT_CPE.fullmatch(text) else text
    parts = cpe.split(padded)
    if parts is None:
        raise BadRequestError(f"cpe: {text[:_SHOWN]!r} is no CPE 2.3 name such as cpe:2.3:a:openssl:openssl:1.1.1")
    part, vendor, product, version = (each.lower() for each in parts[2:6])
    if any(_WILD.search(each) or each == "-" for each in (vendor, product)):
        raise BadRequestError(f"cpe: {text[:_SHOWN]!r} must name its vendor and its product")
    if part not in ("a", "o", "h", "*"):
        raise BadRequestError(f"cpe: part {part!r} is none of a, o, h and *")
    if version != "*" and (_WILD.search(version) or version == "-"):
        raise BadRequestError(f"cpe: version {version[:_SHOWN]!r} is no version; * stands for all")
    word = product_word(padded) or ""
    version = "" if version == "*" else version
    return _printable(Question(kind=Kind.PRODUCT, words=(word,), name=f"{part}:{word}", version=version))


def _fields(text: str) -> list[str]:
    return re.findall(r"(?:[^:\\]|\\.)+", text)


def _printable(question: Question) -> Question:
    if not all(word.isprintable() for word in (*question.words, *question.groups, question.release)):
        raise BadRequestError("purl or cpe: it names what is not printable")
    return question
