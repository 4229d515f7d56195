"""Driver github with a token: walks through an API of real HTTP that answers as GitHub's does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import Key, bodies
from tests.drivers.errata_documents import archive
from tests.drivers.github.advisory_documents import API, affects, day, errors, name, node
from vulnfeeds.drivers.github.api import ADDRESS
from vulnfeeds.drivers.github.database import ARCHIVE
from vulnfeeds.drivers.github.driver import GitHubDriver, GitHubSettings
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Unchanged
from vulnfeeds.errors import ParseError, StatusError
from vulnfeeds.testing.driver_suite import NOW, NothingPublished
from vulnfeeds.testing.upstream import UpstreamSimulator

DAY = 86400.0


class Site:
    """The driver with a token, and the API that it asks."""

    def __init__(self, upstream: UpstreamSimulator, folder: Path) -> None:
        self.upstream = upstream
        self.folder = folder
        self.api = API(upstream, [node(number) for number in range(7)])
        self.api.page = 3
        self.checkpoint: Checkpoint | None = None
        self.now = NOW

    def fetch(self, *, token: str = "good", forced: bool = False, **settings: Any) -> tuple[Any, Context]:
        """Fetch once; what is asked is in `api.asked`."""
        self.api.asked.clear()
        with self.upstream.fetcher(allowed=GitHubDriver.upstreams) as fetcher:
            context = Context(
                fetcher=fetcher,
                workspace=self.folder,
                published=NothingPublished(),
                checkpoint=self.checkpoint,
                secrets={"GITHUB_TOKEN": token} if token else {},
                forced=forced,
                now=lambda: self.now,
            )
            return GitHubDriver(GitHubSettings(**settings)).fetch(context), context

    def run(self, **more: Any) -> tuple[dict[Key, dict[str, Any]], Context]:
        """Fetch, parse and keep the checkpoint as a run that publishes does."""
        answer, context = self.fetch(**more)
        if isinstance(answer, Unchanged):
            return {}, context
        found = bodies(list(GitHubDriver(GitHubSettings(**self._own(more))).parse(context)))
        self.checkpoint = answer
        return {key: body["Advisory"] for key, body in found.items()}, context

    @staticmethod
    def _own(more: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in more.items() if key not in ("token", "forced")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Seven advisories, three on a page."""
    with UpstreamSimulator() as upstream:
        yield Site(upstream, tmp_path)


def failing(site: Site, at: int, answer: bytes) -> None:
    """Let the API answer this from its `at`th question on (from 1)."""
    site.api.spoil = lambda variables, good: answer if len(site.api.asked) >= at else good


def test_a_first_walk_meets_everything(site: Site) -> None:
    """Page by page, malware too, with the token in a header of its own."""
    site.api.nodes.append(node(8, classification="MALWARE"))
    found, context = site.run()
    assert set(found) == {("github:npm", name(number)) for number in (*range(7), 8)}
    assert found["github:npm", name(8)]["Classification"] == "MALWARE"
    assert len(context.covered) == 12
    assert [asked["since"] for asked in site.api.asked] == [None] * 3
    assert {seen.headers["authorization"] for seen in site.upstream.log} == {"Bearer good"}
    assert b"MALWARE" in site.upstream.log[0].body


def test_a_later_walk_asks_for_what_was_updated(site: Site) -> None:
    """From the last update on, less the margin, whatever our clock says; what stays as it is, is unchanged."""
    site.run()
    site.now -= 500 * DAY
    assert site.fetch()[0] == UNCHANGED
    assert [asked["since"] for asked in site.api.asked] == ["2024-05-01T04:00:00Z"]
    site.api.nodes[2] = node(2, affects("NPM", "package-2", "< 2.1", "2.1"), updated=20)
    found, _ = site.run()
    assert len(found) == 7
    assert found["github:npm", name(2)]["FixedIn"][0]["identifier"] == "2.1"
    site.fetch(overlap_seconds=0.0)
    assert [asked["since"] for asked in site.api.asked] == [day(20)]


def test_a_lost_run_is_not_taken_for_unchanged(site: Site) -> None:
    """What a run fetched and did not publish is parsed by the next one, though the API has nothing new."""
    site.run()
    site.api.nodes[2] = node(2, updated=20)
    site.fetch()
    assert len(site.run()[0]) == 7


def test_a_walk_that_broke_off_goes_on_where_it_was(site: Site) -> None:
    """A failure behind the first page: the next run asks for the second one, and not for the first again."""
    failing(site, 2, b"[]")
    with pytest.raises(ParseError, match="no answer of the expected shape"):
        site.fetch()
    site.api.spoil = lambda variables, good: good
    assert len(site.run()[0]) == 7
    assert [asked["after"] for asked in site.api.asked] == [f"{day(2)} {name(2)}", f"{day(5)} {name(5)}"]


def test_a_cursor_that_holds_no_longer_loses_nothing(site: Site) -> None:
    """The walk goes on at the last update that it met, less the margin, and says so."""
    failing(site, 2, b"[]")
    with pytest.raises(ParseError):
        site.fetch()
    refusal = errors("`x` does not appear to be a valid cursor.", "INVALID_CURSOR_ARGUMENTS")
    site.api.spoil = lambda variables, good: refusal if variables["after"] == f"{day(2)} {name(2)}" else good
    site.api.nodes[0] = node(0, updated=30)
    found, context = site.run(overlap_seconds=0.0)
    assert len(found) == 7
    assert [asked["since"] for asked in site.api.asked][:2] == [None, day(2)]
    assert "cursor holds no longer" in context.notes[0]


def test_errors_beside_partial_data_are_never_used(site: Site) -> None:
    """The question is asked again, in smaller pages; when the errors stay, the run ends with the first of them."""
    partial = {"securityAdvisories": {"totalCount": 0, "pageInfo": {"hasNextPage": False}, "nodes": []}}
    bad = errors("Something went wrong while executing your query.", data=partial)
    site.api.spoil = lambda variables, good: bad if variables["first"] > 50 else good
    assert len(site.run()[0]) == 7
    assert [asked["first"] for asked in site.api.asked] == [100, 50] * 3
    site.api.spoil = lambda variables, good: bad
    with pytest.raises(ParseError, match=r"errors, 3 times: Something went wrong"):
        site.fetch()


def test_requests_of_the_hour_that_are_used_up_end_the_run(site: Site) -> None:
    """It says so, keeps what came, and does not read the archive instead."""
    failing(site, 3, errors("API rate limit exceeded for user ID 1.", "RATE_LIMITED"))
    with pytest.raises(StatusError, match="rate limit exceeded") as caught:
        site.fetch()
    assert caught.value.status == 429
    site.api.spoil = lambda variables, good: good
    site.run()
    assert len(site.api.asked) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_for(site: Site, status: int) -> None:
    """A refusal that says for how long is followed by the same question."""
    site.upstream.fault(ADDRESS, times=2, status=status, headers={"Retry-After": "0"})
    assert len(site.run()[0]) == 7
    assert [seen.status for seen in site.upstream.log] == [status, status, 200, 200, 200]


def test_more_packages_than_a_page_holds_are_asked_for(site: Site) -> None:
    """250 packages of one advisory come in three parts, and all are in its record."""
    site.api.nodes.append(node(9, *[affects("PIP", f"package-{number}", "< 2.0") for number in range(250)]))
    found, _ = site.run()
    assert len(found["github:python", name(9)]["FixedIn"]) == 250
    assert [asked["after"] for asked in site.api.asked if "id" in asked] == ["100", "200"]


def test_a_refused_token_leads_to_the_archive(site: Site) -> None:
    """The task says why; with `source` api the run ends with the same words. Without a token nothing is asked."""
    site.upstream.put(ARCHIVE, archive({f"x/advisories/github-reviewed/{name(3)}.json": osv_document(3)}))
    site.upstream.fault(ADDRESS, status=401, body=b'{"message": "Bad credentials"}')
    found, context = site.run(token="revoked")
    assert set(found) == {("github:npm", name(3))}
    assert "GITHUB_TOKEN: it is wrong, expired or revoked" in context.notes[0]
    assert "archive of the database is read instead" in context.notes[0]
    with pytest.raises(StatusError, match="wrong, expired or revoked"):
        site.fetch(token="revoked", source="api")
    posts = sum(seen.method == "POST" for seen in site.upstream.log)
    assert site.fetch(token="")[0] == UNCHANGED
    assert site.fetch(token="good", source="archive")[0] == UNCHANGED
    assert sum(seen.method == "POST" for seen in site.upstream.log) == posts


def test_a_whole_walk_shows_what_is_gone(site: Site) -> None:
    """After `whole_days`, and when a run is forced; another walk says nothing of what it does not meet."""
    site.run()
    del site.api.nodes[1]
    assert site.fetch()[0] == UNCHANGED
    site.now += 31 * DAY
    found, context = site.run()
    assert ("github:npm", name(1)) not in found
    assert len(found) == 6
    assert context.notes == ["1 advisories are gone without having been withdrawn"]
    site.now += 31 * DAY
    assert site.fetch(whole_days=0.0)[0] == UNCHANGED
    del site.api.nodes[0]
    assert len(site.run(forced=True)[0]) == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ghsaId": "../../etc"}, "an advisory's id is"),
        ({"updatedAt": "yesterday"}, "updatedAt"),
        ({"summary": None}, "summary"),
        ({"identifiers": None}, "identifiers"),
    ],
)
def test_a_node_of_another_shape_ends_the_run(site: Site, change: dict[str, Any], reason: str) -> None:
    """With the place; nothing of its page is kept."""
    site.api.nodes[1] |= change
    with pytest.raises(ParseError, match=reason):
        site.fetch()


def test_pages_without_end_are_refused(site: Site) -> None:
    """A next page without a way to it, and packages that promise more and bring none."""

    def stuck(variables: dict[str, Any], good: bytes) -> bytes:
        answer = json.loads(good)
        answer["data"]["securityAdvisories"]["pageInfo"] = {"hasNextPage": True, "endCursor": variables["after"]}
        return json.dumps(answer).encode()

    site.api.spoil = stuck
    with pytest.raises(ParseError, match="no way to it"):
        site.fetch()
    site.api.nodes = [node(1)]
    site.api.spoil = lambda variables, good: good.replace(b'{"hasNextPage": false, "endCursor": "100"}', MORE)
    with pytest.raises(ParseError, match="no plausible next page"):
        site.fetch()


MORE = b'{"hasNextPage": true, "endCursor": null}'


def osv_document(number: int) -> bytes:
    """Return the advisory of a number as the archive has it."""
    said = node(number)
    events = [{"introduced": "0"}, {"fixed": "2.0"}]
    affected = {
        "package": {"ecosystem": "npm", "name": f"package-{number}"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return json.dumps(
        {
            "id": said["ghsaId"],
            "modified": said["updatedAt"],
            "published": said["publishedAt"],
            "aliases": [said["identifiers"][1]["value"]],
            "summary": said["summary"],
            "severity": [],
            "affected": [affected],
            "references": [{"type": "WEB", **said["references"][0]}],
            "database_specific": {"severity": "HIGH", "cwe_ids": []},
        }
    ).encode()


def test_both_sources_give_the_same_records(site: Site) -> None:
    """An advisory that is in both is the same record, byte for byte, whichever said it."""
    files = {f"x/advisories/github-reviewed/{name(number)}.json": osv_document(number) for number in range(7)}
    site.upstream.put(ARCHIVE, archive(files))
    assert site.run()[0] == site.run(source="archive")[0]
