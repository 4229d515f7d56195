"""The list of commands, and how every error becomes one line and an exit code."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Final

from cyclopts import App, CycloptsError, Parameter

from vulnfeeds import __version__
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.errors import (
    AddressError,
    NotFoundError,
    ParseError,
    RequestError,
    RunError,
    SettingsError,
    StoreError,
    SyncFailedError,
    UpstreamError,
    VulnfeedsError,
)


class Exit(IntEnum):
    """What the exit code says; docs/operations.md lists them for operators."""

    OK = 0
    FAILED = 1
    """Something that no other code names."""
    USAGE = 2
    """The command line makes no sense."""
    SETTINGS = 3
    """The settings make no sense, or cannot be read."""
    STORE = 4
    """The store cannot be reached, opened or written, or is of a newer version."""
    SYNC = 5
    """A driver failed, or an upstream could not be reached."""
    NOT_FOUND = 6
    """What was asked for does not exist."""
    ADDRESS = 7
    """The service cannot listen on its address (port in use, not allowed, no such address)."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE = 141
    """Whoever read the output went away."""


_CODES: Final[tuple[tuple[type[BaseException], Exit], ...]] = (
    (SettingsError, Exit.SETTINGS),
    (StoreError, Exit.STORE),
    (AddressError, Exit.ADDRESS),
    (SyncFailedError, Exit.SYNC),
    (UpstreamError, Exit.SYNC),
    (ParseError, Exit.SYNC),
    (RunError, Exit.SYNC),
    (NotFoundError, Exit.NOT_FOUND),
    (RequestError, Exit.USAGE),
)


_COMMANDS: Final = {
    "up": "service:up",
    "serve": "service:serve",
    "sync": "syncing:sync",
    "feeds": "reading:feeds",
    "groups": "reading:groups",
    "records": "reading:records",
    "show": "finding:show",
    "search": "finding:search",
    "tasks": "reading:tasks",
    "drivers": "reading:drivers",
    "hosts": "reading:hosts",
}
"""Where each command is, in the order of the help. One that is asked for is imported alone: few need a server."""


def build(only: str | None = None) -> App:
    """Return the commands; with the name of one that has no others below it, that one, and nothing that it lacks."""
    app = App(
        name="vulnfeeds",
        help="The open, self-hosted vulnerability feed service.",
        version=f"vulnfeeds {__version__}",
        help_format="plaintext",
        result_action="return_value",
    )
    for name, place in _COMMANDS.items():
        if only not in _COMMANDS or name == only:
            app.command(pkgutil.resolve_name(f"vulnfeeds.cli.{place}"))
    if only not in _COMMANDS:
        _add_driver(app)
        _add_grypedb(app)
        _add_config(app)
        _add_quarantine(app)
        app.register_install_completion_command(help="Install completion for the shell that runs this.")
    return app


def _add_driver(app: App) -> None:
    from vulnfeeds.cli import trying

    driver = App(name="driver", help="One driver by itself: try it without a store.")
    driver.command(trying.test)
    app.command(driver)


def _add_grypedb(app: App) -> None:
    from vulnfeeds.cli import databases

    grypedb = App(name="grypedb", help="The database that grype downloads: build, check, list, compare, export.")
    grypedb.command(databases.build)
    grypedb.command(databases.check)
    grypedb.command(databases.list_archives, name="list")
    grypedb.command(databases.diff)
    grypedb.command(databases.export)
    app.command(grypedb)


def _add_config(app: App) -> None:
    from vulnfeeds.cli import operating
    from vulnfeeds.cli import reference as texts
    from vulnfeeds.drivers.registry import load_drivers

    def reference(
        *, commands: Annotated[bool, Parameter(help="Of the commands, not the settings.", negative="")] = False
    ) -> None:
        """Write the reference of the settings, as in docs/configuration.md."""
        Terminal().text(texts.commands(app) if commands else texts.configuration(load_drivers()))

    config = App(name="config", help="Settings: what holds, whether they make sense, what there is to set.")
    config.command(operating.show)
    config.command(operating.check)
    config.command(operating.defaults)
    config.command(reference)
    app.command(config)


def _add_quarantine(app: App) -> None:
    from vulnfeeds.cli import operating

    quarantine = App(name="quarantine", help="Records and runs that were refused: look, accept, drop.")
    quarantine.command(operating.list_quarantined, name="list")
    quarantine.command(operating.show_quarantined, name="show")
    quarantine.command(operating.accept)
    quarantine.command(operating.drop)
    app.command(quarantine)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code. Every error that is raised on purpose ends as one line here."""
    terminal = Terminal()
    try:
        build(next(iter(arguments), None))(arguments, exit_on_error=False, print_error=True)
        terminal.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        terminal.abandon()
        return Exit.PIPE
    except CycloptsError:
        return Exit.USAGE
    except VulnfeedsError as error:
        terminal.complain(str(error))
        return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)
    return Exit.OK
