"""The repositories of Amazon Linux: where each release has them, and how their advisories are brought."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from vulnfeeds.drivers.formats import updateinfo
from vulnfeeds.drivers.interface import Context
from vulnfeeds.errors import ParseError, StatusError, UpstreamError
from vulnfeeds.fetch.interface import Limits, forget

CDN: Final = "https://cdn.amazonlinux.com/"
AMI_LISTS: Final = "http://repo.us-west-2.amazonaws.com/2018.03/"
"""Where Amazon Linux 1 has its list of mirrors; it is not to be had over TLS."""
AMI_FILES: Final = "http://packages.us-west-2.amazonaws.com/2018.03/"
"""The one of its mirrors that is asked."""
CATALOGUE: Final = f"{CDN}2/extras-catalog.json"
"""The extras of Amazon Linux 2, each with a repository of its own."""

_ADDITIONS: Final = ("kernel-livepatch", "nvidia")
"""Repositories that a release from 2022 on may have beside core; nothing lists them."""
_CATALOGUE_FILE: Final = "extras.json"
_MIRRORS: Final = "mirror.list"
_INDEX: Final = "repomd.xml"
_ADVISORIES: Final = "updateinfo"
_LIST_LIMITS: Final = Limits(max_bytes=4 << 20)
_FILE_LIMITS: Final = Limits(max_bytes=512 << 20)
_MOST_TOPICS: Final = 2000


class Repository(NamedTuple):
    """One repository of a release."""

    name: str
    """RELEASE/core, 2/extras/TOPIC, 2023/kernel-livepatch: its name in settings and its folder in the workspace."""
    mirror_list: str
    core: bool
    """It cannot be missing, and has advisories."""


class _Topic(msgspec.Struct):
    n: str


class _Catalogue(msgspec.Struct):
    topics: list[_Topic]


def core(release: str) -> Repository:
    """Return the main repository of a release; of one that is not known, where it would be."""
    if release == "1":
        return Repository("1/core", f"{AMI_LISTS}updates/x86_64/mirror.list", True)
    if release == "2":
        return Repository("2/core", f"{CDN}2/core/latest/x86_64/mirror.list", True)
    return Repository(f"{release}/core", f"{CDN}al{release}/core/mirrors/latest/x86_64/mirror.list", True)


def additions(context: Context, release: str, before: frozenset[str]) -> list[Repository]:
    """Return the other repositories of a release; `before` names those that the last publication was made of.

    Raises UpstreamError when the extras that were published before cannot be known any more.
    """
    if release == "1":
        return []
    if release == "2":
        return _extras(context, before)
    lists = f"{CDN}al{release}/{{}}/mirrors/latest/x86_64/mirror.list"
    return [Repository(f"{release}/{name}", lists.format(name), False) for name in _ADDITIONS]


def bring(context: Context, repository: Repository) -> str | None:
    """Bring the advisories of a repository to `file_of`; return their sha256, None when there are none.

    Only an addition may have none, or not be there. Raises UpstreamError or ParseError when it cannot be told; then
    all of it is asked for anew the next time.
    """
    folder = context.workspace / repository.name
    try:
        return _bring(context, repository, folder)
    except (UpstreamError, ParseError):
        for name in (_MIRRORS, _INDEX, _ADVISORIES):
            forget(folder / name)
        raise


def file_of(context: Context, name: str) -> Path:
    """Return the file of a repository's advisories in the workspace."""
    return context.workspace / name / _ADVISORIES


def _bring(context: Context, repository: Repository, folder: Path) -> str | None:
    try:
        listed = context.fetcher.download(
            repository.mirror_list, folder / _MIRRORS, limits=_LIST_LIMITS, expect=("text",)
        )
        base = _mirror(listed.path, repository.mirror_list)
        index = context.fetcher.download(
            f"{base}/{updateinfo.INDEX}", folder / _INDEX, limits=_LIST_LIMITS, expect=("xml",)
        )
    except StatusError as error:
        if not repository.core and error.status in (403, 404, 410):
            return None
        if error.url == repository.mirror_list:
            raise
        raise StatusError(error.url, error.status, f"{repository.mirror_list} leads there") from error
    location = updateinfo.find(index.path, f"{base}/{updateinfo.INDEX}")
    if location is None:
        if repository.core:
            raise UpstreamError(f"{base}/{updateinfo.INDEX}", "the index names no updateinfo")
        return None
    url = f"{base}/{location.path}"
    kinds = ("xml", "gzip", "xz", "zstd", "bzip2")
    brought = context.fetcher.download(url, folder / _ADVISORIES, limits=_FILE_LIMITS, expect=kinds)
    updateinfo.verify(brought.path, location, url)
    return brought.sha256


def _extras(context: Context, before: frozenset[str]) -> list[Repository]:
    try:
        brought = context.fetcher.download(
            CATALOGUE, context.workspace / _CATALOGUE_FILE, limits=_LIST_LIMITS, expect=("json",)
        )
        topics = _topics(brought.path)
    except (UpstreamError, ParseError) as error:
        if isinstance(error, ParseError):
            forget(context.workspace / _CATALOGUE_FILE)
        if any(name.startswith("2/extras/") for name in before):
            # Published with the extras: without them every one of their records would be withdrawn.
            raise
        context.note(f"the extras of Amazon Linux 2 could not be known ({error}); core is read without them")
        return []
    return [
        Repository(f"2/extras/{topic}", f"{CDN}2/extras/{topic}/latest/x86_64/mirror.list", False) for topic in topics
    ]


def _topics(path: Path) -> list[str]:
    try:
        catalogue = msgspec.json.decode(path.read_bytes(), type=_Catalogue)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ParseError(CATALOGUE, str(error)) from error
    topics = sorted({topic.n for topic in catalogue.topics})
    if not topics or len(topics) > _MOST_TOPICS:
        raise ParseError(CATALOGUE, f"{len(topics)} topics; between 1 and {_MOST_TOPICS} are plausible")
    wrong: Any = next((topic for topic in topics if not _is_name(topic)), None)
    if wrong is not None:
        raise ParseError(CATALOGUE, f"{wrong[:80]!r} is no name of a topic")
    return topics


def _is_name(topic: str) -> bool:
    return topic.isascii() and topic[:1].isalnum() and all(letter.isalnum() or letter in "._+-" for letter in topic)


def _mirror(path: Path, url: str) -> str:
    """Return the first mirror of a list that we may ask."""
    lines = path.read_text("utf-8", errors="replace").split()
    for line in lines:
        if line.startswith((CDN, AMI_FILES)):
            return line.rstrip("/")
    raise UpstreamError(url, f"the list names no mirror under {CDN} or {AMI_FILES}, but {' '.join(lines)[:120]!r}")
