"""The site of Amazon's advisories: an RSS feed for each release, and a page for each advisory.

The pages lack epochs, and extras are there in part only; they stand in where a release has no repository metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from html import unescape
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vulnfeeds.drivers.formats import elements
from vulnfeeds.drivers.formats.updateinfo import Package, Reference, Update
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.fetch.interface import Limits, forget

SITE: Final = "https://alas.aws.amazon.com/"
MOST_MISSING: Final = 25
"""So many pages of a release may be gone or refused."""
NEWEST: Final = 100
"""So many of the newest pages are asked again at each run; the others when the feed says something new of them."""

_RSS_LIMITS: Final = Limits(max_bytes=64 << 20)
_PAGE_LIMITS: Final = Limits(max_bytes=8 << 20)
_MOST_ITEMS: Final = 50_000
_TITLE = re.compile(r"(ALAS[0-9A-Z]*(?:-[0-9A-Za-z][0-9A-Za-z.]*){2,4})\s+\(([^()]*)\)")
_RELEASE_LINK = re.compile(r"""href\s*=\s*["']?[^"'\s>]{0,200}?\balas([0-9]{1,4})\.html""", re.IGNORECASE)
_PACKAGES = re.compile(r"""\bid\s*=\s*["']?new_packages\b[^<>]*>""", re.IGNORECASE)
_OVERVIEW = re.compile(r"""\bid\s*=\s*["']?issue_overview\b[^<>]*>""", re.IGNORECASE)
_END = re.compile(r"</div\s*>", re.IGNORECASE)
_BREAK = re.compile(r"</?(?:br|p|pre|li|ul)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_ASKED = "asked.json"


class _Item(NamedTuple):
    """An advisory as the feed has it."""

    id: str
    severity: str
    cves: tuple[str, ...]
    issued: str


def folder(release: str) -> str:
    """Return the folder of a release on the site; Amazon Linux 1 has the site's own."""
    return "" if release == "1" else f"AL{release}/"


def releases(context: Context) -> set[str]:
    """Return the releases that the site has pages for; none, with a note, when the site does not tell."""
    try:
        brought = context.fetcher.download(
            SITE, context.workspace / "site.html", limits=_PAGE_LIMITS, expect=("html",)
        )
    except UpstreamError as error:
        context.note(f"the site's list of releases could not be had ({error}); those known are read")
        return set()
    found = set(_RELEASE_LINK.findall(brought.path.read_text("utf-8", errors="replace")))
    if not found:
        context.note(f"{SITE} lists no release; those known are read")
    return found


def bring(context: Context, release: str) -> dict[str, str]:
    """Bring the feed of a release and its pages; return sha256 by file under the workspace.

    A page that is gone, or refused for good, is left out with a note. Raises UpstreamError or ParseError when the
    feed or more pages cannot be had.
    """
    place = context.workspace / release / "pages"
    url = f"{SITE}{folder(release)}alas.rss"
    feed = context.fetcher.download(url, place / "alas.rss", limits=_RSS_LIMITS, expect=("xml",))
    marks = {f"{release}/pages/alas.rss": feed.sha256}
    before = _asked(place)
    asked: dict[str, str] = {}
    missing: list[str] = []
    try:
        items = list(_items(feed.path, url, lambda field, value: None))
    except (UpstreamError, ParseError):
        forget(feed.path)
        raise
    for done, item in enumerate(items):
        context.report("fetch", done, len(items))
        said = " ".join([item.severity, item.issued, *item.cves])
        sha256 = before.get(item.id, {}).get(said, "")
        if not sha256 or done < NEWEST or context.forced or not (place / f"{item.id}.html").exists():
            sha256 = _page(context, release, item, missing)
        if sha256:
            asked[item.id] = said
            marks[f"{release}/pages/{item.id}.html"] = sha256
    if missing:
        context.note(f"amzn:{release}: pages that could not be had: {', '.join(missing)}")
    kept = {name: {said: marks[f"{release}/pages/{name}.html"]} for name, said in asked.items()}
    (place / _ASKED).write_bytes(msgspec.json.encode(kept))
    return marks


def read(context: Context, release: str) -> Iterator[Update]:
    """Yield the advisories of a release whose pages were brought, in the feed's order."""
    place = context.workspace / release / "pages"
    url = f"{SITE}{folder(release)}alas.rss"
    asked = _asked(place)
    for item in _items(place / "alas.rss", url, context.unknown):
        if item.id in asked:
            page = place / f"{item.id}.html"
            try:
                yield _update(item, page.read_text("utf-8", errors="replace"), f"{SITE}{folder(release)}{page.name}")
            except ParseError:
                # Of an older advisory only a page that is missing is asked for again.
                page.unlink()
                raise


def _asked(place: Path) -> dict[str, dict[str, str]]:
    """Return what the feed said of each advisory when its page was asked, with the page's digest."""
    try:
        return msgspec.json.decode((place / _ASKED).read_bytes(), type=dict[str, dict[str, str]])
    except (OSError, msgspec.MsgspecError):
        return {}


def _page(context: Context, release: str, item: _Item, missing: list[str]) -> str:
    target = context.workspace / release / "pages" / f"{item.id}.html"
    url = f"{SITE}{folder(release)}{item.id}.html"
    try:
        return context.fetcher.download(url, target, limits=_PAGE_LIMITS, expect=("html",)).sha256
    except StatusError as error:
        if error.status not in (403, 404, 410) or target.exists():
            raise
        missing.append(item.id)
        if len(missing) > MOST_MISSING:
            raise
        return ""


def _items(path: Path, place: str, on_unknown: Callable[[str, object], None]) -> Iterator[_Item]:
    seen: set[str] = set()
    with path.open("rb") as stream:
        for channel in elements.children(stream, place, "rss"):
            for item in channel.iterfind("item"):
                title = elements.text_of(item, "title")
                match = _TITLE.match(title)
                if match is None:
                    on_unknown("title of an advisory", title)
                    continue
                if match[1] in seen:
                    on_unknown("advisory given twice", match[1])
                    continue
                seen.add(match[1])
                cves = re.split(r"[,\s]+", elements.text_of(item, "description"))
                issued = elements.text_of(item, "pubDate")
                yield _Item(match[1], match[2].strip(), tuple(filter(None, cves)), issued)
    if not seen:
        raise ParseError(place, "no advisories in the feed")
    if len(seen) > _MOST_ITEMS:
        raise ParseError(place, f"{len(seen)} advisories in the feed; {_MOST_ITEMS} are plausible")


def _update(item: _Item, text: str, place: str) -> Update:
    start = _PACKAGES.search(text)
    if start is None:
        raise ParseError(place, "the page has no part new_packages")
    packages = []
    for line in _lines(_part(text, start)):
        if not line.endswith(":"):
            packages.append(_package(line, place))
    overview = _OVERVIEW.search(text)
    description = "\n".join(_lines(_part(text, overview))) if overview else ""
    return Update(
        id=item.id,
        kind="security",
        status="final",
        title="",
        severity=item.severity,
        description=description.removeprefix("Issue Overview:").strip(),
        issued=_day(item.issued),
        references=tuple(Reference("cve", cve, "", "") for cve in item.cves),
        packages=tuple(packages),
    )


def _day(written: str) -> str:
    """Return the day of "Tue, 01 Nov 2022 20:30:00 GMT", as YYYY-MM-DD; "" for what is no date."""
    try:
        return parsedate_to_datetime(written).date().isoformat()
    except ValueError:
        return ""


def _part(text: str, start: re.Match[str]) -> str:
    end = _END.search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def _lines(part: str) -> Iterator[str]:
    for piece in _BREAK.sub("\n", part.replace("<b>New Packages:</b>", "")).splitlines():
        # Blanks that do not break are blanks too.
        line = " ".join(unescape(_TAG.sub("", piece)).split())
        if line:
            yield line


def _package(line: str, place: str) -> Package:
    """Return what a file's name says: kpartx-0.8.7-16.amzn2023.0.1.x86_64 (with or without .rpm)."""
    build, _, arch = line.removesuffix(".rpm").rpartition(".")
    parts = build.rsplit("-", 2)
    if len(parts) != 3 or not all(parts) or not arch:
        raise ParseError(place, f"{line[:120]!r} is no name of a package file")
    return Package(parts[0], "", parts[1], parts[2], arch)
