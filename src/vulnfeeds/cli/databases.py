"""The commands of the Grype database: `vulnfeeds grypedb build | check | list | diff | export`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from vulnfeeds.cli import logs
from vulnfeeds.cli.building import NAME, folder_of, maker_of, summary
from vulnfeeds.cli.compose import open_writer, read_settings
from vulnfeeds.cli.options import Options, Output
from vulnfeeds.cli.syncing import watcher_for
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.errors import NotFoundError
from vulnfeeds.publish.grypedb.archives import ArchiveFolder, sweep
from vulnfeeds.publish.grypedb.check import check as find_faults
from vulnfeeds.publish.grypedb.comparing import count
from vulnfeeds.publish.grypedb.diffing import diff as find_changes
from vulnfeeds.publish.grypedb.errors import ArchiveError, RefusedError
from vulnfeeds.publish.grypedb.packing import DATABASE, checksum_of, unpack
from vulnfeeds.sync.reporting import Progress

_OUTPUT = Output()
_OPTIONS = Options()


def build(
    *,
    to: Annotated[
        Path | None, Parameter(help="Folder to build into, for any web server; that of the service when not given.")
    ] = None,
    accept: Annotated[
        bool, Parameter(help="Publish although much was lost since the last one.", negative="")
    ] = False,
    output: Output = _OUTPUT,
) -> None:
    """Build the database of what the store holds now, check it, and publish it."""
    settings, _ = read_settings(output)
    terminal = Terminal(as_json=output.json)
    logs.set_up(settings.log_level, handler=terminal.log_handler())
    folder = folder_of(settings) if to is None else ArchiveFolder(to)
    watcher = watcher_for(terminal)
    watcher.began(NAME)
    progress = Progress(lambda said: watcher.progressed(NAME, said), time.time)
    try:
        with open_writer(settings, migrate=False) as store:
            made = maker_of(settings, store, folder).make(datetime.now(UTC), progress.report, accept=accept)
    finally:
        watcher.close()
    if terminal.as_json:
        terminal.value(msgspec.to_builtins(made))
        return
    facts = summary(made)
    terminal.facts(
        {
            "archive": folder.path(made.archive),
            "built": facts["built"],
            "MB": round(made.archive.bytes / 1e6, 1),
            "records": facts["records"],
            "left out": facts["left_out"],
            **{f"vulnerabilities of {name}": number for name, number in made.counts.vulnerabilities.items()},
        }
    )
    for left in made.left[:20]:
        terminal.text(f"left out  {left.group} {left.key or ''}: {left.reason}")


def check(archive: Path, *, output: Output = _OUTPUT) -> None:
    """Say whether clients can use an archive or a database file, and what is in it.

    Parameters
    ----------
    archive
        A `.tar.zst` or `.tar.gz` archive, or the database itself.
    """
    terminal = Terminal(as_json=output.json)
    with _database(archive) as database:
        faults = find_faults(database)
        if faults:
            raise RefusedError(f"{archive.name}: {'; '.join(faults)}")
        counts = msgspec.to_builtins(count(database))
    if terminal.as_json:
        terminal.value({"archive": str(archive), "checksum": f"sha256:{checksum_of(archive)}", **counts})
        return
    terminal.facts(
        {
            "checksum": f"sha256:{checksum_of(archive)}",
            **{f"vulnerabilities of {name}": number for name, number in counts["vulnerabilities"].items()},
            **{f"packages of type {name}": number for name, number in counts["packages"].items()},
            "products": counts["products"],
            "known exploited": counts["exploited"],
            "EPSS scores": counts["scores"],
        }
    )


def diff(
    old: Path,
    new: Path,
    *,
    most: Annotated[int, Parameter(help="Differences to show; 0 for all.")] = 100,
    output: Output = _OUTPUT,
) -> None:
    """Say which vulnerabilities, packages and ranges were added, removed or changed between two archives.

    Parameters
    ----------
    old
        An archive or a database file.
    new
        A later one.
    """
    terminal = Terminal(as_json=output.json)
    counts: Counter[tuple[str, str]] = Counter()
    shown: list[dict[str, Any]] = []
    with _database(old) as before, _database(new) as after:
        for change in find_changes(before, after):
            counts[(change.what, change.change)] += 1
            if most == 0 or len(shown) < most:
                shown.append(msgspec.structs.asdict(change))
    totals = [{"what": what, "change": change, "number": number} for (what, change), number in sorted(counts.items())]
    if terminal.as_json:
        terminal.value({"totals": totals, "changes": shown})
        return
    columns = ("what", "change", "origin", "vulnerability", "package", "system", "before", "after")
    terminal.rows({name: name.upper() for name in columns}, shown, nothing="the databases say the same")
    terminal.rows({name: name.upper() for name in ("what", "change", "number")}, totals, nothing="")


@contextmanager
def _database(path: Path) -> Iterator[Path]:
    """Lend the database of an archive, or the database itself."""
    if not path.is_file():
        raise NotFoundError(f"{path} is no file")
    if path.suffix not in (".zst", ".gz"):
        yield path
        return
    with TemporaryDirectory(prefix="vulnfeeds-") as temporary:
        database = Path(temporary, DATABASE)
        unpack(path, database)
        yield database


def list_archives(*, output: Output = _OUTPUT) -> None:
    """Show the archives that the service serves, newest first."""
    settings, _ = read_settings(output)
    rows: list[dict[str, Any]] = [
        {"schema": archive.version, "built": archive.built, "bytes": archive.bytes, "name": archive.name}
        for archive in folder_of(settings).archives()
    ]
    titles = {"schema": "SCHEMA", "built": "BUILT", "bytes": "BYTES", "name": "NAME"}
    Terminal(as_json=output.json).rows(titles, rows, nothing="no archive was built yet")


def export(to: Path, *, options: Options = _OPTIONS) -> None:
    """Copy the newest archive and its document to a folder, for any web server.

    Parameters
    ----------
    to
        The folder that the web server shows; grype is pointed at its address.
    """
    settings, _ = read_settings(options)
    folder = folder_of(settings)
    newest, target = folder.newest(), ArchiveFolder(to)
    if newest is None:
        raise NotFoundError("no archive was built yet; `vulnfeeds grypedb build` builds one")
    sweep(target)
    if to.resolve() == folder.root.resolve():
        raise ArchiveError(f"{to} is the folder of the service itself")
    target.take(newest, folder.path(newest))
    Terminal().text(str(target.path(newest)))
