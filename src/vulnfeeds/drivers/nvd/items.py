"""The NVD's form 2.0: typed items, and a reader that takes a document of any size apart in little memory.

    {"resultsPerPage": 2, "startIndex": 0, "totalResults": 2, "format": "NVD_CVE", "version": "2.0",
     "timestamp": "2026-03-12T03:00:00.621", "vulnerabilities": [{"cve": {"id": "CVE-2026-0001", ...}}, {"cve": ...}]}

Pages of the API and yearly files have the same form; a yearly file unpacks to 200 MB and more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec
import zstandard
from isal import igzip
from isal.igzip_lib import IsalError
from xxhash import xxh3_64_digest

from vulnfeeds.drivers.formats import repeats
from vulnfeeds.errors import LimitError, ParseError

CHUNK: Final = 1 << 20
MAX_ITEM: Final = 64 << 20
"""Bytes between the beginnings of two items; more means that the document has another form."""
MAX_UNPACKED: Final = 4 << 30
"""Bytes of one unpacked document."""
UNPACK_ERRORS: Final[tuple[type[Exception], ...]] = (
    EOFError,
    OSError,
    zstandard.ZstdError,
    cast("type[Exception]", IsalError),
)
"""What reading a broken packed file raises."""

UNREADABLE: Final[tuple[type[Exception], ...]] = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding JSON of another shape, or nested without end, raises."""

_FRAME: Final = b'{"cve":}'

# A quotation mark inside a JSON string is escaped, so these bytes begin an item and cannot be text.
_BEGIN: Final = re.compile(rb'\{\s*"cve"\s*:')


class Envelope(msgspec.Struct, rename="camel"):
    """What surrounds the items of a document."""

    results_per_page: int
    start_index: int
    total_results: int
    format: str
    version: str
    timestamp: str
    vulnerabilities: list[msgspec.Raw]


class CPEMatch(msgspec.Struct, rename="camel"):
    """A name or a range; `criteria` is a CPE 2.3 string, the bounds are escaped as in it."""

    criteria: str
    vulnerable: bool
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class Node(msgspec.Struct, rename="camel"):
    """A logical test."""

    operator: str
    cpe_match: list[CPEMatch]
    negate: bool = False


class Configuration(msgspec.Struct):
    """Nodes joined by `operator`; None when there is one node only."""

    nodes: list[Node]
    operator: str | None = None
    negate: bool = False


class Text(msgspec.Struct):
    """A text in one language."""

    lang: str
    value: str


class Weakness(msgspec.Struct):
    """CWE ids that one source gives."""

    type: str
    description: list[Text]


class Reference(msgspec.Struct):
    """A document about the CVE."""

    url: str
    source: str = ""
    tags: list[str] = []


class CVSSData(msgspec.Struct, rename="camel"):
    """Vector, score and metrics of any CVSS version; those of other versions stay None."""

    version: str
    vector_string: str
    base_score: float
    base_severity: str = ""
    access_vector: str | None = None
    access_complexity: str | None = None
    authentication: str | None = None
    attack_vector: str | None = None
    attack_complexity: str | None = None
    privileges_required: str | None = None
    user_interaction: str | None = None
    scope: str | None = None
    confidentiality_impact: str | None = None
    integrity_impact: str | None = None
    availability_impact: str | None = None


class Metric(msgspec.Struct, rename="camel"):
    """A score that one source gives; `type` is Primary or Secondary."""

    source: str
    type: str
    cvss_data: CVSSData
    base_severity: str = ""
    exploitability_score: float | None = None
    impact_score: float | None = None
    ac_insuf_info: bool | None = None
    obtain_all_privilege: bool | None = None
    obtain_user_privilege: bool | None = None
    obtain_other_privilege: bool | None = None
    user_interaction_required: bool | None = None


class Metrics(msgspec.Struct):
    """Scores by CVSS version."""

    v2: list[Metric] = msgspec.field(name="cvssMetricV2", default_factory=list)
    v30: list[Metric] = msgspec.field(name="cvssMetricV30", default_factory=list)
    v31: list[Metric] = msgspec.field(name="cvssMetricV31", default_factory=list)
    v40: list[Metric] = msgspec.field(name="cvssMetricV40", default_factory=list)


class CVE(msgspec.Struct, rename="camel"):
    """One CVE."""

    id: str
    published: str
    last_modified: str
    descriptions: list[Text]
    references: list[Reference]
    source_identifier: str = ""
    vuln_status: str = ""
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    weaknesses: list[Weakness] = []
    configurations: list[Configuration] = []


class Item(msgspec.Struct):
    """An element of `vulnerabilities`."""

    cve: CVE


class CVEHead(msgspec.Struct, rename="camel"):
    """Identity and age of an item."""

    id: str
    last_modified: str


class Head(msgspec.Struct):
    """An item of which only identity and age matter."""

    cve: CVEHead


class CVEOutline(msgspec.Struct, frozen=True):
    """An item's identity, age and configurations."""

    id: str
    last_modified: str
    configurations: list[Configuration]
    digest: bytes
    """As `digest` makes it."""


class _Parts(msgspec.Struct):
    """The members of an item, not read yet."""

    cve: dict[str, msgspec.Raw]


def matches(configurations: Iterable[Configuration]) -> Iterator[tuple[str, CPEMatch, bool]]:
    """Yield (CPE 2.3 string, match, vulnerable) of every match: flagged vulnerable, and not under a negation."""
    for configuration in configurations:
        for node in configuration.nodes:
            negated = node.negate or configuration.negate
            for match in node.cpe_match:
                yield match.criteria, match, match.vulnerable and not negated


envelopes: Final = msgspec.json.Decoder(Envelope)
heads: Final = msgspec.json.Decoder(Head)
items: Final = msgspec.json.Decoder(Item)
_parts: Final = msgspec.json.Decoder(_Parts)
_texts: Final = msgspec.json.Decoder(str)
_configurations: Final = msgspec.json.Decoder(list[Configuration])


def read_items(path: Path) -> Iterator[bytes]:
    """Yield the JSON of each item of a document (`.gz`, `.zst` or plain), in order, in a few MB of memory.

    Raises ParseError when the document is cut short, is of another form, or holds another number of items than
    its envelope says; LimitError when it unpacks to more than MAX_UNPACKED.
    """
    split = Splitter(path.name)
    try:
        with _open(path) as stream:
            total = 0
            while chunk := stream.read(CHUNK):
                total += len(chunk)
                if total > MAX_UNPACKED:
                    raise LimitError(path.name, f"unpacks to more than {MAX_UNPACKED} bytes")
                yield from split.feed(chunk)
    except UNPACK_ERRORS as error:
        raise ParseError(path.name, f"cannot be unpacked: {error}") from error
    yield from split.end()


class Splitter:
    """Takes a document apart while its bytes come in."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.count = 0
        self._head: bytes | None = None
        self._buffer = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take more bytes; yield the items that are complete now."""
        buffer = self._buffer + chunk
        # The buffer begins with an item's own first bytes once there is a head.
        begin = 0
        for match in _BEGIN.finditer(buffer, 0 if self._head is None else 1):
            piece = buffer[begin : match.start()]
            if self._head is None:
                self._head = piece
            else:
                yield self._item(piece)
            begin = match.start()
        self._buffer = buffer[begin:]
        if len(self._buffer) > MAX_ITEM:
            raise ParseError(self.place, f"no item begins within {MAX_ITEM} bytes after item {self.count}")

    def end(self) -> Iterator[bytes]:
        """Yield the last item and check what surrounds the items."""
        if self._head is None:
            self._check(self._buffer)
            return
        try:
            text = self._buffer.decode()
            _, length = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise ParseError(self.place, f"cut short or broken after item {self.count}: {error}") from error
        self.count += 1
        yield text[:length].encode()
        self._check(self._head + text[length:].encode())

    def _item(self, piece: bytes) -> bytes:
        piece = piece.rstrip()
        if not piece.endswith(b","):
            raise ParseError(self.place, f"no comma after item {self.count + 1}")
        self.count += 1
        return piece[:-1]

    def _check(self, frame: bytes) -> None:
        try:
            envelope = envelopes.decode(frame)
        except UNREADABLE as error:
            raise ParseError(self.place, f"no NVD document: {error}") from error
        check_form(self.place, envelope)
        if envelope.vulnerabilities:
            raise ParseError(self.place, "the items of `vulnerabilities` do not begin with `cve`")
        if envelope.results_per_page != self.count:
            raise ParseError(self.place, f"says {envelope.results_per_page} items, holds {self.count}")


def check_form(place: str, envelope: Envelope) -> None:
    """Raise ParseError unless the document is of form NVD_CVE 2.x."""
    if envelope.format != "NVD_CVE" or not envelope.version.startswith("2."):
        raise ParseError(place, f"form {envelope.format} {envelope.version}, expected NVD_CVE 2.x")


def digest(item: bytes) -> bytes:
    """Return the digest of an item, whatever its layout: feed files are indented, pages of the API are not."""
    return xxh3_64_digest(msgspec.json.format(item, indent=-1))


def outline_of(item: bytes) -> CVEOutline:
    """Return what of an item must be known of all of them. Raises one of UNREADABLE for an item of another form.

    So is one whose CVE gives a key twice, of which only the last one would be read. Keys further in are not looked
    at: this is done for every item of every document, and must cost next to nothing.
    """
    plain = msgspec.json.format(item, indent=-1)
    parts = _parts.decode(plain).cve
    # Each member takes its value, its key, two quotation marks, a colon and a comma. Another size has a key twice,
    # or a key that is not plain ASCII.
    size = sum(map(len, parts.values()), sum(map(len, parts), 4 * len(parts) + 1))
    if len(plain) != len(_FRAME) + size:
        refuse_repeats(item)
    try:
        name, modified = _texts.decode(parts["id"]), _texts.decode(parts["lastModified"])
    except KeyError as error:
        raise msgspec.ValidationError(f"Object missing required field `{error.args[0]}` - at `$.cve`") from error
    given = parts.get("configurations")
    configurations = [] if given is None else _configurations.decode(given)
    return CVEOutline(name, modified, configurations, xxh3_64_digest(plain))


def refuse_repeats(item: bytes) -> None:
    """Raise ValidationError, which is among UNREADABLE, when an object of the item gives a key twice."""
    try:
        name = repeats.given_twice(item)
    except ValueError as error:
        raise msgspec.ValidationError(f"not JSON: {error}") from error
    if name is not None:
        raise msgspec.ValidationError(f"key `{name}` is given twice")


def head_of(item: bytes, place: str) -> CVEHead:
    """Return identity and age of an item. Raises ParseError, naming `place`, when it does not have them."""
    try:
        return heads.decode(item).cve
    except UNREADABLE as error:
        raise ParseError(place, f"an item without id and date: {error}; {bytes(item)[:200]!r}") from error


def name_of(item: bytes) -> str | None:
    """Return the id of an item whose other parts may have any shape; None when it has none."""
    with suppress(*UNREADABLE):
        return heads.decode(item).cve.id or None
    try:
        found: Any = msgspec.json.decode(item)
    except UNREADABLE:
        return None
    cve = found.get("cve") if isinstance(found, dict) else None
    name = cve.get("id") if isinstance(cve, dict) else None
    return name if isinstance(name, str) and name else None


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", igzip.open(path, "rb"))  # type: ignore[no-untyped-call]
    if path.suffix == ".zst":
        return cast("IO[bytes]", zstandard.open(path, "rb"))
    return path.open("rb")
