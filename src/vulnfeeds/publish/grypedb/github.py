"""Records of feed `github` as rows of a Grype database. Pure.

{"name": "lodash", "namespace": "github:npm", "range": ">= 1.0.0 < 4.17.21", "identifier": "4.17.21"}
  ->  package lodash of type npm: >=1.0.0,<4.17.21, state fixed
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import constraints
from vulnfeeds.publish.grypedb.blobs import (
    Fix,
    PackageBlob,
    Range,
    Reference,
    Severity,
    Vector,
    Version,
    VulnerabilityBlob,
)
from vulnfeeds.publish.grypedb.rows import Package, Vulnerability

ORIGIN: Final = "github"


class Ecosystem(msgspec.Struct, frozen=True):
    """How clients find and compare the packages of one of GitHub's ecosystems."""

    package: str
    """The client's package type."""
    format: str
    """How versions are compared. Clients know no `java`, `rust`, `dart` or `erlang` and would guess: these are told
    apart by the comparator that fits, as far as the constraint can be read by it."""
    word: str
    """What is written where it cannot (`<0.9-stable` in Python): no comparator of clients, so that they guess."""


ECOSYSTEMS: Final = {
    "composer": Ecosystem("php-composer", "composer", "unknown"),
    "dart": Ecosystem("dart-pub", "pub", "dart"),
    "erlang": Ecosystem("hex", "hex", "erlang"),
    "gem": Ecosystem("gem", "gem", "unknown"),
    "github-action": Ecosystem("github-action", "", "github-action"),
    "go": Ecosystem("go-module", "go", "unknown"),
    "java": Ecosystem("java-archive", "maven", "java"),
    "npm": Ecosystem("npm", "npm", "unknown"),
    "nuget": Ecosystem("dotnet", "nuget", "unknown"),
    "python": Ecosystem("python", "python", "unknown"),
    "rust": Ecosystem("rust-crate", "semver", "rust"),
    "swift": Ecosystem("swift", "swift", "unknown"),
}
"""By the last part of a group's name."""

_UNIT: Final = re.compile(r"(>=|<=|>|<|=)\s*(\S+)")
_PYTHON_RUNS: Final = re.compile(r"[-_.]+")
_FIRST: Final = "https://github.com/advisories/"


class _FixedIn(msgspec.Struct):
    name: str
    range: str
    identifier: str | None = None


class _Scored(msgspec.Struct):
    version: str
    vector: str


class _Linked(msgspec.Struct):
    url: str


class _Advisory(
    msgspec.Struct,
    rename={"ghsa_id": "ghsaId", "summary": "Summary", "cves": "CVE", "fixed_in": "FixedIn", "severity": "Severity"},
):
    ghsa_id: str
    summary: str
    url: str
    cves: tuple[str, ...]
    fixed_in: tuple[_FixedIn, ...]
    withdrawn: str | None = None
    severity: str | None = None
    published: str | None = None
    updated: str | None = None
    references: tuple[_Linked, ...] = ()
    cvss_severities: tuple[_Scored, ...] = ()


class _Record(msgspec.Struct, rename={"advisory": "Advisory"}):
    advisory: _Advisory


_decoder: Final = msgspec.json.Decoder(_Record)


def rows(body: bytes, ecosystem: Ecosystem) -> Vulnerability:
    """Return what a record becomes, without the packages whose versions clients could not read."""
    advisory = _decoder.decode(body).advisory
    left_out: list[str] = []
    return Vulnerability(
        name=advisory.ghsa_id,
        origin=ORIGIN,
        status="rejected" if advisory.withdrawn else "active",
        published=advisory.published or "",
        modified=advisory.updated or "",
        withdrawn=advisory.withdrawn or "",
        blob=VulnerabilityBlob(
            id=advisory.ghsa_id,
            description=advisory.summary.strip(),
            refs=_references(advisory),
            aliases=advisory.cves,
            severities=_severities(advisory),
        ),
        packages=tuple(_packages(advisory, ecosystem, left_out)),
        left_out=tuple(left_out),
    )


def _references(advisory: _Advisory) -> tuple[Reference, ...]:
    # The first one is what people are shown as the record's source.
    own = advisory.url or _FIRST + advisory.ghsa_id
    return tuple(Reference(url) for url in dict.fromkeys([own, *(link.url for link in advisory.references)]) if url)


def _severities(advisory: _Advisory) -> tuple[Severity, ...]:
    scored = tuple(
        Severity(scheme="CVSS", value=Vector(cvss.vector, cvss.version), rank=0)
        for cvss in advisory.cvss_severities
        if cvss.vector
    )
    word = (advisory.severity or "").lower()
    if word in ("", "unknown"):
        return scored
    return (Severity(scheme="CHML", value=word, rank=0), *scored)


def _packages(advisory: _Advisory, ecosystem: Ecosystem, left_out: list[str]) -> Iterator[Package]:
    for fix in advisory.fixed_in:
        try:
            yield _package(fix, advisory.cves, ecosystem)
        except RecordError as error:
            left_out.append(f"{fix.name}: {error}")


def _package(fix: _FixedIn, cves: tuple[str, ...], ecosystem: Ecosystem) -> Package:
    units = [f"{operator}{version}" for operator, version in _UNIT.findall(fix.range)]
    constraint = constraints.check(",".join(units), "")
    version_format = ecosystem.format if constraints.passes(constraint, ecosystem.format) else ecosystem.word
    fixed = fix.identifier if fix.identifier not in (None, "", "None") else ""
    state = Fix(fixed, "fixed") if fixed else Fix("", "not-fixed")
    name = _PYTHON_RUNS.sub("-", fix.name) if ecosystem.package == "python" else fix.name
    return Package(
        name, ecosystem.package, PackageBlob(cves, None, (Range(Version(version_format, constraint), state),))
    )
