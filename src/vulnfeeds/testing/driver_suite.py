"""What every driver must do, as tests: subclass DriverSuite, name the driver and a folder of upstream documents.

    class TestMine(DriverSuite):
        driver = MyDriver
        upstream = Path(__file__).parent / "upstream"      # HOST/PATH, as a folder mirror has it
        groups = frozenset({("vulnerabilities", "my:1")})

The driver is run as the service runs it, by the real fetcher with the folder in the place of the upstreams. Tests
that change documents have a copy. pytest finds the tests through the subclass, whose name must begin with Test.
"""

# ruff: noqa: S101 (asserts are what this module is for)

from __future__ import annotations

import inspect
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from vulnfeeds.drivers.interface import (
    UNCHANGED,
    Checkpoint,
    Context,
    Driver,
    DriverSettings,
    Mode,
    Published,
    Unchanged,
)
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.interface import Fetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Record
from vulnfeeds.sync.trying import NothingPublished as NothingPublished

NOW = 1_725_000_000.0
"""The time that drivers under test are told: 30 August 2024."""

_HTML_PAGE = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon.</body></html>\n"


class Edit(NamedTuple):
    """A change of one document: its path in the upstream folder, and what becomes of its bytes."""

    path: str
    change: Callable[[bytes], bytes]


class Sad(NamedTuple):
    """A document that must be refused: how it is spoilt, and what the error's text must name."""

    edit: Edit
    names: str


class Trial:
    """A driver with a folder in the place of its upstreams and a workspace of its own."""

    def __init__(
        self,
        driver: type[Driver],
        folder: Path,
        workspace: Path,
        *,
        settings: DriverSettings | None = None,
        published: Published | None = None,
        secrets: dict[str, str] | None = None,
    ) -> None:
        self.driver = driver
        self.folder = folder
        self.workspace = workspace
        self._settings = settings
        self._selected = settings if settings is not None else driver.Settings()
        self._published: Published = published if published is not None else NothingPublished()
        self._secrets = secrets
        workspace.mkdir(parents=True, exist_ok=True)

    def context(self, fetcher: Fetcher, checkpoint: Checkpoint | None = None, *, forced: bool = False) -> Context:
        """Return the context of a run."""
        return Context(
            fetcher=fetcher,
            workspace=self.workspace,
            published=self._published,
            checkpoint=checkpoint,
            secrets=self._secrets,
            forced=forced,
            selection=self._selected.selection,
            now=lambda: NOW,
        )

    def fetch(
        self, checkpoint: Checkpoint | None = None, *, forced: bool = False
    ) -> tuple[Checkpoint | Unchanged, Context]:
        """Fetch as a run does; only what the driver declares may be asked."""
        settings, driver = FetchSettings(attempts=1), self.driver(self._settings)
        with HTTPFetcher(settings, UpstreamMap(default=str(self.folder)), driver.upstreams) as fetcher:
            context = self.context(fetcher, checkpoint, forced=forced)
            return driver.fetch(context), context

    def parse(self, context: Context) -> list[Record]:
        """Parse what was fetched, with a new instance and no network."""
        with _no_sockets():
            return list(context.selection.of(self.driver(self._settings).parse(context)))

    def run(self, checkpoint: Checkpoint | None = None, *, forced: bool = False) -> tuple[list[Record], Context]:
        """Fetch and parse; no records when nothing changed."""
        answer, context = self.fetch(checkpoint, forced=forced)
        return ([] if isinstance(answer, Unchanged) else self.parse(context)), context

    def edit(self, edit: Edit) -> None:
        """Change a document of the folder."""
        path = self.folder / edit.path
        path.write_bytes(edit.change(path.read_bytes()))


def copied(driver: type[Driver] | Driver, upstream: Path, folder: Path) -> Path:
    """Copy the documents of a driver's hosts (of an instance: those of its settings) into a new folder, return it."""
    folder.mkdir(parents=True)
    for host in sorted({urlsplit(url).netloc for url in driver.upstreams}):
        if (upstream / host).is_dir():
            shutil.copytree(upstream / host, folder / host)
    return folder


class DriverSuite:
    """The tests that every driver passes. Subclasses set the class attributes."""

    driver: ClassVar[type[Driver]]
    upstream: ClassVar[Path]
    """Folder with the upstream's documents as HOST/PATH; it may hold those of other drivers too."""
    groups: ClassVar[frozenset[tuple[str, str]]]
    """(feed, group) of all records that the documents hold."""
    settings: ClassVar[DriverSettings | None] = None
    secrets: ClassVar[dict[str, str] | None] = None
    extended: ClassVar[tuple[Edit, ...]] = ()
    """Documents to which an upstream could add a field; the records must stay as they are."""
    changed: ClassVar[tuple[Edit, ...]] = ()
    """Changes that must be noticed: each alone makes the next run yield records or cover groups."""
    sad: ClassVar[tuple[Sad, ...]] = ()
    """Documents that must end the run with an error that names the place."""

    def published(self) -> Published:
        """Return what is published when the driver runs; for drivers that derive from other drivers' records."""
        return NothingPublished()

    @pytest.fixture
    def trial(self, tmp_path: Path) -> Trial:
        """The driver with a copy of its documents and an empty workspace."""
        return self._trial(
            copied(self.driver(self.settings), self.upstream, tmp_path / "upstream"), tmp_path / "workspace"
        )

    def test_it_declares_what_it_is(self) -> None:
        """A driver has a name, feeds, a version, a mode, settings with defaults, and a description."""
        driver = self.driver
        assert driver.name
        assert driver.name == driver.name.lower()
        assert driver.feeds
        assert driver.version >= 1
        assert isinstance(driver.mode, Mode)
        assert driver.name not in driver.depends_on
        assert issubclass(driver.Settings, DriverSettings)
        assert msgspec.convert(msgspec.to_builtins(driver.Settings()), driver.Settings) == driver.Settings()
        assert inspect.getdoc(driver) != inspect.getdoc(Driver)
        for url in driver.upstreams:
            assert urlsplit(url).scheme in ("http", "https")

    def test_a_first_run_yields_every_group(self, trial: Trial) -> None:
        """All groups come with records, and a FULL driver covers each of them."""
        records, context = trial.run()
        assert {(record.feed, record.group) for record in records} == self.groups
        assert {record.feed for record in records} <= set(self.driver.feeds)
        if self.driver.mode is Mode.FULL:
            assert context.covered == self.groups
        assert context.skipped == {}

    def test_every_record_keeps_the_client_contract(self, trial: Trial) -> None:
        """No record would be refused by a client, and no identity comes twice."""
        records, _ = trial.run()
        for record in records:
            assert record.key
            contract.check(record.feed, record.group, canonical.encode(record.body))
        identities = [(record.feed, record.group, record.key) for record in records]
        assert len(identities) == len(set(identities))

    def test_parse_streams_and_repeats_itself(self, trial: Trial) -> None:
        """Parsing is lazy, and the same workspace gives the same records in the same order."""
        _, context = trial.fetch()
        lazy: Any = trial.driver(self.settings).parse(trial.context(context.fetcher))
        assert iter(lazy) is lazy
        assert not isinstance(lazy, list | tuple)
        first, second = (_plain(trial.parse(trial.context(context.fetcher))) for _ in range(2))
        assert first == second

    def test_nothing_new_is_unchanged(self, trial: Trial) -> None:
        """A second fetch with the checkpoint of the first is UNCHANGED, as often as it is repeated."""
        checkpoint = self._first(trial)
        for _ in range(2):
            answer, _context = trial.fetch(checkpoint)
            assert answer == UNCHANGED

    def test_a_checkpoint_survives_storage(self, trial: Trial) -> None:
        """The checkpoint holds JSON values only: written and read again it is the same."""
        checkpoint = self._first(trial)
        assert msgspec.json.decode(msgspec.json.encode(checkpoint), type=Checkpoint) == checkpoint

    def test_a_lost_run_is_repeated(self, trial: Trial) -> None:
        """A run that died after its fetch is repeated from the old checkpoint and yields the same."""
        trial.fetch()
        again, _ = trial.run()
        fresh, _ = self._trial(trial.folder, trial.workspace.with_name("fresh")).run()
        assert _plain(again) == _plain(fresh)

    def test_force_reads_everything_again(self, trial: Trial) -> None:
        """A forced run yields all records although upstream has not changed."""
        whole, _ = trial.run()
        forced, context = trial.run(self._first(trial), forced=True)
        assert _plain(forced) == _plain(whole)
        assert context.skipped == {}

    def test_an_excluded_group_is_left_out(self, trial: Trial) -> None:
        """A group that the settings exclude is neither reported nor covered, the others are; then nothing is new."""
        left = min(self.groups)
        other = self._selecting(trial, exclude=(*self._own_settings().exclude, left[1]))
        records, context = other.run()
        assert {(record.feed, record.group) for record in records} == self.groups - {left}
        if self.driver.mode is Mode.FULL:
            assert context.covered == self.groups - {left}
        assert left not in context.skipped
        assert other.fetch(self._first(other))[0] == UNCHANGED

    def test_a_renamed_group_is_served_under_its_new_name(self, trial: Trial) -> None:
        """What the settings rename has its records, which name it, and is covered; nothing has the old name."""
        before, _ = trial.run()
        feed, old = min(self.groups)
        prefix, _, release = old.partition(":")
        new = f"{prefix}:as-we-call-it" if release else "as-we-call-it"
        # What stands behind the colon means every group that has it there.
        alone = sum(group.partition(":")[2] == release for _, group in self.groups) == 1
        renamed, context = self._selecting(
            trial, rename={release if release and alone else old: "as-we-call-it"}
        ).run()
        assert {(record.feed, record.group) for record in renamed} == self.groups - {(feed, old)} | {(feed, new)}
        assert [record.key for record in renamed] == [record.key for record in before]
        if self.driver.mode is Mode.FULL:
            assert (feed, new) in context.covered
            assert (feed, old) not in context.covered
        for record in renamed:
            body = canonical.encode(record.body)
            contract.check(record.feed, record.group, body)
            assert record.group != new or f'"{old}"'.encode() not in body

    def test_a_change_is_noticed(self, trial: Trial) -> None:
        """Each change makes the next run do something; what it then leaves out, it says that it skips."""
        for edit in self.changed:
            checkpoint = self._first(trial)
            trial.edit(edit)
            records, context = trial.run(checkpoint)
            assert records or context.covered, edit.path
            if self.driver.mode is Mode.FULL:
                assert self.groups <= context.covered | set(context.skipped), edit.path

    def test_unknown_fields_change_nothing(self, trial: Trial) -> None:
        """Upstream may add fields."""
        before, _ = trial.run()
        for edit in self.extended:
            trial.edit(edit)
        after, _ = self._trial(trial.folder, trial.workspace.with_name("after")).run()
        assert _plain(after) == _plain(before)

    def test_sad_documents_are_refused_with_their_place(self, trial: Trial) -> None:
        """A document of the wrong shape ends the run with an error that says where."""
        for number, (edit, names) in enumerate(self.sad):
            path = trial.folder / edit.path
            good = path.read_bytes()
            trial.edit(edit)
            with pytest.raises((ParseError, UpstreamError)) as caught:
                self._trial(trial.folder, trial.workspace.with_name(f"sad-{number}")).run()
            assert names in str(caught.value)
            path.write_bytes(good)

    def test_damage_is_never_silent(self, trial: Trial) -> None:
        """A missing, empty, cut or replaced document is refused, skipped or noted, or it makes no difference."""
        whole = _plain(trial.run()[0])
        documents = sorted(path for path in trial.folder.rglob("*") if path.is_file())
        for number, path in enumerate(documents):
            good = path.read_bytes()
            for what, bad in _damages(path, good):
                if bad is None:
                    path.unlink()
                else:
                    path.write_bytes(bad)
                other = self._trial(trial.folder, trial.workspace.with_name(f"damage-{number}-{what}"))
                try:
                    records, context = other.run()
                except (ParseError, UpstreamError):
                    continue
                finally:
                    path.write_bytes(good)
                assert context.skipped or context.notes or _plain(records) == whole, f"{path.name} {what}"

    def _trial(self, folder: Path, workspace: Path) -> Trial:
        return Trial(
            self.driver,
            folder,
            workspace,
            settings=self.settings,
            published=self.published(),
            secrets=self.secrets,
        )

    def _own_settings(self) -> DriverSettings:
        return self.settings if self.settings is not None else self.driver.Settings()

    def _selecting(self, trial: Trial, **settings: Any) -> Trial:
        """Return a trial on the same documents with other groups selected."""
        return Trial(
            self.driver,
            trial.folder,
            trial.workspace.with_name("selecting"),
            settings=msgspec.structs.replace(self._own_settings(), **settings),
            published=self.published(),
            secrets=self.secrets,
        )

    def _first(self, trial: Trial) -> Checkpoint:
        answer, context = trial.fetch()
        assert isinstance(answer, Checkpoint)
        trial.parse(context)
        return answer


def _plain(records: list[Record]) -> list[tuple[Any, ...]]:
    return [
        (record.feed, record.group, record.key, canonical.encode(record.body), record.takes_severity, record.score)
        for record in records
    ]


def _damages(path: Path, good: bytes) -> Iterator[tuple[str, bytes | None]]:
    yield "missing", None
    yield "empty", b""
    yield "replaced by a page", _HTML_PAGE
    # Half of a text can be a whole text; half of these cannot be whole.
    if path.suffix in (".gz", ".zip", ".xz", ".bz2", ".zst", ".xml") or _is_json(good):
        yield "cut", good[: len(good) // 2]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


class _no_sockets:  # noqa: N801 (used as a statement)
    """While entered, this thread cannot open a connection or resolve a name."""

    _state = threading.local()
    _installed = False

    def __enter__(self) -> None:
        if not _no_sockets._installed:
            sys.addaudithook(_no_sockets._refuse)
            _no_sockets._installed = True
        self._state.closed = True

    def __exit__(self, *_: object) -> None:
        self._state.closed = False

    @staticmethod
    def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo") and getattr(_no_sockets._state, "closed", False):
            raise AssertionError(f"parse must not use the network ({event})")
