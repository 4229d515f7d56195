"""Ruby gems: feed packages, group gem, from the registry's weekly dump or, for a list of gems, its versions API."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from vulnfeeds.drivers.gem import dump, versions
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, Driver, DriverSettings, Unchanged
from vulnfeeds.drivers.kept import KeptDocuments
from vulnfeeds.drivers.wanted import names_of
from vulnfeeds.errors import ParseError, UpstreamError
from vulnfeeds.records import packages
from vulnfeeds.records.record import Record

NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")

_DUMP: Final = "public_postgresql.tar"
_TABLE: Final = "versions.sqlite"
_SOURCE: Final = "source.json"
_REPORTED: Final = 1000


class GemSettings(DriverSettings, frozen=True, kw_only=True):
    """Where gems come from: there is no default."""

    dump: str = ""
    """Address of a dump (`https://HOST/.../public_postgresql.tar`), or of the listing of a bucket of dumps
    (`https://HOST/?prefix=production/public_postgresql/`), of which the newest is taken."""
    api: str = ""
    """Address of the registry (`https://HOST`), whose versions API is asked for each gem of the list; used when
    `dump` is empty."""
    only: tuple[str, ...] = ()
    """Only these gems."""
    packages: str = ""
    """Text file with more such names, or package URLs (`pkg:gem/rails@8.0.2`), one a line: the gems that you use."""
    refresh_hours: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    """How long an answer of the API holds."""

    def __post_init__(self) -> None:
        """Refuse addresses that are none. Raises ValueError."""
        for name in ("dump", "api"):
            url = getattr(self, name)
            if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
                raise ValueError(f"{name} is no http or https URL")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the prefixes of all URLs that are asked for."""
        if self.dump:
            parts = urlsplit(self.dump)
            return (f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/",)
        return (f"{self.api.rstrip('/')}/",) if self.api else ()


class GemDriver(Driver):
    """Feed packages, group gem: the Ruby gems of a registry."""

    name = "gem"
    feeds = (packages.FEED,)
    default_on = False
    Settings: ClassVar[type[DriverSettings]] = GemSettings

    settings: GemSettings

    def __init__(self, settings: DriverSettings | None = None) -> None:
        super().__init__(settings)
        self.upstreams = self.settings.addresses  # type: ignore[misc]

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Bring the dump, or what the API says of each gem of the list."""
        names = self._names()
        if not self.settings.addresses:
            raise UpstreamError("driver.gem", "no registry is named: set dump, or api and a list of gems")
        if self.settings.dump:
            url = self.settings.dump
            if not urlsplit(url).path.endswith(".tar"):
                url = dump.newest(context, url)
            path = context.workspace / _DUMP
            mark = context.fetcher.download(url, path, limits=dump.LIMITS, expect=("tar",)).sha256
        elif names:
            mark = versions.fetch(context, self.settings.api, names, self.settings.refresh_hours)
        else:
            raise UpstreamError("driver.gem.api", "the API knows single gems only: set only or packages, or a dump")
        (context.workspace / _SOURCE).write_bytes(msgspec.json.encode(sorted(names)))
        listed = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
        fingerprint = f"{mark} {listed}"
        if context.checkpoint and context.checkpoint.fingerprint == fingerprint and not context.forced:
            return UNCHANGED
        return Checkpoint(fingerprint=fingerprint)

    def parse(self, context: Context) -> Iterator[Record]:
        """Yield each gem; of a list those that could not be had as they are published."""
        try:
            names = msgspec.json.decode((context.workspace / _SOURCE).read_bytes(), type=frozenset[str])
        except (OSError, msgspec.MsgspecError) as error:
            raise ParseError(_SOURCE, f"nothing was fetched: {error}") from error
        done, missing = 0, set(names)
        for done, gem in enumerate(self._gems(context, names), 1):
            if done % _REPORTED == 0:
                context.report("parse", done)
            missing.discard(gem.name)
            yield packages.record(packages.GEM, gem)
        if not done:
            raise ParseError(self._place, "no gem that is wanted is there")
        if missing:
            context.note(f"{len(missing)} gems are not there: {', '.join(sorted(missing))}")
        context.cover(packages.FEED, packages.GEM)

    @property
    def _place(self) -> str:
        return _DUMP if self.settings.dump else versions.KEPT

    def _names(self) -> frozenset[str]:
        return names_of(self.settings.only, self.settings.packages, "gem", NAME)

    def _gems(self, context: Context, names: frozenset[str]) -> Iterator[packages.GemPackage]:
        if self.settings.dump:
            path: Path = context.workspace / _DUMP
            yield from dump.gems(path, context.workspace / _TABLE, names or None)
            return
        with KeptDocuments(context.workspace / versions.KEPT, versions.FORM) as kept:
            for _, body in kept.bodies():
                yield msgspec.json.decode(body, type=packages.GemPackage)
