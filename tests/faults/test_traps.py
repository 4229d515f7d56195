"""What a document of each format must never be taken for: traps of OVAL, CSAF, OSV, updateinfo, lists and archives.

Each is put into one document of the sample on day 2, and the law of the faults holds: a clear error of the task, or a
counted, quarantined record; never a silently smaller group.
"""

from __future__ import annotations

import bz2
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from benchmarks.faults.days import UPSTREAMS
from benchmarks.faults.kinds import Kind
from benchmarks.faults.trial import Trial

from tests.drivers.errata_documents import archive, unpacked
from vulnfeeds.testing.upstream import UpstreamSimulator

Change = Callable[[bytes], bytes]


class Trap(NamedTuple):
    """A change of the document whose URL ends so, and how the run ends."""

    upstream: str
    name: str
    document: str
    change: Change
    ends: str
    """Class of the error of a failed run, or the outcome of one that completed."""

    def __str__(self) -> str:
        return f"{self.upstream}: {self.name}"


def swap(old: str, new: str) -> Change:
    """Replace the first piece that fits a pattern; there must be one."""

    def change(data: bytes) -> bytes:
        changed, count = re.subn(old.encode(), lambda _: new.encode(), data, count=1, flags=re.DOTALL)
        assert count == 1, old
        return changed

    return change


def related(target: str = "") -> Change:
    """Let every product id of a CSAF document lead to a target; without one, to itself."""

    def change(data: bytes) -> bytes:
        whole = json.loads(data)
        for relation in whole["product_tree"]["relationships"]:
            relation["relates_to_product_reference"] = target or relation["full_product_name"]["product_id"]
        return json.dumps(whole).encode()

    return change


def in_bz2(change: Change) -> Change:
    """Change what a bzip2 file holds."""
    return lambda data: bz2.compress(change(bz2.decompress(data)))


def streams(data: bytes) -> bytes:
    """Pack a document as several streams, of which the second one is broken."""
    plain = bz2.decompress(data)
    half = len(plain) // 2
    second = bz2.compress(plain[half:])
    return bz2.compress(plain[:half]) + second[: len(second) // 2]


def member(name: str, kind: bytes = tarfile.REGTYPE) -> Change:
    """Add a member to an archive (tar.gz)."""

    def change(data: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as made:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            made.addfile(info)
            for path, body in unpacked(data).items():
                file = tarfile.TarInfo(path)
                file.size = len(body)
                made.addfile(file, io.BytesIO(body))
        return out.getvalue()

    return change


def each_file(change: Change) -> Change:
    """Change the files of an archive in which the change finds something to do."""
    return lambda data: archive({name: change(body) for name, body in unpacked(data).items()})


def twice(data: bytes) -> bytes:
    """Give the first object of a list twice."""
    listed = json.loads(data)
    return json.dumps([listed[0], *listed]).encode()


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><'
DEEP = "[" * 5000
OVAL = "azurelinux-3.0-oval.xml"
ALMA = "master.tar.gz"
TOP = "osv-database-master/advisories/almalinux8"


def traps() -> Iterator[Trap]:
    """Yield all traps."""
    for kind in ("test", "object", "state"):
        yield Trap("mariner", f"a missing {kind}", OVAL, lambda data, kind=kind: _without_id(data, kind), "part")
    yield Trap("mariner", "an entity bomb", OVAL, swap("<oval_definitions", f"{BOMB}oval_definitions"), "ParseError")
    deep = "<criteria>" * 500
    yield Trap("mariner", "criteria without end", OVAL, swap("<criteria", f"{deep}<criteria"), "ParseError")
    yield Trap("ol", "a broken second stream", ".bz2", streams, "DownloadError")
    yield Trap("ol", "garbage behind the stream", ".bz2", lambda data: data + b"\0garbage" * 99, "whole")
    yield Trap("sles", "no tests at all", ".bz2", in_bz2(swap("<tests>.*</tests>", "<tests/>")), "ParseError")
    changes = "advisories/changes.csv"
    yield Trap("centos", "a third column", changes, swap('json",', 'json","x",'), "ParseError")
    yield Trap("centos", "a path that leads out", changes, swap("2024/rhsa", "../../rhsa"), "ParseError")
    yield Trap("centos", "an open quotation mark", changes, swap('"2024', '""2024'), "ParseError")
    advisory = "rhsa-2024_9015.json"
    nowhere = swap('"product_reference": "[^"]*"', '"product_reference": "nowhere"')
    yield Trap("centos", "a product id that leads nowhere", advisory, nowhere, "whole")
    for upstream, document in (
        ("centos", advisory),
        ("rhel", advisory),
        ("rhel from VEX", "cve-2024-0014.json"),
    ):
        yield Trap(upstream, "product ids that all lead nowhere", document, related("nowhere"), "part")
        yield Trap(upstream, "product ids that lead in a circle", document, related(), "part")
    for name, path, kind in (
        ("a member outside", f"{TOP}/../../../ALSA-2024:0101.json", tarfile.REGTYPE),
        ("a link", f"{TOP}/ALSA-2024:0199.json", tarfile.SYMTYPE),
        ("a device", f"{TOP}/ALSA-2024:0199.json", tarfile.CHRTYPE),
    ):
        yield Trap("alma", name, ALMA, member(path, kind), "DownloadError")
    yield Trap("alma", "no member", ALMA, lambda data: archive({}), "ParseError")
    odd = each_file(lambda body: body.replace(b'"1.1', b'"\\ud800'))
    yield Trap("alma", "half a surrogate pair", ALMA, odd, "ParseError")
    tracker = "cve-tracker-master.tar.gz"
    link = member("ubuntu-cve-tracker-master/active/CVE-2024-0001", tarfile.SYMTYPE)
    yield Trap("ubuntu", "a link in the tracker", tracker, link, "part")
    rows = "all.json"
    yield Trap("arch", "a group given twice", rows, twice, "whole")
    yield Trap("arch", "deep nesting", rows, swap(r'"ticket": \w+', f'"ticket": {DEEP}'), "ParseError")
    yield Trap("arch", "broken UTF-8", rows, lambda data: data.replace(b'"Fixed"', b'"\xff\xfe"', 1), "ParseError")
    yield Trap("arch", "a NUL", rows, swap('"Fixed"', '"a\0b"'), "ParseError")
    for name in ("wolfi", "chainguard", "minimos"):
        again = swap('"packages":', '"packages": {}, "packages":')
        yield Trap(name, "a key twice", "security.json", again, "ParseError")
        yield Trap(
            name, "deep nesting", "security.json", swap('"packages":', f'"x": {DEEP}, "packages":'), "ParseError"
        )
    yield Trap("echo", "deep nesting", "data.json", lambda data: b'{"a": ' + DEEP.encode(), "ParseError")
    yield Trap("photon", "a list for a package", "5.0.json", swap('"pkg": "[^"]*"', '"pkg": []'), "ParseError")
    yield Trap("rocky", "deep nesting", "/osv/", swap('"advisories":', f'"x": {DEEP}, "advisories":'), "ParseError")
    updates = "39/Everything/x86_64/repodata/updateinfo.xml"
    yield Trap("fedora", "an entity bomb", updates, swap("<updates", f"{BOMB}updates"), "ParseError")
    yield Trap(
        "fedora", "a package without a version", updates, swap(' version="[^"]*" release', " release"), "ParseError"
    )


def _without_id(data: bytes, kind: str) -> bytes:
    """Take the first test, object or state out of an OVAL document."""
    changed, count = re.subn(rb'(<(?:[\w-]+:)?rpminfo_%b\b[^>]*?\bid=")' % kind.encode(), rb"\1lost-", data, count=1)
    assert count == 1
    return changed


TRAPS = list(traps())


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Trial]]:
    """The drivers of the traps, each with day 1 published, made when they are first asked for."""
    made: dict[str, Trial] = {}
    yield made
    for trial in made.values():
        trial.simulator.close()


@pytest.mark.parametrize("trap", TRAPS, ids=str)
def test_no_trap_makes_a_group_smaller(
    trap: Trap, begun: dict[str, Trial], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The run ends as it must, readers keep every record, and the next good document mends all."""
    if trap.upstream not in begun:
        folder: Path = tmp_path_factory.mktemp("traps")
        trial = Trial(trap.upstream, UPSTREAMS[trap.upstream], folder, UpstreamSimulator())
        trial.begin()
        begun[trap.upstream] = trial
    trial = begun[trap.upstream]
    target = next(url for url in trial.targets if url.endswith(trap.document))
    cell = trial.cell(Kind(trap.name, lambda body: {"body": trap.change(body)}), target)
    assert cell is not None
    assert (cell.broken, cell.error or cell.outcome) == ((), trap.ends), cell.says
