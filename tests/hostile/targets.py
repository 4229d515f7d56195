"""Every parser of what comes from outside, each as a function of bytes that raises only errors of our own."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.hostile import formats, good
from vulnfeeds.api import tokens
from vulnfeeds.api.answers import choose_encoding, matches, require_type
from vulnfeeds.api.filters import parse_filter
from vulnfeeds.api.parameters import limit, parameters
from vulnfeeds.api.since import parse_since
from vulnfeeds.drivers.amzn import pages as amzn_pages
from vulnfeeds.drivers.arch import ArchDriver
from vulnfeeds.drivers.debian import advisories
from vulnfeeds.drivers.debian.driver import ADVISORIES, DebianDriver
from vulnfeeds.drivers.echo import EchoDriver
from vulnfeeds.drivers.formats import errata, osv, secdb, updateinfo
from vulnfeeds.drivers.interface import Context, Driver
from vulnfeeds.drivers.kev import KEVDriver
from vulnfeeds.drivers.nvd import feeds, items, legacy, nvddb
from vulnfeeds.drivers.nvd.overrides import OverrideTable
from vulnfeeds.drivers.rocky import RockyDriver
from vulnfeeds.drivers.secureos import read_pointer
from vulnfeeds.errors import RecordError, VulnfeedsError
from vulnfeeds.fetch.archives import members
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.partial import describe
from vulnfeeds.fetch.retries import parse_retry_after
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.fetch.sniff import KINDS, check_head, looks_like
from vulnfeeds.fetch.validators import load
from vulnfeeds.publish import pages
from vulnfeeds.publish.splice import ENCODINGS
from vulnfeeds.records import canonical, contract
from vulnfeeds.store.interface import StagedRecord
from vulnfeeds.sync import stage
from vulnfeeds.testing.driver_suite import NothingPublished

Target = Callable[[bytes], None]
_TEMPORARY = tempfile.TemporaryDirectory(prefix="vulnfeeds-fuzz-")
_FOLDER = Path(_TEMPORARY.name)


@contextmanager
def _file(data: bytes, name: str) -> Iterator[Path]:
    path = _FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    yield path


def _context(workspace: Path) -> Context:
    fetcher = HTTPFetcher(FetchSettings(), UpstreamMap(), [])
    return Context(fetcher=fetcher, workspace=workspace, published=NothingPublished(), now=time.time)


def _check(feed: str, group: str, body: Any) -> None:
    """Do with a record what a run does: what has no form or breaks the contract goes to quarantine."""
    try:
        contract.check(feed, group, canonical.encode(body))
    except RecordError:
        return


def _parse(driver: Driver, **files: bytes) -> None:
    workspace = _FOLDER / driver.name
    for name, data in files.items():
        with _file(data, f"{driver.name}/{_NAMES[name]}"):
            pass
    for record in driver.parse(_context(workspace)):
        _check(record.feed, record.group, record.body)


_NAMES = {
    "tracker": "tracker.json",
    "dsa": "DSA-list.txt",
    "kev": "known_exploited_vulnerabilities.json",
    "echo": "data.json",
    "walk": "walk.json",
    "news": "releases.json",
    "page": "pages/page-0001.json",
    "arch": "all.json",
}
_LIST = good.of_debian(1)[ADVISORIES]


def _secdb(data: bytes, name: str) -> None:
    with _file(data, name) as path:
        list(secdb.read(path))


def _osv(data: bytes) -> None:
    advisory = osv.decode(data, "place")
    found = errata.record(_context(_FOLDER), advisory, "alma:8", ecosystems=("AlmaLinux:8",), link="")
    if found is not None:
        _check(found.feed, found.group, found.body)


def _lists(data: bytes) -> None:
    with _file(data, "lists.yaml") as path:
        list(secdb.read_lists(path))


def _updateinfo(data: bytes) -> None:
    with _file(data, "updateinfo") as path:
        list(updateinfo.read(path, "updateinfo"))


def _repomd(data: bytes) -> None:
    with _file(data, "repomd.xml") as path:
        updateinfo.find(path, "repomd.xml")


def _alas(data: bytes) -> None:
    """Read a feed of advisories and a page, which stand in one document here."""
    feed, _, page = data.partition(b"</rss>")
    folder = "amzn/2/pages"
    with _file(feed + b"</rss>", f"{folder}/alas.rss"), _file(page, f"{folder}/ALAS-2024-1.html"):
        pass
    with _file(b'{"ALAS-2024-1": {"": ""}}', f"{folder}/asked.json"):
        list(amzn_pages.read(_context(_FOLDER / "amzn"), "2"))


def _dsa(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").splitlines()
    advisories.count(lines)
    advisories.read(lines, "list", lambda line: None)


def _nvd(data: bytes, name: str = "feed.json") -> None:
    with _file(data, name) as path:
        for item in items.read_items(path):
            items.name_of(item)
            try:
                items.digest(item)
                record = legacy.record(items.items.decode(item).cve)
            except items.UNREADABLE:
                continue
            _check("nvdv2", "nvdv2:cves", record)
            _check("nvd", "nvddb:2024", nvddb.legacy(record))


def _page(data: bytes) -> None:
    try:
        envelope = items.envelopes.decode(data)
    except items.UNREADABLE:
        return
    items.check_form("page", envelope)
    for item in envelope.vulnerabilities:
        items.head_of(item, "page")


def _meta(data: bytes) -> None:
    with _file(data, "nvd.meta") as path:
        feeds.read_meta(path)


def _overrides(data: bytes) -> None:
    database = sqlite3.connect(":memory:")
    try:
        with _file(good.tar_gz(good.override_member(good.cve(1), data)), "overrides.tar.gz") as path:
            OverrideTable(database).take(path, 1)
    finally:
        database.close()


def _archive(data: bytes) -> None:
    with _file(data, "archive") as path:
        for _, stream in members(path, wanted=lambda name: True):
            stream.read()


def _token(data: bytes) -> None:
    token = tokens.decode("feed", "group", data.decode("latin-1"))
    if not isinstance(token, tokens.TimeToken):
        assert tokens.decode("feed", "group", tokens.encode("feed", "group", token)) == token


def _headers(data: bytes) -> None:
    text = data.decode("latin-1")
    matches(text, '"tag"')
    parse_retry_after(text, 0.0)
    try:
        choose_encoding(text)
    finally:
        require_type(text, "application/json")


def _query(data: bytes) -> None:
    limit(parameters(data, ("since", "next_token", "limit")))


def _validators(data: bytes) -> None:
    with _file(data, "x.validators.json") as path:
        found = load(path)
    if found is not None:
        assert found.resume_mark.isascii()
        describe(path, found, changed=False, bytes_fetched=0)


def _stage(data: bytes) -> None:
    with _file(data, "1.stage") as path:
        list(stage.read(path))


def _kept_page(data: bytes) -> None:
    for encoding in ENCODINGS:
        pages._unpack(data, encoding)


def _head(data: bytes) -> None:
    for kind in KINDS:
        looks_like(kind, data)
    check_head("url", "name.json", data, ())


def _text(parse: Callable[[str], object]) -> Target:
    def target(data: bytes) -> None:
        parse(data.decode("latin-1"))

    return target


def _reading(parse: Callable[[Path], None]) -> Target:
    def target(data: bytes) -> None:
        with _file(data, "document") as path:
            parse(path)

    return target


def _sealed() -> bytes:
    path = _FOLDER / "good.stage"
    with stage.Stage(path) as made:
        made.add(StagedRecord("feed", "group", "key", b"d" * 16, b"body", "created", False, None))
        made.seal()
    return path.read_bytes()


_ITEMS = [good.nvd_item(good.cve(number)) for number in range(2)]
_FEED = json.dumps(good.nvd_document(_ITEMS)).encode()
_OSV = (
    b'{"id": "ALSA-2024:0001", "modified": "2024-06-07T15:04:20Z", "published": "2024-06-04T00:00:00Z", '
    b'"aliases": null, "summary": "Moderate: mossdb:13 security update", "related": ["CVE-2024-0001"], '
    b'"affected": [{"package": {"ecosystem": "AlmaLinux:8", "name": "mossdb"}, "ranges": [{"type": "ECOSYSTEM", '
    b'"events": [{"introduced": "0"}, {"fixed": "1:2-1.module_el8.9.0+1+a"}, {"introduced": "3"}, '
    b'{"last_affected": "4"}, {"limit": "9"}]}]}]}'
)

_UPDATE = (
    b'<?xml version="1.0"?>\n<updates><update type="security"><id>A-1</id><title>t</title><issued date="2024-01-01"/>'
    b'<severity>low</severity><references><reference href="h" id="CVE-2024-0001" title="" type="cve"/></references>'
    b'<pkglist><collection><package name="a" epoch="0" version="1" release="2" arch="noarch"/></collection></pkglist>'
    b"</update></updates>"
)
_REPOMD = (
    b'<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="updateinfo">'
    b'<checksum type="sha256">ab</checksum>'
    b'<location href="repodata/updateinfo.xml.gz"/></data></repomd>'
)
_ALAS = (
    b"<rss><channel><item><title>ALAS-2024-1 (low): a</title><description>CVE-2024-0001</description>"
    b"</item></channel></rss><div id='issue_overview'><b>Issue Overview:</b><p>A &amp; b.</p></div>"
    b"<div id='new_packages'><pre>x86_64:<br />&nbsp; a-1-2.x86_64<br /></pre></div>"
)
_AVG = {
    "name": "AVG-1",
    "packages": ["a"],
    "status": "Fixed",
    "severity": "Low",
    "fixed": "1-1",
    "issues": ["CVE-2024-0001"],
}

TARGETS: dict[str, tuple[Target, bytes]] = {
    "secdb.json": (lambda data: _secdb(data, "a.json"), json.dumps(good.secdb([good.cve(1), good.cve(2)])).encode()),
    "secdb.yaml": (lambda data: _secdb(data, "a.yaml"), good.secdb_yaml([good.cve(1), good.cve(2)])),
    "rejections": (_lists, b"apache2:\n  - CVE-2024-0001\n  - ~\nzlib: []\n"),
    "tracker": (
        lambda data: _parse(DebianDriver(), tracker=data, dsa=_LIST),
        json.dumps(good.tracker([good.cve(1), good.cve(2)])).encode(),
    ),
    "dsa": (_dsa, _LIST + b"[17 Mar 2023] DSA-5356-2 sox - regression update\n\t[bullseye] - sox 14.4.2\n"),
    "kev": (lambda data: _parse(KEVDriver(), kev=data), json.dumps(good.catalog([good.cve(1)])).encode()),
    "echo": (
        lambda data: _parse(EchoDriver(), echo=data),
        b'{"a": {"CVE-2024-0001": {"fixed_version": "1-1", "severity": "high"}, "TEMP-1": {}}, "b": {"GHSA-1": {}}}',
    ),
    "osv": (_osv, _OSV),
    "osv.page": (
        lambda data: _parse(RockyDriver(), walk=b'{"pages": 1}', news=b'{"8": ""}', page=data),
        b'{"advisories": [' + _OSV.replace(b"AlmaLinux:8", b"Rocky Linux:8") + b'], "total": 1, "links": {}}',
    ),
    "pointer": (
        read_pointer,
        b'{"latest_url": "https://security.secureos.io/v1/secdb.json.gz", "sha256": "00", "snapshot_url": ""}',
    ),
    "nvd.json": (_nvd, _FEED),
    "nvd.json.gz": (lambda data: _nvd(data, "feed.json.gz"), gzip.compress(_FEED, mtime=0)),
    "nvd.page": (_page, _FEED),
    "nvd.meta": (_meta, good.feed_file(_FEED)[good.META]),
    "overrides": (_overrides, good.override(good.cve(1))),
    "archive": (_archive, good.tar_gz(good.override_member(good.cve(1)))),
    "updateinfo": (_updateinfo, _UPDATE),
    "updateinfo.gz": (_updateinfo, gzip.compress(_UPDATE, mtime=0)),
    "repomd": (_repomd, _REPOMD),
    "alas": (_alas, _ALAS),
    "arch": (lambda data: _parse(ArchDriver(), arch=data), json.dumps([_AVG]).encode()),
    "oval": (_reading(formats.read_oval), formats.OVAL),
    "csaf": (formats.read_csaf, formats.CSAF),
    "csaf.list": (_reading(formats.read_list), formats.LIST),
    "rows": (_reading(formats.read_rows), formats.ROWS),
    "hydra": (formats.read_hydra, formats.HYDRA),
    "tree": (formats.read_tree, formats.TREE),
    "since": (_text(parse_since), b"2021-06-03T20:18:03.123456+00:00"),
    "token": (_token, tokens.encode("feed", "group", tokens.WalkToken(3, "CVE-2024-0001")).encode()),
    "filter": (_text(parse_filter), b"driver_id=debian,task_id>470,status=failed"),
    "query": (_query, b"since=2021-06-03&limit=10&next_token=abc"),
    "headers": (_headers, b'gzip;q=0.5, zstd;q=1.0, *;q=0, W/"tag", Wed, 21 Oct 2015 07:28:00 GMT'),
    "validators": (
        _validators,
        b'{"url":"u","etag":"\\"a\\"","last_modified":"Wed, 21 Oct 2015 07:28:00 GMT","sha256":"","size":1}',
    ),
    "stage": (_stage, _sealed()),
    "page": (_kept_page, b"x" * 100),
    "head": (_head, b'<?xml version="1.0"?><!-- a --><!DOCTYPE html>'),
}
"""By name: the parser, and a document that it takes."""


def run(name: str, data: bytes) -> None:
    """Give bytes to a parser; whatever it raises but an error of our own comes through."""
    try:
        TARGETS[name][0](data)
    except VulnfeedsError as error:
        # A task keeps its text, so it must have a form.
        str(error).encode("utf-8", "replace")
