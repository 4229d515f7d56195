"""Driver osv on its sample: the suite, what documents become, and how sources stand or fall each for itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.drivers.driver_runs import SAMPLE, bodies
from tests.drivers.osv_documents import Document, document, files_of, packed, replacing, zipped
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context
from vulnfeeds.drivers.osv.driver import FEED, OSVDriver
from vulnfeeds.drivers.osv.settings import PRESETS, OSVSettings, SourceSettings
from vulnfeeds.errors import DownloadError, ParseError, StatusError
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Record
from vulnfeeds.records.withdrawal import withdraw
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial, copied

BITNAMI = "github.com/bitnami/vulndb/archive/refs/heads/main.tar.gz"
MOSSDB = "vulndb-main/data/mossdb/BIT-mossdb-2024-0102.json"
LAB = "https://lab.example.org/advisories.zip"


class TestOSV(DriverSuite):
    """What every driver must do, on the sources that are read when the settings say nothing."""

    driver = OSVDriver
    upstream = SAMPLE
    groups = frozenset(
        {(FEED, "bitnami:bitnami"), (FEED, "malicious-packages:npm"), (FEED, "malicious-packages:python")}
    )
    extended = (Edit(BITNAMI, replacing(MOSSDB, b'"published"', b'"credits": [{"name": "me"}], "published"')),)
    changed = (Edit(BITNAMI, replacing(MOSSDB, b"13.2.1", b"13.2.2")),)


class TestBitnami(DriverSuite):
    """What every driver must do, on one source: one that fails fails the run."""

    driver = OSVDriver
    upstream = SAMPLE
    settings = OSVSettings(presets=("bitnami",))
    groups = frozenset({(FEED, "bitnami:bitnami")})
    changed = TestOSV.changed
    sad = (
        Sad(Edit(BITNAMI, replacing(MOSSDB, b'"id": "BIT', b'"ID": "BIT')), f"{MOSSDB}: Object missing"),
        Sad(Edit(BITNAMI, replacing(MOSSDB, b'"events": [', b'"events": {"a": 1}, "old": [')), "ranges[0].events"),
        Sad(Edit(BITNAMI, replacing(MOSSDB, b'"BIT-mossdb-2024-0102"', b'""')), "a document without id"),
        Sad(Edit(BITNAMI, lambda _: packed({"vulndb-main/README.md": b"moved"})), "no OSV document"),
        Sad(Edit(BITNAMI, lambda _: packed({"vulndb-main/../data/a/BIT-1.json": b"{}"})), "leads out"),
        Sad(Edit(BITNAMI, lambda _: packed(files_of("v/data/m/", document("BIT-1", "Lab")))), "no document is about"),
    )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """The advisories of all presets by (group, id)."""
    settings = OSVSettings(presets=tuple(PRESETS))  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("osv")
    upstream = copied(OSVDriver(settings), SAMPLE, folder / "upstream")
    records, context = Trial(OSVDriver, upstream, folder / "workspace", settings=settings).run()
    assert context.skipped == {}
    assert context.unknown_values == {}
    return {key: body["Advisory"] for key, body in bodies(records).items()}


def ranges(advisory: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (range, fixing version) of an advisory's packages."""
    return [(fix["range"], fix["identifier"]) for fix in advisory["FixedIn"]]


def test_every_preset_has_its_groups(sample: dict[tuple[str, str], Any]) -> None:
    """A group is a source and an ecosystem, so that no group of feed github has a rival."""
    assert sorted({group for group, _ in sample}) == [
        "bitnami:bitnami",
        "govulndb:go",
        "malicious-packages:npm",
        "malicious-packages:python",
        "pypa:python",
        "rustsec:rust",
    ]


def test_aliases_are_recorded(sample: dict[tuple[str, str], Any]) -> None:
    """All other ids are kept; those of CVEs stand where readers of github's form look for them."""
    advisory = sample["govulndb:go", "GO-2024-0001"]
    assert advisory["ghsaId"] == "GO-2024-0001"
    assert advisory["aliases"] == ["CVE-2024-0120", "GHSA-2222-3333-4444"]
    assert advisory["CVE"] == advisory["Metadata"]["CVE"] == ["CVE-2024-0120"]


def test_paths_and_symbols_of_go_are_kept(sample: dict[tuple[str, str], Any]) -> None:
    """What only Go's database knows stays as it says it: which packages of a module, and which of their functions."""
    (package,) = sample["govulndb:go", "GO-2024-0001"]["affected"]
    imports = [{"path": "go.example.org/moss/auth", "symbols": ["Check", "Session.Open"]}]
    assert package == {"name": "go.example.org/moss", "ecosystem_specific": {"imports": imports}}


def test_severity_is_upstreams_word_or_the_band_of_its_vector(sample: dict[tuple[str, str], Any]) -> None:
    """Bitnami says a word, RustSec a CVSS 4 vector, Go nothing at all."""
    assert sample["bitnami:bitnami", "BIT-mossdb-2024-0102"]["Severity"] == "High"
    assert sample["rustsec:rust", "RUSTSEC-2024-0001"]["Severity"] == "Critical"
    assert sample["govulndb:go", "GO-2024-0001"]["Severity"] == "Unknown"


def test_malware_is_told_apart(sample: dict[tuple[str, str], Any]) -> None:
    """A malicious package is classified as such, and all or single versions of it are affected."""
    advisory = sample["malicious-packages:npm", "MAL-2024-0001"]
    assert advisory["Classification"] == "MALWARE"
    assert ranges(advisory) == [(">= 0", "None")]
    assert ranges(sample["malicious-packages:python", "MAL-2024-0002"]) == [("= 1.0.0", "None"), ("= 1.0.1", "None")]


def test_withdrawn_documents_are_withdrawn_records(sample: dict[tuple[str, str], Any]) -> None:
    """Since when stands where clients look; records that hold say null."""
    assert sample["bitnami:bitnami", "BIT-fern-2024-0110"]["withdrawn"] == "2024-08-22T00:00:00Z"
    assert sample["bitnami:bitnami", "BIT-mossdb-2024-0102"]["withdrawn"] is None


def test_a_bucket_gives_what_the_pattern_names(sample: dict[tuple[str, str], Any]) -> None:
    """Of PyPI's bucket PyPA's own documents are read; a missing summary is the first line of the details."""
    assert [key for group, key in sample if group == "pypa:python"] == ["PYSEC-2024-1"]
    advisory = sample["pypa:python", "PYSEC-2024-1"]
    assert advisory["Summary"] == "fern writes outside of its folder."
    assert advisory["details"] == "fern writes outside of its folder.\nUpdate it."
    assert advisory["url"].endswith("/PYSEC-2024-1")


@pytest.mark.parametrize(
    ("ecosystem", "kind", "events", "versions", "expected"),
    [
        ("npm", "SEMVER", ["i0", "f1.2.0"], [], [("< 1.2.0", "1.2.0")]),
        (
            "npm",
            "SEMVER",
            ["f1.10.0", "i1.9.0", "f1.2.0", "i0"],
            [],
            [("< 1.2.0", "1.2.0"), (">= 1.9.0 < 1.10.0", "1.10.0")],
        ),
        ("npm", "SEMVER", ["i2.0.0", "l2.4.0"], [], [(">= 2.0.0 <= 2.4.0", "None")]),
        ("npm", "SEMVER", ["i2.0.0", "m3.0.0"], [], [(">= 2.0.0 < 3.0.0", "None")]),
        ("npm", "SEMVER", ["i0"], [], [(">= 0", "None")]),
        ("npm", "SEMVER", ["i1.0.0", "f1.0.0"], [], []),
        (
            "PyPI",
            "ECOSYSTEM",
            ["i0", "f1.0.post1", "i2.0a1", "f2.0"],
            [],
            [("< 1.0.post1", "1.0.post1"), (">= 2.0a1 < 2.0", "2.0")],
        ),
        ("PyPI", "GIT", ["i0", "f8c6b1d"], ["1.0", "1.1"], [("= 1.0", "None"), ("= 1.1", "None")]),
        ("PyPI", "GIT", ["i0", "f8c6b1d"], [], []),
        ("npm", "SEMVER", [], ["1.0.0"], [("= 1.0.0", "None")]),
        ("npm", "SEMVER", ["i0", "f1.2.0"], ["1.0.0", "1.1.0"], [("< 1.2.0", "1.2.0")]),
        ("npm", "SEMVER", ["i0", "f1,2"], [], []),
        ("npm", "SEMVER", ["i0", "f1.0 || >= 0"], [], []),
    ],
)
def test_events_become_ranges_without_commas(
    tmp_path: Path, ecosystem: str, kind: str, events: list[str], versions: list[str], expected: list[tuple[str, str]]
) -> None:
    """Events in any order; the last affected version; a limit; single versions; commits, which are no versions."""
    words = {"i": "introduced", "f": "fixed", "l": "last_affected", "m": "limit"}
    said = [{words[event[0]]: event[1:]} for event in events]
    case = document("LAB-1", ecosystem, events=said, kind=kind, affects={"versions": versions})
    served, _ = Lab(tmp_path, case).served()
    (advisory,) = served.values()
    assert ranges(advisory) == expected


class Lab:
    """A source of our own in an archive or a folder."""

    def __init__(self, root: Path, *documents: Document, **settings: Any) -> None:
        self.root = root
        self.settings = settings or {"archive": LAB}
        self.upstream = root / "upstream" / "lab.example.org" / "advisories.zip"
        self.upstream.parent.mkdir(parents=True)
        self.write(*documents)

    def write(self, *documents: Document) -> None:
        """Let the archive hold these."""
        self.upstream.write_bytes(zipped(files_of("", *documents)))

    def trial(self, **more: SourceSettings) -> Trial:
        """Return the driver with this source, and others."""
        sources = {"lab": SourceSettings(**self.settings), **more}
        chosen = OSVSettings(presets=(), sources=sources)
        return Trial(OSVDriver, self.root / "upstream", self.root / "workspace", settings=chosen)

    def served(self) -> tuple[dict[tuple[str, str], Any], Context]:
        """Return the advisories by (group, id)."""
        records, context = self.trial().run()
        return {key: body["Advisory"] for key, body in bodies(records).items()}, context


def test_what_is_not_known_is_counted(tmp_path: Path) -> None:
    """An ecosystem without a group, a type of range, a word and a vector that are newer than we."""
    strange = document("LAB-1", "npm", kind="VERSIONS", severity=[{"type": "CVSS_V9", "score": "CVSS:9/A:B"}])
    strange["affected"].append({"package": {"ecosystem": "Lab", "name": "moss"}})
    strange["database_specific"] = {"severity": "DIRE"}
    served, context = Lab(tmp_path, strange, document("LAB-2", "Lab")).served()
    assert [key for _, key in served] == ["LAB-1"]
    assert context.unknown_values == {
        "ecosystem=Lab": 2,
        "range=VERSIONS": 1,
        "CVSS vector=CVSS:9/A:B": 1,
        "severity=DIRE": 1,
    }


def test_the_settings_say_which_groups_ecosystems_fill(tmp_path: Path) -> None:
    """Those that the settings name are served under that name, others are counted; a registry's address is no other
    ecosystem."""
    mapped = {"archive": LAB, "ecosystems": {"Maven": "jars"}}
    served, context = Lab(
        tmp_path, document("LAB-1", "Maven:https://repo.example/"), document("LAB-2", "npm"), **mapped
    ).served()
    assert list(served) == [("lab:jars", "LAB-1")]
    assert context.unknown_values == {"ecosystem=npm": 1}


def test_one_document_of_two_ecosystems_is_a_record_in_each(tmp_path: Path) -> None:
    """Each with the packages of its own ecosystem only."""
    both = document("LAB-1", "npm", "moss")
    both["affected"] += document("LAB-1", "PyPI", "pymoss")["affected"]
    served, _ = Lab(tmp_path, both).served()
    assert {group: [fix["name"] for fix in said["FixedIn"]] for (group, _), said in served.items()} == {
        "lab:npm": ["moss"],
        "lab:python": ["pymoss"],
    }


def test_a_folder_is_a_source(tmp_path: Path) -> None:
    """Its documents are copied, found in folders below it, and not followed where links lead."""
    given = tmp_path / "given"
    (given / "2024").mkdir(parents=True)
    (given / "2024" / "LAB-1.json").write_text(json.dumps(document("LAB-1", "npm")))
    (given / "notes.txt").write_text("no document")
    (given / "link.json").symlink_to(given / "notes.txt")
    lab = Lab(tmp_path, folder=str(given))
    trial = lab.trial()
    checkpoint = first(trial)
    assert trial.fetch(checkpoint)[0] == UNCHANGED
    (given / "2024" / "LAB-1.json").write_text(json.dumps(document("LAB-1", "npm", events=[{"introduced": "0"}])))
    records, _ = trial.run(checkpoint)
    assert [record.key for record in records] == ["LAB-1"]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """The error names the setting."""
    with pytest.raises(ParseError, match=r"driver\.osv\.sources\.lab\.folder: .* is no folder"):
        Lab(tmp_path, folder=str(tmp_path / "nowhere")).trial().run()


def first(trial: Trial) -> Checkpoint:
    """Return the checkpoint of a first run that published."""
    answer, context = trial.fetch()
    assert isinstance(answer, Checkpoint)
    trial.parse(context)
    return answer


def other(tmp_path: Path, content: bytes) -> SourceSettings:
    """Return a second source, whose archive is this."""
    path = tmp_path / "upstream" / "other.example.org" / "all.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return SourceSettings(archive="https://other.example.org/all.zip")


def test_a_source_that_cannot_be_had_leaves_its_groups(tmp_path: Path) -> None:
    """The others are served, its groups stay as they are, and the task says why."""
    lab = Lab(tmp_path, document("LAB-1", "npm"))
    trial = lab.trial(other=other(tmp_path, zipped(files_of("", document("OTHER-1", "npm")))))
    checkpoint = first(trial)
    (tmp_path / "upstream" / "other.example.org" / "all.zip").unlink()
    lab.write(document("LAB-2", "npm"))
    records, context = trial.run(checkpoint)
    assert [record.key for record in records] == ["LAB-2"]
    assert context.covered == {(FEED, "lab:npm")}
    assert "404" in context.skipped[FEED, "other:npm"]


def test_a_bad_document_ends_its_source_only(tmp_path: Path) -> None:
    """Before anything of it is published; when it is mended under the same address it is read again."""
    lab = Lab(tmp_path, document("LAB-1", "npm"))
    bad = zipped({**files_of("", document("OTHER-1", "npm")), "OTHER-2.json": b'{"id": 7}'})
    trial = lab.trial(other=other(tmp_path, bad))
    records, context = trial.run()
    assert [record.key for record in records] == ["LAB-1"]
    assert context.notes == [
        "other could not be had: https://other.example.org/all.zip: other: OTHER-2.json: "
        "Expected `str`, got `int` - at `$.id`"
    ]
    other(tmp_path, zipped(files_of("", document("OTHER-1", "npm"))))
    records, context = trial.run()
    assert [record.key for record in records] == ["LAB-1", "OTHER-1"]


def test_a_document_with_another_id_is_another_record(tmp_path: Path) -> None:
    """The old one is not reported any more, and the group is covered: it is withdrawn."""
    lab = Lab(tmp_path, document("LAB-1", "npm"))
    checkpoint = first(lab.trial())
    lab.write(document("LAB-9", "npm"))
    records, context = lab.trial().run(checkpoint)
    assert [record.key for record in records] == ["LAB-9"]
    assert context.covered == {(FEED, "lab:npm")}


def test_an_ecosystem_that_a_source_left_is_covered(tmp_path: Path) -> None:
    """So that its records are withdrawn."""
    lab = Lab(tmp_path, document("LAB-1", "npm"), document("LAB-2", "PyPI"))
    checkpoint = first(lab.trial())
    lab.write(document("LAB-1", "npm"))
    _, context = lab.trial().run(checkpoint)
    assert context.covered == {(FEED, "lab:npm"), (FEED, "lab:python")}


def test_a_withdrawn_record_keeps_the_contract(sample: dict[tuple[str, str], Any]) -> None:
    """What upstream reports no more gets the time at which it went; upstream's own time stays."""
    for key, expected in (
        ("BIT-mossdb-2024-0102", "2024-08-30T00:00:00Z"),
        ("BIT-fern-2024-0110", "2024-08-22T00:00:00Z"),
    ):
        body = canonical.encode({"Advisory": sample["bitnami:bitnami", key], "Vulnerability": {}})
        gone = withdraw(FEED, body, at="2024-08-30T00:00:00Z")
        contract.check(FEED, "bitnami:bitnami", gone)
        assert msgspec.json.decode(gone)["Advisory"]["withdrawn"] == expected


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"PK\x03\x04 and no more", DownloadError, "broken"),
        (zipped({"../../LAB-1.json": b"{}"}), DownloadError, "leads out"),
        (zipped({"LAB-1.json": b"[" * 100_000}), ParseError, "LAB-1.json"),
        (
            zipped(
                {
                    "LAB-1.json": b'{"id": "A", "modified": "", "database_specific": {"a": '
                    + b"[" * 2000
                    + b"]" * 2000
                    + b"}}"
                }
            ),
            ParseError,
            "LAB-1.json",
        ),
        (zipped({"LAB-1.json": b"\xff\xfe"}), ParseError, "LAB-1.json"),
        (zipped({"notes.txt": b"moved"}), ParseError, "no OSV document"),
        (b"<!DOCTYPE html><html></html>", DownloadError, "HTML"),
    ],
    ids=["broken", "outside", "deep", "deep inside", "no UTF-8", "nothing", "a page"],
)
def test_hostile_archives_are_refused(tmp_path: Path, content: bytes, error: type[Exception], says: str) -> None:
    """The error says where and why, and nothing is published."""
    lab = Lab(tmp_path)
    lab.upstream.write_bytes(content)
    with pytest.raises(error, match=says):
        lab.trial().run()


def test_nothing_can_be_asked_but_what_the_settings_name(tmp_path: Path) -> None:
    """The addresses are those of the chosen sources."""
    assert OSVDriver(OSVSettings(presets=("govulndb",))).upstreams == ("https://vuln.go.dev/vulndb.zip",)
    with pytest.raises(ParseError, match="the settings name no source"):
        Trial(OSVDriver, tmp_path, tmp_path / "workspace", settings=OSVSettings(presets=())).run()
    with pytest.raises(StatusError, match="404"):
        Trial(OSVDriver, tmp_path, tmp_path / "workspace", settings=OSVSettings(presets=("govulndb",))).run()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lab": {}}, "exactly one of archive and folder"),
        ({"lab": {"archive": LAB, "folder": "x"}}, "exactly one of archive and folder"),
        ({"lab": {"archive": "ftp://lab.example.org/a.zip"}}, "is no http or https URL"),
        ({"lab": {"folder": "x", "redirected": LAB}}, "redirected goes with archive only"),
        ({"lab": {"archive": LAB, "documents": []}}, "names no pattern"),
        ({"lab": {"archive": LAB, "ecosystems": {"Go": "Go:1"}}}, "is no name of a group"),
        ({"The Lab": {"archive": LAB}}, "is no name of a source"),
        ({"lab": {"archive": LAB, "bucket": "x"}}, "bucket"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], says: str) -> None:
    """With the setting and the reason."""
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert({"sources": settings}, OSVSettings)


def test_a_source_takes_the_place_of_a_preset() -> None:
    """One with its name: another address, another map."""
    mine = SourceSettings(archive=LAB)
    assert OSVSettings(presets=("bitnami",), sources={"bitnami": mine}).chosen == {"bitnami": mine}


def test_records_of_the_driver_are_lazy(tmp_path: Path) -> None:
    """The first record comes before the last document is read."""
    trial = Lab(tmp_path, *(document(f"LAB-{number}", "npm") for number in range(3))).trial()
    _, context = trial.fetch()
    stream = OSVDriver(trial._settings).parse(context)
    assert isinstance(next(stream), Record)
