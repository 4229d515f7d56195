"""Red Hat's security data API ("Hydra"): a list of CVEs, and one document for each.

The list is paged while it changes, so that a CVE may be on two pages or slip between them, and it does not show every
change of a document. Therefore a document is asked for when its line changed, again after some days, and when the CVE
left the list: it is dropped only when the API itself has it no more.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.kept import Kept, KeptDocuments, Wanted, bring
from vulnfeeds.drivers.redhat import packages, streams
from vulnfeeds.drivers.redhat.advisories import Advisories, Fix
from vulnfeeds.drivers.redhat.issues import Issue, Kind, State, release_of_cpe
from vulnfeeds.errors import ParseError, StatusError

BASE: Final = "https://access.redhat.com/hydra/rest/securitydata/"
FORM: Final = "hydra 2"
"""Changes with what is kept of a document."""
PER_PAGE: Final = 1000

_PRODUCT: Final = "Red%20Hat%20Enterprise%20Linux"
_MOST_PAGES: Final = 1000
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_DAY: Final = 86400.0
_RECENT: Final = 3600.0
"""A forced run asks again for what is older: so a forced run that died goes on where it was."""
_UNLISTED: Final = "not listed"

_KINDS: Final[dict[str, Kind | None]] = {
    "Affected": Kind.AFFECTED,
    "Fix deferred": Kind.AFFECTED,
    "Will not fix": Kind.WILL_NOT_FIX,
    "Out of support scope": Kind.OUT_OF_SUPPORT,
    "Not affected": Kind.NOT_AFFECTED,
    "New": None,
    "Under investigation": None,
}
"""What the API's word for a state means; None: nothing is known yet."""


class _Row(msgspec.Struct):
    cve: str = msgspec.field(name="CVE")


class _Release(msgspec.Struct, omit_defaults=True):
    cpe: str
    advisory: str | None = None
    package: str | None = None
    release_date: str | None = None


class _State(msgspec.Struct):
    cpe: str
    fix_state: str
    package_name: str | None = None


class _CVSS3(msgspec.Struct):
    cvss3_base_score: str | None = None
    cvss3_scoring_vector: str | None = None
    status: str | None = None


class _Document(msgspec.Struct, omit_defaults=True):
    name: str
    threat_severity: str | None = None
    details: list[str] | None = None
    cvss3: _CVSS3 | None = None
    affected_release: list[_Release] | None = None
    package_state: list[_State] | None = None


_document: Final = msgspec.json.Decoder(_Document)


def reduce(name: str, data: bytes) -> bytes | None:
    """Return what is kept of a document. Raises ParseError when it does not have the expected shape."""
    try:
        document = _document.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"{name}.json", str(error)) from error
    if document.name != name:
        raise ParseError(f"{name}.json", f"the document calls itself {document.name[:40]!r}")
    document.details = (document.details or [])[-1:]
    document.affected_release = [
        release for release in document.affected_release or () if release_of_cpe(release.cpe)
    ]
    document.package_state = [state for state in document.package_state or () if release_of_cpe(state.cpe)]
    if not document.affected_release and not document.package_state:
        return None
    return msgspec.json.encode(document)


class Hydra:
    """One run's way through the API."""

    def __init__(self, context: Context, kept: KeptDocuments, *, refresh_days: float) -> None:
        self._context = context
        self._kept = kept
        self._refresh_days = refresh_days

    def sync(self, *, at_once: int) -> None:
        """Bring the documents that are due. Raises UpstreamError or ParseError; what came is kept all the same."""
        listed = self._list()
        wanted = []
        for cve, mark in listed.items():
            found = self._kept.find(cve)
            if found is None or found.mark != mark or self._is_due(cve, found):
                wanted.append(Wanted(cve, f"{BASE}cve/{cve}.json", mark))
        for cve in self._kept.names():
            found = self._kept.find(cve) if cve not in listed else None
            if found is not None and (found.mark != _UNLISTED or self._is_due(cve, found)):
                wanted.append(Wanted(cve, f"{BASE}cve/{cve}.json", _UNLISTED, may_be_gone=True))
        bring(self._context, self._kept, wanted, reduce, at_once=at_once)

    def _is_due(self, cve: str, found: Kept) -> bool:
        age = self._context.now() - found.asked
        if self._context.forced and age > _RECENT:
            return True
        # Spread over the second half of the interval, so that what came in one run is not due in one run.
        share = 0.5 + 0.5 * zlib.crc32(cve.encode()) / 0xFFFFFFFF
        return self._refresh_days > 0 and age > self._refresh_days * _DAY * share

    def _list(self) -> dict[str, str]:
        """Return a mark of each listed CVE's line; raises ParseError when there is none."""
        listed: dict[str, str] = {}
        for rows in self._pages():
            for row in rows:
                cve = _cve(row)
                mark = hashlib.blake2b(msgspec.json.encode(row, order="sorted"), digest_size=12).hexdigest()
                listed.setdefault(cve, mark)
        if not listed:
            raise ParseError("cve.json", "the list is empty")
        return listed

    def _pages(self) -> Iterator[list[Any]]:
        fetcher = self._context.fetcher
        for page in range(1, _MOST_PAGES + 1):
            place = f"cve.json page {page}"
            try:
                data = fetcher.get_json(f"{BASE}cve.json?per_page={PER_PAGE}&page={page}&product={_PRODUCT}")
            except StatusError as error:
                if page > 1 or error.status != 404:
                    raise
                # A folder mirror has no answers to queries: there the file holds the whole list.
                yield _rows(fetcher.get_json(f"{BASE}cve.json"), "cve.json")
                return
            rows = _rows(data, place)
            if not rows:
                return
            yield rows
        raise ParseError("cve.json", f"more than {_MOST_PAGES} pages")


def issue(data: bytes, advisories: Advisories, context: Context) -> tuple[Issue, list[str]]:
    """Return what a kept document says, with the package texts of which no version could be found.

    Versions and modules are those of the advisory that a fix names, where we have it; else those of the document.
    """
    document = _document.decode(data)
    lost: list[str] = []
    states = [
        state for release in document.affected_release or () for state in _fixed(document, release, advisories, lost)
    ]
    for said in document.package_state or ():
        if said.fix_state not in _KINDS:
            context.unknown("fix_state", said.fix_state)
        kind = _KINDS.get(said.fix_state)
        named = packages.read_name(said.package_name or "")
        if kind is not None and named is not None:
            states.append(State(release_of_cpe(said.cpe), named[0], named[1], kind))
    score = document.cvss3 or _CVSS3()
    found = Issue(
        cve=document.name,
        severity=document.threat_severity or "",
        description="".join(document.details or ()),
        vector=score.cvss3_scoring_vector or "",
        base_score=score.cvss3_base_score or "",
        vector_status=score.status or "",
        states=states,
    )
    return found, lost


def _fixed(document: _Document, said: _Release, advisories: Advisories, lost: list[str]) -> Iterator[State]:
    release = release_of_cpe(said.cpe)
    package = packages.read(said.package) if said.package else packages.Package("", "", "")
    if package is None:
        return
    advisory = said.advisory or ""
    published = advisories.get(advisory) if advisory else None
    date = published.issued if published else (said.release_date or "")[:10]
    fixes = published.fixes_of(document.name, release) if published else []
    matching = _matching(package, fixes)
    built: dict[tuple[str, str, streams.Stream], list[str]] = {}
    for fix in matching:
        stream = streams.Stream(fix.minor, fix.channels)
        built.setdefault((fix.module, fix.package, stream), []).append(fix.version)
    for (module, name, stream), versions in sorted(built.items()):
        yield State(release, name, module, Kind.FIXED, packages.newest(versions), advisory, date, *stream)
    if not matching and package.name and package.version:
        stream = streams.stream(release, package.version, cpe=said.cpe)
        yield State(release, package.name, package.module, Kind.FIXED, package.version, advisory, date, *stream)
    elif not matching:
        lost.append(said.package or advisory)


def _matching(package: packages.Package, fixes: list[Fix]) -> list[Fix]:
    """Return those of an advisory's fixes that the document's package text means.

    A text that names a module's build means the module's package of the same name, else all its source packages; a
    missing text means all source packages.
    """
    if package.name:
        return [fix for fix in fixes if fix.package == package.name and package.module in ("", fix.module)]
    sources = [fix for fix in fixes if fix.source and package.module in ("", fix.module)]
    namesakes = [fix for fix in sources if package.module and fix.package == package.module.partition(":")[0]]
    return namesakes or sources


def _rows(data: bytes, place: str) -> list[Any]:
    try:
        rows = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(place, str(error)) from error
    if not isinstance(rows, list):
        raise ParseError(place, f"a list of CVEs is expected, not {type(rows).__name__}")
    return rows


def _cve(row: Any) -> str:
    try:
        cve = msgspec.convert(row, _Row).cve
    except msgspec.ValidationError as error:
        raise ParseError("cve.json", str(error)) from error
    if not _CVE.fullmatch(cve):
        raise ParseError("cve.json", f"{cve[:40]!r} is no CVE")
    return cve
