"""The command that tries one driver without a store: `vulnfeeds driver test`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from vulnfeeds.cli import logs
from vulnfeeds.cli.compose import build_driver, read_settings, upstream_map
from vulnfeeds.cli.options import Output
from vulnfeeds.cli.syncing import watcher_for
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.errors import RunError
from vulnfeeds.fetch.http import HTTPFetcher
from vulnfeeds.fetch.mirrors import UpstreamMap
from vulnfeeds.sync.reporting import Progress
from vulnfeeds.sync.trying import Trial, try_driver

_OUTPUT = Output()


def test(
    driver: str,
    *,
    upstream: Annotated[
        str | None, Parameter(help="Mirror to ask, an address or a folder, instead of that of the settings.")
    ] = None,
    workspace: Annotated[
        Path | None, Parameter(help="Folder for what is downloaded, kept; a temporary one when not given.")
    ] = None,
    output: Output = _OUTPUT,
) -> None:
    """Fetch and parse one driver without touching the store; say what came, and what of it is odd or slow.

    Parameters
    ----------
    driver
        Name of a driver, on or off, as `vulnfeeds drivers` shows them.
    """
    settings, registry = read_settings(output)
    built = build_driver(settings, registry, driver)
    mirrors = upstream_map(settings) if upstream is None else UpstreamMap(upstream)
    terminal = Terminal(as_json=output.json)
    logs.set_up(settings.log_level, handler=terminal.log_handler())
    watcher = watcher_for(terminal)
    watcher.began(driver)
    progress = Progress(lambda said: watcher.progressed(driver, said), time.time)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"vulnfeeds-{driver}-") as temporary,
            HTTPFetcher(settings.fetch, mirrors, built.upstreams, progress=progress.downloading) as fetcher,
        ):
            folder = workspace if workspace is not None else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            trial = try_driver(
                built,
                fetcher=fetcher,
                workspace=folder,
                clock=time.time,
                timer=time.perf_counter,
                secrets=settings.secrets,
                report=progress.report,
            )
    finally:
        watcher.close()
    _show(terminal, driver, trial)
    if not trial.records:
        raise RunError(
            f"{driver}: no record came; a driver that reads what others published has none without a store"
        )


def _show(terminal: Terminal, driver: str, trial: Trial) -> None:
    if terminal.as_json:
        terminal.value({"driver": driver, "records": trial.records, **msgspec.structs.asdict(trial)})
        return
    rows: list[dict[str, Any]] = [
        {"group": group, "records": records, "whole": group in trial.covered}
        for group, records in trial.groups.items()
    ]
    rows += [{"group": group, "skipped": reason} for group, reason in trial.skipped.items()]
    titles = {"group": "GROUP", "records": "RECORDS", "whole": "WHOLE"}
    terminal.rows(titles | ({"skipped": "SKIPPED"} if trial.skipped else {}), rows, nothing="no record came")
    terminal.text("")
    terminal.facts(
        {
            "records": trial.records,
            "refused": trial.refused,
            "downloads": trial.downloads,
            "fetched MB": round(trial.fetched_bytes / 1e6, 1),
            "bodies MB": round(trial.body_bytes / 1e6, 1),
            **{f"{phase} s": seconds for phase, seconds in trial.seconds.items()},
            "peak MB": trial.peak_mb,
            **{f"unknown {value}": count for value, count in trial.unknown_values.items()},
        }
    )
    for note in trial.notes:
        terminal.text(f"note     {note}")
    for refusal in trial.refusals:
        terminal.text(f"refused  {refusal.group} {refusal.key}: {refusal.reason}")
    for fetched in trial.slowest:
        terminal.text(f"{fetched.seconds:7.2f} s  {fetched.bytes / 1e6:8.1f} MB  {fetched.url}")
