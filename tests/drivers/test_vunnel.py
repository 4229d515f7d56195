"""Driver vunnel: the suite on its sample, what results become, and everything that must not be published."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, replaced
from tests.drivers.vunnel_workspaces import (
    GITHUB,
    KEV,
    OSV,
    SCHEMAS,
    Result,
    listing,
    make,
    pack,
    result,
    seal,
    vulnerability,
)
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context
from vulnfeeds.drivers.vunnel.driver import VunnelDriver
from vulnfeeds.drivers.vunnel.settings import SourceSettings, VunnelSettings
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records.record import Record
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

FEED = "vulnerabilities"
HOST = "https://vunnel.example.org"
ARCH = "vunnel.example.org/arch/listing.json"
BITNAMI = "vunnel.example.org/bitnami/workspace.tar.gz"


def source(**settings: Any) -> SourceSettings:
    """Return settings of a source."""
    return SourceSettings(**settings)


def repacked(change: Callable[[Path], object]) -> Callable[[bytes], bytes]:
    """Return a change of the workspace in an archive, which is sealed and packed again."""

    def repack(data: bytes) -> bytes:
        import tempfile

        with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(name, filter="data")
            change(Path(name))
            return pack(Path(name), packing="gz")

    return repack


def edited(old: bytes, new: bytes) -> Callable[[Path], None]:
    """Return a change of one result of the Bitnami sample."""

    def edit(workspace: Path) -> None:
        path = workspace / "results" / "bitnami" / "bit-mossdb-2024-0102.json"
        path.write_bytes(replaced(old, new)(path.read_bytes()))
        seal(workspace, "bitnami", store="flat-file")

    return edit


class TestVunnel(DriverSuite):
    """What every driver must do, on the sample upstream: one source by a listing, one by a bare archive."""

    driver = VunnelDriver
    upstream = SAMPLE
    settings = VunnelSettings(
        sources={
            "arch": source(archive=f"{HOST}/arch/listing.json"),
            "bitnami": source(archive=f"{HOST}/bitnami/workspace.tar.gz"),
        }
    )
    groups = frozenset({(FEED, "vunnel-arch:rolling"), (FEED, "bitnami:rolling")})
    extended = (
        Edit(ARCH, replaced(b'"available"', b'"new": {}, "available"')),
        Edit(BITNAMI, repacked(edited(b'"schema_version"', b'"new": {}, "schema_version"'))),
    )
    changed = (Edit(BITNAMI, repacked(edited(b"13.2.1", b"13.2.2"))),)
    sad = (
        Sad(
            Edit(BITNAMI, repacked(edited(b'"modified"', b'"changed"'))), "bit-mossdb-2024-0102.json: Object missing"
        ),
        Sad(Edit(BITNAMI, repacked(edited(b"osv/schema-1", b"osv/schema-2"))), "version 2 of schema 'osv'"),
    )


class Case:
    """A source as a finished workspace, in a folder that tests may spoil."""

    def __init__(self, folder: Path, name: str = "lab") -> None:
        self.name = name
        self.folder = folder / "given"
        self.workspace = folder / "workspace"
        self.root = folder

    def make(self, *results: Result, **how: Any) -> Path:
        """Write the workspace."""
        return make(self.folder, self.name, results or [vulnerability("CVE-2024-0001", "lab:1")], **how)

    def trial(self, **settings: Any) -> Trial:
        """Return the driver with this source only."""
        settings = settings or {"workspace": str(self.folder)}
        chosen = VunnelSettings(sources={self.name: source(**settings)})
        return Trial(VunnelDriver, self.root / "upstream", self.workspace, settings=chosen)

    def run(self, **settings: Any) -> tuple[list[Record], Context]:
        """Fetch and parse."""
        return self.trial(**{"workspace": str(self.folder), **settings}).run()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A source whose workspace is not made yet."""
    return Case(tmp_path)


# --- what results become ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["sqlite", "flat-file"])
def test_a_distributions_result_comes_through_in_the_form_of_ours(case: Case, store: str) -> None:
    """Whichever way it is stored: fixes in order, absent objects made, dates under one spelling."""
    summary = {"ID": "ASA-1", "Link": None}
    case.make(
        vulnerability(
            "CVE-2024-0001",
            "lab:1",
            {
                "Name": "zlib",
                "VendorAdvisory": None,
                "Module": None,
                "Available": {"date": "2024-05-06", "kind": "x"},
            },
            {"VendorAdvisory": {"NoAdvisory": True, "AdvisorySummary": [summary]}, "Advisories": []},
            {"Name": "echo", "Version": "", "VulnerableRange": "<2"},
            Metadata=None,
            CVSS=[{"version": "3.1", "vector_string": "CVSS:3.1/AV:N", "base_metrics": {"base_score": 5.0}}],
        ),
        store=store,
    )
    found = bodies(case.run()[0])
    plain = {"NamespaceName": "lab:1", "VersionFormat": "pacman"}
    nothing = {"NoAdvisory": False, "AdvisorySummary": []}
    assert found["lab:1", "CVE-2024-0001"]["Vulnerability"] == {
        "Name": "CVE-2024-0001",
        "NamespaceName": "lab:1",
        "Description": "",
        "Severity": "Medium",
        "Link": "https://example.org/CVE-2024-0001",
        "Metadata": {},
        "CVSS": [
            {
                "version": "3.1",
                "vector_string": "CVSS:3.1/AV:N",
                "status": "",
                "base_metrics": {
                    "base_score": 5.0,
                    "base_severity": "",
                    "exploitability_score": 0.0,
                    "impact_score": 0.0,
                },
            }
        ],
        "FixedIn": [
            {
                **plain,
                "Name": "acl",
                "Version": "1-1",
                "VendorAdvisory": {"NoAdvisory": True, "AdvisorySummary": [{"ID": "ASA-1", "Link": ""}]},
            },
            {**plain, "Name": "echo", "Version": "None", "VendorAdvisory": nothing, "VulnerableRange": "<2"},
            {
                **plain,
                "Name": "zlib",
                "Version": "1-1",
                "VendorAdvisory": nothing,
                "Available": {"Date": "2024-05-06", "Kind": "x"},
            },
        ],
    }


def test_a_fix_that_is_given_for_each_architecture_is_given_once(case: Case) -> None:
    """Clients keep one fix of a package and version: what holds for one architecture or range only is left out."""
    case.make(
        vulnerability("A-1", "lab:1", {"Arch": "x86_64"}, {"Arch": "aarch64"}),
        vulnerability("A-2", "lab:1", {"VulnerableRange": "<1"}, {"VulnerableRange": ">2, <3"}),
        vulnerability("A-3", "lab:1", {"Arch": "x86_64"}),
    )
    records, context = case.run()
    found = {key: body["Vulnerability"]["FixedIn"] for (_, key), body in bodies(records).items()}
    assert [[fix.get("Arch"), fix.get("VulnerableRange")] for fixes in found.values() for fix in fixes] == [
        [None, None],
        [None, None],
        ["x86_64", None],
    ]
    assert context.unknown_values == {"several VulnerableRange of one package and version=acl": 1}


def test_a_severity_that_nobody_gives_is_left_to_the_nvd(case: Case) -> None:
    """Of CVEs only; a word that we do not know is counted."""
    case.make(
        vulnerability("CVE-2024-0001", "lab:1", Severity="Unknown"),
        vulnerability("CVE-2024-0002", "lab:1", Severity="dire"),
        vulnerability("LAB-1", "lab:1", Severity="Unknown"),
        vulnerability("CVE-2024-0003", "lab:1", Severity="Low"),
    )
    records, context = case.run()
    assert {record.key: record.takes_severity for record in records} == {
        "CVE-2024-0001": True,
        "CVE-2024-0002": True,
        "LAB-1": False,
        "CVE-2024-0003": False,
    }
    assert context.unknown_values == {"Severity=dire": 1}


def test_a_fix_of_another_group_goes_to_quarantine(case: Case) -> None:
    """It is not taken for one of this group, and not dropped silently."""
    case.make(vulnerability("CVE-2024-0001", "lab:1", {"NamespaceName": "lab:2"}))
    (record,) = case.run()[0]
    with pytest.raises(Exception, match="NamespaceName is 'lab:2', the group is 'lab:1'"):
        bodies([record])


def test_advisories_of_github_and_kev_keep_their_shape(case: Case) -> None:
    """They are our feeds' already; a range that is said twice is said once, the name of the group is ours."""
    fix = {"name": "acorn", "identifier": "None", "ecosystem": "npm", "namespace": "github:npm", "range": "< 5.7.4"}
    advisory = {
        "ghsaId": "GHSA-7fhm-mqm4-2wp7",
        "namespace": "github:npm",
        "Summary": "s",
        "url": "https://github.com/advisories/GHSA-7fhm-mqm4-2wp7",
        "Severity": "High",
        "CVE": ["CVE-2020-7598"],
        "Metadata": {"CVE": ["CVE-2020-7598"]},
        "FixedIn": [fix, {**fix, "identifier": "5.7.4"}, {**fix, "name": "minimist"}],
    }
    names = ("vendorProject", "product", "vulnerabilityName", "dateAdded", "shortDescription", "requiredAction")
    exploited = {"cveID": "CVE-2024-0003", **dict.fromkeys((*names, "dueDate"), "x"), "new": [1]}
    case.make(
        result("github:npm/ghsa", {"Vulnerability": {}, "Advisory": advisory}, GITHUB),
        result("kev:cve-2024-0003", exploited, KEV),
    )
    found = bodies(case.run(rename={"github": "lab"})[0])
    assert found["vunnel-kev:known-exploited", "CVE-2024-0003"] == exploited
    ours = {**fix, "namespace": "lab:npm"}
    assert found["lab:npm", "GHSA-7fhm-mqm4-2wp7"] == {
        "Advisory": {
            **advisory,
            "namespace": "lab:npm",
            "withdrawn": None,
            "FixedIn": [{**ours, "identifier": "5.7.4"}, {**ours, "name": "minimist"}],
        }
    }


def osv(name: str, ecosystem: str, *events: dict[str, str], **more: Any) -> Result:
    """Return an OSV result about one package."""
    package = {
        "package": {"ecosystem": ecosystem, "name": "moss"},
        "ranges": [{"type": "SEMVER", "events": events or [{"introduced": "0"}]}],
        **more.pop("affected", {}),
    }
    document = {"id": name, "modified": "2024-02-03T00:00:00Z", "affected": [package], **more}
    return result(f"osv/{name.lower()}", document, OSV)


def test_osv_documents_go_to_the_groups_of_their_ecosystems(case: Case) -> None:
    """Versions become fixes, vectors the severity; void documents say nothing, unknown ecosystems are counted."""
    vector = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    case.make(
        osv("BIT-1", "Bitnami", {"introduced": "2.0"}, {"fixed": "2.4"}, affected={"severity": vector}),
        osv("GO-1", "Go", severity=[{"type": "CVSS_V3", "score": "odd"}]),
        osv("CVE-2024-1", "Wolfi", {"introduced": "0"}, {"fixed": "0"}),
        osv(
            "ALSA-2024:1", "AlmaLinux:9", {"introduced": "0"}, {"fixed": "1-1.el9"}, summary="Moderate: moss security"
        ),
        osv("BIT-2", "Bitnami", withdrawn="2024-03-04T00:00:00Z"),
        osv("X-1", "Hackage"),
        store="flat-file",
    )
    records, context = case.run()
    told = {
        (group, key): (
            body["Vulnerability"]["Severity"],
            [(f["Version"], f["VersionFormat"], f.get("VulnerableRange")) for f in body["Vulnerability"]["FixedIn"]],
        )
        for (group, key), body in bodies(records).items()
    }
    assert told == {
        ("bitnami:rolling", "BIT-1"): ("Critical", [("2.4", "semver", ">=2.0, <2.4")]),
        ("go:rolling", "GO-1"): ("Unknown", [("None", "semver", None)]),
        ("vunnel-wolfi:rolling", "CVE-2024-1"): ("Unknown", [("0", "apk", None)]),
        ("vunnel-alma:9", "ALSA-2024:1"): ("Medium", [("1-1.el9", "rpm", None)]),
    }
    assert context.unknown_values == {"CVSS_V3=odd": 1, "ecosystem=Hackage": 1}
    assert [record.key for record in records if record.takes_severity] == ["CVE-2024-1"]


# --- names of groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "group"),
    [
        ({}, "vunnel-rhel:8"),
        ({"prefix": ""}, "rhel:8"),
        ({"prefix": "x."}, "x.rhel:8"),
        ({"rename": {"rhel": "lab"}}, "lab:8"),
        ({"rename": {"rhel": "lab", "rhel:8": "eight"}}, "eight"),
    ],
)
def test_groups_do_not_clash_with_our_own_drivers_unless_the_settings_say_so(
    case: Case, settings: dict[str, Any], group: str
) -> None:
    """A family of ours gets the prefix; renaming wins over it, a whole name over a family."""
    case.make(vulnerability("CVE-2024-0001", "rhel:8"))
    records, context = case.run(**settings)
    assert [record.group for record in records] == [group]
    assert context.covered == {(FEED, group)}


def test_two_sources_cannot_fill_one_group(tmp_path: Path) -> None:
    """They would withdraw each other's records; the error names both."""
    made = [make(tmp_path / name, name, [vulnerability("CVE-2024-0001", "x:1")]) for name in ("one", "two")]
    settings = VunnelSettings(sources={path.name: source(workspace=str(path)) for path in made})
    with pytest.raises(ParseError, match=r"sources\.two: fills group x:1, which one fills already"):
        Trial(VunnelDriver, tmp_path, tmp_path / "workspace", settings=settings).run()


# --- what must not be published -------------------------------------------------------------------------------------


def spoil(path: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Return a change of a file of the workspace."""
    return lambda folder: (folder / path).write_bytes(replaced(old, new)((folder / path).read_bytes()))  # type: ignore[func-returns-value]


def listed(line: str) -> Callable[[Path], None]:
    """Return a change of the listing, whose digest is made to fit."""

    def change(folder: Path) -> None:
        (folder / "checksums").write_text(line)
        from tests.drivers.vunnel_workspaces import digest

        state = json.loads((folder / "metadata.json").read_text())
        state["listing"]["digest"] = digest(folder / "checksums")
        (folder / "metadata.json").write_text(json.dumps(state))

    return change


def database(*statements: str) -> Callable[[Path], None]:
    """Return a change of the SQLite file, sealed again."""

    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "results" / "results.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        seal(folder, "lab")

    return change


def resealed(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a change after which the digests fit again."""
    return lambda folder: (change(folder), seal(folder, "lab"))  # type: ignore[func-returns-value, return-value]


def linked(folder: Path) -> None:
    """Put a link to another file in the place of the results."""
    results = folder / "results" / "results.db"
    results.rename(folder.parent / "elsewhere.db")
    results.symlink_to(folder.parent / "elsewhere.db")


TABLE = "results/results.db"
SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "results changed": (
        spoil(TABLE, b"CVE-2024-0001", b"CVE-2024-0009"),
        r"results\.db: its digest is \w{16}, checks",
    ),
    "listing changed": (spoil("checksums", b"results/", b"results/x"), r"lab/checksums: its digest is"),
    "half written": (lambda folder: (folder / TABLE).unlink(), r"results\.db: is no file: is vunnel at work there"),
    "no state yet": (lambda folder: (folder / "metadata.json").unlink(), r"sources\.lab\.workspace: .* no metadata"),
    "cut state": (spoil("metadata.json", b"false\n}", b""), r"lab/metadata\.json: "),
    "cleared": (lambda folder: seal(folder, "lab", listing=None), r"names no listing of checksums"),
    "listing elsewhere": (spoil("metadata.json", b'"checksums"', b'"../checksums"'), r"is no file beside it"),
    "out of the folder": (listed(f"{'0' * 16}  results/../../etc/passwd\n"), r"line 1: .*leads out of the folder"),
    "absolute": (listed(f"{'0' * 16}  /etc/passwd\n"), r"line 1: '/etc/passwd' leads out"),
    "not of the results": (listed(f"{'0' * 16}  input/all.json\n"), r"line 1: .* is no file of results"),
    "no digest": (listed("results/results.db\n"), r"line 1: is no digest and path"),
    "nothing listed": (listed(""), r"checksums: names no results of a sqlite store"),
    "link": (linked, r"results\.db: is no file"),
    "other source": (lambda folder: seal(folder, "debian"), r"is of 'debian', not of 'lab'"),
    "other store": (lambda folder: seal(folder, "lab", store="tape"), r"Invalid enum value 'tape'"),
    "other state": (
        lambda folder: seal(folder, "lab", schema={"url": f"{SCHEMAS}provider-workspace-state/schema-2.0.0.json"}),
        r"version 2 of schema 'provider-workspace-state' is not known, only 1",
    ),
    "no state at all": (lambda folder: seal(folder, "lab", schema={"url": "x"}), r"'x' is the address of no schema"),
    "stale": (
        lambda folder: seal(folder, "lab", timestamp="2024-08-20T00:00:00+00:00"),
        r"the results are stale: of 2024-08-20T00:00:00Z, 10\.3 days old; 7 are allowed \(max_age_days\)",
    ),
    "no zone": (lambda folder: seal(folder, "lab", timestamp="2024-08-29T00:00:00"), r"timestamp has no time zone"),
    "no result": (database("DELETE FROM results"), r"a source without results is never the truth"),
    "no table": (database("DROP TABLE results"), r"has no plain table `results`"),
    "view": (
        database("ALTER TABLE results RENAME TO r", "CREATE VIEW results AS SELECT * FROM r"),
        r"no plain table",
    ),
    "other columns": (database("ALTER TABLE results RENAME COLUMN record TO body"), r"no such column: record"),
    "number": (database("UPDATE results SET record = 5"), r"'lab:1/cve-2024-0001': its record is no bytes"),
    "no JSON": (database("UPDATE results SET record = '{'"), r"'lab:1/cve-2024-0001': Input data was truncated"),
    "no database": (resealed(lambda folder: bool((folder / TABLE).write_bytes(b"x" * 9999))), r"not a database"),  # type: ignore[arg-type, return-value]
    "unknown schema": (
        database("UPDATE results SET record = replace(record, '/os/', '/hex/')"),
        r"'hex' is not known",
    ),
    "not served": (
        database("UPDATE results SET record = replace(record, '/os/', '/nvd/')"),
        r"schema 'nvd' cannot be served: ranges of versions need an index",
    ),
    "newer schema": (
        database("UPDATE results SET record = replace(record, 'schema-1.', 'schema-2.')"),
        r"version 2 of schema 'os' is not known, only 1",
    ),
    "other shape": (database("""UPDATE results SET record = replace(record, '"FixedIn"', '"x"')"""), r"`FixedIn`"),
    "odd group": (database("UPDATE results SET record = replace(record, 'lab:1', '../x')"), r"'\.\./x' cannot be"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_workspace_that_is_not_whole_is_refused(case: Case, what: str) -> None:
    """Each with an error that names the file and the reason; nothing of it is yielded as a whole group."""
    change, reason = SPOILT[what]
    case.make()
    change(case.folder)
    with pytest.raises(ParseError, match=reason):
        case.run()


def test_results_of_any_age_are_taken_when_the_settings_say_so(case: Case) -> None:
    """A minor version that is newer than we know only adds to the schema."""
    state = {"url": f"{SCHEMAS}provider-workspace-state/schema-1.9.0.json"}
    case.make(timestamp="2020-01-01T00:00:00Z", schema=state)
    assert len(case.run(max_age_days=0)[0]) == 1


def test_what_was_verified_is_what_is_read(case: Case) -> None:
    """A workspace that changes after the fetch does not change what is parsed."""
    case.make()
    trial = case.trial()
    _, context = trial.fetch()
    (case.folder / TABLE).write_bytes(b"")
    assert [record.key for record in trial.parse(context)] == ["CVE-2024-0001"]


def test_one_source_that_cannot_be_had_leaves_its_groups_as_they_are(tmp_path: Path) -> None:
    """The others go on and the task says why; results that are the same are not read again."""
    one, two = (make(tmp_path / name, name, [vulnerability("CVE-2024-0001", f"{name}:1")]) for name in ("one", "two"))
    settings = VunnelSettings(sources={path.name: source(workspace=str(path)) for path in (one, two)})
    trial = Trial(VunnelDriver, tmp_path, tmp_path / "workspace", settings=settings)
    first, context = trial.fetch()
    assert isinstance(first, Checkpoint)
    assert len(trial.parse(context)) == 2
    (two / "metadata.json").unlink()
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert "holds no metadata.json" in context.skipped[FEED, "two:1"]
    seal(two, "two")
    (one / "results" / "results.db").unlink()
    make(tmp_path / "new", "one", [vulnerability("CVE-2024-0002", "one:1")])
    (tmp_path / "new" / "results" / "results.db").rename(one / "results" / "results.db")
    seal(one, "one")
    records, context = trial.run(first)
    assert [record.key for record in records] == ["CVE-2024-0002"]
    assert context.skipped == {(FEED, "two:1"): "unchanged"}
    assert context.covered == {(FEED, "one:1")}


# --- archives -------------------------------------------------------------------------------------------------------


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """Return a member to add to an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (member("../../etc/cron.d/x"), "leads out of it"),
        (member("/etc/passwd"), "leads out of it"),
        (member("lab/results/link", tarfile.SYMTYPE, "/etc/passwd"), "is a link or device"),
        (member("other/metadata.json"), "holds several workspaces: \\['lab', 'other'\\]"),
        (member("lab/results/results.db/x.json"), "cannot be unpacked: (Not a directory|File exists)"),
    ],
)
def test_an_archive_that_leads_elsewhere_is_refused(case: Case, more: tarfile.TarInfo, reason: str) -> None:
    """No member leaves the workspace, whatever its name or kind."""
    put(case, "lab.tar.zst", pack(case.make(), root="lab", more=[more]))
    with pytest.raises(UpstreamError, match=reason):
        case.trial(archive=f"{HOST}/lab.tar.zst").run()
    assert {path.name for path in case.root.rglob("x")} == set()


def put(case: Case, name: str, data: bytes) -> None:
    """Put a document upstream."""
    path = case.root / "upstream" / "vunnel.example.org" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"distribution_checksum": f"sha256:{'1' * 64}"}, f"SHA-256 is [0-9a-f]+, announced is {'1' * 64}"),
        ({"distribution_checksum": "md5:1"}, "'md5:1' is no SHA-256"),
        ({"enclosed_checksum": "xxh64:1"}, "says that the archive holds 'xxh64:1', it holds 'xxh64:[0-9a-f]{16}'"),
        ({"built": "yesterday"}, "listing.json: Invalid RFC3339"),
        ({"url": "https://other.example.org/lab.tar.zst"}, "no enabled driver leads to other.example.org"),
    ],
)
def test_a_listing_that_does_not_fit_its_archive_is_refused(case: Case, entry: dict[str, str], reason: str) -> None:
    """Whatever it announces is compared, and only hosts of the settings are asked."""
    archive = pack(case.make(), root="lab")
    put(case, "lab.tar.zst", archive)
    put(case, "listing.json", listing("lab", archive, case.folder, **{"url": "lab.tar.zst", **entry}))
    with pytest.raises((ParseError, UpstreamError), match=reason):
        case.trial(archive=f"{HOST}/listing.json").run()


def test_archives_may_lie_on_a_host_that_the_settings_name(case: Case) -> None:
    """Addresses in a listing may be relative; another host is asked when it is named."""
    archive = pack(case.make(), packing="gz")
    put(case, "a/lab.tar.gz", archive)
    put(case, "listing.json", listing("lab", archive, case.folder, url=f"{HOST}/a/lab.tar.gz"))
    (case.root / "upstream" / "lists.example.org").mkdir()
    there = case.root / "upstream" / "vunnel.example.org" / "listing.json"
    there.rename(case.root / "upstream" / "lists.example.org" / "listing.json")
    trial = case.trial(archive="https://lists.example.org/listing.json", archives_at=f"{HOST}/a/")
    assert [record.group for record in trial.run()[0]] == ["lab:1"]


@pytest.mark.parametrize(
    ("version", "name", "reason"),
    [
        ("2.0.0", "lab", "version 2 of schema 'provider-archive-listing' is not known"),
        ("1.0.0", "debian", "is of 'debian', not of 'lab'"),
        ("1.0.0", "lab", "names no archive"),
    ],
)
def test_a_listing_that_is_none_is_refused(case: Case, version: str, name: str, reason: str) -> None:
    """With its name and what is wrong."""
    schema = {"url": f"{SCHEMAS}provider-archive-listing/schema-{version}.json"}
    put(case, "listing.json", json.dumps({"schema": schema, "provider": name, "available": {}}).encode())
    with pytest.raises(ParseError, match=rf"^listing\.json: {reason}"):
        case.trial(archive=f"{HOST}/listing.json").run()


def test_a_bare_archive_must_have_the_digest_that_the_settings_want(case: Case) -> None:
    """Who names a digest gets these bytes or none."""
    put(case, "lab.tar.zst", pack(case.make()))
    with pytest.raises(UpstreamError, match=f"announced is {'a' * 64}"):
        case.trial(archive=f"{HOST}/lab.tar.zst", archive_sha256="A" * 64).run()


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"lab": {}}, "exactly one of program, workspace, archive is needed, there is none"),
        ({"lab": {"program": "vunnel", "archive": HOST}}, "there is program and archive"),
        ({"lab": {"workspace": "x", "secrets": ["GITHUB_TOKEN"]}}, "secrets goes with program only"),
        ({"lab": {"program": "x", "archive_sha256": "0" * 64}}, "archive_sha256 goes with archive only"),
        ({"lab": {"archive": "ftp://x/y"}}, "is no http or https URL"),
        ({"lab": {"archive": HOST, "archive_sha256": "0"}}, "64 hexadecimal digits"),
        ({"lab": {"program": "x", "secrets": ["PATH"]}}, "Invalid enum value 'PATH'"),
        ({"lab": {"program": "x", "seconds": 0}}, "Expected `float` > 0"),
        ({"../lab": {"program": "x"}}, "is no name of a source"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(settings: dict[str, Any], reason: str) -> None:
    """Before anything is asked or run."""
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert({"sources": settings}, VunnelSettings)


def test_without_sources_there_is_nothing_to_read(tmp_path: Path) -> None:
    """A driver that is on and has none says which setting it lacks."""
    with pytest.raises(ParseError, match=r"driver\.vunnel\.sources: the settings name no source"):
        Trial(VunnelDriver, tmp_path, tmp_path / "workspace").run()
