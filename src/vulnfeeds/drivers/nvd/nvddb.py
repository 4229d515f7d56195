"""NVDDB: feed nvd, one group a year of CVE ids, made of the records that nvdv2 published; nothing is requested.

Clients up to 0.6 read it. Its form is that of the NVD's XML 2.0 entries, with CPE 2.2 URIs.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, Mode, Unchanged
from vulnfeeds.drivers.nvd import plan
from vulnfeeds.drivers.nvd.expansion import Bounds
from vulnfeeds.errors import ParseError
from vulnfeeds.records import cpe, nvd, nvddb
from vulnfeeds.records.record import Record

FEED: Final = "nvd"
FIRST_YEAR: Final = 2002
"""Older CVEs are in this year's group, as they were in the NVD's file of that year."""

_SPAN = "span.json"
_ID: Final = re.compile(r"CVE-(\d{4})-\d+")
_bodies = msgspec.json.Decoder(nvd.NVDRecord)


class Span(msgspec.Struct, frozen=True):
    """Positions of group nvdv2:cves that a run reads: after one, up to and including the other."""

    after: int
    upto: int


class NVDDBDriver(Driver):
    """Feed nvd: groups nvddb:2002, nvddb:2003, ..."""

    name = "nvddb"
    feeds = (FEED,)
    mode = Mode.DELTA
    depends_on = ("nvdv2",)

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Note what nvdv2 published since the last run; UNCHANGED when it published nothing."""
        upto = context.published.sequence(plan.FEED, plan.GROUP)
        after = 0
        if context.checkpoint is not None and not context.forced:
            after = int(context.checkpoint.cursor.get("sequence", 0))
        if after == upto:
            return UNCHANGED
        # A position behind the cursor means another store: then everything is read.
        span = Span(after if after < upto else 0, upto)
        (context.workspace / _SPAN).write_bytes(msgspec.json.encode(span))
        return Checkpoint(fingerprint=str(upto), cursor={"sequence": upto})

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield a record for each nvdv2 record that changed."""
        try:
            span = msgspec.json.decode((context.workspace / _SPAN).read_bytes(), type=Span)
        except (OSError, msgspec.MsgspecError) as error:
            raise ParseError(_SPAN, f"nothing was fetched: {error}") from error
        changes = context.published.changes(plan.FEED, plan.GROUP, span.after, span.upto)
        for done, (key, body, _) in enumerate(changes):
            if done % 1000 == 0:
                context.report("parse", done, None)
            year = _ID.fullmatch(key)
            if year is None:
                context.note(f"{key} is no CVE id and belongs to no year")
                continue
            try:
                record = _bodies.decode(body)
            except msgspec.MsgspecError as error:
                raise ParseError(f"{plan.GROUP} {key}", str(error)) from error
            group = f"nvddb:{max(FIRST_YEAR, int(year.group(1)))}"
            yield Record(feed=FEED, group=group, key=key, body=legacy(record))


def legacy(record: nvd.NVDRecord) -> nvddb.NVDDBRecord:
    """Return a record of feed nvd of one of feed nvdv2. Withdrawn records have no names, so they have no products."""
    name = record.cve.meta.id
    return nvddb.NVDDBRecord(
        id=name,
        cve_id=name,
        summary=record.cve.description.description_data[0].value,
        software=nvddb.Software(_uris(record.vulnerable_cpes)),
        configurations=_configurations(record),
        published=record.published_date,
        last_modified=record.last_modified_date,
        references=tuple(
            nvddb.Reference(reference.source, nvddb.Link(reference.url, reference.url))
            for reference in record.external_references
        ),
        cwe=tuple(
            nvddb.Weakness(text.value)
            for kind in record.cve.problemtype.problemtype_data
            for text in kind.description
            if text.value.startswith("CWE-")
        ),
        cvss=_cvss(record),
    )


def _cvss(record: nvd.NVDRecord) -> nvddb.CVSS | None:
    """Return CVSS 2, else the score of CVSS 3 or 4: clients take no more than the score, for a severity."""
    if record.cvss_v2 is not None:
        two = record.cvss_v2.base_metrics
        return nvddb.CVSS(
            nvddb.Metrics(
                score=str(two.base_score),
                access_vector=two.access_vector,
                access_complexity=two.access_complexity,
                authentication=two.authentication,
                confidentiality_impact=two.confidentiality_impact,
                integrity_impact=two.integrity_impact,
                availability_impact=two.availability_impact,
            )
        )
    newer = record.cvss_v3 or record.cvss_v4
    return nvddb.CVSS(nvddb.Metrics(score=str(newer.base_metrics.base_score))) if newer is not None else None


def _uris(names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(sorted({uri for name in names if (uri := cpe.uri(name)) is not None}))


def _configurations(record: nvd.NVDRecord) -> tuple[nvddb.Configuration, ...]:
    return tuple(nvddb.Configuration(_test(node, record.vulnerable_cpes)) for node in record.configurations.nodes)


def _test(node: nvd.Node, vulnerable: Sequence[str]) -> nvddb.LogicalTest:
    names = [name for match in node.cpe_match for name in _names(match, vulnerable)]
    return nvddb.LogicalTest(
        operator=node.operator,
        negate=str(node.negate).lower(),
        facts=tuple(nvddb.Fact(uri) for uri in _uris(names)),
        tests=tuple(_test(child, vulnerable) for child in node.children),
    )


def _names(match: nvd.CPEMatch, vulnerable: Sequence[str]) -> list[str]:
    """Return a vulnerable range as the names that the record has for it: the XML form knew no ranges."""
    name = cpe.parse(match.cpe)
    bounds = Bounds.of(name, match)
    if bounds is None or name is None or not match.vulnerable:
        return [match.cpe]
    # A record's names are sorted.
    found = []
    for full in islice(vulnerable, bisect_left(vulnerable, name.before), None):
        if not full.startswith(name.before):
            break
        if full.endswith(name.after) and bounds.covers(full[len(name.before) : -len(name.after)]):
            found.append(full)
    return found
