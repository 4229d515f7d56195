"""Amazon Linux: advisories of each release from the metadata of its repositories, else from the pages of the site."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from vulnfeeds.drivers.amzn import pages, repositories
from vulnfeeds.drivers.formats import updateinfo
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, of_word
from vulnfeeds.records.vulnerability import Available, FixedIn, OSRecord, Vulnerability, sort_fixes

FEED: Final = "vulnerabilities"
RELEASES: Final = frozenset({"1", "2", "2022", "2023"})
"""Releases that are asked for even when the site does not list them."""
ARCHITECTURES: Final = ("x86_64", "noarch", "aarch64", "i686")
"""By preference: a package is taken from the first one that has it; other ones come last."""

_FETCHED = "fetched.json"
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_SERIES = re.compile(r"ALASKERNEL-([0-9]+\.[0-9]+)-[0-9]{4}-[0-9]+")


class AmznSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of driver amzn."""

    source: Literal["auto", "updateinfo", "pages"] = "auto"
    """Where advisories are read: the repositories, the pages of the site, or (auto) the repositories where there are
    any."""
    releases: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}$")], ...] = ()
    """Releases that are asked for besides those that the site lists."""
    exclude_repositories: tuple[str, ...] = ()
    """Patterns of repositories that are not read beside the core of their release: `2/extras/*`,
    `2023/kernel-livepatch`."""
    descriptions: bool = True
    """Serve the text of the advisory; the original service left it empty."""


class _Had(msgspec.Struct):
    """What a fetch has of a release, and what a publication was made of."""

    form: Literal["updateinfo", "pages"]
    digest: str
    repositories: list[str] = []
    """Names of the repositories that have advisories."""


class _Fetched(msgspec.Struct):
    """What the last fetch left in the workspace, for `parse`."""

    releases: dict[str, _Had] = {}
    unavailable: dict[str, str] = {}
    """Releases that could not be had, and why."""


class AmznDriver(Driver):
    """Feed vulnerabilities, groups amzn:2, amzn:2023, ... from Amazon's repositories and alas.aws.amazon.com."""

    name = "amzn"
    version = 2
    feeds = (FEED,)
    upstreams = (repositories.CDN, repositories.AMI_LISTS, repositories.AMI_FILES, pages.SITE)
    Settings: ClassVar[type[DriverSettings]] = AmznSettings

    settings: AmznSettings

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring every release's advisories; a release that cannot be had is left out, unless none can."""
        published = _published(context)
        fetched = _Fetched()
        failure: UpstreamError | ParseError | None = None
        found = sorted(RELEASES.union(pages.releases(context), self.settings.releases), key=int)
        wanted = [release for release in found if self.settings.serves(f"amzn:{release}")]
        for done, release in enumerate(wanted):
            context.report("fetch", done, len(wanted))
            try:
                fetched.releases[release] = self._release(context, release, published.get(release))
            except (UpstreamError, ParseError) as error:
                failure = error
                fetched.unavailable[release] = str(error)
        if failure is not None and not fetched.releases:
            raise failure
        (context.workspace / _FETCHED).write_bytes(msgspec.json.encode(fetched))
        return self._checkpoint(context, published, fetched)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield the records of every release that changed since the last run that published."""
        fetched = msgspec.json.decode((context.workspace / _FETCHED).read_bytes(), type=_Fetched)
        published = {} if context.forced else _published(context)
        for release, reason in fetched.unavailable.items():
            context.skip(FEED, f"amzn:{release}", reason)
        for done, (release, had) in enumerate(fetched.releases.items()):
            context.report("parse", done, len(fetched.releases))
            group = f"amzn:{release}"
            if release in published and published[release].digest == had.digest:
                context.skip(FEED, group, "unchanged")
                continue
            seen: set[str] = set()
            for update in _updates(context, release, had):
                record = self._record(context, release, update)
                if record is None:
                    continue
                if record.key in seen:
                    context.unknown("advisory given twice", record.key)
                    continue
                seen.add(record.key)
                yield record
            if not seen:
                raise ParseError(group, "no advisory in any repository of the release")
            context.cover(FEED, group)

    # --- fetching ---------------------------------------------------------------------------------------------

    def _release(self, context: Context, release: str, published: _Had | None) -> _Had:
        """Bring a release. Pages never take the place of repositories that were published: they say less."""
        if self.settings.source == "pages":
            return _Had("pages", _digest(pages.bring(context, release)))
        try:
            core = repositories.bring(context, repositories.core(release))
        except (UpstreamError, ParseError) as error:
            if self.settings.source == "updateinfo" or (published is not None and published.form == "updateinfo"):
                raise
            marks = self._pages_instead(context, release, error)
            return _Had("pages", _digest(marks))
        before = frozenset(published.repositories) if published is not None else frozenset()
        return self._repositories(context, release, core, before)

    def _pages_instead(self, context: Context, release: str, error: UpstreamError | ParseError) -> dict[str, str]:
        try:
            marks = pages.bring(context, release)
        except (UpstreamError, ParseError) as other:
            place = error.url if isinstance(error, UpstreamError) else error.place
            raise UpstreamError(place, f"{error.reason}; and of the pages: {other}") from error
        context.note(f"amzn:{release} is read from the pages of the site: {error}")
        return marks

    def _repositories(self, context: Context, release: str, core: str | None, before: frozenset[str]) -> _Had:
        """Bring what a release has beside its core; `before` names the repositories that are published."""
        marks = {} if core is None else {repositories.core(release).name: core}
        without: list[str] = []
        for each in repositories.additions(context, release, before):
            if any(fnmatchcase(each.name, pattern) for pattern in self.settings.exclude_repositories):
                continue
            # What is published of it cannot be missing any more.
            mark = repositories.bring(context, each._replace(core=each.name in before))
            if mark is not None and _has_advisories(context, each.name, each.name in before):
                marks[each.name] = mark
            elif release == "2":
                without.append(each.name.rpartition("/")[2])
        if without:
            context.note(f"amzn:2: extras without advisories: {', '.join(without)}")
        return _Had("updateinfo", _digest(marks), sorted(marks))

    def _checkpoint(self, context: Context, published: dict[str, _Had], fetched: _Fetched) -> Checkpoint | Unchanged:
        """Return the releases as they will be published; those left out stay as they are."""
        kept = {release: had for release, had in published.items() if release in fetched.unavailable}
        releases = {**kept, **fetched.releases}
        if context.checkpoint is not None and releases == published and not context.forced:
            for release, reason in fetched.unavailable.items():
                context.skip(FEED, f"amzn:{release}", reason)
            return UNCHANGED
        fingerprint = _digest({release: had.digest for release, had in releases.items()})
        return Checkpoint(fingerprint=fingerprint, cursor={"releases": msgspec.to_builtins(releases)})

    # --- parsing ----------------------------------------------------------------------------------------------

    def _record(self, context: Context, release: str, update: updateinfo.Update) -> Record | None:
        """Return the record of an advisory; None of one that fixes no vulnerability of a package."""
        if update.kind != "security":
            return None
        name = advisory_name(update.id, release)
        fixes = _fixes(f"amzn:{release}", name, update)
        if not fixes:
            context.unknown("advisory without packages", name)
            return None
        body = Vulnerability(
            name=name,
            namespace_name=f"amzn:{release}",
            severity=_severity(context, update.severity),
            link=f"{pages.SITE}{pages.folder(release)}{name}.html",
            fixed_in=sort_fixes(fixes),
            description=update.description if self.settings.descriptions else "",
            metadata={"CVE": _cves(context, update)},
        )
        return Record(feed=FEED, group=f"amzn:{release}", key=name, body=OSRecord(body))


def _updates(context: Context, release: str, had: _Had) -> Iterator[updateinfo.Update]:
    if had.form == "pages":
        yield from pages.read(context, release)
        return
    for name in had.repositories:
        yield from updateinfo.read(repositories.file_of(context, name), _place(name))


def _has_advisories(context: Context, name: str, is_published: bool) -> bool:
    """Tell whether a repository beside the core has advisories: many extras never had one.

    Raises ParseError when one that has published some has none any more.
    """
    try:
        first = next(updateinfo.read(repositories.file_of(context, name), _place(name)), None)
    except ParseError:
        # What cannot be read ends the run when it is parsed.
        return True
    if first is not None:
        return True
    if is_published:
        raise ParseError(_place(name), "no advisory any more, though some were published")
    return False


def _place(name: str) -> str:
    return f"{name} updateinfo.xml"


def advisory_name(name: str, release: str) -> str:
    """Return an advisory's id as the site has it: ALAS2KERNEL-5.15-2022-001 of release 2 is ALASKERNEL-5.15-2022-001.

    The repositories put the release behind ALAS, the site (and what the original service served) does not.
    """
    marked = f"ALAS{release}"
    rest = name[len(marked) :]
    return f"ALAS{rest}" if name.startswith(marked) and rest[:1] and not rest[:1].isdigit() else name


def _fixes(group: str, name: str, update: updateinfo.Update) -> list[FixedIn]:
    """Return the fixes of the preferred architecture of each package, with the date of the advisory."""
    packages = update.packages
    issued = _DATE.match(update.issued)
    best: dict[str, int] = {}
    for package in packages:
        rank = _rank(package.arch)
        best[package.name] = min(rank, best.get(package.name, rank))
    series = _SERIES.fullmatch(name)
    return [
        FixedIn(
            name=package.name,
            namespace_name=group,
            version=package.evr,
            version_format="rpm",
            vulnerable_range=_range(series[1], package) if series else "",
            available=Available(issued[0]) if issued else None,
        )
        for package in packages
        if _rank(package.arch) == best[package.name] and package.arch != "src"
    ]


def _rank(arch: str) -> int:
    return ARCHITECTURES.index(arch) if arch in ARCHITECTURES else len(ARCHITECTURES)


def _range(series: str, package: updateinfo.Package) -> str:
    """Return which versions an advisory for one series of kernels is about: not the older series beside it."""
    if not package.version.startswith(f"{series}."):
        return ""
    epoch = f"{package.epoch}:" if package.epoch else ""
    return f">= {epoch}{series}, < {package.evr}"


def _severity(context: Context, word: str) -> Severity:
    severity = of_word(word)
    if severity == "Unknown" and word.lower() != "unknown":
        context.unknown("severity", word)
    return severity


def _cves(context: Context, update: updateinfo.Update) -> list[str]:
    found = set()
    for reference in update.references:
        if reference.kind == "cve":
            if _CVE.fullmatch(reference.id):
                found.add(reference.id)
            else:
                context.unknown("id", reference.id)
    return sorted(found)


def _published(context: Context) -> dict[str, _Had]:
    """Return what the last publication of each release was made of."""
    cursor = context.checkpoint.cursor if context.checkpoint is not None else {}
    return msgspec.convert(cursor.get("releases", {}), dict[str, _Had])


def _digest(marks: dict[str, str]) -> str:
    text = "\n".join(f"{name} {mark}" for name, mark in sorted(marks.items()))
    return hashlib.sha256(text.encode()).hexdigest()
