"""Driver npm: the suite on its sample, the stream of changes and its restarts, and documents that are too large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Key, bodies, replaced
from tests.drivers.test_gem import golden_records
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Unchanged
from vulnfeeds.drivers.npm import documents
from vulnfeeds.drivers.npm.driver import NPMDriver
from vulnfeeds.drivers.npm.settings import NPMSettings
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.testing.driver_suite import NOW, DriverSuite, Edit, NothingPublished, Sad, Trial, copied
from vulnfeeds.testing.upstream import UpstreamSimulator

SITE = "https://npm.example.org"
REPLICA = "https://replica.example.org/registry"
DOCUMENT = "npm.example.org/pad-left"
LISTED = ("pad-left", "@example/core", "taken-back")


class TestNPM(DriverSuite):
    """What every driver must do, on the sample's documents."""

    driver = NPMDriver
    upstream = SAMPLE
    settings = NPMSettings(registry=SITE, npmrc="", only=LISTED, refresh_hours=0.0)
    groups = frozenset({("packages", "npm")})
    extended = (Edit(DOCUMENT, replaced(b'{"_id"', b'{"new": [1], "_id"')),)
    changed = (Edit(DOCUMENT, replaced(b'"1.0.0": {', b'"1.0.1": {')),)
    sad = (
        Sad(Edit(DOCUMENT, replaced(b'"name": "pad-left", "dist', b'"name": "other", "dist')), "is of 'other'"),
        Sad(Edit(DOCUMENT, replaced(b'"versions": {', b'"versions": [], "x": {')), "document of pad-left"),
    )


def packages(found: dict[Key, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the packages by name."""
    return {name: body[name] for (_, name), body in found.items()}


def on_sample_documents(tmp_path: Path) -> Trial:
    """Return the driver on a copy of the sample's documents."""
    driver = NPMDriver(TestNPM.settings)
    folder = copied(driver, SAMPLE, tmp_path / "upstream")
    return Trial(NPMDriver, folder, tmp_path / "workspace", settings=TestNPM.settings)


def test_what_documents_say(tmp_path: Path) -> None:
    """An author stands for the maintainers; what was taken back has no version."""
    found = packages(bodies(on_sample_documents(tmp_path).run()[0]))
    assert found["pad-left"] == {
        "name": "pad-left",
        "versions": ["1.0.0", "1.1.0"],
        "latest": "1.1.0",
        "origins": ["Ada Example (https://ada.example.org)"],
        "lics": ["MIT"],
        "sourcepkg": "git+https://git.example.org/pad-left.git",
    }
    assert found["@example/core"]["origins"] == ["ada (ada@example.org)", "ben (ben@example.org)"]
    assert found["@example/core"]["lics"] == ["BSD-2-Clause", "MIT"]
    assert (found["taken-back"]["versions"], found["taken-back"]["latest"]) == ([], None)


class Site:
    """A registry and its replica, of real HTTP, and the driver that follows them."""

    def __init__(self, upstream: UpstreamSimulator, workspace: Path) -> None:
        self.upstream = upstream
        self.workspace = workspace
        self.changes: list[tuple[int, str]] = [(1, "a"), (2, "b"), (3, "c")]
        self.checkpoint: Checkpoint | None = None
        for name in "abc":
            self.put(name, "1.0.0")
        upstream.serve(f"{REPLICA}/", self._answer)

    def put(self, name: str, *versions: str, **more: Any) -> None:
        """Publish a package."""
        document = {
            "name": name,
            "dist-tags": {"latest": versions[-1]},
            "versions": {number: {} for number in versions},
        }
        self.upstream.put(f"{SITE}/{name}", json.dumps({**document, **more}).encode())

    def run(self, **settings: Any) -> tuple[dict[str, dict[str, Any]], Context, list[str]]:
        """Run once; return the packages, the context, and the names of the documents that were asked for."""
        own = {"registry": SITE, "replica": REPLICA, "npmrc": "", "only": ("a", "b"), **settings}
        driver = NPMDriver(NPMSettings(**own))
        before = len(self.upstream.log)
        with self.upstream.fetcher(allowed=driver.upstreams or (SITE,)) as fetcher:
            context = Context(
                fetcher=fetcher,
                workspace=self.workspace,
                published=NothingPublished(),
                checkpoint=self.checkpoint,
                now=lambda: NOW,
            )
            answer = driver.fetch(context)
        asked = [seen.url.removeprefix(f"{SITE}/") for seen in self.upstream.log[before:] if SITE in seen.url]
        if isinstance(answer, Unchanged):
            assert answer == UNCHANGED
            return {}, context, asked
        self.checkpoint = answer
        return packages(bodies(list(driver.parse(context)))), context, asked

    def _answer(self, url: str) -> bytes:
        last = self.changes[-1][0]
        if "_changes" not in url:
            return json.dumps({"db_name": "registry", "update_seq": last}).encode()
        since = int(url.partition("since=")[2].partition("&")[0])
        rows = [{"seq": seq, "id": name, "changes": []} for seq, name in self.changes if seq > since][:2]
        return json.dumps({"results": rows, "last_seq": rows[-1]["seq"] if rows else max(since, 0)}).encode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Three packages, two of which are wanted; the replica gives two changes at once."""
    with UpstreamSimulator() as upstream:
        yield Site(upstream, tmp_path)


def test_only_what_changed_is_asked_for(site: Site) -> None:
    """After the first run, which asks for each package of the list."""
    found, _, asked = site.run()
    assert (sorted(found), sorted(asked)) == (["a", "b"], ["a", "b"])
    assert site.run()[2] == []
    site.put("b", "1.0.0", "1.1.0")
    site.changes += [(4, "c"), (7, "x"), (9, "b")]
    found, _, asked = site.run()
    assert asked == ["b"]
    assert found["b"]["latest"] == "1.1.0"
    assert site.run()[2] == []


def test_a_document_that_fails_is_asked_for_again(site: Site) -> None:
    """Though the stream does not name it again."""
    site.run()
    site.put("b", "1.0.0", "1.1.0")
    site.changes.append((4, "b"))
    site.upstream.fault(f"{SITE}/b", status=503)
    found, context, _ = site.run()
    assert found == {}
    assert "their last copies are used" in context.notes[0]
    site.upstream.heal()
    assert site.run()[0]["b"]["latest"] == "1.1.0"


def test_a_stream_that_begins_anew_loses_nothing(site: Site) -> None:
    """Every package of the list is asked for again, and the new stream is followed from there."""
    site.run()
    site.put("b", "2.0.0")
    site.changes = [(1, "c")]
    found, context, asked = site.run()
    assert sorted(asked) == ["a", "b"]
    assert found["b"]["latest"] == "2.0.0"
    assert context.notes == ["the stream of changes began anew: every package of the list is asked for again"]
    site.changes.append((2, "a"))
    assert site.run()[2] == ["a"]


def test_a_document_that_is_too_large_is_not_held(site: Site) -> None:
    """Its short form is asked for; when that is too large, too, the package is left out with a note."""
    site.run()
    site.put("b", "1.0.0", readme="x" * (2 << 20))
    site.changes.append((4, "b"))
    _, context, asked = site.run(max_document_mb=1)
    assert asked == ["b", "b"]
    accepted = [seen.headers["accept"] for seen in site.upstream.log if seen.url == f"{SITE}/b"]
    assert accepted[-1].startswith("application/vnd.npm.install-v1+json")
    assert any("the short document is asked for instead" in note for note in context.notes)
    assert any("their last copies are used" in note for note in context.notes)


def test_a_package_that_is_gone_is_withdrawn(site: Site) -> None:
    """A registry that has it no more answers 404; the group is covered without it."""
    site.run()
    site.upstream.remove(f"{SITE}/b")
    site.changes.append((4, "b"))
    found, context, _ = site.run()
    assert sorted(found) == ["a"]
    assert context.covered == {("packages", "npm")}


@pytest.mark.parametrize("body", [b'{"update_seq": "4-abc"}', b"{}", b'{"results": [{"seq": 1}], "last_seq": 1}'])
def test_a_stream_of_another_shape_is_refused(body: bytes, site: Site) -> None:
    """It names the address."""
    site.upstream.serve(f"{REPLICA}/", lambda url: body)
    with pytest.raises(ParseError, match=r"replica\.example\.org/registry/"):
        site.run()


def test_addresses_come_from_the_settings_of_npm(tmp_path: Path) -> None:
    """Ours win; what is no address, or holds a password, is passed over."""
    file = tmp_path / "npmrc"
    file.write_text("; mine\n//x/:_authToken=secret\nregistry=https://npm.example.org/\nreplica=ftp://x\n")
    assert NPMDriver(NPMSettings(npmrc=str(file))).upstreams == (f"{SITE}/",)
    assert NPMDriver(NPMSettings(npmrc=str(file), registry="https://b.example")).upstreams == ("https://b.example/",)
    assert NPMDriver(NPMSettings(npmrc=str(tmp_path / "none"))).upstreams == ()


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"registry": ""}, "driver.npm.registry: is not set"), ({"only": ()}, "a list of packages")],
)
def test_without_an_address_or_a_list_nothing_is_asked(settings: dict[str, Any], says: str, site: Site) -> None:
    """The message names the settings to set."""
    with pytest.raises(UpstreamError, match=says):
        site.run(**settings)
    assert site.upstream.log == []


def test_the_records_of_2017_come_back_from_documents_of_them(shared: Path) -> None:
    """9,047 packages as the original served them: the same fields, and the same values but for the order of lists."""
    golden = golden_records(shared, "npm")
    wrong = []
    for name, said in golden.items():
        people = [text.removesuffix(")").partition(" (") for text in said["origins"]]
        document = {
            "name": name,
            "dist-tags": {"latest": said["latest"]} if said["latest"] else {},
            "versions": {number: {} for number in said["versions"]},
            "maintainers": [{"name": person, "email": mail} for person, _, mail in people],
            "license": said["lics"],
            "repository": {"url": said["sourcepkg"]} if said["sourcepkg"] is not None else None,
        }
        made = json.loads(documents.read(name, json.dumps(document).encode()))
        assert made.keys() == said.keys()
        same = all(sorted(made[field]) == sorted(said[field]) for field in ("versions", "lics"))
        if not same or made["latest"] != said["latest"] or len(made["origins"]) != len(said["origins"]):
            wrong.append(name)
    assert len(wrong) < 0.01 * len(golden), wrong[:10]
