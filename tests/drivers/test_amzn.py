"""Driver amzn: the suites on its sample, repositories and pages, and the rules of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.amzn.driver import AmznDriver, AmznSettings, advisory_name
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.errors import UpstreamError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
CDN = "cdn.amazonlinux.com"
SITE = "alas.aws.amazon.com"
CATALOGUE = f"{CDN}/2/extras-catalog.json"
CORE = f"{CDN}/2/core/2.0/x86_64/6d1f5a0c9b/repodata"
KERNEL = f"{CDN}/2/extras/kernel-5.10/latest/x86_64/27c9d8e15f/repodata"
KERNEL_LIST = f"{CDN}/2/extras/kernel-5.10/latest/x86_64/mirror.list"
NEWEST = f"{CDN}/al2023/core/mirrors/latest/x86_64/mirror.list"
OLD = f"{CDN}/al2022/core/mirrors/latest/x86_64/mirror.list"
UPDATES = f"{KERNEL}/updateinfo.xml"
"""Its index gives no digest, so that tests may change it."""
PAGE = f"{SITE}/AL2022/ALAS-2022-901.html"
FEED_2022 = f"{SITE}/AL2022/alas.rss"
UPDATE = b'<update type="security"><id>ALAS2-2024-1</id><pkglist><collection>%s</collection></pkglist></update>'


def ids(records: list[Any], group: str) -> list[str]:
    """Return the keys of a group's records."""
    return [record.key for record in records if record.group == group]


def updates(*bodies: bytes) -> Edit:
    """Return an edit that gives the extras' document other updates."""
    return Edit(UPDATES, lambda _: b"<updates>" + b"".join(bodies) + b"</updates>")


class TestAmzn(DriverSuite):
    """What every driver must do, on the repositories of the sample."""

    driver = AmznDriver
    upstream = SAMPLE
    groups = frozenset((FEED, f"amzn:{release}") for release in ("1", "2", "2022", "2023"))
    extended = (
        Edit(UPDATES, replaced(b"<severity>", b"<rights>none</rights><severity>")),
        Edit(UPDATES, replaced(b'arch="x86_64"', b'src="k.src.rpm" arch="x86_64"')),
        Edit(CATALOGUE, replaced(b'"n":', b'"since": 1, "n":')),
    )
    changed = (Edit(UPDATES, replaced(b"212.873.amzn2", b"213.901.amzn2")),)
    sad = (
        Sad(
            Edit(UPDATES, replaced(b"<id>ALAS2KERNEL-5.10-2024-091</id>", b"")), "2/extras/kernel-5.10 updateinfo.xml"
        ),
        Sad(Edit(UPDATES, replaced(b'version="5.10.223"', b"")), "(ALAS2KERNEL-5.10-2024-091) package kernel"),
        Sad(Edit(UPDATES, replaced(b"<updates>", b"<!DOCTYPE a><updates>")), "updateinfo.xml: a document type"),
    )


class TestAmznPages(DriverSuite):
    """The same on the pages of one release."""

    driver = AmznDriver
    upstream = SAMPLE
    settings = AmznSettings(source="pages", include=("2022",))
    groups = frozenset({(FEED, "amzn:2022")})
    extended = (Edit(FEED_2022, replaced(b"<link>", b"<author>a</author><link>")),)
    changed = (
        Edit(PAGE, replaced(b"0.1.x86_64", b"0.2.x86_64")),
        Edit(FEED_2022, replaced(b"(medium)", b"(important)")),
    )
    sad = (
        Sad(Edit(PAGE, replaced(b"id='new_packages'", b"id='packages'")), "ALAS-2022-901.html: the page has no part"),
        Sad(Edit(PAGE, replaced(b"quillfs-3.0.9-1.amzn2022.0.1.src", b"quillfs")), "'quillfs' is no name"),
        Sad(Edit(FEED_2022, replaced(b"ALAS-2022-901 (medium)", b"quillfs")), "alas.rss: no advisories"),
        Sad(Edit(FEED_2022, replaced(b"<rss ", b"<!DOCTYPE a><rss ")), "alas.rss: a document type"),
    )


def test_a_record_is_an_advisory(tmp_path: Path) -> None:
    """Epochs always; ids, links and the list of CVEs as the original had them; each package once."""
    found = bodies(on_sample(AmznDriver, tmp_path).run()[0])
    record = found["amzn:2", "ALAS-2024-9001"]["Vulnerability"]
    fixes = {fix["Name"]: fix["Version"] for fix in record.pop("FixedIn")}
    assert fixes == {
        "brookssl": "1:1.1.0k-4.amzn2.0.3",
        "brookssl-neon": "1:1.1.0k-4.amzn2.0.3",
        "quillfs": "0:3.1.4-2.amzn2.0.1",
        "quillfs-doc": "0:3.1.4-2.amzn2.0.1",
    }
    assert record.pop("Description").startswith("Package updates are available for Amazon Linux 2 2017.12 that fix")
    assert record == {
        "Name": "ALAS-2024-9001",
        "NamespaceName": "amzn:2",
        "Severity": "High",
        "Link": "https://alas.aws.amazon.com/AL2/ALAS-2024-9001.html",
        "Metadata": {"CVE": ["CVE-2024-0001", "CVE-2024-0003"]},
    }
    assert found["amzn:1", "ALAS-2023-9001"]["Vulnerability"]["Link"] == f"https://{SITE}/ALAS-2023-9001.html"


def test_a_kernel_series_has_a_range(tmp_path: Path) -> None:
    """A fix in series 5.10 says nothing of older series; a live patch has its kernel in its name."""
    found = bodies(on_sample(AmznDriver, tmp_path).run()[0])
    kernel, live = found["amzn:2", "ALASKERNEL-5.10-2024-091"]["Vulnerability"]["FixedIn"]
    assert kernel["Version"] == "0:5.10.223-212.873.amzn2"
    assert kernel["VulnerableRange"] == ">= 0:5.10, < 0:5.10.223-212.873.amzn2"
    assert live["Name"] == "kernel-livepatch-5.10.223-212.873"
    assert "VulnerableRange" not in live


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("ALAS-2011-1", "1", "ALAS-2011-1"),
        ("ALAS2-2018-1106", "2", "ALAS-2018-1106"),
        ("ALAS2KERNEL-5.15-2022-001", "2", "ALASKERNEL-5.15-2022-001"),
        ("ALAS2023LIVEPATCH-2023-001", "2023", "ALASLIVEPATCH-2023-001"),
        ("ALAS2022-2021-001", "2022", "ALAS-2021-001"),
        ("ALAS2022-2021-001", "2", "ALAS2022-2021-001"),
        ("ALAS2", "2", "ALAS2"),
    ],
)
def test_names_are_those_of_the_site(name: str, release: str, expected: str) -> None:
    """The release behind ALAS is in the repositories only."""
    assert advisory_name(name, release) == expected


def test_the_preferred_architecture_counts(tmp_path: Path) -> None:
    """Builds that differ by architecture do not make a package affected for ever; sources are not installed."""
    trial = on_sample(AmznDriver, tmp_path)
    package = b'<package name="%s" epoch="0" version="%s" release="1" arch="%s"/>'
    rows = [(b"a", b"1", b"aarch64"), (b"a", b"2", b"x86_64"), (b"a", b"3", b"x86_64"), (b"b", b"1", b"src")]
    trial.edit(updates(UPDATE % b"".join(package % row for row in [*rows, (b"c", b"4", b"riscv64")])))
    record = bodies(trial.run()[0])["amzn:2", "ALAS-2024-1"]["Vulnerability"]
    assert [(fix["Name"], fix["Version"]) for fix in record["FixedIn"]] == [
        ("a", "0:2-1"),
        ("a", "0:3-1"),
        ("c", "0:4-1"),
    ]


def test_what_is_strange_is_counted(tmp_path: Path) -> None:
    """An advisory given twice, without packages, with a new word or a placeholder; what is no security."""
    trial = on_sample(AmznDriver, tmp_path)
    package = b'<package name="a" version="1" release="1" arch="noarch"/>'
    said = b'<severity>dire</severity><references><reference type="cve" id="CVE-PENDING"/></references><pkglist>'
    one = (UPDATE % package).replace(b"<pkglist>", said)
    other = one.replace(b"2024-1<", b"2024-3<").replace(b'"security"', b'"bugfix"')
    trial.edit(updates(one, one, (UPDATE % b"").replace(b"2024-1<", b"2024-2<"), other))
    records, context = trial.run()
    assert "ALAS-2024-1" in ids(records, "amzn:2")
    assert context.unknown_values == {
        "severity=dire": 2,
        "id=CVE-PENDING": 2,
        "advisory given twice=ALAS-2024-1": 1,
        "advisory without packages=ALAS-2024-2": 1,
    }
    assert "ALAS-2024-3" not in ids(records, "amzn:2")


def test_a_new_release_needs_no_new_version(tmp_path: Path) -> None:
    """What the site lists is asked for where releases are."""
    trial = on_sample(AmznDriver, tmp_path)
    (trial.folder / CDN / "al2023").rename(trial.folder / CDN / "al2029")
    path = trial.folder / CDN / "al2029/core/mirrors/latest/x86_64/mirror.list"
    path.write_bytes(path.read_bytes().replace(b"al2023", b"al2029"))
    trial.edit(Edit(f"{SITE}/index.html", replaced(b"alas2023", b"alas2029")))
    records, context = trial.run()
    assert ids(records, "amzn:2029") == ["ALAS2023-2024-901"]
    assert (FEED, "amzn:2023") in context.skipped


def test_repositories_can_be_left_out(tmp_path: Path) -> None:
    """By pattern; a release that is left out is not asked for at all."""
    settings = AmznSettings(exclude=("1", "2022"), exclude_repositories=("2/extras/kernel-*",), descriptions=False)
    records, context = on_sample(AmznDriver, tmp_path, settings).run()
    assert {record.group for record in records} == {"amzn:2", "amzn:2023"} == {group for _, group in context.covered}
    assert ids(records, "amzn:2") == ["ALAS-2024-9001", "ALAS-2024-9002"]
    assert {record["Vulnerability"]["Description"] for record in bodies(records).values()} == {""}


def test_pages_stand_in_for_a_missing_repository(tmp_path: Path) -> None:
    """With a note; once a release was published from its repository it stays as it is instead."""
    trial = on_sample(AmznDriver, tmp_path)
    first, _ = trial.fetch()
    (trial.folder / OLD).unlink()
    records, context = trial.run()
    (record,) = (record for record in records if record.group == "amzn:2022")
    assert (
        record.body.vulnerability.description
        == "quillfs keeps deleted names in its index & serves them. (CVE-2022-0301)"
    )
    assert [(fix.name, fix.version) for fix in record.body.vulnerability.fixed_in] == [
        ("quillfs", "3.0.9-1.amzn2022.0.1")
    ]
    assert [note[:45] for note in context.notes] == ["amzn:2022 is read from the pages of the site:"]
    assert isinstance(first, Checkpoint)
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert list(context.skipped) == [(FEED, "amzn:2022")]


def test_a_release_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    """Extras that were published and cannot be had any more keep their release from shrinking; the others go on."""
    trial = on_sample(AmznDriver, tmp_path)
    first, context = trial.fetch()
    trial.parse(context)
    assert isinstance(first, Checkpoint)
    for lost in (CATALOGUE, KERNEL_LIST, f"{KERNEL}/repomd.xml", UPDATES):
        path = trial.folder / lost
        good = path.read_bytes()
        path.unlink()
        answer, context = trial.fetch(first)
        assert answer == UNCHANGED, lost
        assert list(context.skipped) == [(FEED, "amzn:2")], lost
        path.write_bytes(good)


def test_extras_that_never_were_are_told(tmp_path: Path) -> None:
    """A topic without a repository, or the catalogue, missing from the beginning: core is served, with a note."""
    trial = on_sample(AmznDriver, tmp_path)
    trial.edit(Edit(CATALOGUE, replaced(b'{"n"', b'{"n": "emacs"}, {"n"')))
    trial.edit(Edit(f"{KERNEL}/repomd.xml", replaced(b'"updateinfo"', b'"filelists"')))
    records, context = trial.run()
    assert ids(records, "amzn:2") == ["ALAS-2024-9001", "ALAS-2024-9002"]
    assert context.notes == ["amzn:2: extras without advisories: emacs, kernel-5.10"]
    (trial.folder / CATALOGUE).unlink()
    records, context = trial.run()
    assert [note[:36] for note in context.notes] == ["the extras of Amazon Linux 2 could n"]


@pytest.mark.parametrize(
    "document",
    ["[]", "{}", '{"topics": []}', '{"topics": [{}]}', '{"topics": [{"n": "../core"}]}', '{"topics": [{"n": ""}]}'],
)
def test_a_catalogue_of_another_shape_is_told(tmp_path: Path, document: str) -> None:
    """Nothing of it becomes part of an address or of a path."""
    trial = on_sample(AmznDriver, tmp_path)
    trial.edit(Edit(CATALOGUE, lambda _: document.encode()))
    _, context = trial.run()
    assert "2/extras-catalog.json" in context.notes[0]


def test_a_foreign_mirror_is_not_asked(tmp_path: Path) -> None:
    """A list that names none of the addresses that the driver declares is refused."""
    trial = on_sample(AmznDriver, tmp_path)
    trial.edit(Edit(NEWEST, lambda _: b"https://mirror.example.org/al2023\n"))
    _, context = trial.run()
    assert "the list names no mirror under https://cdn" in context.skipped[FEED, "amzn:2023"]


def test_another_digest_than_the_index_says_is_refused(tmp_path: Path) -> None:
    """A half-replaced repository is not read."""
    trial = on_sample(AmznDriver, tmp_path)
    trial.edit(
        Edit(
            f"{CORE}/repomd.xml", lambda data: data.replace(b'<checksum type="sha256">', b'<checksum type="sha256">0')
        )
    )
    _, context = trial.run()
    assert "the index says 0" in context.skipped[FEED, "amzn:2"]


def test_pages_are_asked_when_the_feed_says_something_new(tmp_path: Path) -> None:
    """Older pages rest until then; a page that is gone is left out with a note."""
    trial = Trial(AmznDriver, on_sample(AmznDriver, tmp_path).folder, tmp_path / "w", settings=TestAmznPages.settings)
    item = (trial.folder / FEED_2022).read_bytes().split(b"<item>")[1].split(b"</item>")[0]
    many = b"".join(
        b"<item>%s</item>" % item.replace(b"ALAS-2022-901", b"ALAS-2022-%d" % number) for number in range(120)
    )
    trial.edit(Edit(FEED_2022, lambda _: b"<rss><channel>" + many + b"</channel></rss>"))
    page = (trial.folder / PAGE).read_bytes()
    for number in range(119):
        (trial.folder / PAGE).with_name(f"ALAS-2022-{number}.html").write_bytes(page)
    records, context = trial.run()
    assert len(records) == 119
    assert context.notes == ["amzn:2022: pages that could not be had: ALAS-2022-119"]
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    old = (trial.folder / PAGE).with_name("ALAS-2022-110.html")
    old.write_bytes(page.replace(b"0.1.x86_64", b"0.9.x86_64"))
    assert trial.fetch(first)[0] == UNCHANGED
    trial.edit(Edit(FEED_2022, replaced(b"ALAS-2022-110 (medium)", b"ALAS-2022-110 (low)")))
    (fix,) = bodies(trial.run(first)[0])["amzn:2022", "ALAS-2022-110"]["Vulnerability"]["FixedIn"]
    assert fix["Version"] == "3.0.9-1.amzn2022.0.9"
    for number in range(30):
        (trial.folder / PAGE).with_name(f"ALAS-2022-{number}.html").unlink()
    with pytest.raises(UpstreamError, match="HTTP status 404"):
        Trial(AmznDriver, trial.folder, tmp_path / "new", settings=TestAmznPages.settings).run()


def test_nothing_to_be_had_ends_the_run(tmp_path: Path) -> None:
    """When no release can be had the run fails."""
    trial = on_sample(AmznDriver, tmp_path)
    for path in trial.folder.rglob("mirror.list"):
        path.unlink()
    (trial.folder / FEED_2022).unlink()
    with pytest.raises(UpstreamError, match=r"mirror\.list: HTTP status 404.*; and of the pages: https://alas"):
        trial.run()


def test_the_real_documents(replay: Any, upstreams: Any) -> None:
    """Day 1 gives every advisory, day 2 has the same documents; a fault leaves a release as it is."""
    amzn = upstreams(AmznDriver)
    records, context = amzn.run()
    counts = {group: len(ids(records, group)) for _, group in context.covered}
    assert counts == {"amzn:1": 1811, "amzn:2": 1618, "amzn:2022": 1, "amzn:2023": 1}
    assert context.skipped == {}
    assert context.unknown_values == {"id=CVE-PENDING": 2}
    replay.day(2)
    assert amzn.run()[1].skipped == {}
    for fault in ("status:503:", "html:", "empty:"):
        replay.clear()
        replay.fault(f"{fault}cdn.amazonlinux.com/2/core/latest")
        records, context = amzn.run()
        assert records == []
        assert list(context.skipped) == [(FEED, "amzn:2")], fault
    replay.clear()
    replay.fault("truncate:cdn.amazonlinux.com/2/core/2.0")
    for path in (amzn.workspace / "2").rglob("updateinfo*"):
        path.unlink()
    records, context = amzn.run()
    assert records == []
    assert list(context.skipped) == [(FEED, "amzn:2")]
