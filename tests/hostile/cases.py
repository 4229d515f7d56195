"""Everything that a hostile upstream can send, case by case, and how each must end."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import zstandard

from tests.hostile import good
from tests.hostile.world import World
from vulnfeeds.drivers.debian.driver import ADVISORIES, TRACKER
from vulnfeeds.drivers.nvd.api import ADDRESS as API
from vulnfeeds.drivers.nvd.overrides import ADDRESS as OVERRIDES

MARK = "@@@"
DEEP = b"[" * 100_000 + b"]" * 100_000


@dataclass(frozen=True)
class Failed:
    """The task failed with this error; its place names where, its text says why."""

    error: str
    place: str
    says: str = ""


@dataclass(frozen=True)
class Quarantined:
    """The run completed; so many records were refused and kept, with this reason."""

    count: int
    reason: str


@dataclass(frozen=True)
class Noted:
    """The run completed, and its task says so: a release left out, an odd value counted."""

    says: str


@dataclass(frozen=True)
class Taken:
    """The run completed, and of all records the first one changed; now it holds this text."""

    text: str


Outcome = Failed | Quarantined | Noted | Taken


@dataclass(frozen=True)
class Case:
    """What a driver's upstream does, and how it must end."""

    driver: str
    name: str
    spoil: Callable[[World], None] = field(compare=False)
    outcome: Outcome
    memory_mb: float = 256.0
    """Most growth of the process."""

    def __str__(self) -> str:
        return f"{self.driver}: {self.name}"


# --- what is sent -------------------------------------------------------------------------------------------------


def bomb(size: int = 40 << 20) -> bytes:
    """Return a JSON text that is nearly nothing when it is packed."""
    return b'{"a": "' + b" " * size + b'"}'


def zip_of(body: bytes) -> bytes:
    """Return a zip archive of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", body)
    return out.getvalue()


PACKED = {
    "gzip": gzip.compress(bomb(), 9, mtime=0),
    "bzip2": bz2.compress(bomb(1 << 20)),
    "xz": lzma.compress(bomb(1 << 20), preset=0),
    "zstd": zstandard.compress(bomb(1 << 20)),
    "zip": zip_of(bomb(1 << 20)),
}


def _marked(driver: str) -> tuple[str, bytes]:
    """Return the address of a driver's document, and the document with MARK in the place of a text."""
    names = [good.cve(number) for number in range(good.COUNT)]
    if driver == "kev":
        document: dict[str, Any] = good.catalog(names)
        document["vulnerabilities"][0]["shortDescription"] = MARK
        return good.CATALOG, json.dumps(document).encode()
    if driver == "debian":
        document = good.tracker(names)
        document["p0"][names[0]]["description"] = MARK
        return TRACKER, json.dumps(document).encode()
    if driver == "alpine":
        document = good.secdb(names)
        document["packages"][0]["pkg"]["name"] = MARK
        return good.MAIN, json.dumps(document).encode()
    items = [good.nvd_item(name) for name in names]
    items[0]["cve"]["descriptions"][0]["value"] = MARK
    return good.FEED_FILE, json.dumps(good.nvd_document(items)).encode()


def holding(driver: str, value: bytes) -> Callable[[World], None]:
    """Publish the driver's document with these bytes of JSON in the place of a text."""

    def spoil(world: World) -> None:
        url, document = _marked(driver)
        body = document.replace(f'"{MARK}"'.encode(), value)
        world.put(good.feed_file(body) if url == good.FEED_FILE else {url: body})

    return spoil


def putting(url: str, body: Callable[[], bytes] | bytes) -> Callable[[World], None]:
    """Publish this instead of a document."""
    return lambda world: world.put({url: body if isinstance(body, bytes) else body()})


def faulty(url: str, **fault: Any) -> Callable[[World], None]:
    """Answer requests for a document with a fault."""

    def spoil(world: World) -> None:
        if world.name != "alpine":
            world.restore(good.COUNT + 1)
        world.upstream.fault(url, **fault)

    return spoil


def renamed(driver: str) -> Callable[[World], None]:
    """Publish the good documents with one id in small letters."""

    def spoil(world: World) -> None:
        url, document = _marked(driver)
        body = document.replace(MARK.encode(), b"text" if driver != "alpine" else b"p0")
        body = body.replace(good.cve(5).encode(), good.cve(5).lower().encode())
        world.put(good.feed_file(body) if url == good.FEED_FILE else {url: body})

    return spoil


def sized(count: int) -> Callable[[World], None]:
    """Publish the good documents with another number of records."""
    return lambda world: world.restore(count)


def feed(document: Callable[[], dict[str, Any] | bytes], moment: str = "") -> Callable[[World], None]:
    """Publish a yearly feed file of the NVD."""

    def spoil(world: World) -> None:
        made = document()
        body = made if isinstance(made, bytes) else json.dumps(made).encode()
        world.put(good.feed_file(body, moment=moment) if moment else good.feed_file(body))

    return spoil


def unpackable(body: bytes) -> Callable[[World], None]:
    """Publish a yearly feed file of the NVD in another packing than gzip."""
    return lambda world: world.put(good.feed_file(b"{}", packed=body))


def answering(answer: Callable[[], bytes]) -> Callable[[World], None]:
    """Let NVD's API answer this to everything."""

    def spoil(world: World) -> None:
        world.answer = answer()

    return spoil


def page(**changed: Any) -> bytes:
    """Return a page of the API with one new item and some fields changed."""
    return json.dumps({**good.nvd_document([good.nvd_item(good.cve(900))]), **changed}).encode()


def member(name: str, **fields: Any) -> Callable[[World], None]:
    """Publish an archive of overrides with a member of this name and kind."""

    def spoil(world: World) -> None:
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        world.put({OVERRIDES: good.tar_gz(good.override_member(good.cve(0)), (info, b""))})

    return spoil


def repeated(times: int) -> bytes:
    """Return a document of equal items with much blank space between them: a bomb when it is packed."""
    item = json.dumps(good.nvd_item(good.cve(1))).encode()
    document = good.nvd_document([])
    document["resultsPerPage"] = document["totalResults"] = times
    head, tail = json.dumps(document).encode().split(b"[]")
    return head + b"[" + (b"," + b" " * 1_000_000).join([item] * times) + b"]" + tail


# --- the table ------------------------------------------------------------------------------------------------------

PLACES = {"kev": good.CATALOG, "debian": TRACKER, "alpine": good.MAIN, "nvdv2": good.FEED_FILE}
FILES = {
    "kev": "known_exploited_vulnerabilities.json",
    "debian": "tracker.json",
    "alpine": "main.json",
    "nvdv2": "nvdcve-2.0-2024.json.gz",
}
"""Names of the documents in the workspace, which places of ParseErrors begin with."""


def _network() -> Iterator[Case]:
    """Yield what goes wrong before a driver sees anything; alpine leaves such a release out, the others fail."""
    faults: list[tuple[str, dict[str, Any], str, str]] = [
        ("an endless body", {"endless": True, "body": b'{"a": "' + b"x" * 500_000}, "LimitError", "bytes"),
        ("one byte a minute", {"bytes_per_second": 1 / 60, "validators": False}, "UnreachableError", "in time"),
        (
            "one byte a tenth of a second",
            {"bytes_per_second": 10.0, "validators": False},
            "UnreachableError",
            "bytes came in",
        ),
        ("silence", {"hang": True}, "UnreachableError", "in time"),
        ("cut short", {"truncate_at": 700, "validators": False}, "DownloadError", "cut short"),
        ("an error page", {"body": b"<!DOCTYPE html><html></html>"}, "DownloadError", "HTML"),
        ("an empty body", {"body": b""}, "DownloadError", "empty"),
        (
            "a redirect to another host",
            {"status": 302, "headers": {"Location": "https://evil.example/x"}, "body": b""},
            "HostRefusedError",
            "evil.example",
        ),
        (
            "a bomb as transport encoding",
            {"body": PACKED["gzip"], "headers": {"Content-Encoding": "gzip"}},
            "LimitError",
            "ratio",
        ),
    ]
    for driver, url in PLACES.items():
        for name, fault, error, says in faults:
            if driver == "nvdv2" and name == "an endless body":
                # Gzip that goes on and on; the ceiling of a feed file is 512 MB, so its type ends it here.
                error, says = "DownloadError", "expected gzip"
            if driver == "nvdv2" and name == "a bomb as transport encoding":
                # To a .gz this header means the file itself: it is unpacked against what the meta says.
                error, says = "LimitError", "more than"
            if driver == "debian" and name == "an endless body":
                # The tracker's own ceiling is 1 GB; that of the list is as good.
                yield Case(driver, name, faulty(ADVISORIES, **fault), Failed(error, ADVISORIES, says))
                continue
            place = "evil.example" if error == "HostRefusedError" else url
            outcome = Noted(says) if driver == "alpine" else Failed(error, place, says)
            yield Case(driver, name, faulty(url, **fault), outcome)
        loop = {"status": 302, "headers": {"Location": f"/{url.removeprefix('https://')}"}, "body": b""}
        looped = Noted("redirects") if driver == "alpine" else Failed("DownloadError", url, "redirects")
        yield Case(driver, "a redirect loop", faulty(url, **loop), looped)
        for kind in ("bzip2", "xz", "zstd", "zip") if driver == "nvdv2" else PACKED:
            expected = "expected gzip" if driver == "nvdv2" else "expected json"
            spoil = unpackable(PACKED[kind]) if driver == "nvdv2" else putting(url, PACKED[kind])
            ended = Noted(expected) if driver == "alpine" else Failed("DownloadError", url, expected)
            yield Case(driver, f"a {kind} bomb instead of the document", spoil, ended)


def _contents() -> Iterator[Case]:
    """Yield documents that hold what no document should."""
    deep = {"kev": "recursion", "debian": "nest more", "alpine": "recursion", "nvdv2": "recursion"}
    for driver, file in FILES.items():
        yield Case(driver, "nested 100,000 deep", holding(driver, DEEP), Failed("ParseError", file, deep[driver]))
        slips = driver == "nvdv2"
        large = holding(driver, b'"' + b"x" * 10_000_000 + b'"')
        yield Case(driver, "a text of 10 MB", large, Quarantined(1, "the most is"))
        digits = holding(driver, b"9" * 100_000)
        yield Case(
            driver,
            "a number of 100,000 digits",
            digits,
            Quarantined(1, "missing") if slips else Failed("ParseError", file),
        )
        yield Case(driver, "a raw NUL", holding(driver, b'"a\0b"'), Failed("ParseError", file))
        yield Case(driver, "an escaped NUL", holding(driver, b'"a\\u0000b"'), Quarantined(1, "U\\+0000"))
        utf8 = Quarantined(1, "missing") if slips else Failed("ParseError", file)
        yield Case(driver, "broken UTF-8", holding(driver, b'"a\xff\xfeb"'), utf8)
        half: Outcome = Quarantined(1, "surrogate")
        if driver in ("debian", "nvdv2"):
            half = Taken("a?b") if driver == "debian" else Failed("ParseError", file, "hex escape")
        yield Case(driver, "half a surrogate pair", holding(driver, b'"a\\ud800b"'), half)
        number = Quarantined(1, "missing") if slips else Failed("ParseError", file)
        yield Case(driver, "a number instead of a text", holding(driver, b"1"), number)
        # Where an id cannot be anything else it is read as it was meant.
        case = Noted("id=cve-2024-00005") if driver in ("alpine", "debian") else Quarantined(1, "only in case")
        yield Case(driver, "an id in small letters", renamed(driver), case)
        shrunk = Noted("") if slips else Failed("GuardError", "", "max_shrink")
        yield Case(driver, "a tenth of yesterday", sized(good.COUNT // 10), shrunk)
        yield Case(driver, "10 times yesterday", sized(good.COUNT * 10), Failed("GuardError", "", "max_growth"))


def _particular() -> Iterator[Case]:
    """Yield what fits one driver only."""
    twice = json.dumps(good.catalog([good.cve(1)])).replace('"count": 1', '"count": 1, "count": 1').encode()
    yield Case("kev", "a key twice", putting(good.CATALOG, twice), Failed("ParseError", FILES["kev"], "given twice"))
    same = json.dumps(good.catalog([good.cve(1)] * 2)).encode()
    yield Case("kev", "an id twice", putting(good.CATALOG, same), Failed("ParseError", "[1]", "listed twice"))
    odd = json.dumps(good.catalog(["\ud800", "\ud800"])).encode()
    yield Case("kev", "half a pair twice", putting(good.CATALOG, odd), Failed("ParseError", "[1]", "listed twice"))
    key = json.dumps(good.catalog([good.cve(1)])).encode().replace(b'"notes"', b'"\\ud800": 1, "notes"')
    yield Case("kev", "half a pair as a key", putting(good.CATALOG, key), Failed("ParseError", "[0]", "surrogate"))
    brackets = b'{"count": 1, "vulnerabilities": [' + b"[]," * 6_000_000 + b"[]]}"
    large = Failed("LimitError", good.CATALOG, "are allowed")
    yield Case("kev", "18 MB of empty lists", putting(good.CATALOG, brackets), large)

    package = f'{{"p0": {json.dumps(good.tracker([good.cve(1)])["p0"])}'.encode()
    again = package + b", " + package[1:] + b"}"
    yield Case("debian", "a package twice", putting(TRACKER, again), Failed("ParseError", "tracker.json", "twice"))
    issue = json.dumps(good.tracker([good.cve(1)])["p0"])[1:-1]
    hidden = f'{{"p0": {{{issue}, {issue}}}}}'.encode()
    lost = Failed("ParseError", f"tracker.json p0.{good.cve(1)}", "twice")
    yield Case("debian", "a CVE twice", putting(TRACKER, hidden), lost)
    numbers = b"[01 Jan 2024] DSA-" + b"9" * 5000 + b"-1 x - security update\n"
    listed = Failed("ParseError", "DSA-list.txt", "no advisory")
    yield Case("debian", "an advisory of 5,000 digits", putting(ADVISORIES, numbers), listed)

    many = good.links(*[f"v{major}.{minor}/" for major in range(30) for minor in range(30)])
    refused = Failed("ParseError", good.INDEX, "900 releases")
    yield Case("alpine", "an index of 900 releases", putting(good.INDEX, many), refused)
    long_name = good.links(f"v{'9' * 5000}.1/", "v3.2/", "v3.19/", "edge/")
    yield Case("alpine", "a release of 5,000 digits", putting(good.INDEX, long_name), Noted(""))
    tags = b"<html><body>" + b"<a " * 500_000
    none = Failed("ParseError", good.INDEX, "no release")
    yield Case("alpine", "an index of open tags", putting(good.INDEX, tags), none)
    bomb_lines = [b"a0: &a0 [x, x]", *[b"a%d: &a%d [*a%d, *a%d]" % (n, n, n - 1, n - 1) for n in range(1, 60)]]
    aliases = Failed("ParseError", "main.yaml", "aliases")
    yield Case("alpine", "an alias bomb", putting(good.OLD, b"\n".join(bomb_lines)), aliases)
    nested = Failed("ParseError", "main.yaml", "nested|not YAML")
    yield Case("alpine", "YAML nested 100,000 deep", putting(good.OLD, b"packages: " + DEEP), nested)
    half = json.dumps(good.secdb([good.cve(1)])).encode().replace(b'"name"', b'"\\ud800": 1, "name"')
    refused = Failed("ParseError", "main.json", "surrogate")
    yield Case("alpine", "half a pair as a key", putting(good.MAIN, half), refused)
    tagged = putting(good.OLD, b"packages: !!python/object/apply:os.system [id]")
    yield Case("alpine", "a YAML tag that calls", tagged, Failed("ParseError", "main.yaml"))
    rejections = putting(good.REJECTED, b"- a\n- b\n")
    yield Case("alpine", "rejections of another form", rejections, Failed("ParseError", "rejections-main.yaml"))

    yield Case(
        "nvdv2",
        "a gzip bomb that is a document",
        feed(lambda: repeated(40)),
        Failed("LimitError", good.FEED_FILE, "ratio"),
    )
    yield Case(
        "nvdv2",
        "fewer items than announced",
        feed(lambda: {**good.nvd_document([good.nvd_item(good.cve(1))]), "resultsPerPage": 2}),
        Failed("ParseError", FILES["nvdv2"], "holds 1"),
    )
    first = holding("nvdv2", b'"what came first"}], "descriptions": [{"lang": "en", "value": "text"')
    yield Case("nvdv2", "a key twice", first, Quarantined(1, "missing"))
    yield Case("nvdv2", "no items", feed(lambda: good.nvd_document([])), Noted(""))
    early = feed(lambda: good.nvd_document([]), moment="0001-01-01T00:00:00+14:00")
    yield Case("nvdv2", "a meta of the year 1", early, Failed("ParseError", "nvdcve-2.0-2024.meta"))
    meta = putting(good.META, b"lastModifiedDate:2024-08-29T00:00:00-04:00\r\nsize:" + b"9" * 5000)
    yield Case("nvdv2", "a meta of 5,000 digits", meta, Failed("ParseError", "nvdcve-2.0-2024.meta"))

    folder = "nvd-data-overrides-main/data/2024"
    outside = Failed("DownloadError", OVERRIDES, "leads out")
    yield Case("nvdv2", "a member outside", member(f"{folder}/../../../CVE-2024-1.json"), outside)
    yield Case("nvdv2", "an absolute member", member("/data/CVE-2024-1.json"), outside)
    special = Failed("DownloadError", OVERRIDES, "link or device")
    for kind, name in ((tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device")):
        spoil = member(f"{folder}/CVE-2024-1.json", type=kind, linkname="/etc/passwd")
        yield Case("nvdv2", f"{name} in the archive", spoil, special)
    bad_name = member(f"{folder}/CVE-\udcff.json")
    yield Case("nvdv2", "a member whose name is no text", bad_name, Failed("ParseError", "CVE-"))
    deep = good.tar_gz(good.override_member(good.cve(0), b'{"a": ' + DEEP + b"}"))
    says_twice = good.override(good.cve(0)).replace(
        b'{"configurations"', b'{"configurations": null, "configurations"'
    )
    double = good.tar_gz(good.override_member(good.cve(0), says_twice))
    yield Case("nvdv2", "an override with a key twice", putting(OVERRIDES, double), Failed("ParseError", good.cve(0)))
    yield Case("nvdv2", "an override 100,000 deep", putting(OVERRIDES, deep), Failed("ParseError", good.cve(0)))

    without = page(vulnerabilities=[{"cve": {"id": 1}}])
    for name, answer, says in (
        ("an item without an id", without, "without id"),
        ("a promise of a billion items", page(totalResults=10**9), "plausible"),
        ("a page nested 100,000 deep", b'{"a": ' + DEEP + b"}", "recursion"),
        ("a clock of the year 1", page(timestamp="0001-01-01T00:00:00"), "before there was"),
        ("no clock", page(timestamp="x" * 100_000), "timestamp"),
        ("another form", page(version="9.0"), "form"),
        ("the same page for ever", page(totalResults=3), "were due"),
    ):
        yield Case("nvdv2 by API", name, answering(lambda answer=answer: answer), Failed("ParseError", API, says))
    words = answering(lambda: b"Service unavailable")
    yield Case("nvdv2 by API", "words", words, Noted("feed files are read instead"))


def _advisories() -> Iterator[Case]:
    """Yield archives of GitHub's database that are none, or hold what no advisory should."""

    def with_first(summary: bytes) -> Callable[[World], None]:
        rest = [good.github_member(number) for number in range(1, good.COUNT)]
        return lambda world: world.put(good.github_archive(good.github_member(0, summary), *rest))

    def with_member(name: str, **fields: Any) -> Callable[[World], None]:
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        return lambda world: world.put(good.github_archive(good.github_member(0), (info, b"")))

    place = f"{good.GITHUB_FOLDER}/GHSA-2222-2222-0000/"
    url = good.GITHUB
    for name, summary, outcome in (
        ("nested 100,000 deep", DEEP, Failed("ParseError", place, "recursion")),
        ("a text of 10 MB", b'"' + b"x" * 10_000_000 + b'"', Quarantined(1, "the most is")),
        ("a number instead of a text", b"1", Failed("ParseError", place)),
        ("a raw NUL", b'"a\0b"', Failed("ParseError", place)),
        ("an escaped NUL", b'"a\\u0000b"', Quarantined(1, "U\\+0000")),
        ("broken UTF-8", b'"a\xff\xfeb"', Failed("ParseError", place)),
    ):
        yield Case("github", name, with_first(summary), outcome)
    yield Case("github", "a tenth of yesterday", sized(good.COUNT // 10), Failed("GuardError", "", "max_shrink"))
    yield Case("github", "10 times yesterday", sized(good.COUNT * 10), Failed("GuardError", "", "max_growth"))
    outside = Failed("DownloadError", url, "leads out")
    yield Case("github", "a member outside", with_member(f"{good.GITHUB_FOLDER}/../../../../x.json"), outside)
    link = with_member(f"{good.GITHUB_FOLDER}/a.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    yield Case("github", "a link in the archive", link, Failed("DownloadError", url, "link or device"))
    bomb = putting(url, lambda: gzip.compress(good.tar_of_zeros(), 9, mtime=0))
    yield Case("github", "a gzip bomb", bomb, Failed("LimitError", url, "ratio"))
    yield Case("github", "an error page", faulty(url, body=b"<!DOCTYPE html>"), Failed("DownloadError", url, "HTML"))
    cut = faulty(url, truncate_at=700, validators=False)
    yield Case("github", "cut short", cut, Failed("DownloadError", url, "cut short"))


def _documents() -> Iterator[Case]:
    """Yield archives of a source of OSV documents that are none, or hold what no document should."""

    def first(summary: bytes = b'"Advisory"', version: bytes = b'"2.0"') -> Callable[[World], None]:
        rest = [good.lab_document(number) for number in range(1, good.COUNT)]
        return lambda world: world.put(good.lab_archive(good.lab_document(0, summary, version), *rest))

    def besides(name: str, content: bytes) -> Callable[[World], None]:
        return lambda world: world.put(good.lab_archive(good.lab_document(0), (name, content)))

    def twice(world: World) -> None:
        documents = [good.lab_document(number) for number in range(good.COUNT)]
        world.put(good.lab_archive(*documents, ("again/LAB-2024-0000.json", documents[0][1])))

    place, url = "lab: LAB-2024-0000.json", good.LAB
    for name, spoil, outcome in (
        ("nested 100,000 deep", first(DEEP), Failed("ParseError", place)),
        ("a text of 10 MB", first(b'"' + b"x" * 10_000_000 + b'"'), Quarantined(1, "the most is")),
        ("a number instead of a text", first(b"1"), Failed("ParseError", place)),
        ("an escaped NUL", first(b'"a\\u0000b"'), Quarantined(1, "U\\+0000")),
        ("broken UTF-8", first(b'"a\xff\xfeb"'), Failed("ParseError", place)),
        ("a tenth of yesterday", sized(good.COUNT // 10), Failed("GuardError", "", "max_shrink")),
        ("10 times yesterday", sized(good.COUNT * 10), Failed("GuardError", "", "max_growth")),
        ("a document twice", twice, Quarantined(1, "reports this key twice")),
        ("a member outside", besides("../../x.json", b"{}"), Failed("DownloadError", url, "leads out")),
        ("a bomb", besides("x.json", b" " * (60 << 20)), Failed("LimitError", url, "ratio")),
        ("an error page", faulty(url, body=b"<!DOCTYPE html>"), Failed("DownloadError", url, "HTML")),
        ("cut short", faulty(url, truncate_at=700, validators=False), Failed("DownloadError", url, "cut short")),
    ):
        yield Case("osv", name, spoil, outcome)


CASES = [*_network(), *_contents(), *_particular(), *_advisories(), *_documents()]
