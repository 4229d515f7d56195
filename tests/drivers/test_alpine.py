"""Driver alpine on its sample: the suite, and what secdb and the rejections mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.alpine import AlpineDriver, AlpineSettings
from vulnfeeds.drivers.interface import Checkpoint, Unchanged
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

FEED = "vulnerabilities"
HOST = "secdb.alpinelinux.org"
REJECTIONS = "gitlab.alpinelinux.org/alpine/security/security-rejections/-/raw/master"
GROUPS = frozenset({(FEED, "alpine:3.19"), (FEED, "alpine:3.20"), (FEED, "alpine:edge")})


class TestAlpine(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = AlpineDriver
    upstream = SAMPLE
    groups = GROUPS
    extended = (
        Edit(f"{HOST}/v3.19/main.json", replaced(b'"pkg": {', b'"priority": 1, "pkg": {"maintainer": ["me"], ')),
        Edit(f"{HOST}/edge/community.json", replaced(b'"reponame"', b'"signature": null, "reponame"')),
    )
    changed = (
        Edit(f"{HOST}/v3.19/main.json", replaced(b"3.1.4-r5", b"3.1.4-r9")),
        Edit(f"{REJECTIONS}/community.yaml", lambda data: data + b"harbor-proxy: [CVE-2024-0020]\n"),
    )
    sad = (
        Sad(Edit(f"{HOST}/index.html", lambda _: b"<html><body>nothing here</body></html>"), HOST),
        Sad(Edit(f"{HOST}/v3.20/main.json", lambda _: b'{"packages": {"pkg": 1}}'), "main.json: "),
        Sad(
            Edit(f"{HOST}/v3.20/main.json", lambda _: b'{"packages": [{"pkg": {"name": 7}}]}'),
            "$.packages[0].pkg.name",
        ),
        Sad(Edit(f"{HOST}/edge/main.json", lambda _: b'{"apkurl": ""}'), "missing required field `packages`"),
        Sad(
            Edit(f"{HOST}/edge/main.json", lambda _: b'{"packages": [], "packages": {}}'), "'packages' is given twice"
        ),
        Sad(Edit(f"{REJECTIONS}/main.yaml", lambda _: b"- CVE-2024-0001\n"), "rejections-main.yaml"),
        Sad(Edit(f"{REJECTIONS}/main.yaml", lambda _: b"a: &x [CVE-2024-0001]\nb: *x\n"), "rejections-main.yaml:1"),
    )


def test_ids_that_are_no_cves_are_left_out(tmp_path: Path) -> None:
    """A string may hold several ids; only CVEs become records, and a null list of ids means none."""
    records, _ = on_sample(AlpineDriver, tmp_path).run()
    found = bodies(records)
    assert ("alpine:3.19", "CVE-2024-0008") in found
    assert ("alpine:3.19", "CVE-2024-0016") in found
    assert {key.split("-")[0] for _, key in found} == {"CVE"}


def test_a_record_is_what_the_original_served(tmp_path: Path) -> None:
    """All seven keys and no other; one fix for each package and version, in order."""
    records, _ = on_sample(AlpineDriver, tmp_path).run()
    assert bodies(records)["alpine:3.19", "CVE-2024-0003"] == {
        "Vulnerability": {
            "Name": "CVE-2024-0003",
            "NamespaceName": "alpine:3.19",
            "Description": "",
            "Severity": "Unknown",
            "Link": "http://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-2024-0003",
            "Metadata": {},
            "FixedIn": [
                {"Name": "brookssl", "NamespaceName": "alpine:3.19", "Version": "3.1.4-r6", "VersionFormat": "apk"},
                {"Name": "tinyxmlkit", "NamespaceName": "alpine:3.19", "Version": "4.0.2-r0", "VersionFormat": "apk"},
            ],
        }
    }
    assert all(record.takes_severity for record in records)


def fixes(found: dict[tuple[str, str], dict[str, Any]], group: str, cve: str) -> set[tuple[str, str]]:
    """Return (package, version) of a record's fixes."""
    return {(fix["Name"], fix["Version"]) for fix in found[group, cve]["Vulnerability"]["FixedIn"]}


def test_rejections_replace_the_fixes_of_their_package(tmp_path: Path) -> None:
    """A rejected CVE does not affect its package in any release, whatever secdb says of that package."""
    found = bodies(on_sample(AlpineDriver, tmp_path).run()[0])
    for group in ("alpine:3.19", "alpine:3.20", "alpine:edge"):
        assert fixes(found, group, "CVE-2024-0014") == {("mossdb", "0")}
        assert fixes(found, group, "CVE-2024-0030") == {("lanternd", "0")}
        assert fixes(found, group, "CVE-2024-0032") == {("tinyxmlkit", "0")}


def test_not_affected_can_be_left_out(tmp_path: Path) -> None:
    """Without `not_affected` no fix has version "0", and a record that had no other is not reported."""
    found = bodies(on_sample(AlpineDriver, tmp_path, AlpineSettings(not_affected=False)).run()[0])
    assert not any(version == "0" for key in found for _, version in fixes(found, *key))
    assert ("alpine:3.19", "CVE-2024-0006") not in found
    assert ("alpine:3.19", "CVE-2024-0014") not in found


def test_only_changed_releases_are_read(tmp_path: Path) -> None:
    """A release whose files and rejections are those that were published is skipped as unchanged."""
    trial = on_sample(AlpineDriver, tmp_path)
    checkpoint, _ = trial.fetch()
    assert isinstance(checkpoint, Checkpoint)
    trial.edit(Edit(f"{HOST}/v3.20/community.json", replaced(b"7.4.0-r0", b"7.4.1-r0")))
    records, context = trial.run(checkpoint)
    assert {record.group for record in records} == {"alpine:3.20"}
    assert context.covered == {(FEED, "alpine:3.20")}
    assert context.skipped == {(FEED, "alpine:3.19"): "unchanged", (FEED, "alpine:edge"): "unchanged"}


def test_a_release_that_cannot_be_had_is_skipped_as_a_whole(tmp_path: Path) -> None:
    """One file missing: the release stays as it is, says why, and is read when it is back; the others go on."""
    trial = on_sample(AlpineDriver, tmp_path)
    path = trial.folder / HOST / "v3.19" / "community.json"
    good = path.read_bytes()
    path.unlink()
    answer, context = trial.fetch()
    records = trial.parse(context)
    assert isinstance(answer, Checkpoint)
    assert {record.group for record in records} == {"alpine:3.20", "alpine:edge"}
    assert "community.json" in context.skipped[FEED, "alpine:3.19"]
    assert (FEED, "alpine:3.19") not in context.covered
    path.write_bytes(good)
    records, context = trial.run(answer)
    assert {record.group for record in records} == {"alpine:3.19"}


def test_a_release_that_fails_keeps_what_was_published(tmp_path: Path) -> None:
    """A release that fails for a while and comes back as it was is not read again."""
    trial = on_sample(AlpineDriver, tmp_path)
    first, _ = trial.fetch()
    path = trial.folder / HOST / "edge" / "main.json"
    good = path.read_bytes()
    path.write_bytes(b"<html><body>Back soon</body></html>")
    assert isinstance(first, Checkpoint)
    answer, context = trial.fetch(first)
    assert isinstance(answer, Unchanged)
    assert "expected json" in context.skipped[FEED, "alpine:edge"]
    path.write_bytes(good)
    assert isinstance(trial.fetch(first)[0], Unchanged)


def test_no_release_at_all_fails_the_run(tmp_path: Path) -> None:
    """When every release fails the run fails with the last reason."""
    trial = on_sample(AlpineDriver, tmp_path)
    for path in (trial.folder / HOST).glob("*/main.json"):
        path.unlink()
    with pytest.raises(UpstreamError, match="404"):
        trial.fetch()


def test_a_release_that_lists_too_little_is_skipped(tmp_path: Path) -> None:
    """A release without community is incomplete, so nothing of it may be withdrawn."""
    trial = on_sample(AlpineDriver, tmp_path)
    trial.edit(Edit(f"{HOST}/v3.19/index.html", replaced(b'href="community.json"', b'href="gone"')))
    _, context = trial.run()
    assert "does not list community" in context.skipped[FEED, "alpine:3.19"]


def test_a_release_that_left_the_index_is_left_alone(tmp_path: Path) -> None:
    """It is neither covered nor skipped, so that the service freezes its group; that alone makes a run."""
    trial = on_sample(AlpineDriver, tmp_path)
    first, _ = trial.fetch()
    trial.edit(Edit(f"{HOST}/index.html", replaced(b'<a href="v3.19/">', b'<a name="old">')))
    assert isinstance(first, Checkpoint)
    answer, context = trial.fetch(first)
    assert isinstance(answer, Checkpoint)
    trial.parse(context)
    assert (FEED, "alpine:3.19") not in context.covered | set(context.skipped)


def test_yaml_is_read_where_there_is_no_json(tmp_path: Path) -> None:
    """The same content as YAML, versions unquoted as upstream writes them, gives the same records."""
    trial = on_sample(AlpineDriver, tmp_path)
    before = bodies(trial.run()[0])
    for path in (trial.folder / HOST).glob("*/*.json"):
        lines = ["packages:"]
        for entry in json.loads(path.read_bytes())["packages"]:
            lines += ["  - pkg:", f"      name: {entry['pkg']['name']}", "      secfixes:"]
            for version, ids in entry["pkg"]["secfixes"].items():
                lines.append(f"        {version}:")
                lines += [f"          - {text}" for text in ids or ()]
        path.with_suffix(".yaml").write_text("\n".join(lines) + "\n")
        path.unlink()
    for path in (trial.folder / HOST).glob("*/index.html"):
        path.write_text(path.read_text().replace(".json", ".yaml"))
    trial.workspace = tmp_path / "yaml"
    trial.workspace.mkdir()
    assert bodies(trial.run()[0]) == before


def test_the_rejections_may_be_missing(tmp_path: Path) -> None:
    """Rejections that cannot be had are noted; the last copies stay in use."""
    trial = on_sample(AlpineDriver, tmp_path)
    first = bodies(trial.run()[0])
    (trial.folder / REJECTIONS / "main.yaml").unlink()
    records, context = trial.run()
    assert bodies(records) == first
    assert "the last copy is used" in context.notes[0]
    trial.workspace = tmp_path / "new"
    trial.workspace.mkdir()
    records, context = trial.run()
    assert "none are applied" in context.notes[0]
    assert ("alpine:3.19", "CVE-2024-0030") not in bodies(records)


def test_cut_rejections_reject_nothing_less_and_nothing_new(tmp_path: Path) -> None:
    """Clearly fewer than at the last run end the run; a cut line is noted, and half an id is none."""
    trial = on_sample(AlpineDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    path = trial.folder / REJECTIONS / "main.yaml"
    good = path.read_bytes()
    path.write_bytes(good[: good.index(b"mossdb")])
    with pytest.raises(ParseError, match=r"main\.yaml: has 1 rejections, 3 at the last run"):
        trial.fetch(first)
    path.write_bytes(good.rstrip()[:-7])
    records, context = trial.run(first)
    assert [note.rpartition("/")[2] for note in context.notes] == [
        "main.yaml ends within a line, so it may be cut short"
    ]
    assert context.unknown_values["rejected id=CVE-20"] == 1
    assert not [key for _, key in bodies(records) if key == "CVE-20"]


def test_rejections_that_were_published_are_not_lost_with_the_workspace(tmp_path: Path) -> None:
    """No copy, and upstream fails for a while: the run fails rather than withdraw all that was rejected."""
    trial = on_sample(AlpineDriver, tmp_path)
    first, _ = trial.fetch()
    assert isinstance(first, Checkpoint)
    path = trial.folder / REJECTIONS / "main.yaml"
    path.write_bytes(b"<html><body>Back soon</body></html>")
    trial.workspace = tmp_path / "lost"
    trial.workspace.mkdir()
    with pytest.raises(UpstreamError, match=r"main\.yaml"):
        trial.fetch(first)
    path.unlink()
    _, context = trial.run(first)
    assert "none are applied" in context.notes[0]


def test_a_version_given_twice_counts_with_both_lists(tmp_path: Path) -> None:
    """A repeated key loses nothing and is reported."""
    trial = on_sample(AlpineDriver, tmp_path)
    twice = replaced(b'"2.8.3-r1": [', b'"2.8.3-r1": ["CVE-2024-0040"], "2.8.3-r1": [')
    trial.edit(Edit(f"{HOST}/v3.19/main.json", twice))
    records, context = trial.run()
    found = bodies(records)
    assert fixes(found, "alpine:3.19", "CVE-2024-0040") == {("lanternd", "2.8.3-r1")}
    assert ("lanternd", "2.8.3-r1") in fixes(found, "alpine:3.19", "CVE-2024-0009")
    assert context.unknown_values == {"key given twice=2.8.3-r1": 1}


def test_a_release_without_any_fix_is_refused(tmp_path: Path) -> None:
    """An empty repository exists (community of 3.3); a release in which all are empty does not."""
    trial = on_sample(AlpineDriver, tmp_path)
    trial.edit(Edit(f"{HOST}/edge/community.json", lambda _: b'{"packages": []}'))
    trial.run()
    trial.edit(Edit(f"{HOST}/edge/main.json", lambda _: b'{"packages": null}'))
    with pytest.raises(ParseError, match="edge: no fixes"):
        trial.run()


def test_the_real_documents_lack_nothing(replay: Any, upstreams: Any) -> None:
    """All releases are read; only the rejections, which the replay does not have, are missed."""
    _, context = upstreams(AlpineDriver).run()
    assert not context.skipped
    assert all("rejections of" in note for note in context.notes)


def test_day_two_reads_only_the_releases_that_changed(replay: Any, upstreams: Any) -> None:
    """Between the days 13 of 18 releases stayed as they were, and edge and 3.20 appeared."""
    alpine = upstreams(AlpineDriver)
    alpine.run()
    assert alpine.run()[0] == []
    replay.day(2)
    records, context = alpine.run()
    assert len(context.skipped) == 13
    assert set(context.skipped.values()) == {"unchanged"}
    assert {group for _, group in context.covered} >= {"alpine:3.20", "alpine:edge"}
    assert len(context.covered) == 7
    assert len(records) == 40534


def test_upstream_failures_cost_only_their_release(replay: Any, upstreams: Any) -> None:
    """An error, an empty body and a page in place of data: each release is skipped with its reason."""
    alpine = upstreams(AlpineDriver)
    replay.fault(
        f"status:503:{HOST}/v3.19/main.json",
        f"empty:{HOST}/v3.18/community.json",
        f"html:{HOST}/v3.17/main.json",
        f"truncate:{HOST}/v3.16/main.json",
    )
    _, context = alpine.run()
    for release, file in {"3.19": "main", "3.18": "community", "3.17": "main", "3.16": "main"}.items():
        assert f"{HOST}/v{release}/{file}.json" in context.skipped[FEED, f"alpine:{release}"]
    assert len(context.covered) == 14
    replay.clear()
    _, context = alpine.run()
    assert {group for _, group in context.covered} == {"alpine:3.16", "alpine:3.17", "alpine:3.18", "alpine:3.19"}
