"""Driver gem: the suite on its sample, what a dump means, the versions API, and what the original served."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, Key, archive_members, bodies, on_sample, replaced
from tests.drivers.package_documents import archive, dump, redumped, sql, version
from vulnfeeds.drivers.gem.driver import GemDriver, GemSettings
from vulnfeeds.drivers.gem.dump import licenses_of
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context
from vulnfeeds.errors import DownloadError, LimitError, ParseError, UpstreamError
from vulnfeeds.records import contract
from vulnfeeds.testing.driver_suite import NOW, DriverSuite, Edit, NothingPublished, Sad
from vulnfeeds.testing.upstream import UpstreamSimulator

SITE = "https://gems.example.org"
DUMP = "gems.example.org/dumps/public_postgresql.tar"
SETTINGS = GemSettings(dump=f"https://{DUMP}")
API = f"{SITE}/api/v1/versions/"


def edit(old: bytes, new: bytes) -> Edit:
    """Return an edit of one piece of the dump's SQL."""
    return Edit(DUMP, redumped(replaced(old, new)))


def wider(data: bytes) -> bytes:
    """Return a dump whose versions have one more column."""
    head, rest = data.split(b"COPY public.versions (")
    rows, tail = rest.split(b"\n\\.\n")
    first, *others = rows.split(b"\n")
    more = b"\n".join([b"new, " + first, *(b"x\t" + row for row in others)])
    return head + b"COPY public.versions (" + more + b"\n\\.\n" + tail


class TestGem(DriverSuite):
    """What every driver must do, on the sample's dump."""

    driver = GemDriver
    upstream = SAMPLE
    settings = SETTINGS
    groups = frozenset({("packages", "gem")})
    extended = (Edit(DUMP, redumped(wider)),)
    changed = (edit(b"\t1.9.0\t", b"\t1.9.7\t"), edit(b"rails-like", b"rails-unlike"))
    sad = (
        Sad(edit(b", latest,", b", newest,"), "table versions has no column latest; its columns are id, authors,"),
        Sad(
            edit(b"id, name, created_at", b"id, title, created_at"), "PostgreSQL.sql.gz:12: table rubygems has no col"
        ),
        Sad(edit(b"public.versions", b"public.releases"), "the dump has no table versions"),
        Sad(edit(b"\t1.9.0\t", b"\t"), "PostgreSQL.sql.gz:24: 15 cells, table versions has 16 columns"),
        Sad(edit(b"Ada Example", b"Ada \xff"), "table versions: 'utf-8' codec can't decode"),
        Sad(edit(b"\n7\trails-like", b"\nseven\trails-like"), "'seven' is no number of a gem"),
        Sad(edit(b"-- PostgreSQL database dump complete", b"--"), "it is cut short"),
        Sad(Edit(DUMP, redumped(lambda data: data[: data.index(b"\t1.9.0")])), "table versions does not end"),
        Sad(Edit(DUMP, redumped(lambda data: data.replace(b"\tt\t", b"\tf\t"))), "no gem that is wanted is there"),
        Sad(Edit(DUMP, lambda data: archive({"readme.txt": b"Nothing"})), "the archive holds no dump (.sql.gz)"),
        Sad(Edit(DUMP, lambda data: archive({"a.sql": sql({}, []), "b.sql": b""})), "the dump holds a second one"),
    )


def gems(found: dict[Key, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the packages by name."""
    return {name: body[name] for (_, name), body in found.items()}


def test_what_a_dump_says(tmp_path: Path) -> None:
    """Versions that were taken back are left out, each list is sorted, a preliminary version is never the latest."""
    found = gems(bodies(on_sample_dump(tmp_path).run()[0]))
    assert set(found) == {"rails-like", "nativegem", "only-previews", "two_licences"}
    assert found["rails-like"] == {
        "name": "rails-like",
        "id": "7",
        "versions": ["1.10.0", "1.9.0", "2.0.0.rc1"],
        "latest": "1.10.0",
        "authors": ["Ada Example", "Ada Example, Ben Example"],
        "licenses": ["MIT"],
    }
    assert found["nativegem"]["latest"] == "0.9.0"
    assert found["only-previews"]["latest"] is None
    assert found["only-previews"]["authors"] == found["only-previews"]["licenses"] == []
    assert found["two_licences"]["licenses"] == ["Apache-2.0", "GPL-3.0"]


def on_sample_dump(tmp_path: Path, **settings: Any) -> Any:
    """Return the driver on the sample's dump."""
    own = GemSettings(**{"dump": SETTINGS.dump, **settings})
    trial = on_sample(GemDriver, tmp_path, own)
    (trial.folder / DUMP).parent.mkdir(parents=True)
    (trial.folder / DUMP).write_bytes((SAMPLE / DUMP).read_bytes())
    return trial


def test_only_what_is_used(tmp_path: Path) -> None:
    """Names in the settings and package URLs in a file choose from the dump; what is not there is told."""
    listed = tmp_path / "used.txt"
    listed.write_text("# ours\npkg:gem/nativegem@1.0.0?platform=java\npkg:npm/left-pad@1.0.0\n\nmissing-gem\n")
    records, context = on_sample_dump(tmp_path, only=("rails-like",), packages=str(listed)).run()
    assert sorted(gems(bodies(records))) == ["nativegem", "rails-like"]
    assert context.notes == ["1 gems are not there: missing-gem"]
    assert context.covered == {("packages", "gem")}


@pytest.mark.parametrize(
    ("text", "says"),
    [("rails\nno name\n", "used.txt:2: 'no name' is no name"), ("# nothing\n", "is empty"), (None, "cannot be read")],
)
def test_a_list_that_is_none_is_refused(text: str | None, says: str, tmp_path: Path) -> None:
    """With file and line."""
    listed = tmp_path / "used.txt"
    if text is not None:
        listed.write_text(text)
    with pytest.raises(ParseError, match=says):
        on_sample_dump(tmp_path, packages=str(listed)).run()


@pytest.mark.parametrize(
    ("text", "licenses"),
    [
        ("---\n- MIT\n", ("MIT",)),
        ("---\n- 'GPL 2'\n- Apache-2.0\n", ("GPL 2", "Apache-2.0")),
        ("--- []\n", ()),
        ("---\n-\n- \n- ~\n", ()),
        ("MIT", ("MIT",)),
        (None, ()),
    ],
)
def test_licences_are_a_list_in_one_cell(text: str | None, licenses: tuple[str, ...]) -> None:
    """In YAML's form, in which hyphens belong to the names."""
    assert licenses_of(text) == licenses


def test_a_dump_whose_packing_breaks_off_is_refused(tmp_path: Path) -> None:
    """Though the archive around it is whole."""
    trial = on_sample_dump(tmp_path)

    def cut(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            content = packed.extractfile(packed.getmembers()[0])
            assert content is not None
            return archive({"PostgreSQL.sql.gz": content.read()[:-200]})

    trial.edit(Edit(DUMP, cut))
    with pytest.raises(DownloadError, match=r"PostgreSQL\.sql\.gz: the compressed bytes are broken or end too early"):
        trial.run()


def test_a_bomb_in_the_archive_is_refused(tmp_path: Path) -> None:
    """The archive is no larger than it should be; what it holds is."""
    trial = on_sample_dump(tmp_path)
    (trial.folder / DUMP).write_bytes(archive({"PostgreSQL.sql.gz": gzip.compress(b"--\n" * (12 << 20), 9)}))
    with pytest.raises(LimitError, match="ratio"):
        trial.run()


def test_a_line_without_end_is_not_held(tmp_path: Path) -> None:
    """A row of more than 16 MiB is refused, with its line."""
    trial = on_sample_dump(tmp_path)
    trial.edit(edit(b"Ada Example", b"x" * (17 << 20)))
    with pytest.raises(ParseError, match="a line has more than 16777216 bytes"):
        trial.run()


class Site:
    """The driver, and a registry of real HTTP."""

    def __init__(self, upstream: UpstreamSimulator, workspace: Path) -> None:
        self.upstream = upstream
        self.workspace = workspace
        self.now = NOW
        self.checkpoint: Checkpoint | None = None

    def fetch(self, settings: GemSettings) -> tuple[Any, Context, GemDriver]:
        """Fetch once."""
        driver = GemDriver(settings)
        with self.upstream.fetcher(allowed=driver.upstreams or (SITE,)) as fetcher:
            context = Context(
                fetcher=fetcher,
                workspace=self.workspace,
                published=NothingPublished(),
                checkpoint=self.checkpoint,
                now=lambda: self.now,
            )
            return driver.fetch(context), context, driver

    def run(self, settings: GemSettings) -> tuple[dict[str, dict[str, Any]], Context]:
        """Fetch, parse, and keep the checkpoint."""
        answer, context, driver = self.fetch(settings)
        assert isinstance(answer, Checkpoint)
        found = gems(bodies(list(driver.parse(context))))
        self.checkpoint = answer
        return found, context


def answer(*numbers: str, **more: Any) -> bytes:
    """Return an answer of the versions API, the newest version first."""
    rows = [
        {"number": number, "prerelease": "pre" in number, "platform": "ruby", "licenses": ["MIT"], "authors": "Ada"}
        for number in numbers
    ]
    return json.dumps([{**row, **more} for row in rows]).encode()


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A registry with two gems."""
    with UpstreamSimulator() as upstream:
        upstream.put(f"{API}alpha.json", answer("2.0.pre", "1.10", "1.9"))
        upstream.put(f"{API}beta.json", answer("0.1.pre", licenses=None, authors=""))
        yield Site(upstream, tmp_path)


def test_the_versions_of_a_list_of_gems(site: Site) -> None:
    """One request for each, then none until the answers are a day old; a gem that is gone is not kept."""
    settings = GemSettings(api=SITE, only=("alpha", "beta", "gamma"))
    found, context = site.run(settings)
    assert found["alpha"] == {
        "name": "alpha",
        "versions": ["1.10", "1.9", "2.0.pre"],
        "latest": "1.10",
        "authors": ["Ada"],
        "licenses": ["MIT"],
    }
    assert found["beta"]["latest"] is None
    assert "1 gems are not there: gamma" in context.notes
    asked = len(site.upstream.log)
    site.now += 3600
    assert site.fetch(settings)[0] == UNCHANGED
    assert {seen.url for seen in site.upstream.log[asked:]} == {f"{API}gamma.json"}
    site.now += 24 * 3600
    site.upstream.remove(f"{API}beta.json")
    assert sorted(site.run(settings)[0]) == ["alpha"]


def test_what_leaves_the_list_is_withdrawn(site: Site) -> None:
    """The group is covered without it."""
    site.run(GemSettings(api=SITE, only=("alpha", "beta")))
    found, context = site.run(GemSettings(api=SITE, only=("alpha",)))
    assert sorted(found) == ["alpha"]
    assert context.covered == {("packages", "gem")}


def test_the_newest_dump_of_a_listing(site: Site) -> None:
    """A listing that comes in parts is read to its end, and the last dump by its time is brought."""
    listing = f"{SITE}/?prefix=dumps/"

    def part(cut: str, *names: str) -> bytes:
        keys = "".join(f"<Contents><Key>dumps/{name}</Key></Contents>" for name in names)
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        return f"<ListBucketResult {space}><IsTruncated>{cut}</IsTruncated>{keys}</ListBucketResult>".encode()

    first = part("true", "2024.08.12/public_postgresql.tar", "2024.08.19/public_postgresql.tar")
    second = part("false", "2024.08.26/public_postgresql.tar", "index.html")
    site.upstream.serve(f"{SITE}/?prefix", lambda url: second if "marker=dumps%2F2024.08.19" in url else first)
    site.upstream.put(f"{SITE}/dumps/2024.08.26/public_postgresql.tar", dump(sql({1: "a"}, [version(1, "1.0")])))
    assert sorted(site.run(GemSettings(dump=listing))[0]) == ["a"]
    site.upstream.serve(f"{SITE}/?prefix", lambda url: part("false", "index.html"))
    with pytest.raises(ParseError, match="names no dump"):
        site.fetch(GemSettings(dump=listing))


@pytest.mark.parametrize(
    ("settings", "says"),
    [({}, "driver.gem: no registry is named"), ({"api": SITE}, "driver.gem.api: the API knows single gems only")],
)
def test_without_an_address_or_a_list_nothing_is_asked(settings: dict[str, Any], says: str, site: Site) -> None:
    """The message names the settings to set."""
    with pytest.raises(UpstreamError, match=says):
        site.fetch(GemSettings(**settings))
    assert site.upstream.log == []


@pytest.mark.parametrize("body", [b"[]", b'{"number": "1"}', b'[{"number": 1}]', b"[" * 100_000])
def test_an_answer_of_another_shape_is_refused(body: bytes, site: Site) -> None:
    """It names the gem."""
    site.upstream.put(f"{API}alpha.json", body)
    with pytest.raises((ParseError, DownloadError), match="alpha"):
        site.fetch(GemSettings(api=SITE, only=("alpha",)))


def test_the_real_answer_about_a_gem(shared: Path, site: Site) -> None:
    """498 versions of it are read; the newest that is no preliminary one is the latest."""
    data = (shared / "upstream/data/packages/rubygems-api-v1-versions-rails.json").read_bytes()
    site.upstream.put(f"{API}alpha.json", data)
    found, _ = site.run(GemSettings(api=SITE, only=("alpha",)))
    said = json.loads(data)
    assert found["alpha"]["versions"] == sorted({row["number"] for row in said})
    assert found["alpha"]["latest"] == next(row["number"] for row in said if not row["prerelease"])
    assert found["alpha"]["licenses"] == ["MIT"]
    assert found["alpha"]["authors"] == ["David Heinemeier Hansson"]


def test_the_records_of_2017_come_back_from_a_dump_of_them(shared: Path, tmp_path: Path) -> None:
    """5,833 gems as the original served them: the same names, fields, versions, latest ones, authors and numbers."""
    golden = golden_records(shared, "gem")
    names, rows = {}, []
    for name, said in golden.items():
        number = int(said["id"])
        names[number] = name
        licenses = "".join(f"- {item}\n" for item in said["licenses"])
        for at, text in enumerate(said["versions"]):
            authors = said["authors"][at % len(said["authors"])] if said["authors"] else ""
            cells = {
                "authors": escaped(authors),
                "licenses": escaped(f"---\n{licenses}" if licenses else "--- []\n"),
                "latest": "t" if text == said["latest"] else "f",
            }
            rows.append(version(number, escaped(text), **cells))
    trial = on_sample_dump(tmp_path)
    (trial.folder / DUMP).write_bytes(dump(sql(names, rows)))
    found = gems(bodies(trial.run()[0]))
    assert found.keys() == golden.keys()
    equal: Counter[str] = Counter()
    for name, said in golden.items():
        assert found[name].keys() == said.keys()
        equal.update(field for field in said if plain(found[name][field]) == plain(said[field]))
    few = {"authors", "licenses"}
    assert {field: count for field, count in equal.items() if field not in few} == dict.fromkeys(
        ("name", "id", "versions", "latest"), len(golden)
    )
    # Of more wordings than versions a dump cannot tell, and some were cut in the middle of YAML's marks.
    assert all(equal[field] > 0.97 * len(golden) for field in few), equal


def plain(value: Any) -> Any:
    """Return a value of a record without the order of its lists."""
    return sorted(value) if isinstance(value, list) else value


def escaped(text: str) -> str:
    """Return a cell as PostgreSQL writes it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def golden_records(shared: Path, group: str) -> dict[str, dict[str, Any]]:
    """Return what the original served of a group in 2017, the last of each package, all checked as we check ours."""
    found = {}
    for name, content in archive_members(shared / "golden/anchore-engine-feed-data.tar.xz"):
        if f"/packages/{group}/" in name:
            for body in json.loads(content):
                contract.check("packages", group, json.dumps(body).encode())
                found.update(body)
    return found


def test_gzip_is_told_by_its_bytes(tmp_path: Path) -> None:
    """A dump that is not packed, or in two members, is read as well."""
    trial = on_sample_dump(tmp_path)
    plain_sql = sql({1: "a"}, [version(1, "1.0")])
    for number, content in enumerate((plain_sql, gzip.compress(plain_sql[:300]) + gzip.compress(plain_sql[300:]))):
        (trial.folder / DUMP).write_bytes(archive({f"{number}.sql": content}))
        assert sorted(gems(bodies(trial.run()[0]))) == ["a"]
